// SPDX-License-Identifier: BSD-3-Clause
//! The commands that work on the tables of a Realm (RMM specification 1.0, RMI_RTT_*).
//!
//! Each locks the RD, and with it what else the host names, checks its arguments by what the RD
//! says of the Realm, and walks. Once the walk has locked its root table the RD may be let go, so
//! that commands on different parts of a Realm go on at the same time.

use super::call::{Answered, Call, Status};
use super::state::Rmm;
use crate::abi::rmi_v1::{RTTE_ASSIGNED, RTTE_TABLE, RTTE_UNASSIGNED};
use crate::address::{Ipa, PhysAddr};
use crate::cpu::CpuIndex;
use crate::granule::state::{Delegated, Rd, Rec};
use crate::granule::{GranuleAddress, LockError, LockedGranule};
use crate::mem::Slot;
use crate::percpu::Cpu;
use crate::realm::rd::{RealmDescriptor, RealmState};
use crate::realm::rec::{self, PendingRequest, RequestedRipas};
use crate::realm::stage2::Stage2;
use crate::realm::stage2::{
    Entry, RangeError, Ripas, UnmapError, UnprotectedMapping, Walk, WalkError,
};
use crate::xlat::Level;

impl From<RangeError> for Status {
    fn from(_: RangeError) -> Self {
        Self::ErrorInput
    }
}

impl From<LockError> for Status {
    fn from(_: LockError) -> Self {
        Self::ErrorInput
    }
}

impl From<WalkError> for Status {
    fn from(error: WalkError) -> Self {
        Self::ErrorRtt(error.level())
    }
}

/// The granule that begins at `address`.
pub(super) fn granule(address: u64) -> Result<GranuleAddress, Status> {
    GranuleAddress::new(PhysAddr::new(address)).ok_or(Status::ErrorInput)
}

/// The stage 2 of the Realm whose RD is locked.
pub(super) fn stage2_of(slot: &mut Slot, rd: &LockedGranule<'_, Rd>) -> Stage2 {
    slot.map(rd).get::<RealmDescriptor>().stage2
}

/// Locks the RD at `rd`, and gives the stage 2 of its Realm.
fn lock_rd<'a>(
    rmm: &Rmm<'a>,
    cpu: CpuIndex,
    slot: &mut Slot,
    rd: u64,
) -> Result<(LockedGranule<'a, Rd>, Stage2), Status> {
    let rd = rmm.granules.lock(cpu, granule(rd)?)?;
    let stage2 = stage2_of(slot, &rd);
    Ok((rd, stage2))
}

/// What the host calls a level: a signed number.
fn level(number: u64) -> Result<Level, Status> {
    Level::from_number(number.cast_signed()).ok_or(Status::ErrorInput)
}

/// `ipa` and `number` as the IPA from which a table at a level maps, and the level of the entry
/// above it.
fn table_location(stage2: &Stage2, ipa: u64, number: u64) -> Result<(Ipa, Level), Status> {
    let parent = level(number)?.coarser().filter(|parent| *parent >= stage2.start_level);
    let parent = parent.ok_or(Status::ErrorInput)?;
    Ok((stage2.entry_ipa(ipa, parent)?, parent))
}

/// `ipa` and `number` as those of an unprotected entry at a level at which there are blocks or
/// pages.
fn unprotected_location(stage2: &Stage2, ipa: u64, number: u64) -> Result<(Ipa, Level), Status> {
    let level = level(number)?;
    if level < Level::One || level < stage2.start_level {
        return Err(Status::ErrorInput);
    }
    Ok((stage2.unprotected_entry(ipa, level)?, level))
}

/// Whether a granule is where the tables of the Realm can lead to.
pub(super) fn is_reachable(stage2: &Stage2, granule: GranuleAddress) -> bool {
    granule.get().get() >> stage2.format().address_bits() == 0
}

/// An answer of which only the status is defined when the command fails.
fn answer<const OUTPUTS: usize>(
    call: Call<'_>,
    result: Result<[u64; OUTPUTS], Status>,
) -> Answered {
    match result {
        Ok(outputs) => {
            let mut registers = [0; 3];
            for (register, output) in registers.iter_mut().zip(outputs) {
                *register = output;
            }
            call.answer_with(Status::Success, registers)
        }
        Err(status) => call.answer(status),
    }
}

/// RMI_RTT_CREATE(x1 = RD, x2 = granule, x3 = IPA, x4 = level).
pub(super) fn create(rmm: &Rmm<'_>, cpu: &mut Cpu, call: Call<'_>) -> Answered {
    let created = try_create(rmm, cpu, &call);
    answer(call, created.map(|()| []))
}

fn try_create(rmm: &Rmm<'_>, cpu: &mut Cpu, call: &Call<'_>) -> Result<(), Status> {
    let (rd, table) = (granule(call.x1())?, granule(call.x2())?);
    let (rd, table) = rmm.granules.lock_pair::<Rd, Delegated>(cpu.index, rd, table)?;
    let slots = &mut cpu.slots;
    let stage2 = stage2_of(&mut slots.rd, &rd);
    let (ipa, parent) = table_location(&stage2, call.x3(), call.x4())?;
    if !is_reachable(&stage2, table.address()) {
        return Err(Status::ErrorInput);
    }
    let walk = Walk::new(&rmm.granules, cpu.index, &stage2, ipa);
    drop(rd);
    let wiped = || table.wipe(&mut slots.delegated).transition();
    Ok(walk.create_table(&mut slots.rtt, &mut slots.second_rtt, parent, wiped)?)
}

/// RMI_RTT_DESTROY(x1 = RD, x2 = IPA, x3 = level): x1 = the granule, x2 = the next IPA to look at.
pub(super) fn destroy(rmm: &Rmm<'_>, cpu: &mut Cpu, call: Call<'_>) -> Answered {
    let slots = &mut cpu.slots;
    let placed = lock_rd(rmm, cpu.index, &mut slots.rd, call.x1()).and_then(|(rd, stage2)| {
        let (ipa, parent) = table_location(&stage2, call.x2(), call.x3())?;
        Ok((rd, stage2, ipa, parent))
    });
    let (rd, stage2, ipa, parent) = match placed {
        Ok(placed) => placed,
        Err(status) => return call.answer(status),
    };
    let walk = Walk::new(&rmm.granules, cpu.index, &stage2, ipa);
    drop(rd);
    let destroyed = walk.destroy_table(&mut slots.rtt, parent);
    answer_destroyed(call, destroyed)
}

/// The answer of the commands that take a granule out of use: which, and the next IPA to look at.
pub(super) fn answer_destroyed(
    call: Call<'_>,
    destroyed: Result<(GranuleAddress, Ipa), UnmapError>,
) -> Answered {
    match destroyed {
        Ok((granule, top)) => {
            call.answer_with(Status::Success, [granule.get().get(), top.get(), 0])
        }
        Err(UnmapError { error, walk_top }) => {
            call.answer_with(error.into(), [0, walk_top.get(), 0])
        }
    }
}

/// RMI_RTT_FOLD(x1 = RD, x2 = IPA, x3 = level of the table): x1 = the granule it was.
pub(super) fn fold(rmm: &Rmm<'_>, cpu: &mut Cpu, call: Call<'_>) -> Answered {
    let folded = try_fold(rmm, cpu, &call);
    answer(call, folded.map(|granule| [granule.get().get()]))
}

fn try_fold(rmm: &Rmm<'_>, cpu: &mut Cpu, call: &Call<'_>) -> Result<GranuleAddress, Status> {
    let slots = &mut cpu.slots;
    let (rd, stage2) = lock_rd(rmm, cpu.index, &mut slots.rd, call.x1())?;
    let (ipa, parent) = table_location(&stage2, call.x2(), call.x3())?;
    let walk = Walk::new(&rmm.granules, cpu.index, &stage2, ipa);
    drop(rd);
    Ok(walk.fold_table(&mut slots.rtt, &mut slots.second_rtt, parent)?)
}

/// RMI_RTT_READ_ENTRY(x1 = RD, x2 = IPA, x3 = level): x1 = the level reached, x2 = state, x3 =
/// descriptor, x4 = RIPAS.
pub(super) fn read_entry(rmm: &Rmm<'_>, cpu: &mut Cpu, call: Call<'_>) -> Answered {
    let (level, entry) = match try_read_entry(rmm, cpu, &call) {
        Ok(read) => read,
        Err(status) => return call.answer(status),
    };
    let (state, descriptor, ripas) = match entry {
        Entry::Unassigned(ripas) => (RTTE_UNASSIGNED, 0, ripas),
        Entry::Assigned(ripas, memory) => (RTTE_ASSIGNED, memory.get(), ripas),
        Entry::UnassignedNs => (RTTE_UNASSIGNED, 0, Ripas::Empty),
        Entry::AssignedNs(mapping) => (RTTE_ASSIGNED, mapping.descriptor(), Ripas::Empty),
        Entry::Table(table) => (RTTE_TABLE, table.get().get(), Ripas::Empty),
    };
    let level = i64::from(level.number()).cast_unsigned();
    call.answer_with_x4(Status::Success, [level, state, descriptor, ripas as u64])
}

fn try_read_entry(rmm: &Rmm<'_>, cpu: &mut Cpu, call: &Call<'_>) -> Result<(Level, Entry), Status> {
    let slots = &mut cpu.slots;
    let (rd, stage2) = lock_rd(rmm, cpu.index, &mut slots.rd, call.x1())?;
    let level = level(call.x3())?;
    if level < stage2.start_level {
        return Err(Status::ErrorInput);
    }
    let ipa = stage2.entry_ipa(call.x2(), level)?;
    let walk = Walk::new(&rmm.granules, cpu.index, &stage2, ipa);
    drop(rd);
    Ok(walk.read(&mut slots.rtt, level))
}

/// RMI_RTT_MAP_UNPROTECTED(x1 = RD, x2 = IPA, x3 = level, x4 = descriptor).
pub(super) fn map_unprotected(rmm: &Rmm<'_>, cpu: &mut Cpu, call: Call<'_>) -> Answered {
    let mapped = try_map_unprotected(rmm, cpu, &call);
    answer(call, mapped.map(|()| []))
}

fn try_map_unprotected(rmm: &Rmm<'_>, cpu: &mut Cpu, call: &Call<'_>) -> Result<(), Status> {
    let slots = &mut cpu.slots;
    let (rd, stage2) = lock_rd(rmm, cpu.index, &mut slots.rd, call.x1())?;
    let (ipa, level) = unprotected_location(&stage2, call.x2(), call.x3())?;
    let mapping =
        UnprotectedMapping::new(call.x4(), level, stage2.format()).ok_or(Status::ErrorInput)?;
    let walk = Walk::new(&rmm.granules, cpu.index, &stage2, ipa);
    drop(rd);
    Ok(walk.map_unprotected(&mut slots.rtt, level, mapping)?)
}

/// RMI_RTT_UNMAP_UNPROTECTED(x1 = RD, x2 = IPA, x3 = level): x1 = the next IPA to look at.
pub(super) fn unmap_unprotected(rmm: &Rmm<'_>, cpu: &mut Cpu, call: Call<'_>) -> Answered {
    let slots = &mut cpu.slots;
    let placed = lock_rd(rmm, cpu.index, &mut slots.rd, call.x1()).and_then(|(rd, stage2)| {
        let (ipa, level) = unprotected_location(&stage2, call.x2(), call.x3())?;
        Ok((rd, stage2, ipa, level))
    });
    let (rd, stage2, ipa, level) = match placed {
        Ok(placed) => placed,
        Err(status) => return call.answer(status),
    };
    let walk = Walk::new(&rmm.granules, cpu.index, &stage2, ipa);
    drop(rd);
    match walk.unmap_unprotected(&mut slots.rtt, level) {
        Ok(top) => call.answer_with(Status::Success, [top.get(), 0, 0]),
        Err(UnmapError { error, walk_top }) => {
            call.answer_with(error.into(), [walk_top.get(), 0, 0])
        }
    }
}

/// RMI_RTT_INIT_RIPAS(x1 = RD, x2 = base IPA, x3 = top IPA): x1 = how far it came.
pub(super) fn init_ripas(rmm: &Rmm<'_>, cpu: &mut Cpu, call: Call<'_>) -> Answered {
    let initialized = try_init_ripas(rmm, cpu, &call);
    answer(call, initialized.map(|top| [top.get()]))
}

fn try_init_ripas(rmm: &Rmm<'_>, cpu: &mut Cpu, call: &Call<'_>) -> Result<Ipa, Status> {
    let slots = &mut cpu.slots;
    let rd = rmm.granules.lock::<Rd>(cpu.index, granule(call.x1())?)?;
    // The RD stays locked, because its measurement changes with the entries.
    let mut mapping = slots.rd.map(&rd);
    let realm: &mut RealmDescriptor = mapping.get_mut();
    let (base, top) = realm.stage2.protected_range(call.x2(), call.x3())?;
    if realm.state != RealmState::New {
        return Err(Status::ErrorRealm(0));
    }
    let walk = Walk::new(&rmm.granules, cpu.index, &realm.stage2, base);
    let measurement = &mut realm.initial_measurement;
    let measure = |base: Ipa, top: Ipa| measurement.extend_with_ripas(base.get(), top.get());
    Ok(walk.init_ripas(&mut slots.rtt, top, measure)?)
}

/// RMI_RTT_SET_RIPAS(x1 = RD, x2 = REC, x3 = base IPA, x4 = top IPA): x1 = how far it came.
pub(super) fn set_ripas(rmm: &Rmm<'_>, cpu: &mut Cpu, call: Call<'_>) -> Answered {
    let set = try_set_ripas(rmm, cpu, &call);
    answer(call, set.map(|top| [top.get()]))
}

fn try_set_ripas(rmm: &Rmm<'_>, cpu: &mut Cpu, call: &Call<'_>) -> Result<Ipa, Status> {
    let (base, top) = (call.x3(), call.x4());
    if top <= base {
        return Err(Status::ErrorInput);
    }
    let (rd, rec) = (granule(call.x1())?, granule(call.x2())?);
    let (rd, rec) = rmm.granules.lock_pair::<Rd, Rec>(cpu.index, rd, rec)?;
    if rec.references() != 0 {
        // It runs.
        return Err(Status::ErrorRec);
    }
    let slots = &mut cpu.slots;
    let mut mapping = slots.rec.map(&rec);
    let rec: &mut rec::Rec = mapping.get_mut();
    if rec.identity.realm != rd.address() {
        return Err(Status::ErrorRec);
    }
    let PendingRequest::Ripas { base: next, top: end, ripas, change_destroyed } = &mut rec.pending
    else {
        return Err(Status::ErrorInput);
    };
    if base != *next || top > *end {
        return Err(Status::ErrorInput);
    }
    let stage2 = stage2_of(&mut slots.rd, &rd);
    let (base, top) = stage2.protected_range(base, top)?;
    let ripas = match ripas {
        RequestedRipas::Empty => Ripas::Empty,
        RequestedRipas::Ram => Ripas::Ram,
    };
    let walk = Walk::new(&rmm.granules, cpu.index, &stage2, base);
    drop(rd);
    let reached = walk.set_ripas(&mut slots.rtt, top, ripas, *change_destroyed)?;
    *next = reached.get();
    Ok(reached)
}
