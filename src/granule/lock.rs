// SPDX-License-Identifier: BSD-3-Clause
//! The 16-bit word of a granule: lock, state and reference count in one atomic, and the fair queue
//! of the CPUs that wait for it.
//!
//! | 15 | 14 | 13:10 | 9:0 |
//! | --- | --- | --- | --- |
//! | locked | contended | state | references |
//!
//! Invariants, on which the proofs in `docs/design/memory.md` rest:
//!
//! 1. The CPU that changes *locked* from clear to set holds the lock. Only the holder clears it, or
//!    hands the lock on while it stays set.
//! 2. *locked* is clear only when no CPU waits: the holder clears it by an exchange that fails once
//!    a waiter has set *contended*.
//! 3. Only the holder changes the state and adds references. Anyone may give back their own
//!    reference.
//!
//! Hence a CPU that finds *locked* clear overtakes nobody, and the CPUs that wait are served in
//! cyclic order of their index.
//!
//! Only `granule` uses this; everyone else holds guards.

use crate::arch::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use crate::arch::wait;
use crate::cpu::{CpuIndex, MAX_CPUS};

const LOCKED: u16 = 1 << 15;
const CONTENDED: u16 = 1 << 14;
const STATE_SHIFT: u32 = 10;
const STATE: u16 = 0xf << STATE_SHIFT;
const COUNT: u16 = (1 << STATE_SHIFT) - 1;

/// The fields of a word, for a debugger: constants are not in the debug information.
#[derive(Debug)]
#[repr(C)]
struct DebuggerBits {
    locked: u16,
    contended: u16,
    state: u16,
    references: u16,
    /// Of a Non-secure granule: its memory has answered.
    answered: u16,
}

#[used]
static DEBUGGER_BITS: DebuggerBits = DebuggerBits {
    locked: LOCKED,
    contended: CONTENDED,
    state: STATE,
    references: COUNT,
    answered: 8 << STATE_SHIFT,
};

/// The largest reference count of a word.
pub(super) const MAX_COUNT: u16 = COUNT;

/// State and reference count of a granule at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StateAndCount(u16);

impl StateAndCount {
    /// No word at all: there is no state 15.
    pub(super) const NOT_TRIED: Self = Self(u16::MAX);

    /// The state with this number (0 to 15), without references.
    pub(super) const fn unreferenced(state: u8) -> Self {
        Self(((state as u16) << STATE_SHIFT) & STATE)
    }

    /// The number of the state.
    pub(super) const fn state(self) -> u16 {
        (self.0 & STATE) >> STATE_SHIFT
    }

    /// The state of `self` with the references of `other`.
    pub(super) const fn with_count_of(self, other: Self) -> Self {
        Self((self.0 & STATE) | (other.0 & COUNT))
    }

    /// Whether the state has number `state`, with at most `limit` references. Not of a word that
    /// was locked.
    pub(super) const fn is(self, state: u8, limit: u16) -> bool {
        // One comparison: the count is below the state in the word.
        self.0.wrapping_sub(Self::unreferenced(state).0) <= limit
    }

    /// Whether the word was locked.
    pub(super) const fn is_locked(self) -> bool {
        self.0 & LOCKED != 0
    }

    /// Whether the granule is Non-secure: states 0 and 8, without references.
    pub(super) const fn is_ns(self) -> bool {
        self.0 & (7 << STATE_SHIFT | COUNT) == 0
    }

    /// The number of references.
    pub(super) const fn count(self) -> u16 {
        self.0 & COUNT
    }
}

/// A reference count would leave its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CountError {
    /// More references than the granule's state allows.
    Overflow,
    /// More references given back than were taken.
    Underflow,
}

/// A granule's entry in the granule array. Zero is: Non-secure, not known to answer, unlocked,
/// unreferenced.
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct GranuleEntry(pub(super) AtomicU16);

/// What a CPU waits for, on a cache line of its own that only this CPU polls.
///
/// [`NOTHING`], [`GRANTED`], or the address of the [`GranuleEntry`], which is neither 0 nor 1.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct Waiter(pub(super) AtomicUsize);

const NOTHING: usize = 0;
const GRANTED: usize = 1;

/// The CPUs that wait for a granule: one place for each CPU, since it waits for one granule at a
/// time.
///
/// Used only under contention.
#[derive(Debug)]
#[repr(C)]
pub struct Waiters {
    /// Whether a CPU has died, perhaps with locks. First, since every call looks here.
    pub(super) abandoned: AtomicBool,
    /// How many granules are lost.
    pub(super) lost: AtomicUsize,
    /// One more than the highest index that ever waited: a scan stops there.
    pub(super) limit: AtomicUsize,
    pub(super) places: [Waiter; MAX_CPUS],
}

impl Waiters {
    /// Announces that CPU `me` is about to wait for `entry`.
    fn announce(&self, me: CpuIndex, entry: usize) -> &AtomicUsize {
        // `CpuIndex` is less than the length of the array.
        let Waiter(place) = &self.places[me.get()];
        place.store(entry, Ordering::Relaxed);
        if self.limit.load(Ordering::Relaxed) <= me.get() {
            self.limit.fetch_max(me.get() + 1, Ordering::Relaxed);
        }
        place
    }

    /// The first CPU after `me`, in cyclic order, that waits for `entry`.
    fn next_after(&self, me: CpuIndex, entry: usize) -> Option<&AtomicUsize> {
        let limit = self.limit.load(Ordering::Relaxed);
        let others = (me.get() + 1..limit).chain(0..me.get());
        others
            .filter_map(|index| self.places.get(index))
            .map(|Waiter(place)| place)
            .find(|place| place.load(Ordering::Relaxed) == entry)
    }

    /// Whether any CPU waits for any granule.
    #[cfg(feature = "self-test")]
    pub(super) fn somebody_waits(&self) -> bool {
        self.places.iter().any(|Waiter(place)| place.load(Ordering::Relaxed) > GRANTED)
    }

    /// Counts, for each CPU that waits for `entry`, that another has got it: the CPU at place
    /// `granted`, or one that found it free.
    #[cfg(feature = "self-test")]
    fn overtake(&self, entry: usize, granted: Option<&AtomicUsize>) {
        let limit = self.limit.load(Ordering::Relaxed);
        for (index, Waiter(place)) in self.places.iter().enumerate().take(limit) {
            let others = !granted.is_some_and(|granted| core::ptr::eq(granted, place));
            if others && place.load(Ordering::Relaxed) == entry {
                super::wait_stats::overtaken(index);
            }
        }
    }
}

impl GranuleEntry {
    /// State and count now. Without the lock both may change at any time.
    pub(super) fn peek(&self) -> StateAndCount {
        // Acquire: pairs with the release in `put`, for references seen to be gone.
        StateAndCount(self.0.load(Ordering::Acquire) & (STATE | COUNT))
    }

    /// Takes the lock for CPU `me`: one atomic instruction, or a bounded wait while another CPU
    /// holds it. Does not return from a wait once a CPU has died ([`Waiters::abandon`]).
    ///
    /// A CPU that takes a lock it already holds waits forever.
    #[inline(always)]
    pub(super) fn lock(&self, waiters: &Waiters, me: CpuIndex) -> StateAndCount {
        let word = self.try_lock(waiters);
        if word.is_locked() { self.wait(waiters, me) } else { word }
    }

    /// Takes the lock if nobody holds it: one atomic instruction. The word as it was, which says
    /// whether another CPU holds it ([`StateAndCount::is_locked`]).
    #[inline(always)]
    #[cfg_attr(
        not(feature = "self-test"),
        expect(unused_variables, reason = "only statistics are about those that wait")
    )]
    pub(super) fn try_lock(&self, waiters: &Waiters) -> StateAndCount {
        let word = self.0.fetch_or(LOCKED, Ordering::Acquire);
        let word = StateAndCount(word);
        #[cfg(feature = "self-test")]
        if !word.is_locked() {
            waiters.overtake(self.name(), None);
        }
        word
    }

    /// Takes the lock after `try_lock` found that another CPU holds it.
    #[cold]
    pub(super) fn wait(&self, waiters: &Waiters, me: CpuIndex) -> StateAndCount {
        let place = waiters.announce(me, self.name());
        // Release: a holder that sees this bit sees our place. If the lock was freed meanwhile,
        // this instruction takes it.
        let word = self.0.fetch_or(LOCKED | CONTENDED, Ordering::Release);
        if word & LOCKED != 0 {
            #[cfg(feature = "self-test")]
            super::wait_stats::joined(me);
            wait::until_equal(place, GRANTED, &waiters.abandoned);
            #[cfg(feature = "self-test")]
            super::wait_stats::ended(me);
        }
        place.store(NOTHING, Ordering::Relaxed);
        // *contended* stays set, though perhaps nobody waits any more: `unlock` finds out. This
        // load acquires what the last holder released.
        self.peek()
    }

    /// Releases the lock, or hands it to the next CPU that waits, and changes the state to that of
    /// `to`.
    ///
    /// The caller holds the lock. `held` is the word as the caller last saw it.
    #[inline(always)]
    pub(super) fn unlock(
        &self,
        waiters: &Waiters,
        me: CpuIndex,
        held: StateAndCount,
        to: StateAndCount,
    ) {
        let locked = held.0 | LOCKED;
        let unlocked = (to.0 & STATE) | (held.0 & COUNT);
        if self.0.compare_exchange(locked, unlocked, Ordering::Release, Ordering::Relaxed).is_err()
        {
            self.unlock_contended(waiters, me, (held.0 ^ to.0) & STATE);
        }
    }

    /// As [`unlock`](Self::unlock), for the many places where a guard ends.
    #[inline(never)]
    pub(super) fn release(
        &self,
        waiters: &Waiters,
        me: CpuIndex,
        held: StateAndCount,
        to: StateAndCount,
    ) {
        self.unlock(waiters, me, held, to);
    }

    /// The rest of `unlock`, when others wait or have given back references. `change` holds the
    /// bits of the state that change.
    #[cold]
    fn unlock_contended(&self, waiters: &Waiters, me: CpuIndex, change: u16) {
        // Only the holder changes the state, so its bits are as the caller last saw them. The
        // release below publishes this.
        self.0.fetch_xor(change, Ordering::Relaxed);
        loop {
            // A CPU that comes to wait from here on sets the bit again. Acquire: sees the places
            // of those that set it before.
            let word = self.0.fetch_and(!CONTENDED, Ordering::Acquire) & !CONTENDED;
            if let Some(place) = waiters.next_after(me, self.name()) {
                #[cfg(feature = "self-test")]
                waiters.overtake(self.name(), Some(place));
                // More CPUs may wait; the next holder finds out.
                self.0.fetch_or(CONTENDED, Ordering::Relaxed);
                place.store(GRANTED, Ordering::Release);
                return;
            }
            if self.release_unless_contended(word) {
                return;
            }
        }
    }

    /// Clears *locked*, unless a waiter has come.
    fn release_unless_contended(&self, mut locked: u16) -> bool {
        // Another turn means that a reference was given back, and only the holder adds any: at most
        // `MAX_COUNT` turns.
        while let Err(word) =
            self.0.compare_exchange(locked, locked & !LOCKED, Ordering::Release, Ordering::Relaxed)
        {
            if word & CONTENDED != 0 {
                return false;
            }
            locked = word;
        }
        true
    }

    /// Adds `count` references, to at most `limit`. The caller holds the lock.
    pub(super) fn get(&self, count: u16, limit: u16) -> Result<StateAndCount, CountError> {
        let total = self.peek().count().checked_add(count).ok_or(CountError::Overflow)?;
        if total > limit {
            return Err(CountError::Overflow);
        }
        // Since the look above references may be given back, but nobody else adds any: the sum
        // stays in range.
        let word = self.0.fetch_add(count, Ordering::Relaxed);
        Ok(StateAndCount(word.wrapping_add(count) & (STATE | COUNT)))
    }

    /// Gives back `count` references, with or without the lock.
    ///
    /// A CPU that sees them gone also sees what was done under them.
    pub(super) fn put(&self, count: u16) -> Result<StateAndCount, CountError> {
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            if word & COUNT < count {
                return Err(CountError::Underflow);
            }
            match self.0.compare_exchange(
                word,
                word.wrapping_sub(count),
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Ok(StateAndCount(word.wrapping_sub(count) & (STATE | COUNT))),
                Err(seen) => word = seen,
            }
        }
    }

    /// Makes an unproven granule a proven one. Whether it was one.
    #[cfg(feature = "self-test")]
    pub(super) fn vouch(&self) -> bool {
        const PROVEN: u16 = 8 << STATE_SHIFT;
        self.0.compare_exchange(0, PROVEN, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// The value in the place of a CPU that waits for this entry.
    fn name(&self) -> usize {
        core::ptr::from_ref(self).addr()
    }
}
