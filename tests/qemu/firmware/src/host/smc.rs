// SPDX-License-Identifier: BSD-3-Clause
//! SMC with every general register accounted for: those that are no arguments carry random values,
//! and after each call x8-x30 must be what they were.

use core::fmt::{self, Display};
use core::sync::atomic::{AtomicU64, Ordering};

use rmm_test_firmware::registers::linear_index_of_this_cpu;
use rmm_test_firmware::say;
use rmm_test_firmware::smccc::{psci, test_service};

use crate::MAX_CPUS;
use crate::check;
use crate::random::Random;

/// General registers an SMC sees.
const REGISTERS: usize = 31;
/// Registers SMCCC uses for arguments and results.
pub const ARGUMENTS: usize = 8;

/// Calls of each CPU; also what makes the random values of two calls differ.
static CALLS: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];
static CORRUPTED: AtomicU64 = AtomicU64::new(0);

unsafe extern "C" {
    fn host_smc(registers: *mut [u64; REGISTERS]);
}

/// Calls `fid` with `arguments` from x1 on and random values in all other registers. Returns what
/// was passed in x0-x7 and what came back in them; x8-x30 are checked here.
pub fn call(fid: u64, arguments: &[u64]) -> ([u64; ARGUMENTS], [u64; ARGUMENTS]) {
    let mut random = Random::for_this_cpu(count_call());
    let mut registers: [u64; REGISTERS] = core::array::from_fn(|_| random.next());
    registers[0] = fid;
    for (register, argument) in registers[1..ARGUMENTS].iter_mut().zip(arguments) {
        *register = *argument;
    }
    let passed = registers;
    // SAFETY: the routine saves what it changes of the caller's registers; the callee may change
    // memory that the host gave away only, which is never Rust's.
    unsafe { host_smc(&raw mut registers) };
    for index in ARGUMENTS..REGISTERS {
        if registers[index] != passed[index] {
            corrupted(fid, format_args!("x{index}"), passed[index], registers[index]);
        }
    }
    let low = |registers: &[u64; REGISTERS]| core::array::from_fn(|index| registers[index]);
    (low(&passed), low(&registers))
}

/// Counts a call of this CPU and returns how many it made before.
fn count_call() -> u64 {
    let calls = usize::try_from(linear_index_of_this_cpu()).ok().and_then(|index| CALLS.get(index));
    calls.map_or(0, |calls| calls.fetch_add(1, Ordering::Relaxed))
}

/// Reports a register that a call should have left alone.
pub fn corrupted(fid: u64, register: impl Display, expected: u64, got: u64) {
    if CORRUPTED.fetch_add(1, Ordering::Relaxed) < 8 {
        check::equal(format_args!("{register} survives call {fid:#x}"), got, expected);
    }
}

/// Asserts for the whole run that no call changed a register it should not have.
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
    say!("FAILED: CPU_OFF returned");
    rmm_test_firmware::semihosting::exit(crate::EXIT_HOST_FAILED)
}

/// PSCI AFFINITY_INFO of one CPU.
pub fn affinity_info(affinity: u64) -> u64 {
    call(psci::function::AFFINITY_INFO_64.into(), &[affinity, 0]).1[0]
}

/// The Granule Protection Information EL3 holds for an address (4 bits; 9 Non-secure, 11 Realm).
pub fn granule_gpi(address: u64) -> u64 {
    call(test_service::GRANULE_GPI, &[address]).1[0]
}

/// Words of a granule in the Realm PAS that are not zero, words that are a part of the Realm
/// attestation key, and words that are PSTATE of a fiber with DIT set.
pub fn granule_scan(address: u64) -> [u64; 3] {
    let [words, of_key, fibers, ..] = call(test_service::GRANULE_SCAN, &[address]).1;
    [words, of_key, fibers]
}

/// Words of a granule in the Realm PAS that are one of these, in either byte order.
pub fn granule_search(address: u64, [a, b, c, d, e, f]: [u64; 6]) -> u64 {
    call(test_service::GRANULE_SEARCH, &[address, a, b, c, d, e, f]).1[0]
}

/// The PC of the fiber whose context is in a granule in the Realm PAS, or 0 if there is none.
pub fn granule_fiber(address: u64) -> u64 {
    call(test_service::GRANULE_FIBER, &[address]).1[0]
}

/// How the RMM booted, in the eyes of EL3.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BootStatus {
    /// The code of the last BOOT_COMPLETE on the calling CPU.
    pub code: i64,
    /// The boot failed on some CPU, and EL3 forwards nothing any more.
    pub given_up: bool,
}

impl BootStatus {
    /// All is well.
    pub const BOOTED: Self = Self { code: 0, given_up: false };
}

impl fmt::Debug for BootStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "code {}, {}", self.code, if self.given_up { "given up" } else { "in service" })
    }
}

/// How the RMM booted on this CPU.
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
    /// Services the RMM asked of EL3 in the last visit.
    pub services: u64,
}

/// What the RMM cost in its last visit on this CPU.
pub fn last_visit() -> Visit {
    let [last, cold_boot, warm_boot, services, ..] = call(test_service::VISIT, &[]).1;
    Visit { last, cold_boot, warm_boot, services }
}
