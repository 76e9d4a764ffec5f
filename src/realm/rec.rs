// SPDX-License-Identifier: BSD-3-Clause
//! A Realm Execution Context: a virtual CPU of a Realm, in the granule in state REC that the host
//! names it by.
//!
//! It is read and written under the lock of that granule, or under the one reference that a REC has
//! while it runs.

use super::measurement::MeasuredRecParameters;
use crate::granule::GranuleAddress;
use crate::granule::state;
use crate::mem::Content;

/// Auxiliary granules of a REC, beyond the REC itself: memory to write its attestation token in.
pub const AUXILIARY: usize = 1;

/// What names a REC within its Realm: the affinity fields of MPIDR_EL1, with 16 RECs at affinity
/// level 0 and 256 at each of the others (RmiRecMpidr).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Mpidr(u32);

impl Mpidr {
    /// Aff0 is 4 bits at 0, Aff1 to Aff3 are 8 bits each at 8, 16 and 24.
    const DEFINED: u64 = 0xffff_ff0f;

    /// The name in this register value; `None` when a bit is set that is in no affinity field.
    pub const fn new(value: u64) -> Option<Self> {
        if value & !Self::DEFINED != 0 {
            return None;
        }
        let [b0, b1, b2, b3, ..] = value.to_le_bytes();
        Some(Self(u32::from_le_bytes([b0, b1, b2, b3])))
    }

    /// The index of the REC: RECs are created in this order, from 0.
    pub const fn index(self) -> u32 {
        (self.0 & 0xf) | (self.0 >> 8) << 4
    }
}

/// RIPAS as a Realm asks for it (RSI_IPA_STATE_SET).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum RequestedRipas {
    /// Nothing there.
    Empty = 0,
    /// Memory of the Realm.
    Ram = 1,
}

/// What a REC waits for the host to do before it runs again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum PendingRequest {
    /// Nothing.
    None,
    /// A change of RIPAS, which RMI_RTT_SET_RIPAS carries out.
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
    /// PSCI CPU_ON of another REC, which RMI_PSCI_COMPLETE carries out.
    CpuOn {
        /// The other REC.
        target: Mpidr,
        /// Where it begins to execute.
        entry: u64,
        /// What it finds in X0.
        context: u64,
    },
    /// PSCI AFFINITY_INFO of another REC, which RMI_PSCI_COMPLETE carries out.
    AffinityInfo {
        /// The other REC.
        target: Mpidr,
    },
}

/// The registers of a REC while it does not run, as far as they are not 0 at reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registers {
    /// X0 to X30.
    pub gprs: [u64; 31],
    /// Where it goes on.
    pub pc: u64,
    /// PSTATE, as SPSR_EL2 has it.
    pub pstate: u64,
    /// SCTLR_EL1.
    pub sctlr_el1: u64,
    /// MDSCR_EL1.
    pub mdscr_el1: u64,
}

impl Registers {
    /// EL1 with its own stack pointer, AArch64; debug exceptions, SErrors, IRQs and FIQs masked.
    const PSTATE_AT_RESET: u64 = 0x3c5;
    /// MMU and caches off; the bits that are 1 on CPUs without the features that gave them a
    /// meaning: 29, 28, 23, 22, 20, 11, 8, 7.
    const SCTLR_AT_RESET: u64 = 0x30d0_0980;
    /// SCTLR_EL1.EE: data at EL1 is big-endian.
    const SCTLR_EE: u64 = 1 << 25;
    /// TDCC: the debug communications channel is not EL0's.
    const MDSCR_AT_RESET: u64 = 1 << 12;

    /// The registers of a REC that begins to execute at `pc` with `arguments` in X0 and up.
    fn at_reset(pc: u64, arguments: &[u64]) -> Self {
        let mut gprs = [0; 31];
        for (register, value) in gprs.iter_mut().zip(arguments) {
            *register = *value;
        }
        Self {
            gprs,
            pc,
            pstate: Self::PSTATE_AT_RESET,
            sctlr_el1: Self::SCTLR_AT_RESET,
            mdscr_el1: Self::MDSCR_AT_RESET,
        }
    }
}

/// What a REC is, which does not change while there is one: the holder of the granule's lock may
/// look at it even while another CPU runs the REC, which has the rest of it to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct RecIdentity {
    /// The RD of its Realm, to which it holds a reference.
    pub realm: GranuleAddress,
    /// Its auxiliary granules.
    pub auxiliary: [GranuleAddress; AUXILIARY],
    /// Its name in its Realm.
    pub mpidr: Mpidr,
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

// SAFETY: addresses and a number; a `Rec` begins with it.
unsafe impl Content for RecIdentity {
    type State = state::Rec;
}
static_assertions::const_assert_eq!(core::mem::offset_of!(Rec, identity), 0);

impl Rec {
    /// Makes a REC that is all zero one of the Realm with this RD, as RMI_REC_CREATE does.
    pub fn begin(
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
