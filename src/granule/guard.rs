// SPDX-License-Identifier: BSD-3-Clause
//! Guards: values whose existence proves what is known of a granule.
//!
//! [`LockedGranule<S>`] proves that this CPU holds the granule's lock and that its state is `S`.
//! [`Reference<S>`] proves that the granule is referred to and therefore stays in state `S`.
//! Dropping a guard releases what it holds.

use core::cell::Cell;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;

use super::address::GranuleAddress;
use super::lock::{CountError, GranuleEntry, StateAndCount, Waiters};
use super::lock_order;
use super::state::{
    Delegated, GranuleState, Lockable, Lost, Ns, Transition, Unproven, Unused, Wiped,
};
use crate::arch::atomic::Ordering;
use crate::cpu::CpuIndex;

/// A granule could not be zeroed: its memory does not answer. Some of it may be zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("memory that does not answer")]
pub struct WipeError;

/// Something that can zero a granule: a slot of a CPU.
pub trait Wipe {
    /// Zeroes the granule, which is in Realm PAS. It is zero for the whole system on return.
    ///
    /// # Errors
    ///
    /// [`WipeError`].
    fn wipe(&mut self, granule: &LockedGranule<'_, Delegated>) -> Result<(), WipeError>;
}

/// A granule of the host does not answer, or is not the host's after all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("memory that does not answer as the host's")]
pub struct ProbeError;

/// Something that can find out whether memory of the host answers: a slot of a CPU.
pub trait Probe {
    /// Reads from the granule as Non-secure memory.
    ///
    /// # Errors
    ///
    /// [`ProbeError`].
    fn probe(&mut self, granule: &LockedGranule<'_, Unproven>) -> Result<(), ProbeError>;
}

/// A granule whose lock this CPU holds and whose state is `S`.
#[derive(Debug)]
#[must_use = "dropping the guard unlocks the granule"]
pub struct LockedGranule<'a, S: GranuleState> {
    entry: &'a GranuleEntry,
    waiters: &'a Waiters,
    cpu: CpuIndex,
    address: GranuleAddress,
    /// The word as last seen. Its state is the old one until the guard is dropped.
    held: Cell<StateAndCount>,
    state: PhantomData<S>,
}

impl<'a, S: GranuleState> LockedGranule<'a, S> {
    /// Wraps a granule just locked by `cpu`, whose word holds `held`: state `S`.
    pub(super) fn new(
        entry: &'a GranuleEntry,
        waiters: &'a Waiters,
        cpu: CpuIndex,
        address: GranuleAddress,
        held: StateAndCount,
    ) -> Self {
        Self { entry, waiters, cpu, address, held: Cell::new(held), state: PhantomData }
    }

    /// The granule's address.
    pub fn address(&self) -> GranuleAddress {
        self.address
    }

    /// References to the granule now. While it is locked they can only become fewer.
    pub fn references(&self) -> u16 {
        self.entry.peek().count()
    }

    /// Changes the state, still locked. Others see it when the guard is dropped.
    ///
    /// The legal transitions are the table in [`state`](super::state).
    pub fn transition<To: GranuleState>(self) -> LockedGranule<'a, To>
    where
        S: Transition<To>,
    {
        self.retype()
    }

    /// The same granule under another type; the lock is kept.
    fn retype<To: GranuleState>(self) -> LockedGranule<'a, To> {
        let this = ManuallyDrop::new(self);
        LockedGranule::new(this.entry, this.waiters, this.cpu, this.address, this.held.get())
    }

    /// Unlocks the granule. Dropping does the same, but is not inlined.
    #[inline(always)]
    pub fn unlock(self) {
        let this = ManuallyDrop::new(self);
        let to = StateAndCount::unreferenced(S::NUMBER);
        this.entry.unlock(this.waiters, this.cpu, this.held.get(), to);
        this.report_released();
    }

    /// Tells the lock order that the granule is unlocked.
    fn report_released(&self) {
        let table = core::ptr::from_ref(self.waiters).addr();
        lock_order::released(self.cpu.get(), table, self.address.get().get());
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

    /// Adds `count` references that live in memory (the live entries of an RTT) rather than as
    /// [`Reference`]s.
    ///
    /// # Errors
    ///
    /// [`CountError::Overflow`] when `S` does not allow so many; then none is added.
    pub fn get(&self, count: u16) -> Result<(), CountError> {
        self.held.set(self.held.get().with_count_of(self.entry.get(count, S::MAX_REFERENCES)?));
        Ok(())
    }

    /// Gives back references added with [`get`](Self::get) or left by [`Reference::keep`].
    ///
    /// # Errors
    ///
    /// [`CountError::Underflow`] when there are not so many; then none is given back.
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
        if self.references() == 0 { Ok(self.retype()) } else { Err(self) }
    }
}

impl<'a> LockedGranule<'a, Delegated> {
    /// Zeroes the granule, so that it may change hands.
    ///
    /// # Errors
    ///
    /// [`WipeError`]. The granule is unlocked and [`Lost`].
    #[inline(always)]
    pub fn wipe(self, by: &mut impl Wipe) -> Result<LockedGranule<'a, Wiped>, WipeError> {
        match by.wipe(&self) {
            Ok(()) => Ok(self.retype()),
            Err(error) => {
                self.put_aside();
                Err(error)
            }
        }
    }

    /// Makes the granule [`Lost`], since its memory does not answer any more: no command takes it
    /// again.
    fn put_aside(self) {
        if self.waiters.lost.fetch_add(1, Ordering::Relaxed) == 0 {
            log::error!("memory stopped answering, its granule is lost: {}", self.address.get());
        }
        drop(self.transition::<Lost>());
    }
}

impl<'a> LockedGranule<'a, Unproven> {
    /// Finds out that the granule's memory answers, without which it is never delegated.
    ///
    /// # Errors
    ///
    /// [`ProbeError`]. The granule is unlocked and as it was.
    pub(super) fn prove(self, by: &mut impl Probe) -> Result<LockedGranule<'a, Ns>, ProbeError> {
        by.probe(&self)?;
        Ok(self.transition())
    }
}

impl<S: GranuleState> Drop for LockedGranule<'_, S> {
    fn drop(&mut self) {
        let to = StateAndCount::unreferenced(S::NUMBER);
        self.entry.release(self.waiters, self.cpu, self.held.get(), to);
        self.report_released();
    }
}

/// A reference to a granule: while it lives the granule stays in state `S`, locked or not.
#[derive(Debug)]
#[must_use = "dropping the reference gives it back"]
pub struct Reference<'a, S: GranuleState> {
    entry: &'a GranuleEntry,
    address: GranuleAddress,
    state: PhantomData<S>,
}

impl<'a, S: GranuleState> Reference<'a, S> {
    /// Wraps a reference that is counted already and that nothing else represents.
    pub(super) fn new(entry: &'a GranuleEntry, address: GranuleAddress) -> Self {
        Self { entry, address, state: PhantomData }
    }

    /// The granule's address.
    pub fn address(&self) -> GranuleAddress {
        self.address
    }

    /// Leaves the reference counted, for one that lives in memory from now on (as that of a REC to
    /// its RD).
    ///
    /// [`LockedGranule::put`] gives it back, or
    /// [`GranuleTable::adopt_reference`](super::GranuleTable::adopt_reference) without the lock.
    pub fn keep(self) -> GranuleAddress {
        ManuallyDrop::new(self).address
    }
}

impl<S: GranuleState> Drop for Reference<'_, S> {
    fn drop(&mut self) {
        // The count includes this reference, so there is no underflow.
        let _refused = self.entry.put(1);
    }
}
