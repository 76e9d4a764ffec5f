// SPDX-License-Identifier: BSD-3-Clause
//! Locking more than one granule that the host names, in ascending order of address.
//!
//! All CPUs keep that order, which excludes deadlock. A granule named twice is an error, not an
//! endless wait.

use arrayvec::ArrayVec;

use super::address::GranuleAddress;
use super::guard::{LockedGranule, Wipe, WipeError};
use super::state::{Delegated, Lockable, Wiped};
use super::table::{GranuleTable, LockError};
use crate::cpu::CpuIndex;

/// The most granules in the same state that one command locks together: a REC and its auxiliary
/// granules, or an RD and the root tables of its Realm.
pub const MAX_SET: usize = 17;

/// Up to [`MAX_SET`] locked granules in the same state, in ascending order of address.
pub type LockedSet<'a, S> = ArrayVec<LockedGranule<'a, S>, MAX_SET>;

/// Wipes all of a set into `wiped`, which is empty.
///
/// # Errors
///
/// [`WipeError`]. All are unlocked and stay Delegated.
pub fn wipe_set<'a>(
    set: &mut LockedSet<'a, Delegated>,
    by: &mut impl Wipe,
    wiped: &mut ArrayVec<LockedGranule<'a, Wiped>, MAX_SET>,
) -> Result<(), WipeError> {
    for granule in set.drain(..) {
        wiped.push(granule.wipe(by)?);
    }
    Ok(())
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

    /// Locks all of `granules`, given in any order, as [`lock`](Self::lock) does one.
    ///
    /// # Errors
    ///
    /// Those of [`lock`](Self::lock), [`LockError::SameGranule`], and [`LockError::TooMany`] for
    /// more than [`MAX_SET`]. Then none is locked.
    #[inline(always)]
    pub fn lock_set<S: Lockable>(
        &self,
        cpu: CpuIndex,
        granules: &[GranuleAddress],
    ) -> Result<LockedSet<'a, S>, LockError> {
        let mut set = LockedSet::new();
        self.lock_between(cpu, granules, None, None, &mut set)?;
        if set.len() == granules.len() { Ok(set) } else { Err(LockError::SameGranule) }
    }

    /// As [`lock_set`](Self::lock_set), and locks `other`, which is in another state, at its place
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
    ) -> Result<(LockedSet<'a, S>, LockedGranule<'a, O>), LockError> {
        let mut set = LockedSet::new();
        self.lock_between(cpu, granules, None, Some(other), &mut set)?;
        let locked = self.lock(cpu, other)?;
        self.lock_between(cpu, granules, Some(other), None, &mut set)?;
        // One that is `other` is in neither part.
        if set.len() == granules.len() { Ok((set, locked)) } else { Err(LockError::SameGranule) }
    }

    /// Adds those of `granules` above `low` and below `high`, each once, to `set`.
    fn lock_between<S: Lockable>(
        &self,
        cpu: CpuIndex,
        granules: &[GranuleAddress],
        low: Option<GranuleAddress>,
        high: Option<GranuleAddress>,
        set: &mut LockedSet<'a, S>,
    ) -> Result<(), LockError> {
        if granules.len() > MAX_SET {
            return Err(LockError::TooMany);
        }
        let is_below = |granule: GranuleAddress| high.is_none_or(|high| granule < high);
        let mut last = low;
        let next = |last| granules.iter().copied().filter(|next| Some(*next) > last).min();
        while let Some(granule) = next(last).filter(|next| is_below(*next)) {
            set.try_push(self.lock(cpu, granule)?).map_err(|_| LockError::TooMany)?;
            last = Some(granule);
        }
        Ok(())
    }
}
