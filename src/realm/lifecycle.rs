// SPDX-License-Identifier: BSD-3-Clause
//! Creating, activating, terminating and destroying a Realm.
//!
//! A Realm consists of its RD, its root tables and its VMID. They are taken together and given back
//! together: an operation that cannot get all of them changes nothing.

use arrayvec::ArrayVec;

use super::RealmError;
use super::epoch;
use super::parameters::RealmParameters;
use super::rd::{RealmDescriptor, RealmState};
use super::stage2::{MAX_ROOT_TABLES, Stage2, forget_instructions, invalidate_realm};
use super::vmid::VmidTable;
use crate::granule::state::{Delegated, Rd, Rtt, Unused};
use crate::granule::{
    GranuleAddress, GranuleTable, LockError, LockedGranule, LockedSet, MAX_SET, wipe_set,
};
use crate::percpu::Cpu;

// An RD and its root tables are locked as one set.
static_assertions::const_assert!((MAX_ROOT_TABLES as usize) < MAX_SET);

/// The root tables of a Realm, in ascending order.
fn roots(stage2: &Stage2) -> impl Iterator<Item = GranuleAddress> {
    // Validated parameters: the tables do not pass the end of the address space.
    core::iter::successors(Some(stage2.root), |root| root.next())
        .take(usize::from(stage2.root_count))
}

/// Creates a Realm from Delegated granules: its RD at `rd`, its root tables as in `parameters`.
///
/// # Errors
///
/// [`RealmError::Granule`], also if the RD is one of the root tables; [`RealmError::Memory`];
/// [`RealmError::VmidInUse`].
pub fn create(
    granules: &GranuleTable<'_>,
    vmids: &VmidTable,
    cpu: &mut Cpu,
    rd: GranuleAddress,
    mut parameters: RealmParameters,
) -> Result<(), RealmError> {
    let stage2 = &mut parameters.stage2;
    let mut named: ArrayVec<_, MAX_SET> = core::iter::once(rd).chain(roots(stage2)).collect();
    let mut locked: LockedSet<'_, Delegated> = LockedSet::new();
    granules.lock_set(cpu.index, &mut named, &mut locked)?;
    let mut wiped = ArrayVec::new();
    wipe_set(&mut locked, &mut cpu.slots.delegated, &mut wiped)?;
    // Last, because it is the only step that would have to be undone.
    stage2.vmid = vmids.take(parameters.vmid).ok_or(RealmError::VmidInUse)?;
    for granule in wiped.drain(..) {
        if granule.address() == rd {
            let rd: LockedGranule<'_, Rd> = granule.transition();
            cpu.slots.rd.map(&rd).get_mut::<RealmDescriptor>().init(&parameters);
        } else {
            // A table of zeros is a valid root table: all its entries are UNASSIGNED, RIPAS EMPTY.
            drop(granule.transition::<Rtt>());
        }
    }
    Ok(())
}

/// Makes a Realm in state NEW ACTIVE.
///
/// # Errors
///
/// [`RealmError::Granule`], [`RealmError::State`].
pub fn activate(
    granules: &GranuleTable<'_>,
    cpu: &mut Cpu,
    rd: GranuleAddress,
) -> Result<(), RealmError> {
    let rd = granules.lock::<Rd>(cpu.index, rd)?;
    let mut mapping = cpu.slots.rd.map(&rd);
    let realm: &mut RealmDescriptor = mapping.get_mut();
    if realm.state() != RealmState::New {
        return Err(RealmError::State);
    }
    // The RMM wrote the Realm's memory as data; from now on the Realm may execute it.
    forget_instructions();
    realm.set_state(RealmState::Active, granules.epochs());
    Ok(())
}

/// Makes a Realm in any state a ZOMBIE, unless a REC of it runs. Its RECs may be destroyed, but not
/// run.
///
/// # Errors
///
/// [`RealmError::Granule`], [`RealmError::Live`].
pub fn terminate(
    granules: &GranuleTable<'_>,
    cpu: &mut Cpu,
    rd: GranuleAddress,
) -> Result<(), RealmError> {
    let rd = granules.lock::<Rd>(cpu.index, rd)?;
    let mut mapping = cpu.slots.rd.map(&rd);
    let realm: &mut RealmDescriptor = mapping.get_mut();
    // A REC that is entered from here on waits for the RD, and then finds the new state.
    if epoch::end_and_look(granules.epochs(), realm.stage2.vmid) {
        return Err(RealmError::Live);
    }
    realm.set_state(RealmState::Zombie, granules.epochs());
    Ok(())
}

/// Destroys a Realm that has neither RECs nor live RTTEs, in a state that `may_go`. Its granules
/// become Delegated.
///
/// # Errors
///
/// [`RealmError::Granule`], [`RealmError::Live`], [`RealmError::State`].
pub fn destroy(
    granules: &GranuleTable<'_>,
    vmids: &VmidTable,
    cpu: &mut Cpu,
    rd: GranuleAddress,
    may_go: impl FnOnce(RealmState) -> bool,
) -> Result<(), RealmError> {
    let rd = granules.lock::<Unused<Rd>>(cpu.index, rd);
    // Its references are its RECs, those of a root table its live entries.
    let rd = rd.map_err(|error| match error {
        LockError::InUse => RealmError::Live,
        error => RealmError::Granule(error),
    })?;
    let mut mapping = cpu.slots.rd.map(&rd);
    let realm: &mut RealmDescriptor = mapping.get_mut();
    if !may_go(realm.state()) {
        return Err(RealmError::State);
    }
    let stage2 = realm.stage2;
    // Extended in place: `collect` would move it.
    let mut named = ArrayVec::<_, MAX_SET>::new();
    named.extend(roots(&stage2));
    let mut locked: LockedSet<'_, Unused<Rtt>> = LockedSet::new();
    granules.lock_set(cpu.index, &mut named, &mut locked).map_err(|_| RealmError::Live)?;
    // Measurements are erased now: the granule is wiped only at its next use.
    realm.forget();
    drop(mapping);
    // TLBs may hold stage 1 entries of the Realm, which the next Realm with this VMID must not use.
    invalidate_realm(&stage2);
    for root in locked.drain(..) {
        drop(root.transition::<Delegated>());
    }
    drop(rd.transition::<Delegated>());
    vmids.give_back(stage2.vmid);
    Ok(())
}
