// SPDX-License-Identifier: BSD-3-Clause
//! What the monitor keeps for each CPU, and the entry assembly that depends on its layout.
//!
//! Only its own CPU accesses a `Cpu`, between the exception to EL3 and the return.

use core::arch::global_asm;
use core::cell::UnsafeCell;
use core::mem::offset_of;

use rmm_test_firmware::write_register;

use crate::world::{Frame, World, WorldContext};

/// CPUs the monitor has room for: what TF-A calls PLATFORM_CORE_COUNT on QEMU.
pub const MAX_CPUS: usize = 32;
/// Bytes of each CPU's stack.
const STACK_SIZE: usize = 16384;
/// The value by which the primary CPU lets the others continue.
const COLD_BOOT_DONE: u64 = 0x0043_6f6c_6442_6f6f;
/// Exception class of an SMC from AArch64.
const EC_SMC64: u64 = 0x17;

/// The boot phase of this CPU's RMM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RmmPhase {
    /// Not entered since the CPU was turned on.
    Unentered,
    /// Between the boot entry and BOOT_COMPLETE.
    Booting,
    /// Serves RMI calls.
    Ready,
}

/// Instruction counts of the RMM on one CPU, see `smccc::test_service::VISIT`.
#[derive(Clone, Copy, Debug, Default)]
pub struct VisitCounts {
    /// Since EL3 last entered the RMM for another purpose.
    pub current: u64,
    /// Calls of EL3 services in the same time.
    pub services: u64,
    /// The cold boot.
    pub cold_boot: u64,
    /// The last warm boot.
    pub warm_boot: u64,
}

/// The monitor's state of one CPU. entry.S uses the first three words.
#[repr(C, align(64))]
pub struct Cpu {
    /// Frame of the running world.
    frame: *mut Frame,
    /// CNTPCT_EL0 when EL3 was last entered.
    entered_at: u64,
    /// CNTPCT_EL0 when EL3 was last left.
    left_at: u64,
    /// Linear index.
    pub index: usize,
    /// The world whose EL2 registers are live.
    pub current: World,
    /// Saved states, indexed by `World`.
    pub worlds: [WorldContext; 2],
    /// See `RmmPhase`.
    pub phase: RmmPhase,
    /// Whether there was a BOOT_COMPLETE on this CPU.
    pub was_booted: bool,
    /// The activation token of the last BOOT_COMPLETE on this CPU; survives CPU_OFF.
    pub token: u64,
    /// The code of the last BOOT_COMPLETE on this CPU.
    pub boot_code: u64,
    /// See `VisitCounts`.
    pub visits: VisitCounts,
}

impl Cpu {
    const INITIAL: Self = Self {
        frame: core::ptr::null_mut(),
        entered_at: 0,
        left_at: 0,
        index: 0,
        current: World::Nonsecure,
        worlds: [WorldContext::RESET; 2],
        phase: RmmPhase::Unentered,
        was_booted: false,
        token: 0,
        boot_code: 0,
        visits: VisitCounts { current: 0, services: 0, cold_boot: 0, warm_boot: 0 },
    };

    /// The saved state of a world.
    pub fn world(&mut self, world: World) -> &mut WorldContext {
        &mut self.worlds[world as usize]
    }

    /// Instructions of lower levels between EL3's last return and this entry.
    pub fn instructions_below(&self) -> u64 {
        unsafe extern "C" {
            safe static monitor_overhead: u8;
        }
        let overhead = (&raw const monitor_overhead).addr() as u64;
        self.entered_at.wrapping_sub(self.left_at).wrapping_sub(overhead)
    }
}

struct Cpus([UnsafeCell<Cpu>; MAX_CPUS]);

// SAFETY: each element is used by one CPU only (see `this_cpu`).
unsafe impl Sync for Cpus {}

static CPUS: Cpus = Cpus([const { UnsafeCell::new(Cpu::INITIAL) }; MAX_CPUS]);

/// Takes element `index` for the calling CPU, and points TPIDR_EL3 to it.
///
/// # Safety
///
/// Once on each CPU, with that CPU's linear index.
pub unsafe fn claim(index: usize) -> &'static mut Cpu {
    let cpu = CPUS.0[index].get();
    // SAFETY: TPIDR_EL3 is the monitor's own; entry.S expects the address of this CPU's `Cpu` in
    // it.
    unsafe { write_register!("tpidr_el3", cpu.expose_provenance() as u64) };
    // SAFETY: the caller has the index to itself and claims it once.
    let cpu = unsafe { &mut *cpu };
    cpu.index = index;
    cpu
}

/// Sets the EL3 registers that are the same for both worlds, once on each CPU, to the values of
/// TF-A on QEMU.
pub fn set_up_traps() {
    const CPTR_EL3_EZ: u64 = 1 << 8;
    const CPTR_EL3_ESM: u64 = 1 << 12;
    const CPTR_EL3_TTA: u64 = 1 << 20;
    const MDCR_EL3_SPD32_DISABLED: u64 = 2 << 14;
    const MDCR_EL3_SDD: u64 = 1 << 16;
    const MDCR_EL3_SCCD: u64 = 1 << 23;
    const MDCR_EL3_MCCD: u64 = 1 << 34;
    const ICC_SRE_ALL: u64 = 0xf;
    const LONGEST_VECTOR: u64 = 0xf;
    const SMCR_EL3_FA64: u64 = 1 << 31;
    // SAFETY: these registers decide which instructions of lower levels trap. None affects EL3's
    // own code.
    unsafe {
        write_register!("cptr_el3", CPTR_EL3_EZ | CPTR_EL3_ESM | CPTR_EL3_TTA);
        write_register!(
            "mdcr_el3",
            MDCR_EL3_SPD32_DISABLED | MDCR_EL3_SDD | MDCR_EL3_SCCD | MDCR_EL3_MCCD
        );
        write_register!("s3_6_c12_c12_5", ICC_SRE_ALL);
        // With interface 2.x EL3 does not change it from here on. With 0.x it switches it between
        // worlds.
        write_register!("icc_sre_el2", ICC_SRE_ALL);
        write_register!("s3_6_c1_c2_0", LONGEST_VECTOR);
        write_register!("s3_6_c1_c2_6", LONGEST_VECTOR | SMCR_EL3_FA64);
    }
}

global_asm!(
    include_str!("../entry.S"),
    include_str!("entry.S"),
    MAX_CPUS = const MAX_CPUS,
    STACK_SIZE = const STACK_SIZE,
    COLD_BOOT_DONE = const COLD_BOOT_DONE,
    EC_SMC64 = const EC_SMC64,
    SCTLR = const 0x30c5_0830u64,
    SCTLR_MMU_AND_CACHES = const 0x1005,
    SCR = const World::Nonsecure.scr(),
    MAIR = const crate::mmu::MAIR,
    TCR = const crate::mmu::TCR,
    LEVEL_1 = sym crate::mmu::LEVEL_1,
    CPU_FRAME = const offset_of!(Cpu, frame),
    CPU_ENTERED_AT = const offset_of!(Cpu, entered_at),
    CPU_LEFT_AT = const offset_of!(Cpu, left_at),
    FRAME_SP_EL0 = const offset_of!(Frame, sp_el0),
    FRAME_ELR = const offset_of!(Frame, elr),
);
