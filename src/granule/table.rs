// SPDX-License-Identifier: BSD-3-Clause
//! The granule array: which granules there are, and how to find and lock them.
//!
//! Two bytes a granule; the index gives the address. The banks never change once the table is
//! built, so that a look-up takes no lock.

use core::fmt;

use arrayvec::ArrayVec;

use super::address::GranuleAddress;
use super::banks::{BankError, MemoryRange, for_each_piece};
use super::epochs::Epochs;
use super::guard::{LockedGranule, Probe, ProbeError, Reference};
use super::lock::{GranuleEntry, StateAndCount, Waiter, Waiters};
use super::lock_order::{self, Lock};
use super::state::{GranuleState, Lockable, Ns, State, Unproven};
use crate::address::{GRANULE_SHIFT, PhysAddr};
use crate::arch::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use crate::arch::{barrier, speculation, wait};
use crate::cpu::{CpuIndex, MAX_CPUS};

/// Banks that a table holds. A boot manifest, one page, names at most 245.
pub const MAX_BANKS: usize = 256;

// Here rather than in `lock.rs`: the atomics of the model checker cannot be made at compile time.
impl GranuleEntry {
    /// The entry of a Non-secure granule.
    pub const fn new() -> Self {
        Self(AtomicU16::new(0))
    }
}

impl Waiters {
    /// No CPU waits.
    pub const fn new() -> Self {
        Self {
            abandoned: AtomicBool::new(false),
            lost: AtomicUsize::new(0),
            limit: AtomicUsize::new(0),
            places: [const { Waiter(AtomicUsize::new(0)) }; MAX_CPUS],
        }
    }

    /// Ends every wait, now and later: this CPU is about to die, and its locks stay taken.
    ///
    /// A CPU that waits gives up its call, with the locks it holds: nobody waits for those either.
    pub fn abandon(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
        barrier::dsb_ish();
        wait::sev();
    }

    /// Whether a CPU has died. The locks and what they guard are of no use any more.
    pub fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Relaxed)
    }
}

impl Default for Waiters {
    fn default() -> Self {
        Self::new()
    }
}

/// Why a granule could not be locked. Its state has not changed.
///
/// A register wide: as a byte it would share a word of a `Result` with a pointer of the guard,
/// which the compiler moves byte by byte where alignment is strict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum LockError {
    /// The table has no granule at this address.
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

/// What a caller wants to lock: a granule in this state, which has this number in a word, with at
/// most `limit` references.
#[derive(Clone, Copy)]
struct Wanted {
    state: State,
    number: u8,
    limit: u16,
}

/// A piece of memory without gaps, and the entries of its granules.
///
/// Aligned so that a search of the banks needs no multiplication.
#[derive(Clone, Copy, Debug)]
#[repr(align(32))]
struct Bank<'a> {
    base: u64,
    entries: &'a [GranuleEntry],
}

impl<'a> Bank<'a> {
    /// The entry of the granule at `address`, if it is in this bank.
    fn entry(&self, address: GranuleAddress) -> Option<&'a GranuleEntry> {
        // Below the base the difference wraps to something larger than any bank.
        let index = address.get().get().wrapping_sub(self.base) >> GRANULE_SHIFT;
        let index = usize::try_from(index).ok()?;
        self.entries.get(speculation::bounded(index, self.entries.len()))
    }

    /// The first address beyond the bank.
    fn end(&self) -> u64 {
        // Exact: `for_each_piece` refuses a bank that passes the end of the address space.
        let granules = u64::try_from(self.entries.len()).unwrap_or(u64::MAX);
        self.base.saturating_add(granules << GRANULE_SHIFT)
    }
}

/// Memory of one tracking state, from some address on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrackingRegion {
    /// Whether its granules are in the table.
    pub is_tracked: bool,
    /// The first address of another state, if there is any.
    pub end: Option<PhysAddr>,
}

/// A granule that was Non-secure when it was looked up: memory, not a device.
///
/// The host may have given it away since; then accessing it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NsGranule(GranuleAddress);

impl NsGranule {
    /// A granule that is not delegated yet.
    pub fn of(unproven: &LockedGranule<'_, Unproven>) -> Self {
        Self(unproven.address())
    }

    /// The granule's address.
    pub const fn address(self) -> GranuleAddress {
        self.0
    }
}

/// A locked granule that is Non-secure.
#[derive(Debug)]
pub enum LockedNs<'a> {
    /// Its memory has answered.
    Proven(LockedGranule<'a, Ns>),
    /// Its memory is not known to answer.
    Unproven(LockedGranule<'a, Unproven>),
}

impl<'a> LockedNs<'a> {
    /// Finds out that the granule's memory answers, unless it has answered before.
    ///
    /// # Errors
    ///
    /// [`ProbeError`]. The granule is unlocked and as it was.
    #[inline(always)]
    pub fn prove(self, by: &mut impl Probe) -> Result<LockedGranule<'a, Ns>, ProbeError> {
        match self {
            Self::Proven(proven) => Ok(proven),
            Self::Unproven(unproven) => unproven.prove(by),
        }
    }
}

/// All granules of the machine.
pub struct GranuleTable<'a> {
    /// The largest bank, in which most granules are.
    largest: Bank<'a>,
    /// All of them, ascending.
    banks: ArrayVec<Bank<'a>, MAX_BANKS>,
    waiters: &'a Waiters,
    epochs: &'a Epochs,
}

impl<'a> GranuleTable<'a> {
    /// How many entries of storage [`new`](Self::new) needs for `banks` less the `excluded` ranges.
    ///
    /// # Errors
    ///
    /// A [`BankError`] when the banks are not ascending, disjoint, non-empty and aligned.
    pub fn required(
        banks: impl Iterator<Item = MemoryRange>,
        excluded: &[MemoryRange],
    ) -> Result<usize, BankError> {
        let mut needed: usize = 0;
        for_each_piece(banks, excluded, |_, granules| {
            needed = needed.saturating_add(granules);
            Ok(())
        })?;
        Ok(needed)
    }

    /// Builds the table over `storage`, of new entries: every granule begins as Non-secure.
    ///
    /// `excluded` ranges (the RMM's own memory, the page shared with EL3) are never delegable.
    /// `waiters` and `epochs` serve this table alone.
    ///
    /// # Errors
    ///
    /// A [`BankError`]: the banks are wrong, or too many, or need more storage than there is.
    pub fn new(
        storage: &'a mut [GranuleEntry],
        waiters: &'a Waiters,
        epochs: &'a Epochs,
        banks: impl Iterator<Item = MemoryRange> + Clone,
        excluded: &[MemoryRange],
    ) -> Result<Self, BankError> {
        let needed = Self::required(banks.clone(), excluded)?;
        let available = storage.len();
        let too_few = BankError::TooFewEntries { needed, available };
        let used = storage.get_mut(..needed).ok_or(too_few)?;
        let mut rest: &'a [GranuleEntry] = used;
        let largest = Bank { base: 0, entries: &[] };
        let mut table = Self { largest, banks: ArrayVec::new(), waiters, epochs };
        let mut count = 0;
        for_each_piece(banks, excluded, |base, granules| {
            let (entries, others) = rest.split_at_checked(granules).ok_or(too_few)?;
            rest = others;
            count += 1;
            // Those beyond the limit are only counted.
            let bank = Bank { base, entries };
            let _full = table.banks.try_push(bank);
            if granules > table.largest.entries.len() {
                table.largest = bank;
            }
            Ok(())
        })?;
        if count > MAX_BANKS {
            return Err(BankError::TooManyBanks { needed: count, available: MAX_BANKS });
        }
        Ok(table)
    }

    /// The epochs of those who own granules.
    pub fn epochs(&self) -> &'a Epochs {
        self.epochs
    }

    /// The entry of the granule at `address`.
    #[inline(always)]
    fn find(&self, address: GranuleAddress) -> Option<&'a GranuleEntry> {
        self.largest.entry(address).or_else(|| self.find_elsewhere(address))
    }

    /// The entry of a granule that is not in the largest bank.
    #[cold]
    fn find_elsewhere(&self, address: GranuleAddress) -> Option<&'a GranuleEntry> {
        self.find_in_all(address)
    }

    #[inline(always)]
    fn find_in_all(&self, address: GranuleAddress) -> Option<&'a GranuleEntry> {
        let begins_below = |bank: &Bank<'_>| bank.base <= address.get().get();
        let mut banks = self.banks.as_slice();
        // Most machines have a few, which one after the other finds sooner than halves.
        while banks.len() > 4 {
            let (below, above) = banks.split_at(banks.len() / 2);
            banks = if above.first().is_some_and(begins_below) { above } else { below };
        }
        while let [others @ .., last] = banks {
            if begins_below(last) {
                return last.entry(address);
            }
            banks = others;
        }
        None
    }

    /// The state of the granule at `address` at some moment of the call. It may have changed since.
    /// `None` when the table has no granule there.
    pub fn state(&self, address: GranuleAddress) -> Option<State> {
        State::from_number(self.find(address)?.peek().state())
    }

    /// The granule at `address`, if it is Non-secure now, so that the host may have put something
    /// there.
    #[inline(always)]
    pub fn ns_granule(&self, address: PhysAddr) -> Option<NsGranule> {
        let granule = GranuleAddress::new(address)?;
        self.find(granule)?.peek().is_ns().then_some(NsGranule(granule))
    }

    /// Takes up a reference that [`Reference::keep`] left counted at `address`. Each is taken up
    /// once.
    ///
    /// `None` when the granule has no references or is not in state `S`: none was kept there.
    pub fn adopt_reference<S: Lockable>(
        &self,
        address: GranuleAddress,
    ) -> Option<Reference<'a, S>> {
        let entry = self.find(address)?;
        let word = entry.peek();
        let is_kept = word.state() == u16::from(S::NUMBER) && word.count() > 0;
        is_kept.then(|| Reference::new(entry, address))
    }

    /// Locks the granule at `address`, for `cpu`, which is the calling CPU, if it is in state `S`.
    ///
    /// Waits while another CPU holds it: at most until each other CPU has held it once. The caller
    /// holds no lock that comes later in the lock order ([`lock_order`]).
    ///
    /// # Errors
    ///
    /// [`LockError::Unknown`], [`LockError::WrongState`], or [`LockError::InUse`] when `S` allows
    /// fewer references than there are.
    #[inline(always)]
    pub fn lock<S: Lockable>(
        &self,
        cpu: CpuIndex,
        address: GranuleAddress,
    ) -> Result<LockedGranule<'a, S>, LockError> {
        let mut found = StateAndCount::NOT_TRIED;
        if let Some(entry) = self.largest.entry(address) {
            lock_order::about_to_take(self.name(cpu, address, S::STATE));
            found = entry.try_lock(self.waiters);
            // A locked word never equals the word of a state.
            if found.is(S::NUMBER, S::MAX_REFERENCES) {
                #[cfg(feature = "self-test")]
                super::deliberate_death::taken(cpu, self.waiters);
                return Ok(LockedGranule::new(entry, self.waiters, cpu, address, found));
            }
        }
        let wanted = Wanted { state: S::STATE, number: S::NUMBER, limit: S::MAX_REFERENCES };
        let entry = self.lock_slowly(cpu, address, wanted, found)?;
        Ok(LockedGranule::new(entry, self.waiters, cpu, address, entry.peek()))
    }

    /// The rest of `lock`, for all states: a granule of another bank, or that another CPU holds, or
    /// that is not what is wanted. `found` is what `try_lock` answered, if it was called.
    #[cold]
    fn lock_slowly(
        &self,
        cpu: CpuIndex,
        address: GranuleAddress,
        wanted: Wanted,
        mut found: StateAndCount,
    ) -> Result<&'a GranuleEntry, LockError> {
        let entry = self.find(address).ok_or(LockError::Unknown)?;
        if found == StateAndCount::NOT_TRIED {
            lock_order::about_to_take(self.name(cpu, address, wanted.state));
            found = entry.try_lock(self.waiters);
        }
        let held = if found.is_locked() { entry.wait(self.waiters, cpu) } else { found };
        #[cfg(feature = "self-test")]
        super::deliberate_death::taken(cpu, self.waiters);
        if held.is(wanted.number, wanted.limit) {
            return Ok(entry);
        }
        self.give_back(cpu, address, entry, held);
        let is_in_state = held.state() == u16::from(wanted.number);
        Err(if is_in_state { LockError::InUse } else { LockError::WrongState })
    }

    /// As [`lock`](Self::lock), for a granule that is Non-secure, whether its memory has answered
    /// or not.
    ///
    /// # Errors
    ///
    /// [`LockError::Unknown`], [`LockError::WrongState`].
    #[inline]
    pub fn lock_ns(
        &self,
        cpu: CpuIndex,
        address: GranuleAddress,
    ) -> Result<LockedNs<'a>, LockError> {
        let entry = self.find(address).ok_or(LockError::Unknown)?;
        let held = self.take(cpu, address, State::Ns, entry);
        if !held.is_ns() {
            self.give_back(cpu, address, entry, held);
            return Err(LockError::WrongState);
        }
        Ok(if held.state() == 0 {
            LockedNs::Unproven(LockedGranule::new(entry, self.waiters, cpu, address, held))
        } else {
            LockedNs::Proven(LockedGranule::new(entry, self.waiters, cpu, address, held))
        })
    }

    /// As [`lock_ns`](Self::lock_ns), for a granule whose memory has answered and that nobody
    /// holds. `None` if it is another: `lock_ns` finds out what it is.
    ///
    /// It never waits, so that the caller has nothing to keep meanwhile.
    ///
    /// # Errors
    ///
    /// [`LockError::Unknown`], [`LockError::WrongState`].
    #[inline(always)]
    pub fn lock_proven(
        &self,
        cpu: CpuIndex,
        address: GranuleAddress,
    ) -> Result<Option<LockedGranule<'a, Ns>>, LockError> {
        // Without a call, for which the caller would have to keep what it needs afterwards.
        let entry = self.largest.entry(address).or_else(|| self.find_in_all(address));
        let entry = entry.ok_or(LockError::Unknown)?;
        let lock = self.name(cpu, address, State::Ns);
        lock_order::about_to_take(lock);
        let held = entry.try_lock(self.waiters);
        if held.is_locked() {
            lock_order::released(lock.cpu, lock.table, lock.granule);
            return Ok(None);
        }
        #[cfg(feature = "self-test")]
        super::deliberate_death::taken(cpu, self.waiters);
        if !held.is_ns() {
            self.give_back(cpu, address, entry, held);
            return Err(LockError::WrongState);
        }
        if held.state() != u16::from(Ns::NUMBER) {
            self.give_back(cpu, address, entry, held);
            return Ok(None);
        }
        Ok(Some(LockedGranule::new(entry, self.waiters, cpu, address, held)))
    }

    /// A lock, as the lock order knows it.
    fn name(&self, cpu: CpuIndex, address: GranuleAddress, state: State) -> Lock {
        let (table, granule) = (core::ptr::from_ref(self.waiters).addr(), address.get().get());
        Lock { cpu: cpu.get(), table, granule, rank: state.rank() }
    }

    /// Locks the granule at `address`, which the caller thinks is in `state`.
    fn take(
        &self,
        cpu: CpuIndex,
        address: GranuleAddress,
        state: State,
        entry: &GranuleEntry,
    ) -> StateAndCount {
        lock_order::about_to_take(self.name(cpu, address, state));
        let held = entry.lock(self.waiters, cpu);
        #[cfg(feature = "self-test")]
        super::deliberate_death::taken(cpu, self.waiters);
        held
    }

    /// Unlocks a granule that is not what was wanted, as it was.
    #[inline(always)]
    fn give_back(
        &self,
        cpu: CpuIndex,
        address: GranuleAddress,
        entry: &GranuleEntry,
        held: StateAndCount,
    ) {
        entry.unlock(self.waiters, cpu, held, held);
        let table = core::ptr::from_ref(self.waiters).addr();
        lock_order::released(cpu.get(), table, address.get().get());
    }

    /// Whether a CPU has died: see [`Waiters::abandon`].
    pub fn is_abandoned(&self) -> bool {
        self.waiters.is_abandoned()
    }

    /// How many granules are [`Lost`](super::state::Lost).
    pub fn lost(&self) -> usize {
        self.waiters.lost.load(Ordering::Relaxed)
    }

    /// Takes a granule, Non-secure and unlocked, for one whose memory has answered. Whether it is
    /// such a granule.
    #[cfg(feature = "self-test")]
    pub fn vouch_for(&self, address: GranuleAddress) -> bool {
        self.find(address).is_some_and(|entry| entry.vouch())
    }

    /// The tracking state at `address`, and where it ends. Adjacent banks are one region.
    pub fn tracking_region(&self, address: PhysAddr) -> TrackingRegion {
        let mut end = address.get();
        let mut is_tracked = false;
        for bank in &self.banks {
            if bank.end() <= end {
                continue;
            }
            if bank.base > end {
                // The gap that `address` is in, or the one after the banks that it is in.
                end = if is_tracked { end } else { bank.base };
                return TrackingRegion { is_tracked, end: Some(PhysAddr::new(end)) };
            }
            is_tracked = true;
            end = bank.end();
        }
        TrackingRegion { is_tracked, end: is_tracked.then_some(PhysAddr::new(end)) }
    }
}

impl fmt::Debug for GranuleTable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let banks = self.banks.iter().map(|bank| (PhysAddr::new(bank.base), bank.entries.len()));
        f.debug_list().entries(banks).finish()
    }
}
