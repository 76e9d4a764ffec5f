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
/// [`WipeError`]. All are unlocked. The granule that does not answer is [`Lost`](super::state::Lost),
/// the others stay Delegated.
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

    /// Locks all of `granules`, given in any order, into `set`, as [`lock`](Self::lock) does one.
    /// Sorts them: those that are in order already cost nothing more.
    ///
    /// # Errors
    ///
    /// Those of [`lock`](Self::lock), [`LockError::SameGranule`], and [`LockError::TooMany`] if
    /// `set` has no room for them. Then `set` is empty.
    pub fn lock_set<S: Lockable>(
        &self,
        cpu: CpuIndex,
        granules: &mut [GranuleAddress],
        set: &mut LockedSet<'a, S>,
    ) -> Result<(), LockError> {
        sort(granules)?;
        self.add_to_set(cpu, granules, set)
    }

    /// As [`lock_set`](Self::lock_set), and locks `other`, which is in another state, at its place
    /// in the order.
    ///
    /// # Errors
    ///
    /// As [`lock_set`](Self::lock_set). Then `other` is not locked.
    pub fn lock_set_with<S: Lockable, O: Lockable>(
        &self,
        cpu: CpuIndex,
        granules: &mut [GranuleAddress],
        other: GranuleAddress,
        set: &mut LockedSet<'a, S>,
    ) -> Result<LockedGranule<'a, O>, LockError> {
        sort(granules)?;
        let (below, above) = granules.split_at(granules.partition_point(|one| *one < other));
        if above.first() == Some(&other) {
            return Err(LockError::SameGranule);
        }
        self.add_to_set(cpu, below, set)?;
        let locked = self.lock(cpu, other).inspect_err(|_| set.clear())?;
        self.add_to_set(cpu, above, set)?;
        Ok(locked)
    }

    /// Locks `granules`, in their order, into `set`, or empties it.
    fn add_to_set<S: Lockable>(
        &self,
        cpu: CpuIndex,
        granules: &[GranuleAddress],
        set: &mut LockedSet<'a, S>,
    ) -> Result<(), LockError> {
        let mut lock = |granule: &GranuleAddress| {
            set.try_push(self.lock(cpu, *granule)?).map_err(|_| LockError::TooMany)
        };
        let locked = granules.iter().try_for_each(&mut lock);
        locked.inspect_err(|_| set.clear())
    }
}

/// Puts granules into ascending order.
///
/// # Errors
///
/// [`LockError::SameGranule`], [`LockError::TooMany`].
fn sort(granules: &mut [GranuleAddress]) -> Result<(), LockError> {
    if granules.len() > MAX_SET {
        return Err(LockError::TooMany);
    }
    // Hosts usually name granules in ascending order, as they allocate them.
    if !granules.is_sorted_by(|one, next| one < next) {
        sort_few(granules);
        if !granules.is_sorted_by(|one, next| one < next) {
            return Err(LockError::SameGranule);
        }
    }
    Ok(())
}

/// Puts the few granules of a REC or of a level of tables into ascending order. By insertion, since
/// `sort_unstable`, which is made for long lists, takes 3 KiB.
pub fn sort_few(granules: &mut [GranuleAddress]) {
    for end in 1..granules.len() {
        for place in (0..end).rev() {
            if granules[place] <= granules[place + 1] {
                break;
            }
            granules.swap(place, place + 1);
        }
    }
}
