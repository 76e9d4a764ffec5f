// SPDX-License-Identifier: BSD-3-Clause
//! Locking more than one granule that the host names, in ascending order of address.
//!
//! That order, kept by all CPUs, is what excludes deadlock; that the host may name one granule twice is an error here, not a wait without end.

use super::address::GranuleAddress;
use super::guard::LockedGranule;
use super::state::Lockable;
use super::table::{GranuleTable, LockError};
use crate::cpu::CpuIndex;

/// The most granules that one command locks together: the auxiliary granules of a REC, or the root tables of a Realm.
pub const MAX_SET: usize = 16;

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
        // Each turn takes the lowest that is above the last one; equal ones would be passed over, and are counted.
        let mut last = None;
        for place in locked.iter_mut().take(granules.len()) {
            let above = |granule: &&GranuleAddress| last.is_none_or(|last| **granule > last);
            let next = *granules.iter().filter(above).min().ok_or(LockError::SameGranule)?;
            *place = Some(self.lock(cpu, next)?);
            last = Some(next);
        }
        Ok(locked)
    }
}
