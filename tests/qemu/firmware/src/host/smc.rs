// SPDX-License-Identifier: BSD-3-Clause
//! SMCs with every general register checked: registers that are not arguments have random values,
//! and after each call x8-x30 must be preserved.

use core::fmt::{self, Display};
use core::sync::atomic::{AtomicU64, Ordering};

use crate::registers::linear_index_of_this_cpu;
use crate::smccc::{psci, test_service};

use super::MAX_CPUS;
use super::random::Random;
use crate::check;

/// The number of general registers of an SMC.
const REGISTERS: usize = 31;
/// The number of registers that the SMCCC uses for arguments and results.
pub const ARGUMENTS: usize = 8;

/// Calls of each CPU. The count also makes the random values of two calls differ.
static CALLS: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];
static CORRUPTED: AtomicU64 = AtomicU64::new(0);

unsafe extern "C" {
    fn host_smc(registers: *mut [u64; REGISTERS]);
}

/// Calls `fid` with `arguments` from x1 on and random values in all other registers. Gives x0-x7
/// before and after the call, and checks x8-x30.
pub fn call(fid: u64, arguments: &[u64]) -> ([u64; ARGUMENTS], [u64; ARGUMENTS]) {
    let mut random = Random::for_this_cpu(count_call());
    let mut registers: [u64; REGISTERS] = core::array::from_fn(|_| random.word());
    registers[0] = fid;
    for (register, argument) in registers[1..ARGUMENTS].iter_mut().zip(arguments) {
        *register = *argument;
    }
    let passed = registers;
    // SAFETY: the routine preserves the caller's registers. The callee changes only memory that the
    // host has delegated or named, which Rust does not own.
    unsafe { host_smc(&raw mut registers) };
    for index in ARGUMENTS..REGISTERS {
        if registers[index] != passed[index] {
            corrupted(fid, format_args!("x{index}"), passed[index], registers[index]);
        }
    }
    let low = |registers: &[u64; REGISTERS]| core::array::from_fn(|index| registers[index]);
    (low(&passed), low(&registers))
}

/// Counts a call of this CPU. Gives the number of calls before it.
fn count_call() -> u64 {
    let calls = usize::try_from(linear_index_of_this_cpu()).ok().and_then(|index| CALLS.get(index));
    calls.map_or(0, |calls| calls.fetch_add(1, Ordering::Relaxed))
}

/// Reports a register that the call should have preserved.
pub fn corrupted(fid: u64, register: impl Display, expected: u64, got: u64) {
    if CORRUPTED.fetch_add(1, Ordering::Relaxed) < 8 {
        check::equal(format_args!("{register} survives call {fid:#x}"), got, expected);
    }
}

/// Asserts for the whole run that every call preserved the registers that it had to.
pub fn report_preserved_registers() {
    check::equal(
        format_args!(
            "x4-x7 unless results, and x8-x30, survived each of {} calls",
            CALLS.iter().map(|calls| calls.load(Ordering::Relaxed)).sum::<u64>()
        ),
        CORRUPTED.load(Ordering::Relaxed),
        0,
    );
}

/// PSCI CPU_ON.
pub fn cpu_on(affinity: u64, entry: u64, context: u64) -> u64 {
    call(psci::function::CPU_ON_64.into(), &[affinity, entry, context]).1[0]
}

/// PSCI CPU_OFF of the calling CPU.
pub fn cpu_off() -> ! {
    call(psci::function::CPU_OFF.into(), &[]);
    super::give_up(format_args!("CPU_OFF returned"))
}

/// PSCI AFFINITY_INFO of one CPU.
pub fn affinity_info(affinity: u64) -> u64 {
    call(psci::function::AFFINITY_INFO_64.into(), &[affinity, 0]).1[0]
}

/// The GPI of an address in EL3's table (4 bits; 9 Non-secure, 11 Realm).
pub fn granule_gpi(address: u64) -> u64 {
    call(test_service::GRANULE_GPI, &[address]).1[0]
}

/// Counts words of a granule in the Realm PAS: those that are not zero, those that are part of the
/// attestation key, and those that are a fiber's PSTATE with DIT set.
pub fn granule_scan(address: u64) -> [u64; 3] {
    let [words, of_key, fibers, ..] = call(test_service::GRANULE_SCAN, &[address]).1;
    [words, of_key, fibers]
}

/// Counts words of a granule in the Realm PAS that equal one of these, in either byte order.
pub fn granule_search(address: u64, [a, b, c, d, e, f]: [u64; 6]) -> u64 {
    call(test_service::GRANULE_SEARCH, &[address, a, b, c, d, e, f]).1[0]
}

/// The PC of the fiber whose context is in a granule of the Realm PAS; 0 if there is none.
pub fn granule_fiber(address: u64) -> u64 {
    call(test_service::GRANULE_FIBER, &[address]).1[0]
}

/// The result of the RMM's boot, as EL3 reports it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BootStatus {
    /// The code of the last BOOT_COMPLETE on the calling CPU.
    pub code: i64,
    /// Whether the boot failed on some CPU, so that EL3 forwards nothing any more.
    pub given_up: bool,
}

impl BootStatus {
    /// The boot succeeded.
    pub const BOOTED: Self = Self { code: 0, given_up: false };
}

impl fmt::Debug for BootStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "code {}, {}", self.code, if self.given_up { "given up" } else { "in service" })
    }
}

/// The result of the RMM's boot on this CPU.
pub fn boot_status() -> BootStatus {
    let results = call(test_service::BOOT_STATUS, &[]).1;
    BootStatus { code: results[0].cast_signed(), given_up: results[1] != 0 }
}

/// Instruction counts of the RMM on this CPU.
#[derive(Clone, Copy, Debug)]
pub struct Visit {
    /// In the last visit.
    pub last: u64,
    /// In the cold boot.
    pub cold_boot: u64,
    /// In this CPU's last warm boot.
    pub warm_boot: u64,
    /// Calls of EL3 services in the last visit.
    pub services: u64,
}

/// The cost of the RMM's last visit on this CPU.
pub fn last_visit() -> Visit {
    let [last, cold_boot, warm_boot, services, ..] = call(test_service::VISIT, &[]).1;
    Visit { last, cold_boot, warm_boot, services }
}
