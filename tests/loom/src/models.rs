// SPDX-License-Identifier: BSD-3-Clause
//! What two and three CPUs do with the lock, and what must hold in every interleaving.
//!
//! Loom itself finds data races on what the lock protects, and waits that no CPU ends, as runs that
//! do not finish.

use std::cell::RefCell;

use loom::cell::UnsafeCell;
use loom::model::Builder;
use loom::sync::Arc;
use loom::thread;

use crate::arch::atomic::AtomicUsize;
use crate::cpu::{CpuIndex, MAX_CPUS};

/// A copy of the lock, right or faulty.
trait Lock: 'static {
    type Entry: Default + 'static;
    type Waiters: 'static;
    type StateAndCount: Copy;

    fn waiters() -> Self::Waiters;
    fn place(waiters: &Self::Waiters, cpu: CpuIndex) -> &AtomicUsize;
    fn lock(entry: &Self::Entry, waiters: &Self::Waiters, cpu: CpuIndex) -> Self::StateAndCount;
    fn unlock(
        entry: &Self::Entry,
        waiters: &Self::Waiters,
        cpu: CpuIndex,
        held: Self::StateAndCount,
        state: u8,
    );
    fn get(entry: &Self::Entry) -> Self::StateAndCount;
    fn put(entry: &Self::Entry) -> bool;
    fn state(content: Self::StateAndCount) -> u16;
    fn count(content: Self::StateAndCount) -> u16;
}

/// Models by name.
type Models = &'static [(&'static str, fn())];

/// Makes a module from a copy of the lock's source, with its [`Lock`] and its [`Models`].
macro_rules! models {
    ($name:ident { $($source:tt)* }) => {
        #[allow(dead_code)]
        mod $name {
            $($source)*

            pub(super) enum Copy {}

            impl $crate::models::Lock for Copy {
                type Entry = GranuleEntry;
                type Waiters = Waiters;
                type StateAndCount = StateAndCount;

                fn waiters() -> Waiters {
                    Waiters {
                        places: Default::default(),
                        limit: Default::default(),
                        abandoned: Default::default(),
                        lost: Default::default(),
                    }
                }
                fn place(waiters: &Waiters, cpu: CpuIndex) -> &AtomicUsize {
                    &waiters.places[cpu.get()].0
                }
                fn lock(entry: &GranuleEntry, waiters: &Waiters, cpu: CpuIndex) -> StateAndCount {
                    entry.lock(waiters, cpu)
                }
                fn unlock(
                    entry: &GranuleEntry,
                    waiters: &Waiters,
                    cpu: CpuIndex,
                    held: StateAndCount,
                    state: u8,
                ) {
                    entry.unlock(waiters, cpu, held, StateAndCount::unreferenced(state));
                }
                fn get(entry: &GranuleEntry) -> StateAndCount {
                    entry.get(1, MAX_COUNT).expect("there is room for a reference")
                }
                fn put(entry: &GranuleEntry) -> bool {
                    entry.put(1).is_ok()
                }
                fn state(content: StateAndCount) -> u16 {
                    content.state()
                }
                fn count(content: StateAndCount) -> u16 {
                    content.count()
                }
            }

            pub(super) const MODELS: $crate::models::Models = &$crate::models::all::<Copy>();
        }
    };
}

include!(concat!(env!("OUT_DIR"), "/locks.rs"));

/// A CPU that tries to take a lock.
struct Attempt {
    /// The address of the CPU's place among the waiters.
    place: usize,
    /// The granule that it wants.
    granule: usize,
    /// How many others have taken the lock since it began to wait, if it waits.
    overtaken: Option<usize>,
}

thread_local! {
    /// All CPUs that try to take a lock. Loom runs every CPU of a model on one thread.
    static ATTEMPTS: RefCell<Vec<Attempt>> = const { RefCell::new(Vec::new()) };
}

/// The CPU with this place has begun to wait. From here on the number of others that may overtake
/// it is bounded.
pub fn arrived(place: &AtomicUsize) {
    let place = std::ptr::from_ref(place).addr();
    ATTEMPTS.with_borrow_mut(|attempts| {
        let attempt = attempts.iter_mut().find(|attempt| attempt.place == place);
        attempt.expect("the CPU is on its way to a lock").overtaken = Some(0);
    });
}

/// The CPU with this place has taken its lock.
fn acquired(place: usize, granule: usize) {
    ATTEMPTS.with_borrow_mut(|attempts| {
        attempts.retain(|attempt| attempt.place != place);
        for other in attempts.iter_mut().filter(|attempt| attempt.granule == granule) {
            other.overtaken = other.overtaken.map(|overtaken| overtaken + 1);
            assert!(other.overtaken < Some(MAX_CPUS), "a CPU was overtaken too often");
        }
    });
}

/// One granule, and what its lock protects.
struct Granule<L: Lock> {
    entry: L::Entry,
    content: UnsafeCell<u64>,
}

impl<L: Lock> Granule<L> {
    fn new() -> Self {
        Self { entry: L::Entry::default(), content: UnsafeCell::new(0) }
    }

    /// An access that only the holder of the lock or of a reference may do. Loom checks this.
    fn touch(&self) {
        // SAFETY: the caller has exclusive access. That is what the test checks: loom stops the run
        // if not.
        self.content.with_mut(|content| unsafe { *content += 1 });
    }

    fn read(&self) -> u64 {
        // SAFETY: as for `touch`.
        self.content.with(|content| unsafe { *content })
    }
}

/// Two granules and their waiters.
struct World<L: Lock> {
    granules: [Granule<L>; 2],
    waiters: L::Waiters,
}

// SAFETY: the content is accessed only with the lock or a reference. The test checks that this is
// sufficient.
unsafe impl<L: Lock> Sync for World<L> {}
// SAFETY: no part belongs to a thread.
unsafe impl<L: Lock> Send for World<L> {}

impl<L: Lock> World<L> {
    fn lock(&self, cpu: CpuIndex, granule: usize) -> L::StateAndCount {
        let place = std::ptr::from_ref(L::place(&self.waiters, cpu)).addr();
        ATTEMPTS
            .with_borrow_mut(|attempts| attempts.push(Attempt { place, granule, overtaken: None }));
        let held = L::lock(&self.granules[granule].entry, &self.waiters, cpu);
        acquired(place, granule);
        held
    }

    fn unlock(&self, cpu: CpuIndex, granule: usize, held: L::StateAndCount, state: u8) {
        L::unlock(&self.granules[granule].entry, &self.waiters, cpu, held, state);
    }

    /// Takes the lock, uses what it protects, and releases the lock.
    fn visit(&self, cpu: CpuIndex, granule: usize) {
        let held = self.lock(cpu, granule);
        self.granules[granule].touch();
        self.unlock(cpu, granule, held, u8::try_from(L::state(held)).expect("a state"));
    }

    /// Moves the granule from the state `from` to `to`, if it is in `from`.
    fn transition(&self, cpu: CpuIndex, from: u8, to: u8) -> bool {
        let held = self.lock(cpu, 0);
        let state = u8::try_from(L::state(held)).expect("a state");
        let found = state == from;
        if found {
            self.granules[0].touch();
        }
        self.unlock(cpu, 0, held, if found { to } else { state });
        found
    }
}

/// Runs `cpus` concurrently and then `after`, for every interleaving with at most `preemptions`
/// forced changes of CPU.
fn check<L: Lock>(
    preemptions: usize,
    cpus: &'static [fn(&World<L>, CpuIndex)],
    after: fn(&World<L>),
) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 2000;
    builder.check(move || {
        ATTEMPTS.with_borrow_mut(Vec::clear);
        let world = Arc::new(World::<L> {
            granules: [Granule::new(), Granule::new()],
            waiters: L::waiters(),
        });
        let run = |index: usize| {
            let world = Arc::clone(&world);
            move || cpus[index](&world, CpuIndex(index))
        };
        let others: Vec<_> = (1..cpus.len()).map(|index| thread::spawn(run(index))).collect();
        run(0)();
        others.into_iter().for_each(|other| other.join().expect("the CPU ends"));
        // In every case the lock is free and no waiter was lost: taking it does not wait.
        after(&world);
    });
}

/// All models of a lock.
const fn all<L: Lock>() -> [(&'static str, fn()); 7] {
    [
        ("two CPUs exclude each other, again and again", two_cpus::<L>),
        ("three CPUs exclude each other", three_cpus::<L>),
        ("none of three CPUs is overtaken without bound", fairness::<L>),
        ("one of three CPUs makes a transition, once", transitions::<L>),
        ("what is done under a reference is seen when it is gone", references::<L>),
        ("references come and go while others wait for the lock", counting::<L>),
        ("CPUs that wait for different granules do not disturb each other", two_granules::<L>),
    ]
}

fn two_cpus<L: Lock>() {
    fn cpu<L: Lock>(world: &World<L>, cpu: CpuIndex) {
        world.visit(cpu, 0);
        world.visit(cpu, 0);
    }
    check::<L>(4, &[cpu, cpu], |world| {
        world.visit(CpuIndex(0), 0);
        assert_eq!(world.granules[0].read(), 5);
    });
}

fn three_cpus<L: Lock>() {
    fn cpu<L: Lock>(world: &World<L>, cpu: CpuIndex) {
        world.visit(cpu, 0);
    }
    check::<L>(3, &[cpu, cpu, cpu], |world| {
        world.visit(CpuIndex(0), 0);
        assert_eq!(world.granules[0].read(), 4);
    });
}

fn fairness<L: Lock>() {
    fn once<L: Lock>(world: &World<L>, cpu: CpuIndex) {
        world.visit(cpu, 0);
    }
    fn again<L: Lock>(world: &World<L>, cpu: CpuIndex) {
        world.visit(cpu, 0);
        world.visit(cpu, 0);
    }
    check::<L>(2, &[again, again, once], |world| {
        world.visit(CpuIndex(0), 0);
        assert_eq!(world.granules[0].read(), 6);
    });
}

fn transitions<L: Lock>() {
    fn cpu<L: Lock>(world: &World<L>, cpu: CpuIndex) {
        world.transition(cpu, 0, 1);
    }
    check::<L>(3, &[cpu, cpu, cpu], |world| {
        assert_eq!(world.granules[0].read(), 1);
        assert!(world.transition(CpuIndex(0), 1, 2));
    });
}

fn references<L: Lock>() {
    /// Takes a reference under the lock, and uses the content after it has released the lock.
    fn user<L: Lock>(world: &World<L>, cpu: CpuIndex) {
        world.lock(cpu, 0);
        let held = L::get(&world.granules[0].entry);
        world.unlock(cpu, 0, held, 1);
        world.granules[0].touch();
        assert!(L::put(&world.granules[0].entry));
    }
    /// Uses the content if it was taken into use and has no reference any more.
    fn destroyer<L: Lock>(world: &World<L>, cpu: CpuIndex) {
        let held = world.lock(cpu, 0);
        let unused = L::state(held) == 1 && L::count(held) == 0;
        if unused {
            world.granules[0].touch();
        }
        world.unlock(
            cpu,
            0,
            held,
            if unused { 2 } else { u8::try_from(L::state(held)).expect("a state") },
        );
    }
    check::<L>(4, &[user, destroyer], |world| {
        let held = world.lock(CpuIndex(0), 0);
        assert_eq!(L::count(held), 0);
        assert!(!L::put(&world.granules[0].entry), "there is none left to give back");
        assert_eq!(world.granules[0].read(), u64::from(L::state(held)));
    });
}

fn counting<L: Lock>() {
    fn user<L: Lock>(world: &World<L>, cpu: CpuIndex) {
        world.lock(cpu, 0);
        let held = L::get(&world.granules[0].entry);
        world.unlock(cpu, 0, held, 3);
        assert!(L::put(&world.granules[0].entry));
    }
    fn visitor<L: Lock>(world: &World<L>, cpu: CpuIndex) {
        world.visit(cpu, 0);
    }
    check::<L>(2, &[user, user, visitor], |world| {
        let held = world.lock(CpuIndex(0), 0);
        assert_eq!((L::state(held), L::count(held)), (3, 0));
        assert_eq!(world.granules[0].read(), 1);
    });
}

fn two_granules<L: Lock>() {
    fn first<L: Lock>(world: &World<L>, cpu: CpuIndex) {
        world.visit(cpu, 0);
    }
    fn second<L: Lock>(world: &World<L>, cpu: CpuIndex) {
        world.visit(cpu, 1);
    }
    /// Takes two locks in ascending order, as commands do.
    fn both<L: Lock>(world: &World<L>, cpu: CpuIndex) {
        let held = world.lock(cpu, 0);
        world.visit(cpu, 1);
        world.granules[0].touch();
        world.unlock(cpu, 0, held, 0);
    }
    check::<L>(2, &[both, second, first], |world| {
        world.visit(CpuIndex(0), 0);
        world.visit(CpuIndex(0), 1);
        assert_eq!((world.granules[0].read(), world.granules[1].read()), (3, 3));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_is_right() {
        for (name, model) in right::MODELS {
            println!("{name}");
            model();
        }
    }

    #[test]
    fn every_weakened_lock_is_caught() {
        for (what, models) in WEAKENED {
            let caught = models.iter().find(|(_, model)| std::panic::catch_unwind(model).is_err());
            let (by, _) = caught.unwrap_or_else(|| panic!("not caught: {what}"));
            println!("{what}\n    is caught by: {by}");
        }
    }
}
