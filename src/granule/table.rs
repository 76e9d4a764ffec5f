// SPDX-License-Identifier: BSD-3-Clause
//! The granule array: which granules there are, and how to find and lock them.
//!
//! Two bytes a granule; the address is implied by the place. Banks and places are fixed once the
//! table is built, so that looking one up takes no lock.

use core::fmt;

use super::address::GranuleAddress;
use super::banks::{LayoutError, MemoryRange, for_each_piece};
use super::guard::{LockedGranule, Reference};
use super::lock::{GranuleEntry, Waiter, Waiters};
use super::state::{Lockable, State};
use crate::address::{GRANULE_SHIFT, PhysAddr};
use crate::arch::atomic::{AtomicU16, AtomicUsize};
use crate::cpu::{CpuIndex, MAX_CPUS};
use crate::granule::lock_order::{self, Lock};

/// Banks that a table holds. A boot manifest, one page, names at most 245.
pub const MAX_BANKS: usize = 256;

/// Banks that are looked at one after the other, the largest first, before all are searched: those
/// of the usual machine, of which the RMM's own memory and the page shared with EL3 cut one into
/// three.
const FRONT_BANKS: usize = 3;

impl GranuleEntry {
    /// The record of a Non-secure granule.
    pub const fn new() -> Self {
        Self(AtomicU16::new(0))
    }
}

impl Waiters {
    /// Nobody waits.
    pub const fn new() -> Self {
        Self {
            places: [const { Waiter(AtomicUsize::new(0)) }; MAX_CPUS],
            limit: AtomicUsize::new(0),
        }
    }
}

impl Default for Waiters {
    fn default() -> Self {
        Self::new()
    }
}

/// Why a granule could not be locked. The granule is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockError {
    /// No granule is known at this address.
    Unknown,
    /// It is in another state.
    WrongState,
    /// It is in this state but has more references than allowed.
    InUse,
    /// The same granule is named twice.
    SameGranule,
    /// More granules are named than can be locked together.
    TooMany,
}

/// A piece of memory without gaps, and the records of its granules.
#[derive(Clone, Copy, Debug)]
struct Bank<'a> {
    base: u64,
    entries: &'a [GranuleEntry],
}

impl<'a> Bank<'a> {
    const NONE: Self = Self { base: 0, entries: &[] };

    /// The record of the granule at `address`, if it is in this bank.
    fn entry(&self, address: GranuleAddress) -> Option<&'a GranuleEntry> {
        // Below the base the difference wraps to something larger than any bank.
        let index = address.get().get().wrapping_sub(self.base) >> GRANULE_SHIFT;
        self.entries.get(usize::try_from(index).ok()?)
    }

    /// The first address beyond the bank.
    fn end(&self) -> u64 {
        // Nothing is cut off: `for_each_piece` has refused a bank that passes the end of the
        // address space.
        let granules = u64::try_from(self.entries.len()).unwrap_or(u64::MAX);
        self.base.saturating_add(granules << GRANULE_SHIFT)
    }
}

/// Memory that is of one kind from some address on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Whether its granules are tracked here.
    pub tracked: bool,
    /// The first address of another kind, if there is any.
    pub end: Option<PhysAddr>,
}

/// A granule that was Non-secure when it was looked up: memory, not a device. The host may have
/// given it away since; then accessing it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NsGranule(GranuleAddress);

impl NsGranule {
    /// Where it is.
    pub const fn address(self) -> GranuleAddress {
        self.0
    }
}

/// A granule that there is: one that the table has a record of, in whatever state.
#[derive(Clone, Copy, Debug)]
pub struct KnownGranule<'a> {
    entry: &'a GranuleEntry,
    address: GranuleAddress,
}

/// All granules of the machine.
pub struct GranuleTable<'a> {
    /// The largest of `banks`, in that order.
    front: [Bank<'a>; FRONT_BANKS],
    banks: [Bank<'a>; MAX_BANKS],
    count: usize,
    waiters: &'a Waiters,
}

impl<'a> GranuleTable<'a> {
    /// How many entries of storage [`new`](Self::new) needs for `banks`, base and size in bytes,
    /// less the `excluded` ranges.
    ///
    /// # Errors
    ///
    /// A [`LayoutError`] when the banks are not ascending, disjoint, non-empty and aligned.
    pub fn required(
        banks: impl Iterator<Item = MemoryRange>,
        excluded: &[MemoryRange],
    ) -> Result<usize, LayoutError> {
        let mut needed: usize = 0;
        for_each_piece(banks, excluded, |_, granules| {
            needed = needed.saturating_add(granules);
            Ok(())
        })?;
        Ok(needed)
    }

    /// Builds the table over `storage`, of entries that are as [`GranuleEntry::new`] makes them:
    /// every granule begins as Non-secure.
    ///
    /// `excluded` ranges (the RMM's own memory, the page shared with EL3) are never delegable,
    /// whatever the banks say. `waiters` serves this table alone.
    ///
    /// # Errors
    ///
    /// A [`LayoutError`]: the banks are wrong, or too many, or need more storage than there is.
    pub fn new(
        storage: &'a mut [GranuleEntry],
        waiters: &'a Waiters,
        banks: impl Iterator<Item = MemoryRange> + Clone,
        excluded: &[MemoryRange],
    ) -> Result<Self, LayoutError> {
        let needed = Self::required(banks.clone(), excluded)?;
        let available = storage.len();
        let too_few = LayoutError::TooFewEntries { needed, available };
        let used = storage.get_mut(..needed).ok_or(too_few)?;
        let mut rest: &'a [GranuleEntry] = used;
        let mut table = Self {
            front: [Bank::NONE; FRONT_BANKS],
            banks: [Bank::NONE; MAX_BANKS],
            count: 0,
            waiters,
        };
        for_each_piece(banks, excluded, |base, granules| {
            let (entries, others) = rest.split_at_checked(granules).ok_or(too_few)?;
            rest = others;
            let mut bank = Bank { base, entries };
            if let Some(place) = table.banks.get_mut(table.count) {
                *place = bank;
            }
            table.count += 1;
            for place in &mut table.front {
                if bank.entries.len() > place.entries.len() {
                    core::mem::swap(place, &mut bank);
                }
            }
            Ok(())
        })?;
        if table.count > MAX_BANKS {
            return Err(LayoutError::TooManyBanks { needed: table.count, available: MAX_BANKS });
        }
        Ok(table)
    }

    /// The record of the granule at `address`.
    fn find(&self, address: GranuleAddress) -> Option<&'a GranuleEntry> {
        for bank in &self.front {
            if let Some(entry) = bank.entry(address) {
                return Some(entry);
            }
        }
        if self.count <= FRONT_BANKS {
            return None;
        }
        self.search(address)
    }

    fn search(&self, address: GranuleAddress) -> Option<&'a GranuleEntry> {
        self.last_bank_from(address.get())?.entry(address)
    }

    /// The last bank that begins at or below `address`.
    fn last_bank_from(&self, address: PhysAddr) -> Option<&Bank<'a>> {
        let banks = self.banks.get(..self.count)?;
        let above = banks.partition_point(|bank| bank.base <= address.get());
        banks.get(above.checked_sub(1)?)
    }

    /// The granule at `address`, if the table has one there.
    pub fn known(&self, address: GranuleAddress) -> Option<KnownGranule<'a>> {
        Some(KnownGranule { entry: self.find(address)?, address })
    }

    /// The state of the granule at `address`, at some moment of the call; it may be another
    /// already. `None` when no granule is known there.
    pub fn state(&self, address: GranuleAddress) -> Option<State> {
        State::from_number(self.find(address)?.peek().state())
    }

    /// The granule that begins at `address`, if it is in no use of the RMM's now, so that the host
    /// may have put something there.
    pub fn ns_granule(&self, address: PhysAddr) -> Option<NsGranule> {
        let granule = GranuleAddress::new(address)?;
        (self.state(granule)? == State::Ns).then_some(NsGranule(granule))
    }

    /// Takes up again a reference that [`Reference::keep`] left counted at `address`; each that was
    /// left, once.
    ///
    /// `None` when there is none, or the granule is not in state `S`: the address is not one that
    /// was kept.
    pub fn kept_reference<S: Lockable>(&self, address: GranuleAddress) -> Option<Reference<'a, S>> {
        let entry = self.find(address)?;
        let content = entry.peek();
        let kept = content.state() == S::STATE as u16 && content.count() > 0;
        kept.then(|| Reference::new(entry, address))
    }

    /// Locks the granule at `address`, for `cpu`, which is the CPU that calls, if it is in state
    /// `S`.
    ///
    /// Waits while another CPU holds it: at most until each other CPU has held it once. The caller
    /// holds no lock that comes later in the order that `docs/design/granules.md` gives.
    ///
    /// # Errors
    ///
    /// [`LockError::Unknown`], [`LockError::WrongState`], or [`LockError::InUse`] when `S` allows
    /// fewer references than there are.
    pub fn lock<S: Lockable>(
        &self,
        cpu: CpuIndex,
        address: GranuleAddress,
    ) -> Result<LockedGranule<'a, S>, LockError> {
        let entry = self.find(address).ok_or(LockError::Unknown)?;
        self.lock_known(cpu, KnownGranule { entry, address })
    }

    /// Locks a granule of this table as [`lock`](Self::lock) does.
    ///
    /// # Errors
    ///
    /// As [`lock`](Self::lock), but for [`LockError::Unknown`].
    pub fn lock_known<S: Lockable>(
        &self,
        cpu: CpuIndex,
        KnownGranule { entry, address }: KnownGranule<'a>,
    ) -> Result<LockedGranule<'a, S>, LockError> {
        lock_order::about_to_take(Lock {
            cpu: cpu.get(),
            table: core::ptr::from_ref(self.waiters).addr(),
            granule: address.get().get(),
            rank: S::STATE.rank(),
        });
        let held = entry.lock(self.waiters, cpu);
        let refusal = if held.state() != S::STATE as u16 {
            LockError::WrongState
        } else if held.count() <= S::MAX_REFERENCES {
            return Ok(LockedGranule::new(entry, self.waiters, cpu, address, held));
        } else {
            LockError::InUse
        };
        entry.unlock(self.waiters, cpu, held, held);
        lock_order::given_back(
            cpu.get(),
            core::ptr::from_ref(self.waiters).addr(),
            address.get().get(),
        );
        Err(refusal)
    }

    /// What kind of memory `address` is in, and where that ends. Adjacent banks are one.
    pub fn run_from(&self, address: PhysAddr) -> Run {
        let mut end = address.get();
        let mut tracked = false;
        for bank in self.banks.iter().take(self.count) {
            if bank.end() <= end {
                continue;
            }
            if bank.base > end {
                // The gap that `address` is in, or the one after the banks that it is in.
                end = if tracked { end } else { bank.base };
                return Run { tracked, end: Some(PhysAddr::new(end)) };
            }
            tracked = true;
            end = bank.end();
        }
        Run { tracked, end: tracked.then_some(PhysAddr::new(end)) }
    }
}

impl fmt::Debug for GranuleTable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = f.debug_list();
        for bank in self.banks.iter().take(self.count) {
            list.entry(&(PhysAddr::new(bank.base), bank.entries.len()));
        }
        list.finish()
    }
}
