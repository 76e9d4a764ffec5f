// SPDX-License-Identifier: BSD-3-Clause
//! The present Exception level: its translation registers, and the descent to the next level.
//!
//! Between two contexts a level runs on the *ground*: a table of flat GiB blocks that does not use
//! the library.

use core::arch::global_asm;
use core::cell::UnsafeCell;

use rmm::xlat::mmu::{MmuFeatures, SCTLR_CLEAR, SCTLR_SET};
use rmm::xlat::{MaintenanceFeatures, PhysicalAddressSpace};
use rmm_test_firmware::read_register;

/// Room for a context of 10,000 regions, since every context here is on the stack.
const STACK_SIZE: usize = 8 << 20;

#[repr(C, align(4096))]
struct Stack(UnsafeCell<[u8; STACK_SIZE]>);

// SAFETY: entry.S gives it to the only CPU.
unsafe impl Sync for Stack {}

#[unsafe(link_section = ".stack")]
static STACK: Stack = Stack(UnsafeCell::new([0; STACK_SIZE]));

/// SCTLR_ELx with the MMU off: the bits that are RES1 at some level.
const SCTLR_OFF: u64 = 0x30c5_0830;
/// M, C, SA and I: MMU and caches on.
const SCTLR_GROUND: u64 = SCTLR_OFF | 1 << 12 | 0xd;
/// With the bits that the tables rely on.
const SCTLR: u64 = SCTLR_GROUND & !SCTLR_CLEAR | SCTLR_SET;

/// HCR_EL2: RW, APK and API.
const HCR: u64 = 1 << 31 | 1 << 40 | 1 << 41;
const HCR_E2H: u64 = 1 << 34;
/// SCR_EL3: Realm state (NSE, NS), RES1, HCE, RW, APK and API.
const SCR_REALM: u64 = 1 << 62 | 1 | 3 << 4 | 1 << 8 | 1 << 10 | 3 << 16;

global_asm!(
    include_str!("../../firmware/src/entry.S"),
    include_str!("entry.S"),
    STACK = sym STACK,
    STACK_SIZE = const STACK_SIZE,
    SCTLR_OFF = const SCTLR_OFF,
);

/// The registers of a translation, in the order that entry.S uses.
#[repr(C)]
pub struct Registers {
    hcr: u64,
    sctlr: u64,
    mair: u64,
    tcr: u64,
    ttbr0: u64,
    ttbr1: u64,
}

unsafe extern "C" {
    fn install_el1(registers: &Registers);
    fn install_el2(registers: &Registers);
    fn install_el3(registers: &Registers);
    fn descend_to_el2(scr: u64);
    fn descend_to_el1(hcr: u64);
}

/// The translation regimes, each with the machine state in which it is in force.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExceptionLevel {
    /// EL3.
    El3,
    /// EL2 with HCR_EL2.E2H set: the EL2&0 regime.
    El2And0,
    /// EL2 with HCR_EL2.E2H clear.
    El2,
    /// EL1.
    El1And0,
}

/// A level 1 table of GiB blocks, all of it readable, writable and executable.
#[repr(C, align(4096))]
struct Ground([u64; 512]);

/// AP\[1\]: RES1 in a regime without EL0. In a regime with EL0 it would make the memory accessible
/// there.
const UNPRIVILEGED: u64 = 1 << 6;
/// For the EL3 regime: the Root PAS, from which alone EL3 executes.
const NSE: u64 = 1 << 11;

impl Ground {
    /// `bits` are those that differ between regimes.
    const fn new(bits: u64) -> Self {
        const BLOCK: u64 = 1;
        const DEVICE: u64 = 1 << 2;
        const INNER_SHAREABLE: u64 = 3 << 8;
        const ACCESS_FLAG: u64 = 1 << 10;
        let mut table = [0; 512];
        table[0] = bits | ACCESS_FLAG | DEVICE | BLOCK;
        let mut gib = 1;
        while gib < 8 {
            table[gib] = (gib as u64) << 30 | bits | ACCESS_FLAG | INNER_SHAREABLE | BLOCK;
            gib += 1;
        }
        Self(table)
    }
}

static GROUND_WITH_EL0: Ground = Ground::new(0);
static GROUND_EL2: Ground = Ground::new(UNPRIVILEGED);
static GROUND_EL3: Ground = Ground::new(UNPRIVILEGED | NSE);

/// Write-back, inner-shareable walks of a VA range with this TxSZ.
const fn walks(txsz: u64) -> u64 {
    txsz | 1 << 8 | 1 << 10 | 3 << 12
}

impl ExceptionLevel {
    /// Whether the regime has an EL0, and thus two VA ranges.
    pub fn has_el0(self) -> bool {
        matches!(self, Self::El2And0 | Self::El1And0)
    }

    /// The physical address space of code in this regime.
    pub fn own_pas(self) -> PhysicalAddressSpace {
        if self == Self::El3 { PhysicalAddressSpace::Root } else { PhysicalAddressSpace::Realm }
    }

    /// The other physical address spaces that it can access. This machine's DRAM is the same in
    /// all.
    pub fn other_pas(self) -> &'static [PhysicalAddressSpace] {
        use PhysicalAddressSpace::{NonSecure, Realm, Secure};
        match self {
            Self::El3 => &[Secure, NonSecure, Realm],
            Self::El2And0 | Self::El2 => &[NonSecure],
            Self::El1And0 => &[],
        }
    }

    fn hcr(self) -> u64 {
        if self == Self::El2And0 { HCR | HCR_E2H } else { HCR }
    }

    /// Continues at this level on the ground, from the level declared before it.
    pub fn enter(self) {
        match self {
            Self::El3 | Self::El2 => {}
            // SAFETY: EL3 is left for good. Everything that Rust uses is in memory and registers
            // that are preserved.
            Self::El2And0 => unsafe { descend_to_el2(SCR_REALM) },
            // SAFETY: as above, for EL2.
            Self::El1And0 => unsafe { descend_to_el1(HCR) },
        }
        self.ground();
    }

    /// Puts the ground in force.
    pub fn ground(self) {
        let table = match self {
            Self::El3 => &GROUND_EL3,
            Self::El2 => &GROUND_EL2,
            Self::El2And0 | Self::El1And0 => &GROUND_WITH_EL0,
        };
        let tcr = if self.has_el0() {
            // EPD1: no High VA range. TG1 4 KiB, and a T1SZ that is not reserved. IPS 40 bits.
            walks(25) | 25 << 16 | 1 << 23 | 2 << 30 | 2 << 32
        } else {
            walks(25) | 2 << 16 | 1 << 23 | 1 << 31
        };
        let ttbr0 = (&raw const table.0).addr() as u64;
        let registers =
            Registers { hcr: self.hcr(), sctlr: SCTLR_GROUND, mair: 0x04ff, tcr, ttbr0, ttbr1: 0 };
        // SAFETY: the ground maps everything flat.
        unsafe { self.install(&registers) };
    }

    /// Puts a context in force for each range, or for the only one.
    ///
    /// # Safety
    /// They map the image flat.
    pub unsafe fn put_in_force(self, tcr: u64, ttbr0: u64, ttbr1: u64) {
        let registers = Registers {
            hcr: self.hcr(),
            sctlr: SCTLR,
            mair: rmm::xlat::mmu::MAIR,
            tcr,
            ttbr0,
            ttbr1,
        };
        // SAFETY: promised by the caller; the present translation is flat too.
        unsafe { self.install(&registers) };
    }

    unsafe fn install(self, registers: &Registers) {
        // SAFETY: both translations map the code, the stack and the registers flat.
        unsafe {
            match self {
                Self::El3 => install_el3(registers),
                Self::El2And0 | Self::El2 => install_el2(registers),
                Self::El1And0 => install_el1(registers),
            }
        }
    }

    /// PAR_EL1 for a read of `va` at this level: the result of a walk, for which QEMU does not use
    /// the TLB.
    pub fn address_translation(self, va: u64) -> u64 {
        macro_rules! translate {
            ($instruction:literal) => {
                // SAFETY: changes PAR_EL1, which holds nothing of use.
                unsafe {
                    core::arch::asm!(
                        concat!("at ", $instruction, ", {}"),
                        "isb",
                        in(reg) va,
                        options(nostack)
                    )
                }
            };
        }
        match self {
            Self::El3 => translate!("s1e3r"),
            Self::El2And0 | Self::El2 => translate!("s1e2r"),
            Self::El1And0 => translate!("s1e1r"),
        }
        read_register!("par_el1")
    }

    /// ESR, ELR and FAR of the last exception taken to this level.
    pub fn exception_registers() -> [u64; 3] {
        match read_register!("currentel") >> 2 {
            3 => [read_register!("esr_el3"), read_register!("elr_el3"), read_register!("far_el3")],
            2 => [read_register!("esr_el2"), read_register!("elr_el2"), read_register!("far_el2")],
            _ => [read_register!("esr_el1"), read_register!("elr_el1"), read_register!("far_el1")],
        }
    }
}

/// This CPU's translation features.
pub fn features() -> MmuFeatures {
    MmuFeatures::from_id_registers(
        read_register!("id_aa64mmfr0_el1"),
        read_register!("id_aa64mmfr1_el1"),
        read_register!("id_aa64mmfr2_el1"),
    )
}

/// This CPU's features for table maintenance.
pub fn maintenance_features() -> MaintenanceFeatures {
    MaintenanceFeatures::from_id_registers(
        read_register!("id_aa64isar0_el1"),
        read_register!("id_aa64mmfr2_el1"),
    )
}

/// Makes code that was stored visible to instruction fetches.
pub fn synchronize_code() {
    // SAFETY: cache maintenance changes no content.
    unsafe { core::arch::asm!("dsb ish", "ic iallu", "dsb ish", "isb", options(nostack)) };
}

/// The counter that advances by one with each instruction under QEMU's instruction clock.
pub fn instruction_clock() -> u64 {
    rmm::arch::barrier::isb();
    read_register!("cntpct_el0")
}
