// SPDX-License-Identifier: BSD-3-Clause
//! The requests of system tests about slots: accesses through them, changes between granules, and
//! copies of memory that the host delegates and undelegates meanwhile.

use tock_registers::interfaces::Readable;

use rmm::address::{GRANULE_SIZE, PhysAddr, native};
use rmm::arch::barrier;
use rmm::arch::smc::Registers;
use rmm::arch::sysreg::TTBR1_EL2;
use rmm::granule::state::Delegated;
use rmm::granule::{GranuleAddress, LockedGranule};
use rmm::mem::slot_layout::{BASE, COUNT, SlotIndex};
use rmm::mem::{
    AUXILIARY, AuxiliaryOf, AuxiliaryPart, GRANULE_WORDS, NsAccessError, Slot, SlotBuffer,
};
use rmm::percpu::Cpu;
use rmm::rmi::Rmm;
use rmm_test_requests::{SELF_TEST, request};

/// The status of a request, x0.
#[repr(u64)]
enum Outcome {
    Done = 0,
    /// A Granule Protection Fault, recovered.
    Fault = 1,
    /// Words that must never be there.
    Wrong = 2,
    /// The granule is in another state, or the slot does not exist.
    Refused = 3,
}

/// Carries out the request in `registers`. Gives whether there was one.
pub fn intercept(rmm: &Rmm<'_>, cpu: &mut Cpu, registers: &mut Registers) -> bool {
    let [function, number, arguments @ ..] = *registers;
    if function != SELF_TEST {
        return false;
    }
    let Some(result) = run(rmm, cpu, number, arguments) else { return false };
    (registers[0], registers[1]) = match result {
        Ok(value) => (Outcome::Done as u64, value),
        Err(outcome) => (outcome as u64, 0),
    };
    true
}

/// The result of request `number`; `None` if there is no such request.
///
/// Not inlined, since its buffers would be on the stack of every call and count as the RMM's own
/// use.
#[inline(never)]
fn run(
    rmm: &Rmm<'_>,
    cpu: &mut Cpu,
    number: u64,
    [x2, x3, x4, x5, x6, _]: [u64; 6],
) -> Option<Result<u64, Outcome>> {
    Some(match number {
        request::KEEP => keep(rmm, cpu, x2, x3),
        request::LOOK => slot_word(x2, x3).map(look),
        request::STORE => slot_word(x2, x3).map(|word| {
            store(word, x4);
            0
        }),
        request::RELEASE => release(&cpu.slots, x2),
        request::ALTERNATE => alternate(rmm, cpu, x2, [x3, x4], x5, x6 == 1),
        request::ALTERNATE_GROUP => alternate_group(rmm, cpu, x2, x3),
        request::ALTERNATE_HOST => alternate_host(rmm, cpu, [x2, x3], x4),
        request::READ_HOST => read_host(rmm, cpu, x2, x3),
        request::WRITE_HOST => write_host(rmm, cpu, x2, x3),
        request::FILL => with_delegated(rmm, cpu, x2, |word| {
            store(word, x3);
            true
        }),
        request::HOLDS => with_delegated(rmm, cpu, x2, |word| look(word) == x3),
        request::WAITS => {
            let (waits, longest) = rmm::granule::wait_stats::waits();
            Ok(waits << 32 | longest)
        }
        request::DIE => {
            rmm::granule::deliberate_death::arrange(cpu.index, x2);
            Ok(0)
        }
        request::VOUCH => {
            let granule = GranuleAddress::new(PhysAddr::new(x2));
            let is_one = granule.is_some_and(|granule| rmm.granules().vouch_for(granule));
            if is_one { Ok(0) } else { Err(Outcome::Refused) }
        }
        request::LOST => Ok(rmm.granules().lost() as u64),
        _ => return None,
    })
}

/// The slot for Realm memory whose page has this number.
fn by_number(slots: &mut SlotBuffer, number: u64) -> Result<&mut Slot, Outcome> {
    [
        (SlotIndex::Delegated, &mut slots.delegated),
        (SlotIndex::Rd, &mut slots.rd),
        (SlotIndex::Rec, &mut slots.rec),
        (SlotIndex::SecondRec, &mut slots.second_rec),
        (SlotIndex::Rtt, &mut slots.rtt),
        (SlotIndex::SecondRtt, &mut slots.second_rtt),
        (SlotIndex::RealmData, &mut slots.realm_data),
    ]
    .into_iter()
    .find_map(|(index, slot)| (index as u64 == number).then_some(slot))
    .ok_or(Outcome::Refused)
}

/// The virtual address of the word at byte `offset` of a slot.
fn slot_word(number: u64, offset: u64) -> Result<u64, Outcome> {
    if number < COUNT as u64 && offset < GRANULE_SIZE && offset.is_multiple_of(8) {
        Ok(BASE.get() + number * GRANULE_SIZE + offset)
    } else {
        Err(Outcome::Refused)
    }
}

fn look(word: u64) -> u64 {
    // SAFETY: an aligned word of a slot. If nothing is mapped there the access faults, which the
    // test expects.
    unsafe { core::ptr::with_exposed_provenance::<u64>(native(word)).read_volatile() }
}

fn store(word: u64, value: u64) {
    // SAFETY: as for looking. Rust keeps nothing in a Delegated granule.
    unsafe { core::ptr::with_exposed_provenance_mut::<u64>(native(word)).write_volatile(value) }
}

fn lock<'a>(
    rmm: &Rmm<'a>,
    cpu: &Cpu,
    address: u64,
) -> Result<LockedGranule<'a, Delegated>, Outcome> {
    let granule = GranuleAddress::new(PhysAddr::new(address)).ok_or(Outcome::Refused)?;
    rmm.granules().lock(cpu.index, granule).map_err(|_| Outcome::Refused)
}

fn keep(rmm: &Rmm<'_>, cpu: &mut Cpu, number: u64, address: u64) -> Result<u64, Outcome> {
    let locked = lock(rmm, cpu, address)?;
    core::mem::forget(by_number(&mut cpu.slots, number)?.map(&locked));
    Ok(0)
}

fn release(slots: &SlotBuffer, number: u64) -> Result<u64, Outcome> {
    let page = usize::try_from(number)
        .ok()
        .and_then(|number| slots.page(number))
        .ok_or(Outcome::Refused)?;
    page.unmap().map_err(|_| Outcome::Refused).map(|()| 0)
}

/// Unmaps a slot only in the tables, like an unmap without its TLB invalidation.
fn unmap_without_invalidation(number: u64) {
    const ADDRESS: u64 = 0x0000_ffff_ffff_f000;
    const TRANSIENT: u64 = 1 << 55;
    // The entry for the slot's page, in this CPU's only table of the High VA range, which the Low
    // VA range maps flat.
    let entry = (TTBR1_EL2.get() & ADDRESS) + 8 * (BASE.get() >> 12 & 0x1ff) + 8 * number;
    store(entry, TRANSIENT);
    barrier::dsb_nsh();
    barrier::isb();
}

fn alternate(
    rmm: &Rmm<'_>,
    cpu: &mut Cpu,
    number: u64,
    addresses: [u64; 2],
    rounds: u64,
    stale: bool,
) -> Result<u64, Outcome> {
    let granules = (lock(rmm, cpu, addresses[0])?, lock(rmm, cpu, addresses[1])?);
    let pairs = [(&granules.0, addresses[0]), (&granules.1, addresses[1])];
    let word = slot_word(number, 8)?;
    let slot = by_number(&mut cpu.slots, number)?;
    for (granule, address) in pairs {
        let _mapping = slot.map(granule);
        store(word, address);
    }
    let mut wrong = 0;
    for _ in 0..rounds {
        for (granule, address) in pairs {
            let mapping = slot.map(granule);
            wrong += u64::from(look(word) != address);
            if stale {
                core::mem::forget(mapping);
                unmap_without_invalidation(number);
            }
        }
    }
    // Leaves no stale TLB entry for later.
    drop(slot.map(&granules.0));
    Ok(wrong)
}

fn alternate_group(rmm: &Rmm<'_>, cpu: &mut Cpu, base: u64, rounds: u64) -> Result<u64, Outcome> {
    let mut locked = [const { None }; AUXILIARY];
    for (place, address) in locked.iter_mut().zip((base..).step_by(native(GRANULE_SIZE))) {
        *place = Some(lock(rmm, cpu, address)?);
    }
    let addresses = locked.each_ref().map(|one| one.as_ref().map(LockedGranule::address));
    let Some(mut granules) = all(addresses) else { return Err(Outcome::Refused) };
    let mut wrong = 0;
    for round in 0..=rounds {
        let mut auxiliary = cpu.slots.rec_aux.running(AuxiliaryOf::for_self_test(&granules));
        let parts = [AuxiliaryPart::Features, AuxiliaryPart::Stack, AuxiliaryPart::Token];
        let pages = parts.map(|part| auxiliary.map(part));
        let pages = pages
            .into_iter()
            .flat_map(|range| (range.start.get()..range.end.get()).step_by(native(GRANULE_SIZE)));
        for (page, granule) in pages.zip(granules) {
            let (word, granule) = (page + 8, granule.get().get());
            // The first round marks the granules.
            if round == 0 {
                store(word, granule);
            }
            wrong += u64::from(look(word) != granule);
        }
        drop(auxiliary);
        granules.rotate_left(1);
    }
    Ok(wrong)
}

/// All granules, if every address is one.
fn all(granules: [Option<GranuleAddress>; AUXILIARY]) -> Option<[GranuleAddress; AUXILIARY]> {
    let [first, ..] = granules;
    let mut found = [first?; AUXILIARY];
    for (place, granule) in found.iter_mut().zip(granules) {
        *place = granule?;
    }
    Some(found)
}

fn alternate_host(
    rmm: &Rmm<'_>,
    cpu: &mut Cpu,
    pages: [u64; 2],
    rounds: u64,
) -> Result<u64, Outcome> {
    let mut wrong = 0;
    for round in 0..rounds {
        for page in pages {
            let granule = rmm.granules().ns_granule(PhysAddr::new(page)).ok_or(Outcome::Refused)?;
            let mut words = [0; 8];
            let offset = round % 64 * 64;
            cpu.slots.ns.read(granule, offset, &mut words).map_err(fault)?;
            wrong += u64::from(words != [page; 8]);
        }
    }
    Ok(wrong)
}

fn fault(error: NsAccessError) -> Outcome {
    match error {
        NsAccessError::Aborted => Outcome::Fault,
        NsAccessError::Bounds => Outcome::Refused,
    }
}

fn read_host(rmm: &Rmm<'_>, cpu: &mut Cpu, page: u64, mark: u64) -> Result<u64, Outcome> {
    let granule = rmm.granules().ns_granule(PhysAddr::new(page)).ok_or(Outcome::Refused)?;
    let mut words = [u64::MAX; GRANULE_WORDS];
    cpu.slots.ns.read(granule, 0, &mut words).map_err(fault)?;
    let right = (0..).zip(words).all(|(index, word)| word == 0 || word == mark - index);
    if right { Ok(0) } else { Err(Outcome::Wrong) }
}

fn write_host(rmm: &Rmm<'_>, cpu: &mut Cpu, page: u64, mark: u64) -> Result<u64, Outcome> {
    let granule = rmm.granules().ns_granule(PhysAddr::new(page)).ok_or(Outcome::Refused)?;
    let mut words = [0; GRANULE_WORDS];
    for (index, word) in (0..).zip(&mut words) {
        *word = mark - index;
    }
    cpu.slots.ns.write(granule, 0, &words).map_err(fault)?;
    Ok(0)
}

/// Gives `each` the address of every word of a Delegated granule, until it says that one is wrong.
fn with_delegated(
    rmm: &Rmm<'_>,
    cpu: &mut Cpu,
    address: u64,
    each: impl Fn(u64) -> bool,
) -> Result<u64, Outcome> {
    let locked = lock(rmm, cpu, address)?;
    let _mapping = cpu.slots.delegated.map(&locked);
    let first = SlotIndex::Delegated.address().get();
    let right = (first..first + GRANULE_SIZE).step_by(8).all(each);
    if right { Ok(0) } else { Err(Outcome::Wrong) }
}
