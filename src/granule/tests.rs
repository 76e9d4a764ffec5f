// SPDX-License-Identifier: BSD-3-Clause
//! The granule lock under contention: every CPU that waits has announced it before the holder goes
//! on. The model checker in `tests/loom` tries every interleaving of a few CPUs.
//!
//! Not in `lock.rs`, whose text the model checker copies.

use super::lock::{CountError, GranuleEntry, MAX_COUNT, StateAndCount, Waiters};
use crate::arch::atomic::Ordering;
use crate::cpu::CpuIndex;

/// The bits of the word, as the head of `lock.rs` has them.
const LOCKED: u16 = 1 << 15;
const CONTENDED: u16 = 1 << 14;

fn cpu(index: usize) -> CpuIndex {
    CpuIndex::new(index).expect("an index of a CPU")
}

fn word(entry: &GranuleEntry) -> u16 {
    entry.0.load(Ordering::Relaxed)
}

/// Goes on when CPU `index` waits for `entry`, and a scan for those that do reaches it.
fn until_waiting(entry: &GranuleEntry, waiters: &Waiters, index: usize) {
    let name = core::ptr::from_ref(entry).addr();
    let is_announced = || waiters.places[index].0.load(Ordering::Relaxed) == name;
    let is_reached = || waiters.limit.load(Ordering::Relaxed) > index;
    while !is_announced() || !is_reached() || word(entry) & CONTENDED == 0 {
        std::thread::yield_now();
    }
}

/// The order in which the CPUs of `others`, which begin to wait in that order for what `first`
/// holds, get it. Each unlocks it at once.
fn served(first: usize, others: &[usize]) -> Vec<usize> {
    let (entry, waiters) = (GranuleEntry::new(), Waiters::new());
    let order = std::sync::Mutex::new(Vec::new());
    let held = entry.lock(&waiters, cpu(first));
    std::thread::scope(|scope| {
        for &other in others {
            let (entry, waiters, order) = (&entry, &waiters, &order);
            scope.spawn(move || {
                let held = entry.lock(waiters, cpu(other));
                order.lock().expect("nobody panics").push(other);
                entry.unlock(waiters, cpu(other), held, held);
            });
            until_waiting(entry, waiters, other);
        }
        entry.unlock(&waiters, cpu(first), held, held);
    });
    assert_eq!(word(&entry), 0, "unlocked, and nobody is thought to wait");
    order.into_inner().expect("nobody panics")
}

#[test]
fn the_word_is_laid_out_as_documented() {
    let (entry, waiters) = (GranuleEntry::new(), Waiters::new());
    assert_eq!(MAX_COUNT, 0x3ff);
    let held = entry.lock(&waiters, cpu(3));
    assert_eq!((word(&entry), held), (LOCKED, StateAndCount::unreferenced(0)));
    let held = entry.get(5, MAX_COUNT).expect("room");
    assert_eq!((word(&entry), held.count(), held.state()), (LOCKED | 5, 5, 0));
    entry.unlock(&waiters, cpu(3), held, StateAndCount::unreferenced(9));
    assert_eq!(word(&entry), 9 << 10 | 5, "the state is that of `to`, the count is kept");
    assert_eq!((entry.peek().state(), entry.peek().count()), (9, 5));
    let held = entry.lock(&waiters, cpu(3));
    assert_eq!((held.state(), held.count()), (9, 5));
}

#[test]
fn a_state_keeps_to_its_bits_and_takes_the_count_of_another() {
    for state in 0..16 {
        let content = StateAndCount::unreferenced(state);
        assert_eq!((content.state(), content.count()), (u16::from(state), 0));
    }
    let entry = GranuleEntry::new();
    let counted = entry.get(MAX_COUNT, MAX_COUNT).expect("room");
    let both = StateAndCount::unreferenced(6).with_count_of(counted);
    assert_eq!((both.state(), both.count()), (6, MAX_COUNT));
    let none = both.with_count_of(StateAndCount::unreferenced(3));
    assert_eq!((none.state(), none.count()), (6, 0));
}

#[test]
fn counts_end_where_they_must() {
    let entry = GranuleEntry::new();
    assert_eq!(entry.put(1), Err(CountError::Underflow));
    assert_eq!(entry.get(8, 7), Err(CountError::Overflow));
    assert_eq!(entry.get(7, 7).map(StateAndCount::count), Ok(7));
    assert_eq!(entry.get(1, 7), Err(CountError::Overflow));
    assert_eq!(entry.get(u16::MAX, u16::MAX), Err(CountError::Overflow));
    assert_eq!(entry.put(8), Err(CountError::Underflow));
    assert_eq!(entry.put(3).map(StateAndCount::count), Ok(4));
    assert_eq!(entry.put(4).map(StateAndCount::count), Ok(0));
    assert_eq!(word(&entry), 0);
}

#[test]
fn a_cpu_that_waits_gets_the_lock_with_the_state_that_the_holder_leaves() {
    let (entry, waiters) = (GranuleEntry::new(), Waiters::new());
    let held = entry.lock(&waiters, cpu(4));
    let held = held.with_count_of(entry.get(2, MAX_COUNT).expect("room"));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| entry.lock(&waiters, cpu(1)));
        until_waiting(&entry, &waiters, 1);
        assert_eq!(word(&entry), LOCKED | CONTENDED | 2);
        entry.unlock(&waiters, cpu(4), held, StateAndCount::unreferenced(1));
        let got = waiting.join().expect("the other CPU does not panic");
        assert_eq!((got.state(), got.count()), (1, 2));
        assert_eq!(word(&entry) & !CONTENDED, LOCKED | 1 << 10 | 2, "it was never free");
        assert_eq!(waiters.places[1].0.load(Ordering::Relaxed), 0, "it waits no more");
        entry.unlock(&waiters, cpu(1), got, got);
    });
    assert_eq!(word(&entry), 1 << 10 | 2);
}

#[test]
fn those_who_wait_are_served_in_cyclic_order_from_the_holder_on() {
    assert_eq!(served(0, &[2, 1]), [1, 2]);
    assert_eq!(served(2, &[3, 1, 0]), [3, 0, 1]);
    assert_eq!(served(3, &[1, 2, 0]), [0, 1, 2]);
    // The neighbors of the holder, and the last CPU that there is.
    assert_eq!(served(5, &[4, 6]), [6, 4]);
    let last = crate::cpu::MAX_CPUS - 1;
    assert_eq!(served(1, &[0, last]), [last, 0]);
}

#[test]
fn a_cpu_that_waits_for_another_granule_is_passed_over() {
    let (entries, waiters) = ([GranuleEntry::new(), GranuleEntry::new()], Waiters::new());
    let held = [entries[0].lock(&waiters, cpu(0)), entries[1].lock(&waiters, cpu(5))];
    std::thread::scope(|scope| {
        let (entries, waiters) = (&entries, &waiters);
        let wait = |index: usize, entry: usize| {
            let waiting = scope.spawn(move || {
                let held = entries[entry].lock(waiters, cpu(index));
                entries[entry].unlock(waiters, cpu(index), held, held);
            });
            until_waiting(&entries[entry], waiters, index);
            waiting
        };
        let (other, one) = (wait(1, 1), wait(2, 0));
        entries[0].unlock(waiters, cpu(0), held[0], held[0]);
        one.join().expect("the other CPU does not panic");
        assert!(!other.is_finished());
        entries[1].unlock(waiters, cpu(5), held[1], held[1]);
    });
    assert_eq!(entries.map(|entry| word(&entry)), [0, 0]);
}

#[test]
fn references_given_back_meanwhile_are_gone_when_the_lock_is() {
    let (entry, waiters) = (GranuleEntry::new(), Waiters::new());
    entry.get(3, MAX_COUNT).expect("room");
    let held = entry.lock(&waiters, cpu(0));
    assert_eq!(entry.put(2).map(StateAndCount::count), Ok(1));
    // What the holder last knew has a count that is over; the state changes all the same.
    entry.unlock(&waiters, cpu(0), held, StateAndCount::unreferenced(4));
    assert_eq!(word(&entry), 4 << 10 | 1);
}

#[test]
fn a_cpu_that_waits_gives_up_when_another_dies_and_so_does_one_that_comes_later() {
    let (entry, waiters) = (GranuleEntry::new(), Waiters::new());
    let _held = entry.lock(&waiters, cpu(0));
    std::thread::scope(|scope| {
        let waits = |index| {
            let (entry, waiters) = (&entry, &waiters);
            scope.spawn(move || entry.lock(waiters, cpu(index)))
        };
        let first = waits(1);
        until_waiting(&entry, &waiters, 1);
        assert!(!waiters.is_abandoned());
        waiters.abandon();
        assert!(waiters.is_abandoned());
        assert!(first.join().is_err(), "CPU 1 got a lock that nobody gave back");
        assert!(waits(2).join().is_err(), "CPU 2 got a lock that nobody gave back");
    });
}
