// SPDX-License-Identifier: BSD-3-Clause
//! Creating and destroying a REC.
//!
//! A REC consists of its own granule, its auxiliary granules and a reference to the RD of its
//! Realm, which keeps the Realm.

use arrayvec::ArrayVec;

use super::parameters::HostRecParameters;
use super::{Mpidr, Rec, RecIdentity};
use crate::abi::rmi_v1::MAX_REC_AUX;
use crate::granule::state::{self, Delegated, Partial, Rd, RecAux, Unused, Wiped};
use crate::granule::{
    GranuleAddress, GranuleTable, LockError, LockedGranule, LockedSet, MAX_SET, wipe_set,
};
use crate::mem::{AUXILIARY, Slot};
use crate::percpu::Cpu;
use crate::realm::RealmError;
use crate::realm::rd::{MAX_RECS, RealmDescriptor, RealmState};

// A REC and its auxiliary granules are locked as one set.
static_assertions::const_assert!(MAX_REC_AUX < MAX_SET && AUXILIARY <= MAX_REC_AUX);

/// Creates the next REC of the Realm at `rd`, which is NEW, from Delegated granules.
///
/// # Errors
///
/// [`RealmError::Granule`]; [`RealmError::Memory`]; [`RealmError::State`]; [`RealmError::Full`];
/// [`RealmError::Rec`] if the REC is not the next, or has a wrong number of auxiliary granules.
pub fn create(
    granules: &GranuleTable<'_>,
    cpu: &mut Cpu,
    rd: GranuleAddress,
    rec: GranuleAddress,
    parameters: &HostRecParameters,
) -> Result<(), RealmError> {
    let auxiliary = parameters.auxiliary().map_err(|_| RealmError::Rec)?;
    let mut named: ArrayVec<_, MAX_SET> = core::iter::once(rec).chain(auxiliary.clone()).collect();
    let mut locked: LockedSet<'_, Delegated> = LockedSet::new();
    let rd = granules.lock_set_with::<_, Rd>(cpu.index, &mut named, rd, &mut locked)?;
    let mut mapping = cpu.slots.rd.map(&rd);
    let realm: &mut RealmDescriptor = mapping.get_mut();
    let mpidr = next_rec(realm, parameters)?;
    let auxiliary: ArrayVec<_, MAX_REC_AUX> = auxiliary.collect();
    let auxiliary: [GranuleAddress; AUXILIARY] =
        auxiliary.as_slice().try_into().map_err(|_| RealmError::Rec)?;
    let reference = rd.reference().map_err(|_| RealmError::Full)?;
    let mut wiped = ArrayVec::new();
    wipe_set(&mut locked, &mut cpu.slots.delegated, &mut wiped)?;
    // From here on nothing fails.
    let (features, stage2) = (realm.features, realm.stage2);
    let identity = RecIdentity { realm: reference.keep(), auxiliary, mpidr, features, stage2 };
    for granule in wiped.drain(..) {
        if granule.address() == rec {
            init(&mut cpu.slots.rec, granule, identity, parameters);
        } else {
            drop(granule.transition::<RecAux>());
        }
    }
    count(realm, rec, parameters);
    Ok(())
}

/// Turns a wiped granule into a REC.
fn init(
    slot: &mut Slot,
    rec: LockedGranule<'_, Wiped>,
    identity: RecIdentity,
    parameters: &HostRecParameters,
) {
    let rec: LockedGranule<'_, state::Rec> = rec.transition();
    let mut mapping = slot.map(&rec);
    let content: &mut Rec = mapping.get_mut();
    content.init(identity, parameters.is_runnable(), &parameters.measured());
}

/// Adds a REC to its Realm, and to the measurement if it is runnable.
fn count(realm: &mut RealmDescriptor, rec: GranuleAddress, parameters: &HostRecParameters) {
    if parameters.is_runnable() {
        realm.initial_measurement.extend_with_rec(&parameters.measured());
    }
    realm.add_rec(rec);
}

/// Reserves a Delegated granule for a REC that will be created: it becomes PARTIAL.
///
/// # Errors
///
/// [`RealmError::Granule`].
pub fn reserve(
    granules: &GranuleTable<'_>,
    cpu: &Cpu,
    rec: GranuleAddress,
) -> Result<(), RealmError> {
    drop(granules.lock::<Delegated>(cpu.index, rec)?.transition::<Partial>());
    Ok(())
}

/// Releases a PARTIAL granule: one that was reserved, or whose REC was retired.
pub fn release(granules: &GranuleTable<'_>, cpu: &Cpu, rec: GranuleAddress) {
    if let Ok(rec) = granules.lock::<Partial>(cpu.index, rec) {
        drop(rec.transition::<Delegated>());
    }
}

/// Turns a Delegated granule into an auxiliary one, for a REC that will be created.
///
/// # Errors
///
/// [`RealmError::Granule`], [`RealmError::Memory`].
pub fn donate(
    granules: &GranuleTable<'_>,
    cpu: &mut Cpu,
    granule: GranuleAddress,
) -> Result<(), RealmError> {
    let granule = granules.lock::<Delegated>(cpu.index, granule)?;
    drop(granule.wipe(&mut cpu.slots.delegated)?.transition::<RecAux>());
    Ok(())
}

/// Turns an auxiliary granule that belongs to no REC back into a Delegated one.
pub fn give_back(granules: &GranuleTable<'_>, cpu: &Cpu, granule: GranuleAddress) {
    if let Ok(granule) = granules.lock::<RecAux>(cpu.index, granule) {
        drop(granule.transition::<Delegated>());
    }
}

/// Creates the next REC of the Realm at `rd`, which is NEW, from a reserved granule and donated
/// auxiliary granules.
///
/// # Errors
///
/// As [`create`]; then `rec` is Delegated, and the auxiliary granules are as they were.
pub fn complete(
    granules: &GranuleTable<'_>,
    cpu: &mut Cpu,
    rd: GranuleAddress,
    rec: GranuleAddress,
    auxiliary: [GranuleAddress; AUXILIARY],
    parameters: &HostRecParameters,
) -> Result<(), RealmError> {
    let (rec, rd) = match granules.lock_pair::<Partial, Rd>(cpu.index, rec, rd) {
        Ok(locked) => locked,
        Err(error) => {
            release(granules, cpu, rec);
            return Err(error.into());
        }
    };
    let rec = rec.transition::<Delegated>();
    let mut mapping = cpu.slots.rd.map(&rd);
    let realm: &mut RealmDescriptor = mapping.get_mut();
    let mpidr = next_rec(realm, parameters)?;
    let reference = rd.reference().map_err(|_| RealmError::Full)?;
    let rec = rec.wipe(&mut cpu.slots.delegated)?;
    // From here on nothing fails.
    let (features, stage2) = (realm.features, realm.stage2);
    let identity = RecIdentity { realm: reference.keep(), auxiliary, mpidr, features, stage2 };
    let address = rec.address();
    init(&mut cpu.slots.rec, rec, identity, parameters);
    count(realm, address, parameters);
    Ok(())
}

/// The MPIDR in these parameters, if it is that of the Realm's next REC.
fn next_rec(realm: &RealmDescriptor, parameters: &HostRecParameters) -> Result<Mpidr, RealmError> {
    if realm.next_rec >= MAX_RECS {
        return Err(RealmError::Full);
    }
    if realm.state() != RealmState::New {
        return Err(RealmError::State);
    }
    let is_next = |mpidr: &Mpidr| mpidr.index() == u32::from(realm.next_rec);
    parameters.mpidr().filter(is_next).ok_or(RealmError::Rec)
}

/// Destroys a REC that is not running. Its granules become Delegated.
///
/// # Errors
///
/// [`RealmError::Granule`], [`RealmError::RecRunning`].
pub fn destroy(
    granules: &GranuleTable<'_>,
    cpu: &mut Cpu,
    rec: GranuleAddress,
) -> Result<(), RealmError> {
    let (rec, RecIdentity { realm, mut auxiliary, .. }) = lock_idle(granules, cpu, rec)?;
    let mut locked: LockedSet<'_, RecAux> = LockedSet::new();
    granules.lock_set(cpu.index, &mut auxiliary, &mut locked)?;
    // Registers and tokens of a Realm are wiped now, not at the granule's next use.
    for granule in locked.drain(..) {
        drop(granule.transition::<Delegated>().wipe(&mut cpu.slots.delegated));
    }
    drop(rec.transition::<Delegated>().wipe(&mut cpu.slots.delegated));
    // Last: now the Realm may go.
    drop(granules.adopt_reference::<Rd>(realm));
    Ok(())
}

/// Locks a REC that is not running. Returns its identity too.
fn lock_idle<'g>(
    granules: &GranuleTable<'g>,
    cpu: &mut Cpu,
    rec: GranuleAddress,
) -> Result<(LockedGranule<'g, Unused<state::Rec>>, RecIdentity), RealmError> {
    let rec = granules.lock(cpu.index, rec).map_err(|error| match error {
        // The CPU that runs it holds its one reference.
        LockError::InUse => RealmError::RecRunning,
        error => RealmError::Granule(error),
    })?;
    let identity = *cpu.slots.rec.map(&rec).get();
    Ok((rec, identity))
}

/// The granules of a REC that [`retire`] ended. One whose memory could not be wiped is missing.
#[derive(Debug)]
pub struct Retired {
    /// Its own, PARTIAL.
    pub partial: Option<GranuleAddress>,
    /// Its auxiliary ones.
    pub auxiliary: ArrayVec<GranuleAddress, AUXILIARY>,
}

/// Ends a REC that is not running. Its granules stay reserved.
///
/// # Errors
///
/// [`RealmError::Granule`], [`RealmError::RecRunning`].
pub fn retire(
    granules: &GranuleTable<'_>,
    cpu: &mut Cpu,
    rec: GranuleAddress,
) -> Result<Retired, RealmError> {
    let (own, RecIdentity { realm, mut auxiliary, .. }) = lock_idle(granules, cpu, rec)?;
    let mut retired = Retired { partial: None, auxiliary: ArrayVec::new() };
    let mut locked: LockedSet<'_, RecAux> = LockedSet::new();
    granules.lock_set(cpu.index, &mut auxiliary, &mut locked)?;
    for granule in locked.drain(..) {
        if let Ok(wiped) = granule.transition::<Delegated>().wipe(&mut cpu.slots.delegated) {
            retired.auxiliary.push(wiped.address());
            drop(wiped.transition::<RecAux>());
        }
    }
    if let Ok(wiped) = own.transition::<Delegated>().wipe(&mut cpu.slots.delegated) {
        retired.partial = Some(rec);
        drop(wiped.transition::<Partial>());
    }
    // Last: now the Realm may go.
    drop(granules.adopt_reference::<Rd>(realm));
    Ok(retired)
}
