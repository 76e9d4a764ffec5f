// SPDX-License-Identifier: BSD-3-Clause
//! Locking more than one granule that the host names, in ascending order of address.
//!
//! That order, kept by all CPUs, is what excludes deadlock; that the host may name one granule twice is an error here, not a wait without end.

use super::address::GranuleAddress;
use super::guard::LockedGranule;
use super::state::Lockable;
use super::table::{GranuleTable, LockError};
use crate::cpu::CpuIndex;

/// The most granules in the same state that one command locks together: a REC and its auxiliary granules, or an RD and the root tables of its Realm.
pub const MAX_SET: usize = 17;

/// Up to [`MAX_SET`] locked granules in the same state, in ascending order of address.
pub type LockedSet<'a, S> = [Option<LockedGranule<'a, S>>; MAX_SET];

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

    /// Locks all of `granules`, given in any order, as [`lock`](Self::lock) does one.
    ///
    /// # Errors
    ///
    /// Those of [`lock`](Self::lock), [`LockError::SameGranule`], and [`LockError::TooMany`] for more than [`MAX_SET`]. Then none is locked.
    pub fn lock_set<S: Lockable>(
        &self,
        cpu: CpuIndex,
        granules: &[GranuleAddress],
    ) -> Result<LockedSet<'a, S>, LockError> {
        let mut locked: LockedSet<'a, S> = [const { None }; MAX_SET];
        if granules.len() > MAX_SET {
            return Err(LockError::TooMany);
        }
        let mut last = None;
        for place in locked.iter_mut().take(granules.len()) {
            let next = next_after(last, granules).ok_or(LockError::SameGranule)?;
            *place = Some(self.lock(cpu, next)?);
            last = Some(next);
        }
        Ok(locked)
    }

    /// Locks all of `granules`, given in any order, and `other`, which is in another state, as [`lock`](Self::lock) does one.
    ///
    /// # Errors
    ///
    /// As [`lock_set`](Self::lock_set). Then none is locked.
    pub fn lock_set_with<S: Lockable, O: Lockable>(
        &self,
        cpu: CpuIndex,
        granules: &[GranuleAddress],
        other: GranuleAddress,
    ) -> Result<(LockedSet<'a, S>, LockedGranule<'a, O>), LockError> {
        let mut locked: LockedSet<'a, S> = [const { None }; MAX_SET];
        if granules.len() > MAX_SET {
            return Err(LockError::TooMany);
        }
        let mut locked_other = None;
        let mut last = None;
        for place in locked.iter_mut().take(granules.len()) {
            let next = next_after(last, granules).ok_or(LockError::SameGranule)?;
            if next == other {
                return Err(LockError::SameGranule);
            }
            if next > other && locked_other.is_none() {
                locked_other = Some(self.lock(cpu, other)?);
            }
            *place = Some(self.lock(cpu, next)?);
            last = Some(next);
        }
        let locked_other = match locked_other {
            Some(other) => other,
            None => self.lock(cpu, other)?,
        };
        Ok((locked, locked_other))
    }
}

/// The lowest of `granules` above `last`. One that is equal to another is passed over: then there are fewer than were named.
fn next_after(last: Option<GranuleAddress>, granules: &[GranuleAddress]) -> Option<GranuleAddress> {
    granules.iter().filter(|granule| last.is_none_or(|last| **granule > last)).min().copied()
}
