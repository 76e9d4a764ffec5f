// SPDX-License-Identifier: BSD-3-Clause
//! Locking more than one granule that the host names, in ascending order of address.
//!
//! That order, kept by all CPUs, is what excludes deadlock; that the host may name one granule
//! twice is an error here, not a wait without end.

use super::address::GranuleAddress;
use super::guard::LockedGranule;
use super::state::{GranuleState, Lockable};
use super::table::{GranuleTable, LockError};
use crate::cpu::CpuIndex;

/// The most granules in the same state that one command locks together: a REC and its auxiliary
/// granules, or an RD and the root tables of its Realm.
pub const MAX_SET: usize = 17;

/// Up to [`MAX_SET`] locked granules in the same state, in ascending order of address. It is filled
/// in place: it is large to be moved about.
#[derive(Debug)]
pub struct LockedSet<'a, S: GranuleState>([Option<LockedGranule<'a, S>>; MAX_SET]);

impl<'a, S: GranuleState> LockedSet<'a, S> {
    /// None.
    pub const fn new() -> Self {
        Self([const { None }; MAX_SET])
    }

    /// The granules.
    pub fn iter(&self) -> impl Iterator<Item = &LockedGranule<'a, S>> {
        self.0.iter().flatten()
    }

    /// Takes the granules out, one by one.
    pub fn drain(&mut self) -> impl Iterator<Item = LockedGranule<'a, S>> {
        self.0.iter_mut().filter_map(Option::take)
    }

    /// Unlocks them all, and fills the first `count` places with what `next` gives.
    fn fill<E>(
        &mut self,
        count: usize,
        mut next: impl FnMut() -> Result<LockedGranule<'a, S>, E>,
    ) -> Result<(), E> {
        self.drain().for_each(drop);
        for place in self.0.iter_mut().take(count) {
            match next() {
                Ok(granule) => *place = Some(granule),
                Err(refusal) => {
                    self.drain().for_each(drop);
                    return Err(refusal);
                }
            }
        }
        Ok(())
    }
}

impl<S: GranuleState> Default for LockedSet<'_, S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> GranuleTable<'a> {
    /// Locks two granules, as [`lock`](Self::lock) does one.
    ///
    /// # Errors
    ///
    /// Those of [`lock`](Self::lock), and [`LockError::SameGranule`]. Then neither is locked.
    pub fn lock_pair<A: Lockable, B: Lockable>(
        &self,
        cpu: CpuIndex,
        a: GranuleAddress,
        b: GranuleAddress,
    ) -> Result<(LockedGranule<'a, A>, LockedGranule<'a, B>), LockError> {
        if a < b {
            let first = self.lock(cpu, a)?;
            Ok((first, self.lock(cpu, b)?))
        } else if b < a {
            let first = self.lock(cpu, b)?;
            Ok((self.lock(cpu, a)?, first))
        } else {
            Err(LockError::SameGranule)
        }
    }

    /// Locks all of `granules`, given in any order, as [`lock`](Self::lock) does one, into `set`;
    /// what it holds is unlocked first.
    ///
    /// # Errors
    ///
    /// Those of [`lock`](Self::lock), [`LockError::SameGranule`], and [`LockError::TooMany`] for
    /// more than [`MAX_SET`]. Then none is locked.
    pub fn lock_set<S: Lockable>(
        &self,
        cpu: CpuIndex,
        granules: &[GranuleAddress],
        set: &mut LockedSet<'a, S>,
    ) -> Result<(), LockError> {
        if granules.len() > MAX_SET {
            return Err(LockError::TooMany);
        }
        let mut last = None;
        set.fill(granules.len(), || {
            let next = next_after(last, granules).ok_or(LockError::SameGranule)?;
            last = Some(next);
            self.lock(cpu, next)
        })
    }

    /// As [`lock_set`](Self::lock_set), and locks `other`, which is in another state, in its place
    /// in the order.
    ///
    /// # Errors
    ///
    /// As [`lock_set`](Self::lock_set). Then none is locked.
    pub fn lock_set_with<S: Lockable, O: Lockable>(
        &self,
        cpu: CpuIndex,
        granules: &[GranuleAddress],
        other: GranuleAddress,
        set: &mut LockedSet<'a, S>,
    ) -> Result<LockedGranule<'a, O>, LockError> {
        if granules.len() > MAX_SET {
            return Err(LockError::TooMany);
        }
        if granules.contains(&other) {
            return Err(LockError::SameGranule);
        }
        let mut locked_other = None;
        let mut last = None;
        set.fill(granules.len(), || {
            let next = next_after(last, granules).ok_or(LockError::SameGranule)?;
            if next > other && locked_other.is_none() {
                locked_other = Some(self.lock(cpu, other)?);
            }
            last = Some(next);
            self.lock(cpu, next)
        })?;
        match locked_other {
            Some(other) => Ok(other),
            None => self.lock(cpu, other).inspect_err(|_| set.drain().for_each(drop)),
        }
    }
}

/// The lowest of `granules` above `last`. One that is equal to another is passed over: then there
/// are fewer than were named.
fn next_after(last: Option<GranuleAddress>, granules: &[GranuleAddress]) -> Option<GranuleAddress> {
    granules.iter().filter(|granule| last.is_none_or(|last| **granule > last)).min().copied()
}
