// SPDX-License-Identifier: BSD-3-Clause
//! The commands on the RTTs of a Realm that both dialects have.
//!
//! Each command locks the RD (and any other granule the host named), validates its arguments
//! against the RD, then walks. Once the walk has locked its root table the RD is unlocked, so that
//! commands on different parts of a Realm proceed at the same time.

use super::call::{Failure, Outcome, Status};
use super::state::Rmm;
use crate::abi::rmi_v1::{RTTE_ASSIGNED, RTTE_TABLE, RTTE_UNASSIGNED};
use crate::address::{GRANULE_SIZE, Ipa};
use crate::granule::GranuleAddress;
use crate::granule::state::{Delegated, Rd, Rec};
use crate::percpu::Cpu;
use crate::realm::rd::RealmDescriptor;
use crate::realm::rec::{self, PendingRequest, RequestedRipas};
use crate::realm::stage2::{Entry, Ripas, Stage2, UnmapError, Walk};
use crate::xlat::Level;

/// Walks the Realm at `rd` from the root table for the IPA that `locate` finds in its stage 2.
#[inline(always)]
pub(super) fn walk<'r, 'g, T>(
    rmm: &'r Rmm<'g>,
    cpu: &mut Cpu,
    rd: GranuleAddress,
    locate: impl FnOnce(&Stage2) -> Result<(Ipa, T), Status>,
) -> Result<(Walk<'r, 'g>, T), Status> {
    let rd = rmm.granules.lock::<Rd>(cpu.index, rd)?;
    let stage2 = RealmDescriptor::stage2_of(&mut cpu.slots.rd, &rd);
    let (ipa, found) = locate(&stage2)?;
    let walk = Walk::new(&rmm.granules, cpu.index, &stage2, ipa);
    rd.unlock();
    Ok((walk, found))
}

/// The failure of a command that takes a granule away. The second output is the next IPA for the
/// host to look at.
pub(super) fn not_destroyed(UnmapError { error, walk_top }: UnmapError) -> Failure {
    Failure { status: error.into(), outputs: [0, walk_top.get(), 0] }
}

/// RMI_RTT_CREATE.
pub(super) fn create(
    rmm: &Rmm<'_>,
    cpu: &mut Cpu,
    rd: GranuleAddress,
    rtt: GranuleAddress,
    ipa: u64,
    level: Level,
) -> Outcome {
    let (rd, table) = rmm.granules.lock_pair::<Rd, Delegated>(cpu.index, rd, rtt)?;
    let slots = &mut cpu.slots;
    let stage2 = RealmDescriptor::stage2_of(&mut slots.rd, &rd);
    let (ipa, parent) = stage2.parent_entry(ipa, level)?;
    stage2.check_reach(rtt)?;
    let walk = Walk::new(&rmm.granules, cpu.index, &stage2, ipa);
    drop(rd);
    let wiped = table.wipe(&mut slots.delegated)?;
    let table = || wiped.transition();
    walk.create_table(&mut slots.rtt, &mut slots.second_rtt, parent, table)?;
    Ok([])
}

/// RMI_RTT_DESTROY. `top` is the next IPA for the host to look at.
pub(super) fn destroy(
    rmm: &Rmm<'_>,
    cpu: &mut Cpu,
    rd: GranuleAddress,
    ipa: u64,
    level: Level,
) -> Outcome<2> {
    let (walk, parent) = walk(rmm, cpu, rd, |stage2| Ok(stage2.parent_entry(ipa, level)?))?;
    let (rtt, top) = walk.destroy_table(&mut cpu.slots.rtt, parent).map_err(not_destroyed)?;
    Ok([rtt.get().get(), top.get()])
}

/// RMI_RTT_FOLD. `level` is that of the table.
pub(super) fn fold(
    rmm: &Rmm<'_>,
    cpu: &mut Cpu,
    rd: GranuleAddress,
    ipa: u64,
    level: Level,
) -> Outcome<1> {
    let (walk, parent) = walk(rmm, cpu, rd, |stage2| Ok(stage2.parent_entry(ipa, level)?))?;
    let slots = &mut cpu.slots;
    let rtt = walk.fold_table(&mut slots.rtt, &mut slots.second_rtt, parent)?;
    Ok([rtt.get().get()])
}

/// RMI_RTT_READ_ENTRY.
#[inline(always)]
pub(super) fn read_entry(
    rmm: &Rmm<'_>,
    cpu: &mut Cpu,
    rd: GranuleAddress,
    ipa: u64,
    level: Level,
) -> Outcome<4> {
    let (walk, ()) = walk(rmm, cpu, rd, |stage2| Ok((stage2.walk_entry(ipa, level)?, ())))?;
    let (walk_level, entry) = walk.read(&mut cpu.slots.rtt, level);
    let (state, descriptor, ripas) = match entry {
        Entry::Unassigned(ripas) => (RTTE_UNASSIGNED, 0, ripas),
        Entry::Assigned(ripas, memory) => (RTTE_ASSIGNED, memory.get(), ripas),
        Entry::AssignedNs(mapping) => (RTTE_ASSIGNED, mapping.descriptor(), Ripas::Empty),
        Entry::Table(table) => (RTTE_TABLE, table.get().get(), Ripas::Empty),
    };
    Ok([i64::from(walk_level.number()).cast_unsigned(), state, descriptor, ripas as u64])
}

/// RMI_RTT_SET_RIPAS, if the REC has requested it. `out_top` is the first IPA not reached.
pub(super) fn set_ripas(
    rmm: &Rmm<'_>,
    cpu: &mut Cpu,
    rd: GranuleAddress,
    rec: GranuleAddress,
    base: u64,
    top: u64,
) -> Outcome<1> {
    if top <= base || !top.is_multiple_of(GRANULE_SIZE) {
        return Err(Status::INPUT.into());
    }
    let (rd, rec) = rmm.granules.lock_pair::<Rd, Rec>(cpu.index, rd, rec)?;
    if rec.references() != 0 {
        // It is running.
        return Err(Status::REC.into());
    }
    let slots = &mut cpu.slots;
    let mut mapping = slots.rec.map(&rec);
    let rec: &mut rec::Rec = mapping.get_mut();
    if rec.identity.realm != rd.address() {
        return Err(Status::REC.into());
    }
    let PendingRequest::Ripas { base: next, top: end, ripas, change_destroyed } =
        &mut rec.state.pending
    else {
        return Err(Status::INPUT.into());
    };
    if base != *next || top > *end {
        return Err(Status::INPUT.into());
    }
    let stage2 = RealmDescriptor::stage2_of(&mut slots.rd, &rd);
    let (base, top) = stage2.protected_range(base, top)?;
    let ripas = match ripas {
        RequestedRipas::Empty => Ripas::Empty,
        RequestedRipas::Ram => Ripas::Ram,
    };
    let walk = Walk::new(&rmm.granules, cpu.index, &stage2, base);
    drop(rd);
    let reached = walk.set_ripas(&mut slots.rtt, top, ripas, *change_destroyed)?;
    *next = reached.get();
    Ok([reached.get()])
}
