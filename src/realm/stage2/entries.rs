// SPDX-License-Identifier: BSD-3-Clause
//! Changes of entries other than tables: memory, unprotected mappings, RIPAS.

use arrayvec::ArrayVec;
use tock_registers::interfaces::Readable;

use super::entry::{Entry, Ripas, UnprotectedMapping};
use super::walk::{Walk, destroyed_entry};
use super::{BlockMemory, UnmapError, WalkError};
use crate::address::{Ipa, PhysAddr};
use crate::arch::sysreg::CTR_EL0;
use crate::arch::{barrier, cache};
use crate::granule::state::{Data, Delegated};
use crate::granule::{GranuleAddress, LockedGranule};
use crate::mem::Slot;
use crate::realm::epoch;
use crate::xlat::Level;

/// Invalidates instruction caches, unless fetches observe writes by themselves (CTR_EL0.DIC = 1):
/// they may hold a granule's former content, which the Realm must not execute.
///
/// The host cannot do this for Realm memory, and EL3 does not do it if a granule stays in Realm
/// PAS. The new content was cleaned before ([`Slot::clean_for_fetches`]).
pub fn forget_instructions() {
    const DIC: u64 = 1 << 29;
    if CTR_EL0.get() & DIC == 0 {
        // The content is visible before the caches are filled again.
        barrier::dsb_ish();
        cache::ic_ialluis();
        barrier::dsb_ish();
    }
}

/// What [`Walk::unmap`] found at an IPA.
#[derive(Debug)]
pub enum Unmapped {
    /// No mapping before `next`.
    Hole {
        /// The first IPA after it.
        next: Ipa,
    },
    /// A mapping that was not accepted. It stays.
    Refused,
    /// Mappings, which were removed.
    Mappings {
        /// The first IPA after them.
        next: Ipa,
    },
}

/// The greatest number of pages that are taken from a Realm with one TLB invalidation. They are
/// given back before the next check for an interrupt of the host.
const MAX_TAKEN: usize = 16;

/// Memory that was taken from a Realm: pages, or one block.
pub type Taken = ArrayVec<BlockMemory, MAX_TAKEN>;

impl<'g> Walk<'_, 'g> {
    /// Assigns the granule that `memory` returns to the UNASSIGNED page walked for
    /// (RMI_DATA_CREATE, RMI_DATA_CREATE_UNKNOWN). Its RIPAS becomes `ripas`, or stays.
    ///
    /// # Errors
    ///
    /// [`WalkError::Short`], [`WalkError::NotUnassigned`]; then `memory` has not been called. Or
    /// its error.
    pub fn assign<E: From<WalkError>>(
        self,
        slot: &mut Slot,
        ripas: Option<Ripas>,
        memory: impl FnOnce() -> Result<LockedGranule<'g, Data>, E>,
    ) -> Result<(), E> {
        self.to(slot, Level::Three, |reached| {
            reached.expect_level(Level::Three)?;
            let Entry::Unassigned(before) = reached.entry else {
                return Err(WalkError::NotUnassigned(Level::Three).into());
            };
            let memory = memory()?;
            // Only RMI_DATA_CREATE passes a RIPAS. Its Realm cannot run before RMI_REALM_ACTIVATE,
            // which invalidates once for all its memory.
            if ripas.is_none() {
                forget_instructions();
            }
            reached.inc_live();
            reached.store_entry(Entry::Assigned(ripas.unwrap_or(before), memory.address().get()));
            Ok(())
        })
    }

    /// Assigns `memory`, which has all its granules, to the UNASSIGNED entry at its level that is
    /// walked for (RMI_RTT_DATA_MAP). The RIPAS stays.
    ///
    /// # Errors
    ///
    /// The memory, with [`WalkError::Short`] or [`WalkError::NotUnassigned`].
    pub fn assign_block(
        self,
        slot: &mut Slot,
        memory: BlockMemory,
    ) -> Result<(), (BlockMemory, WalkError)> {
        self.to(slot, memory.level(), |reached| {
            let before = match (reached.expect_level(memory.level()), reached.entry) {
                (Ok(()), Entry::Unassigned(before)) => before,
                (Ok(()), _) => return Err((memory, WalkError::NotUnassigned(reached.level))),
                (Err(error), _) => return Err((memory, error)),
            };
            forget_instructions();
            reached.inc_live();
            reached.store_entry(Entry::Assigned(before, memory.into_entry()));
            Ok(())
        })
    }

    /// Unmaps the page or block at the IPA walked for, whatever its level, if it ends at `top` or
    /// before and `accept` wants it, and those behind it in its table until an interrupt is
    /// pending; or finds the end of a range without any (RMI_RTT_DATA_UNMAP, RMI_RTT_UNPROT_UNMAP).
    ///
    /// Memory of the Realm goes to `taken`, which is empty before, as much as it has room for: a
    /// block by itself.
    ///
    /// # Errors
    ///
    /// [`WalkError::Unaligned`] when the page or block begins before the IPA, or ends behind `top`.
    pub fn unmap(
        self,
        slot: &mut Slot,
        top: Ipa,
        taken: &mut Taken,
        mut accept: impl FnMut(Level, PhysAddr) -> bool,
    ) -> Result<Unmapped, WalkError> {
        self.to(slot, Level::Three, |reached| {
            let level = reached.level;
            if !matches!(reached.entry, Entry::Assigned(..) | Entry::AssignedNs(_)) {
                return Ok(Unmapped::Hole { next: reached.next_live().min(top) });
            }
            let ends = reached.ipa.checked_add(level.entry_size()).is_some_and(|end| end <= top);
            if !ends {
                return Err(WalkError::Unaligned(level));
            }
            let room = if level == Level::Three { MAX_TAKEN } else { 1 };
            let changed = reached.change_range(top, |ipa, _, entry| {
                let (output, left) = match entry {
                    Entry::Assigned(_, _) if taken.len() == room => return None,
                    Entry::Assigned(Ripas::Ram, memory) => {
                        (memory, Entry::Unassigned(Ripas::Destroyed))
                    }
                    Entry::Assigned(before, memory) => (memory, Entry::Unassigned(before)),
                    Entry::AssignedNs(mapping) => {
                        (mapping.output(), destroyed_entry(reached.stage2, ipa))
                    }
                    _ => return None,
                };
                if !accept(level, output) {
                    return None;
                }
                if matches!(entry, Entry::Assigned(..)) {
                    taken.push(BlockMemory::of_entry(output, level));
                }
                reached.dec_live();
                Some(left)
            });
            if !taken.is_empty() {
                // Before its granules are locked to be taken.
                epoch::end(reached.epochs(), reached.stage2.vmid);
            }
            match changed {
                Ok(next) => Ok(Unmapped::Mappings { next }),
                Err(WalkError::NoProgress(_)) => Ok(Unmapped::Refused),
                Err(error) => Err(error),
            }
        })
    }

    /// Takes the granule of the ASSIGNED page walked for away from the Realm (RMI_DATA_DESTROY).
    ///
    /// Returns the granule, now Delegated, and the next IPA for the host to look at.
    ///
    /// # Errors
    ///
    /// [`WalkError::Short`], [`WalkError::NotAssigned`].
    pub fn unassign(self, slot: &mut Slot) -> Result<(GranuleAddress, Ipa), UnmapError> {
        self.to(slot, Level::Three, |reached| {
            let stopped = |error| UnmapError { error, walk_top: reached.next_live() };
            reached.expect_level(Level::Three).map_err(stopped)?;
            let Entry::Assigned(before, memory) = reached.entry else {
                return Err(stopped(WalkError::NotAssigned(Level::Three)));
            };
            let granule = GranuleAddress::containing(memory);
            let Ok(memory) = reached.lock::<Data>(granule) else {
                super::corrupt("memory of a Realm is referred to");
            };
            if before == Ripas::Ram {
                reached.unmap_entry(Entry::Unassigned(Ripas::Destroyed));
            } else {
                reached.store_entry(Entry::Unassigned(before));
            }
            reached.dec_live();
            // Before the granule is unlocked: RECs that lock it see it.
            epoch::end(reached.epochs(), reached.stage2.vmid);
            drop(memory.transition::<Delegated>());
            Ok((granule, reached.next_live()))
        })
    }

    /// Maps the UNASSIGNED entry at `level` to memory of the host (RMI_RTT_MAP_UNPROTECTED).
    ///
    /// # Errors
    ///
    /// [`WalkError::Short`], [`WalkError::NotUnassigned`].
    pub fn map_unprotected(
        self,
        slot: &mut Slot,
        level: Level,
        mapping: UnprotectedMapping,
    ) -> Result<(), WalkError> {
        self.to(slot, level, |reached| {
            reached.expect_level(level)?;
            if reached.entry != Entry::Unassigned(Ripas::Empty) {
                return Err(WalkError::NotUnassigned(level));
            }
            reached.inc_live();
            reached.store_entry(Entry::AssignedNs(mapping));
            Ok(())
        })
    }

    /// Unmaps the ASSIGNED_NS entry at `level` (RMI_RTT_UNMAP_UNPROTECTED). Returns the next IPA
    /// for the host to look at.
    ///
    /// # Errors
    ///
    /// [`WalkError::Short`], [`WalkError::NotAssigned`].
    pub fn unmap_unprotected(self, slot: &mut Slot, level: Level) -> Result<Ipa, UnmapError> {
        self.to(slot, level, |reached| {
            let stopped = |error| UnmapError { error, walk_top: reached.next_live() };
            reached.expect_level(level).map_err(stopped)?;
            if !matches!(reached.entry, Entry::AssignedNs(_)) {
                return Err(stopped(WalkError::NotAssigned(level)));
            }
            reached.unmap_entry(destroyed_entry(reached.stage2, reached.ipa));
            reached.dec_live();
            Ok(reached.next_live())
        })
    }

    /// The RIPAS at the protected IPA walked for, and the end of the entries of the table that have
    /// the same RIPAS, at most `top` (RSI_IPA_STATE_GET).
    pub fn ripas_range(self, slot: &mut Slot, top: Ipa) -> (Ripas, Ipa) {
        self.to(slot, Level::Three, |reached| {
            let Some(ripas) = reached.entry.ripas() else {
                super::corrupt("a protected entry has no RIPAS");
            };
            (ripas, reached.end_of_ripas(top, ripas))
        })
    }

    /// Sets RIPAS to RAM, from the entry walked for up to `top` or the end of the table, until an
    /// entry is not UNASSIGNED with RIPAS EMPTY or RAM (RMI_RTT_INIT_RIPAS). Returns the first IPA
    /// not reached.
    ///
    /// `measure` gets the range of each entry.
    ///
    /// # Errors
    ///
    /// [`WalkError::Unaligned`], [`WalkError::NoProgress`].
    pub fn init_ripas(
        self,
        slot: &mut Slot,
        top: Ipa,
        mut measure: impl FnMut(Ipa, Ipa),
    ) -> Result<Ipa, WalkError> {
        self.to(slot, Level::Three, |reached| {
            reached.change_range(top, |base, end, entry| match entry {
                Entry::Unassigned(Ripas::Empty | Ripas::Ram) => {
                    measure(base, end);
                    Some(Entry::Unassigned(Ripas::Ram))
                }
                _ => None,
            })
        })
    }

    /// Sets RIPAS to RAM, from the entry walked for up to `top` or the end of the table, until an
    /// entry does not have RIPAS EMPTY or RAM (RMI_RTT_INIT_RIPAS of RMI 2.0). Returns the first
    /// IPA not reached.
    ///
    /// # Errors
    ///
    /// [`WalkError::Unaligned`], [`WalkError::NoProgress`].
    pub fn init_ripas_unmeasured(self, slot: &mut Slot, top: Ipa) -> Result<Ipa, WalkError> {
        self.to(slot, Level::Three, |reached| {
            reached.change_range(top, |_, _, entry| match entry {
                Entry::Unassigned(Ripas::Empty | Ripas::Ram) => Some(Entry::Unassigned(Ripas::Ram)),
                Entry::Assigned(Ripas::Empty | Ripas::Ram, memory) => {
                    Some(Entry::Assigned(Ripas::Ram, memory))
                }
                _ => None,
            })
        })
    }

    /// Sets RIPAS of protected entries, from the one walked for up to `top` or the end of the table
    /// (RMI_RTT_SET_RIPAS). Returns the first IPA not reached.
    ///
    /// An entry with RIPAS DESTROYED stops it unless `change_destroyed` is set.
    ///
    /// # Errors
    ///
    /// [`WalkError::Unaligned`], [`WalkError::NoProgress`].
    pub fn set_ripas(
        self,
        slot: &mut Slot,
        top: Ipa,
        ripas: Ripas,
        change_destroyed: bool,
    ) -> Result<Ipa, WalkError> {
        let may_change = |before| before != Ripas::Destroyed || change_destroyed;
        self.to(slot, Level::Three, |reached| {
            reached.change_range(top, |_, _, entry| match entry {
                Entry::Unassigned(before) if may_change(before) => Some(Entry::Unassigned(ripas)),
                Entry::Assigned(before, memory) if may_change(before) => {
                    Some(Entry::Assigned(ripas, memory))
                }
                _ => None,
            })
        })
    }
}
