// SPDX-License-Identifier: BSD-3-Clause
//! The state of a world on one CPU, and the switch between worlds.
//!
//! Switched: x0-x30, SP_EL0, ELR and SPSR (by entry.S), the EL2 registers, the PAuth keys, and with
//! interface 0.x the GIC's EL2 registers. Never switched, as in TF-A: EL1 and EL0 registers, EL2
//! timers, ZCR_EL2, vector state, the PMU.

use rmm_test_firmware::{read_register, say, write_register};

use crate::cpu::Cpu;

/// PSTATE of a world's first instruction: EL2h, DAIF masked.
const SPSR_EL2H_MASKED: u64 = 0x3c9;
/// SCTLR_EL2 with its RES1 bits only: MMU and caches off.
const SCTLR_EL2_RESET: u64 = 0x30c5_0830;
/// ICC_SRE_EL2: system-register interface, enabled for EL1.
const ICC_SRE_EL2_ALL: u64 = 0xf;

/// A world of EL2 and below. The value is its index in `Cpu::worlds`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum World {
    /// The host.
    Nonsecure = 0,
    /// The RMM.
    Realm = 1,
}

impl World {
    /// SCR_EL3 for this world, with TF-A's value on QEMU: no interrupt, abort or Granule Protection
    /// Fault is routed to EL3; HVC, PAuth, FGT, ECV, HCRX, SCXTNUM and TPIDR2 do not trap.
    pub const fn scr(self) -> u64 {
        const COMMON: u64 = 0x240_1a03_0731;
        const NSE: u64 = 1 << 62;
        match self {
            Self::Nonsecure => COMMON,
            Self::Realm => COMMON | NSE,
        }
    }
}

/// The general registers of a world. entry.S knows the layout.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Frame {
    /// x0 to x30.
    pub x: [u64; 31],
    /// SP_EL0.
    pub sp_el0: u64,
    /// The PC at which the world resumes.
    pub elr: u64,
    /// The PSTATE with which it resumes.
    pub spsr: u64,
}

/// Defines a set of registers that is saved and restored as a whole.
macro_rules! register_set {
    ($(#[$doc:meta])* $set:ident { $($field:ident = $name:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub struct $set { $(pub $field: u64,)* }

        impl $set {
            const ZERO: Self = Self { $($field: 0,)* };

            fn save(&mut self) {
                $(self.$field = read_register!($name);)*
            }

            /// Loads the set into the registers.
            fn restore(&self) {
                // SAFETY: these registers affect only EL2 and below, which do not run now.
                unsafe { $(write_register!($name, self.$field);)* }
            }
        }
    };
}

register_set! {
    /// The EL2 registers that TF-A switches on QEMU's `max` CPU. Encoded by number where the
    /// assembler knows the name only with an extension.
    El2Registers {
        actlr = "actlr_el2",
        afsr0 = "afsr0_el2",
        afsr1 = "afsr1_el2",
        amair = "amair_el2",
        cnthctl = "cnthctl_el2",
        cntvoff = "cntvoff_el2",
        cntpoff = "s3_4_c14_c0_6",
        contextidr = "s3_4_c13_c0_1",
        cptr = "cptr_el2",
        dbgvcr32 = "dbgvcr32_el2",
        elr = "elr_el2",
        esr = "esr_el2",
        far = "far_el2",
        hacr = "hacr_el2",
        hcr = "hcr_el2",
        hcrx = "s3_4_c1_c2_2",
        hdfgrtr = "s3_4_c3_c1_4",
        hdfgwtr = "s3_4_c3_c1_5",
        hfgitr = "s3_4_c1_c1_6",
        hfgrtr = "s3_4_c1_c1_4",
        hfgwtr = "s3_4_c1_c1_5",
        hpfar = "hpfar_el2",
        hstr = "hstr_el2",
        mair = "mair_el2",
        mdcr = "mdcr_el2",
        scxtnum = "s3_4_c13_c0_7",
        sctlr = "sctlr_el2",
        sp = "sp_el2",
        spsr = "spsr_el2",
        tcr = "tcr_el2",
        tpidr = "tpidr_el2",
        ttbr0 = "ttbr0_el2",
        ttbr1 = "s3_4_c2_c0_1",
        vbar = "vbar_el2",
        vdisr = "s3_4_c12_c1_1",
        vmpidr = "vmpidr_el2",
        vncr = "s3_4_c2_c2_0",
        vpidr = "vpidr_el2",
        vsesr = "s3_4_c5_c2_3",
        vtcr = "vtcr_el2",
        vttbr = "vttbr_el2",
    }
}

register_set! {
    /// The pointer authentication keys, low and high halves.
    PauthKeys {
        instruction_a_low = "s3_0_c2_c1_0",
        instruction_a_high = "s3_0_c2_c1_1",
        instruction_b_low = "s3_0_c2_c1_2",
        instruction_b_high = "s3_0_c2_c1_3",
        data_a_low = "s3_0_c2_c2_0",
        data_a_high = "s3_0_c2_c2_1",
        data_b_low = "s3_0_c2_c2_2",
        data_b_high = "s3_0_c2_c2_3",
        generic_low = "s3_0_c2_c3_0",
        generic_high = "s3_0_c2_c3_1",
    }
}

register_set! {
    /// The GIC registers of EL2 that EL3 switches with interface 0.x.
    GicRegisters {
        icc_sre = "icc_sre_el2",
        ich_hcr = "s3_4_c12_c11_0",
        ich_vmcr = "s3_4_c12_c11_7",
    }
}

/// Lists the registers to which the RMM must give a value at boot, whatever their former value.
macro_rules! control_registers {
    ($($field:ident $name:literal $encoding:literal $poison:expr;)*) => {
        impl WorldContext {
            /// Sets bits of the control registers that the RMM must clear.
            pub fn poison(&mut self) {
                $(self.el2.$field = $poison;)*
                // PSTATE.SSBS, and no DIT.
                self.frame.spsr |= 1 << 12;
            }
        }

        /// Prints the control registers of the world that was left.
        pub fn print_control_registers(cpu: &Cpu) {
            $(say!("EL3: CPU {} has {} {:#x}", cpu.index, $name, read_register!($encoding));)*
        }
    };
}

const ONES: u64 = !0;

control_registers! {
    // Caches, MMU and endianness are part of the interface; alignment checks, WXN and IESB are not.
    sctlr "SCTLR_EL2" "sctlr_el2" SCTLR_EL2_RESET | 1 << 19 | 1 << 3;
    hcr "HCR_EL2" "hcr_el2" 1 << 34 | 1 << 27 | 0x3e;
    // HPMN as after reset, and no bit that stops the host's counters.
    mdcr "MDCR_EL2" "mdcr_el2" (read_register!("pmcr_el0") >> 11) & 0x1f | 1 << 7;
    cptr "CPTR_EL2" "cptr_el2" ONES;
    hstr "HSTR_EL2" "hstr_el2" ONES;
    cnthctl "CNTHCTL_EL2" "cnthctl_el2" ONES;
    cntvoff "CNTVOFF_EL2" "cntvoff_el2" ONES;
    cntpoff "CNTPOFF_EL2" "s3_4_c14_c0_6" ONES;
    contextidr "CONTEXTIDR_EL2" "s3_4_c13_c0_1" ONES;
    amair "AMAIR_EL2" "amair_el2" ONES;
    mair "MAIR_EL2" "mair_el2" ONES;
    vtcr "VTCR_EL2" "vtcr_el2" ONES;
    vttbr "VTTBR_EL2" "vttbr_el2" ONES;
    vpidr "VPIDR_EL2" "vpidr_el2" ONES;
    vmpidr "VMPIDR_EL2" "vmpidr_el2" ONES;
    hfgrtr "HFGRTR_EL2" "s3_4_c1_c1_4" ONES;
    hfgwtr "HFGWTR_EL2" "s3_4_c1_c1_5" ONES;
    hfgitr "HFGITR_EL2" "s3_4_c1_c1_6" ONES;
    hdfgrtr "HDFGRTR_EL2" "s3_4_c3_c1_4" ONES;
    hdfgwtr "HDFGWTR_EL2" "s3_4_c3_c1_5" ONES;
    hcrx "HCRX_EL2" "s3_4_c1_c2_2" ONES;
    scxtnum "SCXTNUM_EL2" "s3_4_c13_c0_7" ONES;
    vsesr "VSESR_EL2" "s3_4_c5_c2_3" ONES;
    vdisr "VDISR_EL2" "s3_4_c12_c1_1" ONES;
}

/// The state of a world while it does not run.
#[derive(Clone, Copy)]
pub struct WorldContext {
    /// General registers.
    pub frame: Frame,
    el2: El2Registers,
    pauth: PauthKeys,
    gic: GicRegisters,
}

impl WorldContext {
    /// The state of a world that was never entered.
    pub const RESET: Self = Self {
        frame: Frame { x: [0; 31], sp_el0: 0, elr: 0, spsr: SPSR_EL2H_MASKED },
        el2: El2Registers {
            sctlr: SCTLR_EL2_RESET,
            // These registers trap while their bit is clear: ACCDATA_EL1, TPIDR2_EL0, SMPRI_EL1;
            // also BRB instructions.
            hfgrtr: 0x00c4_0000_0000_0000,
            hfgwtr: 0x00c4_0000_0000_0000,
            hfgitr: 0x0180_0000_0000_0000,
            ..El2Registers::ZERO
        },
        pauth: PauthKeys::ZERO,
        gic: GicRegisters { icc_sre: ICC_SRE_EL2_ALL, ..GicRegisters::ZERO },
    };

    /// Resets the world, to start at `entry` with these values in x0 and up.
    pub fn reset(&mut self, entry: u64, arguments: &[u64]) {
        *self = Self::RESET;
        self.frame.elr = entry;
        self.frame.x[..arguments.len()].copy_from_slice(arguments);
        // All event counters belong to EL2, as after reset.
        self.el2.mdcr = (read_register!("pmcr_el0") >> 11) & 0x1f;
    }
}

impl Cpu {
    /// Saves the running world's registers, loads those of `next`, and gives its frame to resume.
    pub fn switch_to(&mut self, next: World) -> *mut Frame {
        let switches_gic = crate::boot::options().interface.switches_gic();
        let last = self.current;
        if last != next {
            let last = self.world(last);
            last.el2.save();
            last.pauth.save();
            if switches_gic {
                last.gic.save();
            }
        }
        self.load(next)
    }

    /// Loads the registers of `next` without saving those of the world that ran before.
    pub fn load(&mut self, next: World) -> *mut Frame {
        let switches_gic = crate::boot::options().interface.switches_gic();
        self.current = next;
        // SAFETY: SCR_EL3 configures the world that the next ERET enters, which is `next`.
        unsafe { write_register!("scr_el3", next.scr()) };
        // SAFETY: a barrier; the registers below are accessed under the new SCR_EL3.
        unsafe { core::arch::asm!("isb", options(nostack, preserves_flags)) };
        let world = self.world(next);
        world.el2.restore();
        world.pauth.restore();
        if switches_gic {
            world.gic.restore();
        }
        &raw mut world.frame
    }
}
