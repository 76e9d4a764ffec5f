// SPDX-License-Identifier: BSD-3-Clause
//! Guards: values whose existence proves what is known of a granule.
//!
//! [`LockedGranule<S>`] proves that this CPU holds the granule's lock and that its state is `S`;
//! [`Reference<S>`] proves that it has a reference and therefore stays in state `S`. Both give back
//! what they hold when dropped.

use core::cell::Cell;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;

use super::address::GranuleAddress;
use super::lock::{CountError, GranuleEntry, StateAndCount, Waiters};
use super::state::{Delegated, GranuleState, Lockable, Transition, Unused, Wiped};
use crate::cpu::CpuIndex;
use crate::granule::lock_order;

/// What zeroes a granule: a slot of a CPU.
pub trait Wipe {
    /// Zeroes the granule, which is in Realm PAS, completely, before it returns.
    fn wipe(&mut self, granule: &LockedGranule<'_, Delegated>);
}

/// A granule whose lock this CPU holds and whose state is `S`.
#[derive(Debug)]
#[must_use = "dropping the guard unlocks the granule"]
pub struct LockedGranule<'a, S: GranuleState> {
    entry: &'a GranuleEntry,
    waiters: &'a Waiters,
    cpu: CpuIndex,
    address: GranuleAddress,
    /// The word as last known: its state is what it will be changed from, should `S` be another.
    held: Cell<StateAndCount>,
    state: PhantomData<S>,
}

impl<'a, S: GranuleState> LockedGranule<'a, S> {
    /// Wraps a granule just locked by `cpu`, whose word holds `held`, which the caller has found to
    /// be state `S`.
    pub(super) fn new(
        entry: &'a GranuleEntry,
        waiters: &'a Waiters,
        cpu: CpuIndex,
        address: GranuleAddress,
        held: StateAndCount,
    ) -> Self {
        Self { entry, waiters, cpu, address, held: Cell::new(held), state: PhantomData }
    }

    /// Where the granule is.
    pub fn address(&self) -> GranuleAddress {
        self.address
    }

    /// References to the granule now. More cannot come while it is locked; fewer can.
    pub fn references(&self) -> u16 {
        self.entry.peek().count()
    }

    /// Changes the state, still locked. Others see it when the guard is dropped.
    ///
    /// Which transitions there are is the table in [`state`](super::state).
    pub fn transition<To: GranuleState>(self) -> LockedGranule<'a, To>
    where
        S: Transition<To>,
    {
        self.known_as()
    }

    /// The same granule under another type; the lock is kept.
    fn known_as<To: GranuleState>(self) -> LockedGranule<'a, To> {
        let this = ManuallyDrop::new(self);
        LockedGranule::new(this.entry, this.waiters, this.cpu, this.address, this.held.get())
    }

    /// Unlocks the granule, as dropping the guard does; but a guard that is used up by this on its
    /// rarer paths need never be in memory.
    pub fn unlock(self) {
        ManuallyDrop::new(self).release();
    }

    fn release(&self) {
        self.entry.unlock(
            self.waiters,
            self.cpu,
            self.held.get(),
            StateAndCount::unreferenced(S::STATE as u8),
        );
        let table = core::ptr::from_ref(self.waiters).addr();
        lock_order::given_back(self.cpu.get(), table, self.address.get().get());
    }

    /// Takes a reference, which keeps the granule in state `S` when it is unlocked.
    ///
    /// # Errors
    ///
    /// [`CountError::Overflow`] when `S` allows no more.
    pub fn reference(&self) -> Result<Reference<'a, S>, CountError> {
        self.get(1)?;
        Ok(Reference::new(self.entry, self.address))
    }

    /// Counts `count` more references, which live in memory (the live entries of an RTT) rather
    /// than as [`Reference`]s.
    ///
    /// # Errors
    ///
    /// [`CountError::Overflow`] when `S` allows not so many; then none is counted.
    pub fn get(&self, count: u16) -> Result<(), CountError> {
        self.held.set(self.held.get().with_count_of(self.entry.get(count, S::MAX_REFERENCES)?));
        Ok(())
    }

    /// Takes back references counted with [`get`](Self::get) or left by [`Reference::keep`].
    ///
    /// # Errors
    ///
    /// [`CountError::Underflow`] when there are not so many; then none is taken back.
    pub fn put(&self, count: u16) -> Result<(), CountError> {
        self.held.set(self.held.get().with_count_of(self.entry.put(count)?));
        Ok(())
    }
}

impl<'a, S: Lockable> LockedGranule<'a, S> {
    /// The granule as one that may be taken out of use.
    ///
    /// # Errors
    ///
    /// The guard itself, when there are references.
    pub fn into_unused(self) -> Result<LockedGranule<'a, Unused<S>>, Self> {
        // It stays so: only the holder of the lock adds references.
        if self.references() == 0 { Ok(self.known_as()) } else { Err(self) }
    }
}

impl<'a> LockedGranule<'a, Delegated> {
    /// Zeroes the granule, which thereby may change hands.
    pub fn wipe(self, by: &mut impl Wipe) -> LockedGranule<'a, Wiped> {
        by.wipe(&self);
        self.known_as()
    }
}

impl<S: GranuleState> Drop for LockedGranule<'_, S> {
    fn drop(&mut self) {
        self.release();
    }
}

/// A reference to a granule: while it lasts the granule stays in state `S`, locked or not.
#[derive(Debug)]
#[must_use = "dropping the reference gives it back"]
pub struct Reference<'a, S: GranuleState> {
    entry: &'a GranuleEntry,
    address: GranuleAddress,
    state: PhantomData<S>,
}

impl<'a, S: GranuleState> Reference<'a, S> {
    /// A reference that is counted already and is nobody else's.
    pub(super) fn new(entry: &'a GranuleEntry, address: GranuleAddress) -> Self {
        Self { entry, address, state: PhantomData }
    }

    /// Where the granule is.
    pub fn address(&self) -> GranuleAddress {
        self.address
    }

    /// Leaves the reference counted, for one that is from now on in memory (as that of a REC to its
    /// RD). [`LockedGranule::put`] takes it back, or
    /// [`GranuleTable::kept_reference`](super::GranuleTable::kept_reference) without the lock.
    pub fn keep(self) -> GranuleAddress {
        ManuallyDrop::new(self).address
    }
}

impl<S: GranuleState> Drop for Reference<'_, S> {
    fn drop(&mut self) {
        // Underflow is refused without effect; it would mean that somebody put a reference that was
        // not theirs.
        let _refused = self.entry.put(1);
    }
}
