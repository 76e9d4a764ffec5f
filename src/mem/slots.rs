// SPDX-License-Identifier: BSD-3-Clause
//! The slot buffer: the windows of one CPU on granules outside the RMM's own memory.
//!
//! Invariants: a page of a slot is mapped exactly while a mapping of that slot lives; the mapping
//! borrows the slot, so that no slot is mapped twice, and the guard or reference that proves what
//! the granule is, so that it cannot become something else meanwhile. Neither slot nor mapping can
//! leave its CPU. Between commands no slot is mapped.
//!
//! A granule stays with its mapping until the mapping is dropped:
//!
//! ```compile_fail,E0505
//! # use rmm::{granule::{LockedGranule, state::{Data, Delegated}}, mem::Slot};
//! fn outlive(slot: &mut Slot, granule: LockedGranule<'_, Data>) {
//!     let mapping = slot.map(&granule);
//!     let delegated: LockedGranule<'_, Delegated> = granule.transition();
//!     mapping.words();
//! }
//! ```
//!
//! A slot shows one granule at a time:
//!
//! ```compile_fail,E0499
//! # use rmm::{granule::{LockedGranule, state::Data}, mem::Slot};
//! fn twice(slot: &mut Slot, a: &LockedGranule<'_, Data>, b: &LockedGranule<'_, Data>) {
//!     let first = slot.map(a);
//!     let second = slot.map(b);
//!     first.words();
//! }
//! ```
//!
//! A slot for Realm memory does not show the host's, nor a granule that is known to be wiped, which
//! it might be no longer:
//!
//! ```compile_fail,E0277
//! # use rmm::{granule::{LockedGranule, state::Ns}, mem::Slot};
//! fn host(slot: &mut Slot, granule: &LockedGranule<'_, Ns>) {
//!     slot.map(granule);
//! }
//! ```
//!
//! ```compile_fail,E0277
//! # use rmm::{granule::{LockedGranule, state::Wiped}, mem::Slot};
//! fn soil(slot: &mut Slot, granule: &LockedGranule<'_, Wiped>) {
//!     slot.map(granule);
//! }
//! ```
//!
//! Slots and mappings stay on their CPU:
//!
//! ```compile_fail,E0277
//! fn cross<T: Send>() {}
//! cross::<rmm::mem::SlotBuffer>();
//! ```
//!
//! ```compile_fail,E0277
//! # use rmm::{granule::state::Data, mem::Mapping};
//! fn cross<T: Send>() {}
//! cross::<Mapping<'static, Data>>();
//! ```

use super::mapping::{GroupMapping, Mapping, Open, SharedMapping};
use super::ns_access::NsSlot;
use super::slot_layout::{self, REC_AUX, SlotIndex};
use crate::address::PhysAddr;
use crate::arch::barrier;
use crate::granule::state::{Delegated, Mappable};
use crate::granule::{GranuleAddress, LockedGranule, Reference, Wipe};
#[cfg(feature = "self-test")]
use crate::xlat::TransientPage;
use crate::xlat::{
    Attributes, Context, El2And0, Error, LocalPage, PageTemplate, PhysicalAddressSpace,
    TransientRange,
};

/// The slots of one CPU, one field for each, so that several can be mapped at once and none twice.
#[derive(Debug)]
pub struct SlotBuffer {
    /// Memory of the host.
    pub ns: NsSlot,
    /// A Delegated granule, to be wiped.
    pub delegated: Slot,
    /// Realm Descriptor.
    pub rd: Slot,
    /// Realm Execution Context.
    pub rec: Slot,
    /// Another REC of the same Realm.
    pub second_rec: Slot,
    /// Auxiliary granules of a REC.
    pub rec_aux: SlotGroup,
    /// Realm Translation Table.
    pub rtt: Slot,
    /// The table above or below it.
    pub second_rtt: Slot,
    /// Memory of a Realm.
    pub realm_data: Slot,
    all: TransientRange<'static, El2And0>,
}

impl SlotBuffer {
    /// The slots in `context`, the calling CPU's own, which has a transient region for them
    /// ([`slot_layout`]).
    ///
    /// # Errors
    ///
    /// What `xlat` says when the region is not there, or cannot take the attributes of slots.
    pub fn new(context: &'static Context<'static, El2And0>) -> Result<Self, Error> {
        let all = context.transient(slot_layout::BASE, slot_layout::COUNT)?;
        let attributes = Attributes::read_write().non_global();
        let realm = all.template(attributes)?;
        // As the host maps it (Normal, write-back, Inner Shareable), so that both see the same
        // bytes.
        let non_secure = all.template(attributes.in_pas(PhysicalAddressSpace::NonSecure))?;
        let slot = |index: SlotIndex| all.local_page(index as usize, realm).map(Slot);
        Ok(Self {
            ns: NsSlot::new(Slot(all.local_page(SlotIndex::Ns as usize, non_secure)?)),
            delegated: slot(SlotIndex::Delegated)?,
            rd: slot(SlotIndex::Rd)?,
            rec: slot(SlotIndex::Rec)?,
            second_rec: slot(SlotIndex::SecondRec)?,
            rec_aux: SlotGroup {
                pages: context.transient(SlotIndex::RecAux.address(), REC_AUX)?,
                template: realm,
            },
            rtt: slot(SlotIndex::Rtt)?,
            second_rtt: slot(SlotIndex::SecondRtt)?,
            realm_data: slot(SlotIndex::RealmData)?,
            all,
        })
    }

    /// The page of the slot with this number, for tests that break the rules of this file.
    #[cfg(feature = "self-test")]
    pub fn page(&self, number: usize) -> Option<TransientPage<'static, El2And0>> {
        self.all.page(number)
    }

    /// Whether no slot is mapped, as it is between commands.
    pub fn is_empty(&self) -> bool {
        (0..self.all.pages())
            .all(|index| self.all.page(index).is_some_and(|page| !page.is_mapped()))
    }
}

/// A slot: one page for one granule.
#[derive(Debug)]
pub struct Slot(LocalPage<'static, El2And0>);

impl Slot {
    /// Maps a granule that is locked: one store, one DSB, one ISB.
    pub fn map<'m, S: Mappable>(&'m mut self, granule: &'m LockedGranule<'_, S>) -> Mapping<'m, S> {
        Mapping::new(self.open(granule.address()))
    }

    /// Maps a granule that is referred to, perhaps not locked, so that other CPUs may have it
    /// mapped at the same time.
    pub fn map_reference<'m, S: Mappable>(
        &'m mut self,
        reference: &'m Reference<'_, S>,
    ) -> SharedMapping<'m, S> {
        SharedMapping::new(self.open(reference.address()))
    }

    /// Maps the granule at `address`, of which the caller knows that it may.
    pub(super) fn open(&mut self, address: GranuleAddress) -> Open<'_> {
        Open::new(&self.0, address)
    }
}

impl Wipe for Slot {
    fn wipe(&mut self, granule: &LockedGranule<'_, Delegated>) {
        let mut mapping = self.map(granule);
        mapping.zero();
        // The zeroes are in before EL3 gives the granule to another world: complete for the system.
        barrier::dsb_ish();
    }
}

/// Consecutive slots, mapped and unmapped with the barriers of one.
#[derive(Debug)]
pub struct SlotGroup {
    pages: TransientRange<'static, El2And0>,
    template: PageTemplate<El2And0>,
}

/// More granules were named than the group has slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyGranules;

impl SlotGroup {
    /// Maps locked granules, in the order given: one store each, one DSB, one ISB.
    ///
    /// # Errors
    ///
    /// [`TooManyGranules`] beyond [`REC_AUX`]; then none is mapped.
    pub fn map<'m, 'g: 'm, S: Mappable + 'm>(
        &'m mut self,
        granules: impl IntoIterator<Item = &'m LockedGranule<'g, S>>,
    ) -> Result<GroupMapping<'m, S>, TooManyGranules> {
        let mut addresses = [PhysAddr::default(); REC_AUX];
        let mut places = addresses.iter_mut();
        for granule in granules {
            *places.next().ok_or(TooManyGranules)? = granule.address().get();
        }
        let count = REC_AUX - places.len();
        Ok(GroupMapping::new(&self.pages, addresses, count, self.template))
    }
}
