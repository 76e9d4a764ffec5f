// SPDX-License-Identifier: BSD-3-Clause
//! The RMI as a host uses it: one typed function per command, for both dialects. Every call passes
//! random values in unused registers and checks that x4-x7 are preserved unless they are outputs.

use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};

use crate::smccc;
use rmm_abi::rmi::{status, version};
use rmm_abi::rmi_v2::ADDRESS_SINGLE;
use rmm_test_requests::{SELF_TEST, STACK_USE};

use super::smc::{self, ARGUMENTS};
use super::tally;

pub use rmm_abi::rmi::function as fid;

/// The result word of a command.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Status(pub u64);

impl Status {
    /// RMI_SUCCESS.
    pub const SUCCESS: Self = Self(status::SUCCESS as u64);
    /// RMI_ERROR_INPUT.
    pub const ERROR_INPUT: Self = Self(status::ERROR_INPUT as u64);
    /// RMI_INCOMPLETE (2.0): the host must continue.
    pub const CONTINUE: Self = Self(status::INCOMPLETE as u64);
    /// RMI_INCOMPLETE (2.0): the host must continue or cancel.
    pub const CONTINUE_OR_CANCEL: Self = Self(status::INCOMPLETE as u64 | 1 << 10);
    /// RMI_INCOMPLETE (2.0): the host must donate memory or cancel.
    pub const DONATE: Self = Self(status::INCOMPLETE as u64 | 1 << 8 | 1 << 10);
    /// RMI_INCOMPLETE (2.0): the host must reclaim memory.
    pub const RECLAIM: Self = Self(status::INCOMPLETE as u64 | 2 << 8);
    /// RMI_ERROR_GLOBAL (2.0): not possible in this state of the RMM.
    pub const ERROR_GLOBAL: Self = Self(status::ERROR_GLOBAL as u64);
    /// The self-test image's answer after it has survived a fault that it was asked to cause.
    pub const SURVIVED: Self = Self(u64::MAX - 1);
    /// Not a command.
    pub const UNKNOWN: Self = Self(smccc::UNKNOWN);
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::SUCCESS => write!(f, "RMI_SUCCESS"),
            Self::ERROR_INPUT => write!(f, "RMI_ERROR_INPUT"),
            Self::ERROR_GLOBAL => write!(f, "RMI_ERROR_GLOBAL"),
            Self::SURVIVED => write!(f, "survived"),
            Self::UNKNOWN => write!(f, "unknown (-1)"),
            Self(word) => write!(f, "RMI status {word:#x}"),
        }
    }
}

/// An RMI version.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Version(pub u64);

impl Version {
    /// 1.0.
    pub const V1_0: Self = Self(version::V1_0);
    /// 2.0.
    pub const V2_0: Self = Self(version::V2_0);
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0 >> 16, self.0 & 0xffff)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The set of commands that the RMM serves. It follows from the interface version with which EL3
/// booted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// RMI 1.0: one granule per command.
    One,
    /// RMI 2.0: ranges of granules.
    Two,
}

impl Dialect {
    /// The dialect of this run.
    pub fn current() -> Self {
        if super::options().interface.major() >= 2 { Self::Two } else { Self::One }
    }

    /// The version the dialect reports.
    pub fn version(self) -> Version {
        match self {
            Self::One => Version::V1_0,
            Self::Two => Version::V2_0,
        }
    }
}

/// Calls a command with outputs up to x`results`, and checks that the registers from x4 on which
/// are not outputs are preserved.
pub fn call(fid: impl Into<u64>, arguments: &[u64], results: usize) -> [u64; ARGUMENTS] {
    let fid = fid.into();
    let (passed, returned) = smc::call(fid, arguments);
    tally::add(fid);
    for index in (results + 1).max(4)..ARGUMENTS {
        if returned[index] != passed[index] {
            smc::corrupted(fid, format_args!("x{index}"), passed[index], returned[index]);
        }
    }
    returned
}

/// RMI_VERSION: status, lower and higher supported version.
pub fn version(requested: Version) -> (Status, Version, Version) {
    let returned = call(fid::VERSION, &[requested.0], 2);
    (Status(returned[0]), Version(returned[1]), Version(returned[2]))
}

/// RMI_FEATURES: status and value of a feature register.
pub fn features(register: u64) -> (Status, u64) {
    let returned = call(fid::FEATURES, &[register], 1);
    (Status(returned[0]), returned[1])
}

/// RMI_GRANULE_DELEGATE (1.0).
pub fn granule_delegate(address: u64) -> Status {
    Status(call(fid::GRANULE_DELEGATE, &[address], 0)[0])
}

/// RMI_GRANULE_UNDELEGATE (1.0).
pub fn granule_undelegate(address: u64) -> Status {
    Status(call(fid::GRANULE_UNDELEGATE, &[address], 0)[0])
}

/// RMI_GRANULE_RANGE_DELEGATE (2.0): status and the first address not delegated.
pub fn range_delegate(base: u64, top: u64) -> (Status, u64) {
    let returned = call(fid::GRANULE_RANGE_DELEGATE, &[base, top], 1);
    (Status(returned[0]), returned[1])
}

/// RMI_GRANULE_RANGE_UNDELEGATE (2.0): status and the first address not undelegated.
pub fn range_undelegate(base: u64, top: u64) -> (Status, u64) {
    let returned = call(fid::GRANULE_RANGE_UNDELEGATE, &[base, top], 1);
    (Status(returned[0]), returned[1])
}

/// RMI_GRANULE_TRACKING_GET (2.0): status, and the end of the memory that is tracked in the same
/// way.
pub fn granule_tracking_get(base: u64, top: u64) -> (Status, u64) {
    let returned = call(fid::GRANULE_TRACKING_GET, &[base, top], 3);
    (Status(returned[0]), returned[3])
}

/// RMI_RMM_CONFIG_SET (2.0) with the page at this address.
pub fn rmm_config_set(page: u64) -> Status {
    Status(call(fid::RMM_CONFIG_SET, &[page], 0)[0])
}

/// RMI_RMM_CONFIG_GET (2.0) to the page at this address.
pub fn rmm_config_get(page: u64) -> Status {
    Status(call(fid::RMM_CONFIG_GET, &[page], 0)[0])
}

/// RMI_RTT_DATA_MAP or RMI_RTT_UNPROT_MAP (2.0) of the memory in a descriptor: status and the first
/// IPA that is not mapped.
pub fn map(fid: u32, rd: u64, base: u64, top: u64, flags: u64, descriptor: u64) -> (Status, u64) {
    let returned = call(fid, &[rd, base, top, flags, descriptor], 1);
    (Status(returned[0]), returned[1])
}

/// RMI_RTT_DATA_UNMAP or RMI_RTT_UNPROT_UNMAP (2.0): status, the first IPA that may still be
/// mapped, and a descriptor of the unmapped memory.
pub fn unmap(fid: u32, rd: u64, base: u64, top: u64) -> (Status, u64, u64) {
    let returned = call(fid, &[rd, base, top, ADDRESS_SINGLE, 0], 3);
    (Status(returned[0]), returned[1], returned[2])
}

/// A call of a stateful operation (2.0): the status; the handle or a number of granules or entries;
/// the request.
pub fn operation(fid: u32, arguments: &[u64]) -> (Status, u64, u64) {
    let returned = call(fid, arguments, 2);
    (Status(returned[0]), returned[1], returned[2])
}

/// RMI_RMM_ACTIVATE (2.0).
pub fn rmm_activate() -> Status {
    Status(call(fid::RMM_ACTIVATE, &[], 0)[0])
}

/// RMI_RMM_DEACTIVATE (2.0).
pub fn rmm_deactivate() -> Status {
    ACTIVE.store(false, Ordering::Release);
    Status(call(fid::RMM_DEACTIVATE, &[], 0)[0])
}

/// Delegates one granule in the dialect of this run.
pub fn delegate(address: u64) -> Status {
    match Dialect::current() {
        Dialect::One => granule_delegate(address),
        Dialect::Two => range_delegate(address, address.wrapping_add(4096)).0,
    }
}

/// Undelegates one granule in the dialect of this run.
pub fn undelegate(address: u64) -> Status {
    match Dialect::current() {
        Dialect::One => granule_undelegate(address),
        Dialect::Two => range_undelegate(address, address.wrapping_add(4096)).0,
    }
}

/// Asks the self-test image to cause a fault.
pub fn self_test(kind: u64) -> Status {
    Status(call(SELF_TEST, &[kind], 0)[0])
}

/// Used and total bytes of a CPU's stack and exception stack, from the self-test image. `None` from
/// any other image.
pub fn stack_use(cpu: u64) -> Option<[(u64, u64); 2]> {
    let [status, used, size, exceptions_used, exceptions_size, ..] = call(STACK_USE, &[cpu], 4);
    (Status(status) == Status::SUCCESS)
        .then_some([(used, size), (exceptions_used, exceptions_size)])
}

/// Makes a harmless request to the self-test image: the request in x1, arguments from x2 on. Gives
/// the status and a result.
pub fn self_test_for(request: &[u64]) -> (Status, u64) {
    let returned = call(SELF_TEST, request, 1);
    (Status(returned[0]), returned[1])
}

/// Whether the host has activated the RMM.
static ACTIVE: AtomicBool = AtomicBool::new(false);

/// Activates an RMM of RMI 2.0 unless it is active. RMI 1.0 has no such state.
pub fn activate() {
    if Dialect::current() == Dialect::Two && !ACTIVE.swap(true, Ordering::AcqRel) {
        crate::check::equal("RMI_RMM_ACTIVATE succeeds", rmm_activate(), Status::SUCCESS);
        crate::check::equal("RMI_RMM_ACTIVATE succeeds once", rmm_activate(), Status::ERROR_GLOBAL);
    }
}
