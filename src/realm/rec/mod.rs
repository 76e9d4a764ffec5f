// SPDX-License-Identifier: BSD-3-Clause
//! Realm Execution Context: a virtual CPU of a Realm, in a granule in state REC.
//!
//! It is read and written under the lock of that granule, or by the CPU that runs it, which holds
//! its one reference.

mod identity;
pub mod lifecycle;
pub mod parameters;
mod registers;

pub use identity::{AUXILIARY, Mpidr, RecIdentity};
pub use registers::Registers;

use crate::granule::GranuleAddress;
use crate::granule::state;
use crate::mem::Content;
use crate::realm::measurement::MeasuredRecParameters;

/// RIPAS as a Realm asks for it (RSI_IPA_STATE_SET).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum RequestedRipas {
    /// Nothing there.
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
        /// The first address that is not to be changed.
        top: u64,
        /// What it is to be.
        ripas: RequestedRipas,
        /// Whether DESTROYED memory is to be changed too.
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
}

/// A REC.
#[derive(Clone, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Rec {
    /// What it is.
    pub identity: RecIdentity,
    /// Whether the host may have it run.
    pub runnable: bool,
    /// What it waits for.
    pub pending: PendingRequest,
    /// Its registers.
    pub registers: Registers,
}

// SAFETY: numbers, and enumerations of which one value is 0; the other content of a REC is what
// this begins with.
unsafe impl Content for Rec {
    type State = state::Rec;
}

static_assertions::const_assert_eq!(core::mem::offset_of!(Rec, identity), 0);

impl Rec {
    /// Makes a REC that is all zero one of the Realm with this RD, as RMI_REC_CREATE does.
    pub fn init(
        &mut self,
        realm: GranuleAddress,
        mpidr: Mpidr,
        runnable: bool,
        auxiliary: [GranuleAddress; AUXILIARY],
        parameters: &MeasuredRecParameters,
    ) {
        self.identity = RecIdentity { realm, auxiliary, mpidr };
        self.runnable = runnable;
        self.registers = Registers::at_reset(parameters.pc, &parameters.gprs);
    }

    /// Switches it on, as PSCI CPU_ON of another REC does: reset, with the byte order of the
    /// caller's exceptions.
    pub fn switch_on(&mut self, entry: u64, context: u64, caller: &Registers) {
        let reset = Registers::at_reset(entry, &[context]);
        let sctlr_el1 = reset.sctlr_el1 | (caller.sctlr_el1 & Registers::SCTLR_EE);
        self.registers = Registers { sctlr_el1, ..reset };
        self.runnable = true;
    }
}
