// SPDX-License-Identifier: BSD-3-Clause
//! RECs come and go.
//!
//! A REC is its own granule, its auxiliary granules and a reference to the RD of its Realm, so that
//! the Realm outlives it.

use arrayvec::ArrayVec;

use super::parameters::HostRecParameters;
use super::{Mpidr, Rec, RecIdentity};
use crate::abi::rmi_v1::MAX_REC_AUX;
use crate::granule::state::{self, Delegated, Rd, RecAux, Unused};
use crate::granule::{GranuleAddress, GranuleTable, LockError, LockedGranule, MAX_SET, wipe_set};
use crate::mem::AUXILIARY;
use crate::percpu::Cpu;
use crate::realm::RealmError;
use crate::realm::rd::{MAX_RECS, RealmDescriptor, RealmState};

// A REC and its auxiliary granules are locked as one set.
static_assertions::const_assert!(MAX_REC_AUX < MAX_SET && AUXILIARY <= MAX_REC_AUX);

/// Creates the next REC of the Realm at `rd`, which is NEW, from Delegated granules.
///
/// # Errors
///
/// [`RealmError::Granule`]; [`RealmError::Memory`]; [`RealmError::State`]; [`RealmError::Full`]; [`RealmError::Rec`] if the
/// REC is not the next, or has a wrong number of auxiliary granules.
pub fn create(
    granules: &GranuleTable<'_>,
    cpu: &mut Cpu,
    rd: GranuleAddress,
    rec: GranuleAddress,
    parameters: &HostRecParameters,
) -> Result<(), RealmError> {
    let auxiliary = parameters.auxiliary().map_err(|_| RealmError::Rec)?;
    let named: ArrayVec<_, MAX_SET> = core::iter::once(rec).chain(auxiliary.clone()).collect();
    let (locked, rd) = granules.lock_set_with::<Delegated, Rd>(cpu.index, &named, rd)?;
    let mut mapping = cpu.slots.rd.map(&rd);
    let realm: &mut RealmDescriptor = mapping.get_mut();
    let mpidr = next_rec(realm, parameters)?;
    let auxiliary: ArrayVec<_, MAX_REC_AUX> = auxiliary.collect();
    let auxiliary: [GranuleAddress; AUXILIARY] =
        auxiliary.as_slice().try_into().map_err(|_| RealmError::Rec)?;
    let reference = rd.reference().map_err(|_| RealmError::Full)?;
    let wiped = wipe_set(locked, &mut cpu.slots.delegated)?;
    // From here on nothing fails.
    let measured = parameters.measured();
    let runnable = parameters.is_runnable();
    let (features, stage2) = (realm.features, realm.stage2);
    let identity = RecIdentity { realm: reference.keep(), auxiliary, mpidr, features, stage2 };
    for granule in wiped {
        if granule.address() == rec {
            let rec: LockedGranule<'_, state::Rec> = granule.transition();
            let mut mapping = cpu.slots.rec.map(&rec);
            let content: &mut Rec = mapping.get_mut();
            content.init(identity, runnable, &measured);
        } else {
            drop(granule.transition::<RecAux>());
        }
    }
    if runnable {
        realm.initial_measurement.extend_with_rec(&measured);
    }
    realm.next_rec += 1;
    Ok(())
}

/// The MPIDR in these parameters, if it is that of the Realm's next REC.
fn next_rec(realm: &RealmDescriptor, parameters: &HostRecParameters) -> Result<Mpidr, RealmError> {
    if realm.next_rec >= MAX_RECS {
        return Err(RealmError::Full);
    }
    if realm.state != RealmState::New {
        return Err(RealmError::State);
    }
    let is_next = |mpidr: &Mpidr| mpidr.index() == u32::from(realm.next_rec);
    parameters.mpidr().filter(is_next).ok_or(RealmError::Rec)
}

/// Destroys a REC that does not run. Its granules become Delegated.
///
/// # Errors
///
/// [`RealmError::Granule`], [`RealmError::RecRunning`].
pub fn destroy(
    granules: &GranuleTable<'_>,
    cpu: &mut Cpu,
    rec: GranuleAddress,
) -> Result<(), RealmError> {
    let rec: LockedGranule<'_, Unused<state::Rec>> =
        granules.lock(cpu.index, rec).map_err(|error| match error {
            // Its one reference is that of the CPU that runs it.
            LockError::InUse => RealmError::RecRunning,
            error => RealmError::Granule(error),
        })?;
    let RecIdentity { realm, auxiliary, .. } = *cpu.slots.rec.map(&rec).get();
    let mut locked = granules.lock_set::<RecAux>(cpu.index, &auxiliary)?;
    // Registers and tokens of a Realm do not wait for the next use of a granule.
    for granule in locked.drain(..) {
        drop(granule.transition::<Delegated>().wipe(&mut cpu.slots.delegated));
    }
    drop(rec.transition::<Delegated>().wipe(&mut cpu.slots.delegated));
    // Last: now the Realm may go.
    drop(granules.adopt_reference::<Rd>(realm));
    Ok(())
}
