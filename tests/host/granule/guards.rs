// SPDX-License-Identifier: BSD-3-Clause
//! Guards and references: what they prove, when they are refused, and that they release what they
//! hold.

use kit::seed;
use rmm::granule::state::{
    Data, Delegated, GranuleState, Lockable, Ns, Partial, Rd, Rec, RecAux, Rtt, Transition,
    Unproven, Unused, Wiped,
};
use rmm::granule::{
    CountError, GranuleTable, LockError, LockedGranule, LockedSet, MAX_SET, Probe, ProbeError,
    State, Wipe, WipeError,
};

use super::*;

/// A bank of a few granules, and another bank.
const BASE: u64 = 0x4000_0000;
const OTHER: u64 = 0x8000_0000;

fn granules() -> GranuleTable<'static> {
    table(&[(BASE, 0x20_000), (OTHER, 0x1000)], &[]).expect("right")
}

/// A wiper that records the granules it is given.
#[derive(Default)]
struct Wiper(Vec<GranuleAddress>);

impl Wipe for Wiper {
    fn wipe(&mut self, granule: &LockedGranule<'_, Delegated>) -> Result<(), WipeError> {
        self.0.push(granule.address());
        Ok(())
    }
}

/// Memory that does not answer.
struct Silent;

impl Probe for Silent {
    fn probe(&mut self, _: &LockedGranule<'_, Unproven>) -> Result<(), ProbeError> {
        Err(ProbeError)
    }
}

impl Wipe for Silent {
    fn wipe(&mut self, _: &LockedGranule<'_, Delegated>) -> Result<(), WipeError> {
        Err(WipeError)
    }
}

/// Takes the delegated granule at `address` into use.
fn take<S: GranuleState>(table: &GranuleTable<'_>, address: u64)
where
    Wiped: Transition<S>,
{
    let locked = table.lock::<Delegated>(cpu(0), at(address)).expect("it is Delegated");
    drop(locked.wipe(&mut Wiper::default()).expect("memory answers").transition::<S>());
}

/// Takes the granule at `address` from Non-secure to `state`.
fn bring_into(table: &GranuleTable<'_>, address: u64, state: State) {
    if state != State::Ns {
        delegate(table, address);
    }
    match state {
        State::Ns | State::Delegated => {}
        State::Rd => take::<Rd>(table, address),
        State::Rec => take::<Rec>(table, address),
        State::RecAux => take::<RecAux>(table, address),
        State::Data => take::<Data>(table, address),
        State::Rtt => take::<Rtt>(table, address),
        State::Partial => take::<Partial>(table, address),
        State::Lost => {
            let locked = table.lock::<Delegated>(cpu(0), at(address)).expect("it is Delegated");
            assert!(locked.wipe(&mut Silent).is_err());
        }
    }
}

/// Locks the granule at `address` as `S`, unlocks it, and gives the result.
fn try_lock<S: Lockable>(table: &GranuleTable<'_>, address: u64) -> Result<(), LockError> {
    table.lock::<S>(cpu(0), at(address)).map(drop)
}

/// [`try_lock`] for a state.
type TryLock = fn(&GranuleTable<'_>, u64) -> Result<(), LockError>;

/// [`try_lock`] for each state.
const TRY_LOCK: [TryLock; 8] = [
    |table, address| table.lock_ns(cpu(0), at(address)).map(drop),
    try_lock::<Delegated>,
    try_lock::<Rd>,
    try_lock::<Rec>,
    try_lock::<RecAux>,
    try_lock::<Data>,
    try_lock::<Rtt>,
    try_lock::<Partial>,
];

#[test]
fn a_granule_is_locked_in_its_state_and_in_no_other() {
    for state in State::ALL {
        let table = granules();
        bring_into(&table, BASE, state);
        for (expected, lock) in State::ALL.into_iter().zip(TRY_LOCK) {
            let result = if expected == state { Ok(()) } else { Err(LockError::WrongState) };
            // Twice, since a refused lock and a dropped guard must both leave it unlocked.
            assert_eq!(lock(&table, BASE), result, "{state:?} as {expected:?}");
            assert_eq!(lock(&table, BASE), result);
        }
        assert_eq!(table.state(at(BASE)), Some(state));
    }
}

#[test]
fn a_transition_shows_when_the_guard_is_dropped_and_the_granule_comes_back_the_same_way() {
    let table = granules();
    let mut wiper = Wiper::default();
    for state in State::ALL[2..].iter().filter(|state| **state != State::Lost) {
        bring_into(&table, BASE, *state);
        let lock = |table: &GranuleTable<'_>| match state {
            State::Rd => drop(
                table
                    .lock::<Unused<Rd>>(cpu(0), at(BASE))
                    .expect("it is")
                    .transition::<Delegated>(),
            ),
            State::Rec => drop(
                table
                    .lock::<Unused<Rec>>(cpu(0), at(BASE))
                    .expect("it is")
                    .transition::<Delegated>(),
            ),
            State::Partial => drop(
                table.lock::<Partial>(cpu(0), at(BASE)).expect("it is").transition::<Delegated>(),
            ),
            State::RecAux => drop(
                table.lock::<RecAux>(cpu(0), at(BASE)).expect("it is").transition::<Delegated>(),
            ),
            State::Data => {
                drop(table.lock::<Data>(cpu(0), at(BASE)).expect("it is").transition::<Delegated>())
            }
            _ => drop(
                table
                    .lock::<Unused<Rtt>>(cpu(0), at(BASE))
                    .expect("it is")
                    .transition::<Delegated>(),
            ),
        };
        lock(&table);
        let locked = table.lock::<Delegated>(cpu(0), at(BASE)).expect("it is Delegated");
        let back: LockedGranule<'_, Ns> =
            locked.wipe(&mut wiper).expect("memory answers").transition();
        assert_eq!(table.state(at(BASE)), Some(State::Delegated), "still locked");
        drop(back);
        assert_eq!(table.state(at(BASE)), Some(State::Ns));
    }
    assert_eq!(wiper.0, [at(BASE); 6], "wiped once each time");
}

#[test]
fn memory_that_does_not_answer_is_not_delegated_and_what_has_answered_is_not_asked_again() {
    let table = granules();
    for _ in 0..2 {
        let locked = table.lock_ns(cpu(0), at(BASE)).expect("it is Non-secure");
        assert_eq!(locked.prove(&mut Silent).map(drop), Err(ProbeError));
        assert_eq!(table.state(at(BASE)), Some(State::Ns), "as it was");
    }
    delegate(&table, BASE);
    let locked = table.lock::<Delegated>(cpu(0), at(BASE)).expect("it is Delegated");
    let wiped = locked.wipe(&mut Wiper::default()).expect("memory answers");
    drop(wiped.transition::<Ns>());
    let locked = table.lock_ns(cpu(0), at(BASE)).expect("it is Non-secure again");
    assert!(locked.prove(&mut Silent).is_ok(), "it has answered");
    assert_eq!(table.lost(), 0);
}

#[test]
fn memory_that_stops_answering_is_lost_to_everybody_and_counted() {
    let table = granules();
    for (count, address) in [(1, BASE), (2, OTHER)] {
        bring_into(&table, address, State::Lost);
        assert_eq!((table.state(at(address)), table.lost()), (Some(State::Lost), count));
        assert_eq!(table.ns_granule(PhysAddr::new(address)), None);
        for try_lock in TRY_LOCK {
            assert_eq!(try_lock(&table, address), Err(LockError::WrongState));
        }
    }
}

#[test]
fn wiping_alone_changes_no_state() {
    let table = granules();
    delegate(&table, BASE);
    drop(
        table
            .lock::<Delegated>(cpu(0), at(BASE))
            .expect("it is")
            .wipe(&mut Wiper::default())
            .expect("memory answers"),
    );
    assert_eq!(table.state(at(BASE)), Some(State::Delegated));
}

#[test]
fn two_granules_are_locked_in_either_order_of_naming() {
    let table = granules();
    bring_into(&table, BASE + 0x1000, State::Rd);
    for (a, b) in [(BASE, BASE + 0x1000), (OTHER, BASE + 0x1000)] {
        let (first, second) =
            table.lock_pair::<Unproven, Rd>(cpu(0), at(a), at(b)).expect("both are");
        assert_eq!((first.address(), second.address()), (at(a), at(b)));
        drop((first, second));
        let (second, first) =
            table.lock_pair::<Rd, Unproven>(cpu(0), at(b), at(a)).expect("both are");
        assert_eq!((first.address(), second.address()), (at(a), at(b)));
    }
}

#[test]
fn two_granules_are_refused_and_left_unlocked_if_they_are_one_or_either_is_wrong() {
    let table = granules();
    let unknown = 0x9000_0000;
    assert_eq!(
        table.lock_pair::<Unproven, Unproven>(cpu(0), at(BASE), at(BASE)).unwrap_err(),
        LockError::SameGranule
    );
    for (a, b) in [(BASE, unknown), (unknown, BASE), (OTHER, unknown), (unknown, OTHER)] {
        assert_eq!(
            table.lock_pair::<Unproven, Unproven>(cpu(0), at(a), at(b)).unwrap_err(),
            LockError::Unknown
        );
    }
    for (a, b) in [(BASE, OTHER), (OTHER, BASE)] {
        assert_eq!(
            table.lock_pair::<Unproven, Rd>(cpu(0), at(a), at(b)).unwrap_err(),
            LockError::WrongState
        );
        assert_eq!(
            table.lock_pair::<Rd, Unproven>(cpu(0), at(a), at(b)).unwrap_err(),
            LockError::WrongState
        );
    }
    // A granule left locked would make this wait forever.
    for address in [BASE, OTHER] {
        assert_eq!(try_lock::<Unproven>(&table, address), Ok(()));
    }
}

#[test]
fn a_set_is_locked_in_ascending_order_whatever_the_order_of_naming() {
    let mut random = seed::generator("set");
    let table = granules();
    for count in 0..=MAX_SET {
        let mut named: Vec<u64> = (0..32).map(|index| BASE + index * 0x1000).collect();
        random.shuffle(&mut named);
        named.truncate(count);
        let mut addresses: Vec<_> = named.iter().map(|address| at(*address)).collect();
        let mut locked: LockedSet<'_, Unproven> = LockedSet::new();
        table.lock_set(cpu(0), &mut addresses, &mut locked).expect("all are");
        named.sort_unstable();
        let found: Vec<_> = locked.iter().map(LockedGranule::address).collect();
        assert_eq!(found, named.iter().map(|address| at(*address)).collect::<Vec<_>>());
        drop(locked);
        named.iter().for_each(|address| assert_eq!(try_lock::<Unproven>(&table, *address), Ok(())));
    }
}

#[test]
fn a_set_with_a_granule_twice_or_a_wrong_one_or_too_many_is_refused_and_left_unlocked() {
    let table = granules();
    delegate(&table, BASE + 0x3000);
    let set = |addresses: &[u64]| {
        let mut addresses: Vec<_> = addresses.iter().map(|address| at(*address)).collect();
        let mut locked = LockedSet::new();
        let result = table.lock_set::<Unproven>(cpu(0), &mut addresses, &mut locked);
        assert_eq!(locked.len(), if result.is_ok() { addresses.len() } else { 0 });
        result
    };
    assert_eq!(set(&[BASE, BASE + 0x1000, BASE]), Err(LockError::SameGranule));
    assert_eq!(set(&[BASE + 0x1000, BASE + 0x1000]), Err(LockError::SameGranule));
    assert_eq!(set(&[BASE, BASE + 0x3000, OTHER]), Err(LockError::WrongState));
    assert_eq!(set(&[BASE, 0x1000, OTHER]), Err(LockError::Unknown));
    assert_eq!(set(&[OTHER; MAX_SET + 1]), Err(LockError::TooMany));
    assert_eq!(set(&[BASE, BASE + 0x1000, BASE + 0x2000, OTHER]), Ok(()));
}

#[test]
fn a_set_is_locked_with_another_in_its_place_in_the_order() {
    let table = granules();
    let other = BASE + 0x4000;
    bring_into(&table, other, State::Rd);
    // The external granule before all others, between them, and after all.
    for named in [
        &[][..],
        &[BASE + 0x6000, BASE + 0x5000],
        &[BASE + 0x5000, BASE + 0x3000],
        &[BASE, BASE + 0x1000, BASE + 0x3000],
    ] {
        let addresses: Vec<_> = named.iter().map(|address| at(*address)).collect();
        let mut set = LockedSet::new();
        let locked = table
            .lock_set_with::<Unproven, Rd>(cpu(0), &mut addresses.clone(), at(other), &mut set)
            .expect("all are");
        assert_eq!(locked.address(), at(other));
        let mut found: Vec<_> = set.iter().map(LockedGranule::address).collect();
        assert!(found.is_sorted());
        found.sort_by_key(|found| addresses.iter().position(|named| named == found));
        assert_eq!(found, addresses);
        drop((locked, set));
        named.iter().for_each(|address| assert_eq!(try_lock::<Unproven>(&table, *address), Ok(())));
        assert_eq!(try_lock::<Rd>(&table, other), Ok(()));
    }
}

#[test]
fn a_set_with_another_is_refused_and_left_unlocked_if_any_is_wrong() {
    let table = granules();
    let other = BASE + 0x2000;
    bring_into(&table, other, State::Rd);
    let set = |named: &[u64], other: u64| {
        let mut addresses: Vec<_> = named.iter().map(|address| at(*address)).collect();
        let mut set = LockedSet::new();
        let locked = table
            .lock_set_with::<Unproven, Rd>(cpu(0), &mut addresses, at(other), &mut set)
            .map(drop);
        assert_eq!(set.len(), if locked.is_ok() { named.len() } else { 0 });
        locked
    };
    let most: Vec<u64> = (3..).map(|index| BASE + index * 0x1000).take(MAX_SET).collect();
    assert_eq!(set(&most, other), Ok(()));
    assert_eq!(set(&[OTHER; MAX_SET + 1], other), Err(LockError::TooMany));
    assert_eq!(set(&[BASE, other], other), Err(LockError::SameGranule));
    assert_eq!(set(&[BASE, BASE], other), Err(LockError::SameGranule));
    assert_eq!(set(&[OTHER, OTHER], other), Err(LockError::SameGranule));
    assert_eq!(
        set(&[BASE, OTHER], BASE + 0x1000),
        Err(LockError::WrongState),
        "the other, between them"
    );
    assert_eq!(set(&[BASE], BASE + 0x1000), Err(LockError::WrongState), "the other, after them");
    assert_eq!(set(&[BASE, 0x1000], other), Err(LockError::Unknown));
    // A granule left locked would make this wait forever.
    assert_eq!(set(&[BASE, BASE + 0x1000, OTHER], other), Ok(()));
}

#[test]
fn a_granule_is_unused_when_no_reference_is_left() {
    let table = granules();
    bring_into(&table, BASE, State::Rd);
    let locked = table.lock::<Rd>(cpu(0), at(BASE)).expect("it is");
    let reference = locked.reference().expect("room");
    assert_eq!(reference.address(), at(BASE));
    let locked = locked.into_unused().expect_err("it is referred to");
    assert_eq!(locked.references(), 1);
    drop(reference);
    let unused: LockedGranule<'_, Unused<Rd>> = locked.into_unused().expect("nobody refers to it");
    drop(unused.transition::<Delegated>());
    assert_eq!(table.state(at(BASE)), Some(State::Delegated));
}

#[test]
fn a_adopt_reference_is_taken_up_again_where_there_is_one() {
    let table = granules();
    bring_into(&table, BASE, State::Rd);
    assert!(table.adopt_reference::<Rd>(at(BASE)).is_none(), "none was kept");
    assert!(table.adopt_reference::<Rd>(at(0x1000)).is_none(), "no such granule");
    table.lock::<Rd>(cpu(0), at(BASE)).expect("it is").get(2).expect("room");
    assert!(table.adopt_reference::<Rec>(at(BASE)).is_none(), "it is no REC");
    let reference = table.adopt_reference::<Rd>(at(BASE)).expect("two were kept");
    assert_eq!(reference.address(), at(BASE));
    drop(reference);
    assert_eq!(
        table.lock::<Rd>(cpu(0), at(BASE)).expect("it is").references(),
        1,
        "it was given back"
    );
}

#[test]
fn a_granule_is_ns_as_long_as_it_is_not_delegated() {
    let table = granules();
    let ns =
        |address: u64| table.ns_granule(PhysAddr::new(address)).map(|granule| granule.address());
    assert_eq!(ns(OTHER), Some(at(OTHER)));
    assert_eq!((ns(OTHER + 8), ns(0x1000)), (None, None));
    delegate(&table, OTHER);
    assert_eq!(ns(OTHER), None);
}

#[test]
fn references_keep_a_granule_in_use_until_the_last_is_given_back() {
    let table = granules();
    bring_into(&table, BASE, State::Rd);
    let locked = table.lock::<Rd>(cpu(0), at(BASE)).expect("it is");
    let (first, second) = (locked.reference().expect("room"), locked.reference().expect("room"));
    assert_eq!((locked.references(), first.address()), (2, at(BASE)));
    drop(locked);
    let unused = |table: &GranuleTable<'_>| table.lock::<Unused<Rd>>(cpu(0), at(BASE)).map(drop);
    assert_eq!(unused(&table), Err(LockError::InUse));
    drop(first);
    assert_eq!(unused(&table), Err(LockError::InUse));
    assert_eq!(try_lock::<Rd>(&table, BASE), Ok(()), "a granule in use can be locked as such");
    drop(second);
    assert_eq!(unused(&table), Ok(()));
}

#[test]
fn a_reference_that_is_kept_counts_until_it_is_put() {
    let table = granules();
    bring_into(&table, BASE, State::Rd);
    let locked = table.lock::<Rd>(cpu(0), at(BASE)).expect("it is");
    assert_eq!(locked.reference().expect("room").keep(), at(BASE));
    drop(locked);
    assert_eq!(try_lock::<Unused<Rd>>(&table, BASE), Err(LockError::InUse));
    let locked = table.lock::<Rd>(cpu(0), at(BASE)).expect("it is");
    assert_eq!(locked.put(2), Err(CountError::Underflow));
    assert_eq!(locked.put(1), Ok(()));
    assert_eq!(locked.put(1), Err(CountError::Underflow));
    assert_eq!(locked.references(), 0);
    drop(locked);
    assert_eq!(try_lock::<Unused<Rd>>(&table, BASE), Ok(()));
}

#[test]
fn counts_stay_within_what_the_state_allows() {
    /// Counts references up to the limit of `S`, and asserts that the next one is refused.
    fn check<S: Lockable>(table: &GranuleTable<'_>, address: u64) {
        let limit = S::MAX_REFERENCES;
        let locked = table.lock::<S>(cpu(0), at(address)).expect("it is");
        assert_eq!(locked.get(limit + 1), Err(CountError::Overflow));
        assert_eq!(locked.get(u16::MAX), Err(CountError::Overflow));
        assert_eq!(locked.references(), 0, "a refusal counts nothing");
        assert_eq!(locked.get(limit), Ok(()));
        assert_eq!(locked.get(1), Err(CountError::Overflow));
        assert!(locked.reference().is_err());
        assert_eq!(locked.references(), limit);
        drop(locked);
        // The state is unchanged, and the count survives unlocking.
        let locked = table.lock::<S>(cpu(0), at(address)).expect("it still is");
        assert_eq!(locked.references(), limit);
        assert_eq!(locked.put(limit), Ok(()));
    }
    let table = granules();
    for (address, state) in (BASE..).step_by(0x1000).zip(State::ALL) {
        bring_into(&table, address, state);
    }
    check::<Unproven>(&table, BASE);
    check::<Delegated>(&table, BASE + 0x1000);
    check::<Rd>(&table, BASE + 0x2000);
    check::<Rec>(&table, BASE + 0x3000);
    check::<RecAux>(&table, BASE + 0x4000);
    check::<Data>(&table, BASE + 0x5000);
    check::<Rtt>(&table, BASE + 0x6000);
}

#[test]
fn a_reference_given_back_while_the_granule_is_locked_is_not_counted_again() {
    // A reference released while the granule is locked changes the word that the guard has read.
    // Unlocking takes that into account.
    let table = granules();
    bring_into(&table, BASE, State::Rec);
    let locked = table.lock::<Rec>(cpu(0), at(BASE)).expect("it is");
    let running = locked.reference().expect("room");
    drop(locked);
    let locked = table.lock::<Rec>(cpu(0), at(BASE)).expect("it is");
    assert_eq!(locked.references(), 1);
    drop(running);
    assert_eq!(locked.references(), 0);
    drop(locked);
    assert_eq!(try_lock::<Unused<Rec>>(&table, BASE), Ok(()));
}

#[test]
fn only_aligned_addresses_are_addresses_of_granules() {
    for unaligned in [1, 0x800, 0xfff, BASE + 1, u64::MAX] {
        assert_eq!(GranuleAddress::new(PhysAddr::new(unaligned)), None);
    }
    for inside in [BASE, BASE + 1, BASE + 0xfff] {
        assert_eq!(GranuleAddress::containing(PhysAddr::new(inside)), at(BASE));
    }
    let last = at(!0xfff);
    assert_eq!(last.next(), None);
    assert_eq!(at(BASE).next(), Some(at(BASE + 0x1000)));
    assert_eq!(format!("{last} {last:?}"), "0xfffffffffffff000 GranuleAddress(0xfffffffffffff000)");
}

#[test]
fn there_is_an_index_for_each_cpu_and_no_more() {
    assert_eq!(CpuIndex::new(rmm::cpu::MAX_CPUS), None);
    assert_eq!(CpuIndex::new(usize::MAX), None);
    assert_eq!(cpu(rmm::cpu::MAX_CPUS - 1).get(), rmm::cpu::MAX_CPUS - 1);
}

#[test]
#[should_panic(expected = "it is held already")]
fn a_lock_that_is_held_already_is_not_waited_for_in_tests() {
    let table = granules();
    let _held = table.lock::<Unproven>(cpu(0), at(BASE)).expect("it is");
    let _again = table.lock::<Unproven>(cpu(0), at(BASE));
}

#[test]
#[should_panic(expected = "in ascending order")]
fn granules_that_the_host_names_are_not_locked_in_descending_order() {
    let table = granules();
    let _held = table.lock::<Unproven>(cpu(0), at(BASE + 0x1000)).expect("it is");
    let _lower = table.lock::<Unproven>(cpu(0), at(BASE));
}

#[test]
#[should_panic(expected = "comes before those found")]
fn a_granule_that_the_host_names_is_not_locked_after_one_that_is_found() {
    let table = granules();
    bring_into(&table, BASE, State::Rtt);
    let _held = table.lock::<Rtt>(cpu(0), at(BASE)).expect("it is");
    let _named = table.lock::<Unproven>(cpu(0), at(BASE + 0x1000));
}

#[test]
fn what_was_given_back_or_is_another_cpus_is_out_of_the_order() {
    let table = granules();
    drop(table.lock::<Unproven>(cpu(0), at(BASE + 0x2000)).expect("it is"));
    assert_eq!(try_lock::<Rd>(&table, BASE + 0x2000), Err(LockError::WrongState));
    let _first = table.lock::<Unproven>(cpu(0), at(BASE)).expect("it is");
    let _second = table.lock::<Unproven>(cpu(0), at(BASE + 0x1000)).expect("it is");
    let _others = table.lock::<Unproven>(cpu(1), at(BASE + 0x4000)).expect("it is");
    let _third = table.lock::<Unproven>(cpu(0), at(BASE + 0x3000)).expect("it is");
}
