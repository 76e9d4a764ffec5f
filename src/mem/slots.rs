// SPDX-License-Identifier: BSD-3-Clause
//! The slot buffer: the pages through which one CPU accesses granules outside the RMM's own memory.
//!
//! Invariants:
//!
//! - A slot is mapped exactly as long as its mapping, the value, lives. The mapping borrows the
//!   slot, so no slot is mapped twice.
//! - The mapping also borrows the guard or reference that proves the granule's state, so the state
//!   cannot change meanwhile.
//! - Slots and mappings stay on their CPU. Between commands no slot is mapped.
//!
//! A mapped granule cannot change its state:
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
//! A slot maps one granule at a time:
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
//! A slot for Realm memory maps neither the host's memory nor a wiped granule. A write would make a
//! wiped granule unwiped:
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

use super::auxiliary::AuxiliarySlots;
use super::mapping::{Content, GRANULE_WORDS, Mapping};
use super::ns_access::NsSlot;
use super::page::{MappedPage, Slot};
use super::slot_layout::{self, SlotIndex};
use crate::address::GRANULE_SIZE;
use tock_registers::interfaces::Readable;

use crate::arch::atomic::AtomicU64;
use crate::arch::sysreg::CTR_EL0;
use crate::arch::{barrier, cache};
use crate::granule::state::{Data, Delegated, Mappable};
use crate::granule::{LockedGranule, Wipe, WipeError};
#[cfg(feature = "self-test")]
use crate::xlat::TransientPage;
use crate::xlat::{Attributes, Context, El2And0, Error, PhysicalAddressSpace, TransientRange};

/// The slots of one CPU, a field for each, so that several can be mapped at once and none twice.
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
    /// Auxiliary granules of the REC that runs.
    pub rec_aux: AuxiliarySlots,
    /// Realm Translation Table.
    pub rtt: Slot,
    /// The RTT above or below the one in `rtt`.
    pub second_rtt: Slot,
    /// Memory of a Realm.
    pub realm_data: Slot,
    all: TransientRange<'static, El2And0>,
}

impl SlotBuffer {
    /// The slots in `context`, which is the calling CPU's own and has a transient region for them
    /// ([`slot_layout`]).
    ///
    /// # Errors
    ///
    /// The error of `xlat` when the region is missing or cannot take the attributes of slots.
    pub fn new(context: &'static Context<'static, El2And0>) -> Result<Self, Error> {
        let all = context.transient(slot_layout::BASE, slot_layout::COUNT)?;
        let attributes = Attributes::read_write().non_global();
        let realm = all.template(attributes)?;
        // Attributes as in the host's own mapping (Normal, write-back, Inner Shareable), so that
        // accesses of both are coherent.
        let non_secure = all.template(attributes.in_pas(PhysicalAddressSpace::NonSecure))?;
        let slot = |index: SlotIndex, template| {
            let page = all.page(index as usize).ok_or(Error::NoSuchPage)?;
            Ok::<_, Error>(Slot::new(page, template))
        };
        Ok(Self {
            ns: NsSlot::new(slot(SlotIndex::Ns, non_secure)?),
            delegated: slot(SlotIndex::Delegated, realm)?,
            rd: slot(SlotIndex::Rd, realm)?,
            rec: slot(SlotIndex::Rec, realm)?,
            second_rec: slot(SlotIndex::SecondRec, realm)?,
            rec_aux: AuxiliarySlots::new(context, realm)?,
            rtt: slot(SlotIndex::Rtt, realm)?,
            second_rtt: slot(SlotIndex::SecondRtt, realm)?,
            realm_data: slot(SlotIndex::RealmData, realm)?,
            all,
        })
    }

    /// The page of the slot with this number, for tests that violate the invariants of this file.
    #[cfg(feature = "self-test")]
    pub fn page(&self, number: usize) -> Option<TransientPage<'static, El2And0>> {
        self.all.page(number)
    }

    /// Whether no slot is mapped. True between commands.
    pub fn is_empty(&self) -> bool {
        (0..self.all.pages())
            .all(|index| self.all.page(index).is_some_and(|page| !page.is_mapped()))
    }
}

impl Slot {
    /// Maps a granule that is locked: one store, one DSB, one ISB.
    pub fn map<'m, S: Mappable>(&'m mut self, granule: &'m LockedGranule<'_, S>) -> Mapping<'m, S> {
        Mapping::new(MappedPage::new(self, granule.address()))
    }

    /// Gives `look` the content of a locked granule, which is mapped meanwhile. Inlined, for what
    /// most commands do.
    #[inline(always)]
    pub fn with<S: Mappable, T: Content<State = S::ContentState>, R>(
        &mut self,
        granule: &LockedGranule<'_, S>,
        look: impl FnOnce(&T) -> R,
    ) -> R {
        let mapping = Mapping::<S>::new(MappedPage::new_here(self, granule.address()));
        let result = look(mapping.get());
        mapping.end();
        result
    }

    /// As [`with`](Self::with), for memory of a Realm: its words, which the Realm may change at any
    /// time.
    #[inline(always)]
    pub fn with_words<R>(
        &mut self,
        granule: &LockedGranule<'_, Data>,
        look: impl FnOnce(&[AtomicU64; GRANULE_WORDS]) -> R,
    ) -> R {
        let mapping = Mapping::<Data>::new(MappedPage::new_here(self, granule.address()));
        let result = look(mapping.words());
        mapping.end();
        result
    }

    /// Cleans the granule to the point of unification, if instruction fetches do not observe data
    /// caches (CTR_EL0.IDC = 0).
    pub fn clean_for_fetches(&mut self, granule: &LockedGranule<'_, Data>) {
        const IDC: u64 = 1 << 28;
        let ctr = CTR_EL0.get();
        if ctr & IDC != 0 {
            return;
        }
        /// CTR_EL0.DminLine: log2 of the words of the smallest line.
        const MIN_LINE: u32 = 16;
        let line = 4 << (ctr >> MIN_LINE & 0xf);
        let page = MappedPage::new(self, granule.address());
        let start = page.address().get();
        for offset in (0..GRANULE_SIZE).step_by(line) {
            cache::dc_cvau(start + offset);
        }
        barrier::dsb_ish();
    }
}

impl Wipe for Slot {
    #[inline(always)]
    fn wipe(&mut self, granule: &LockedGranule<'_, Delegated>) -> Result<(), WipeError> {
        // SAFETY: the granule is locked and has no content in state Delegated: there is no
        // reference to it.
        unsafe { self.zero(granule.address()) }.map_err(|_| WipeError)
    }
}
