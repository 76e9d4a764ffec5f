// SPDX-License-Identifier: BSD-3-Clause
//! Realm Execution Context: a virtual CPU of a Realm, in a granule in state REC.
//!
//! It is read and written under the lock of that granule, or by the CPU that runs it, which holds
//! its one reference.

mod auxiliary;
pub mod debug;
pub mod exit;
pub mod gic;
mod identity;
pub mod lifecycle;
pub mod parameters;
pub mod pmu;
mod registers;
pub mod simd;
pub mod syndrome;
pub mod timer;

pub use identity::{Mpidr, RecIdentity};
pub use registers::Registers;

use self::gic::GicState;
use self::pmu::PmuStatus;
use self::simd::RecSimd;
use self::syndrome::Syndrome;
use self::timer::Timers;
use crate::granule::{GranuleAddress, state};
use crate::mem::{AUXILIARY, Content, RunningContent};
use crate::realm::epoch::Learned;
use crate::realm::measurement::MeasuredRecParameters;

/// RIPAS that a Realm requests (RSI_IPA_STATE_SET).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum RequestedRipas {
    /// No memory.
    Empty = 0,
    /// Memory of the Realm.
    Ram = 1,
}

/// What the host must do before a REC runs again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum PendingRequest {
    /// Nothing.
    None,
    /// A change of RIPAS, by RMI_RTT_SET_RIPAS.
    Ripas {
        /// The first address not changed yet.
        base: u64,
        /// The end of the range, exclusive.
        top: u64,
        /// The requested RIPAS.
        ripas: RequestedRipas,
        /// Whether IPAs with RIPAS DESTROYED are changed too.
        change_destroyed: bool,
    },
    /// PSCI CPU_ON of another REC, by RMI_PSCI_COMPLETE.
    CpuOn {
        /// The other REC.
        target: Mpidr,
        /// Where it begins to execute.
        entry: u64,
        /// What it finds in X0.
        context: u64,
    },
    /// PSCI AFFINITY_INFO of another REC, by RMI_PSCI_COMPLETE.
    AffinityInfo {
        /// The other REC.
        target: Mpidr,
    },
    /// A host call, which the next entry completes.
    HostCall,
}

impl PendingRequest {
    /// Whether RMI_PSCI_COMPLETE must come before the next entry.
    pub const fn is_psci(self) -> bool {
        matches!(self, Self::CpuOn { .. } | Self::AffinityInfo { .. })
    }
}

/// A REC.
///
/// While a CPU runs it only that CPU accesses `state`; the holder of the granule's lock may read
/// `identity` only.
#[derive(Clone, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Rec {
    /// The part that never changes.
    pub identity: RecIdentity,
    /// The part that changes.
    pub state: RecState,
}

/// The part of a REC that changes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct RecState {
    /// Its registers.
    pub registers: Registers,
    /// Its timers.
    pub timers: Timers,
    /// Whether the output of each timer, physical and virtual, was asserted in the last report to
    /// the host.
    pub timers_reported: [bool; 2],
    /// Whether it is runnable.
    pub runnable: bool,
    /// Whether a virtual SError is pending.
    pub serror: bool,
    /// VSESR_EL2 for that SError.
    pub vsesr: u64,
    /// Its pending request.
    pub pending: PendingRequest,
    /// The exception of the last exit, if the host may complete it; otherwise all zero.
    pub last_exit: Syndrome,
    /// Its virtual interrupts.
    pub gic: GicState,
    /// Status of its PMU at its last exit.
    pub pmu: PmuStatus,
    /// What it has learned about its Realm.
    pub learned: Learned,
    /// Its SIMD registers.
    pub simd: RecSimd,
}

// SAFETY: numbers, and enumerations that have a value 0. The other content of a REC granule,
// `RecIdentity`, is the beginning of this one.
unsafe impl Content for Rec {
    type State = state::Rec;
}

// SAFETY: the offsets are those of the fields. The auxiliary granules are in state REC_AUX from
// REC_CREATE to REC_DESTROY.
unsafe impl RunningContent for Rec {
    type Identity = RecIdentity;
    type Running = RecState;
    const RUNNING_OFFSET: usize = core::mem::offset_of!(Self, state);

    fn auxiliary(identity: &RecIdentity) -> &[GranuleAddress; AUXILIARY] {
        &identity.auxiliary
    }
}

static_assertions::const_assert_eq!(core::mem::offset_of!(Rec, identity), 0);

impl Rec {
    /// Initializes a REC that is all zero, as RMI_REC_CREATE does.
    pub fn init(
        &mut self,
        identity: RecIdentity,
        runnable: bool,
        parameters: &MeasuredRecParameters,
    ) {
        self.identity = identity;
        self.state.runnable = runnable;
        self.state.registers = Registers::at_reset(parameters.pc, &parameters.gprs);
    }
}

impl RecState {
    /// Switches it on, for PSCI CPU_ON of another REC: reset, except SCTLR_EL1.EE, which is the
    /// caller's.
    pub fn switch_on(&mut self, entry: u64, context: u64, caller: &Registers) {
        self.registers = Registers::at_reset(entry, &[context]);
        self.registers.el1.sctlr |= caller.el1.sctlr & Registers::SCTLR_EE;
        self.runnable = true;
    }
}
