// SPDX-License-Identifier: BSD-3-Clause
//! Transient pages: single pages mapped and unmapped through a cached reference to their entries,
//! without a walk.
//!
//! A handle is got once ([`Context::transient`](super::Context::transient)) and kept. It cannot
//! leave its CPU: whether a page is mapped is looked up and changed in two steps, which two CPUs at
//! once would break.

use core::fmt;
use core::marker::PhantomData;
use core::sync::atomic::AtomicU64;

use super::attributes::Attributes;
use super::descriptor::{Descriptor, DescriptorFormat, LeafBits, PageBits, TRANSIENT_UNMAPPED};
use super::error::{Error, Extent};
use super::level::Level;
use super::maintenance::Maintenance;
use super::regime::{El2And0, Regime};
use super::space::{AddressSpace, tlbi_operand};
use crate::address::{GRANULE_SHIFT, GRANULE_SIZE, PhysAddr, VirtAddr};
use crate::arch::memory::{load_descriptor, store_descriptor};

/// All of a page descriptor but the address, made once for each kind of mapping
/// ([`TransientRange::template`]).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PageTemplate<R> {
    page: PageBits,
    format: DescriptorFormat,
    regime: PhantomData<R>,
}

/// A run of transient pages whose entries are in one table.
pub struct TransientRange<'a, R> {
    entries: &'a [AtomicU64],
    base: VirtAddr,
    space: AddressSpace,
    maintenance: Maintenance,
    /// The regime whose TLB entries are maintained; and a raw pointer, so that the handle is not
    /// `Send`.
    regime: PhantomData<(R, *const ())>,
}

impl<R: Regime> fmt::Debug for TransientRange<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TransientRange({} pages at {}, {})", self.entries.len(), self.base, R::NAME)
    }
}

impl<'a, R: Regime> TransientRange<'a, R> {
    /// The pages of `entries`, at `base` on.
    ///
    /// # Errors
    /// [`Error::NotTransient`] if one of them is not transient.
    pub(super) fn new(
        entries: &'a [AtomicU64],
        base: VirtAddr,
        space: AddressSpace,
        maintenance: Maintenance,
    ) -> Result<Self, Error> {
        let transient = entries.iter().all(|entry| {
            match Descriptor::decode(load_descriptor(entry), Level::Three, space.format()) {
                Descriptor::Transient => true,
                Descriptor::Leaf(leaf) => leaf.is_transient(),
                _ => false,
            }
        });
        if transient {
            Ok(Self { entries, base, space, maintenance, regime: PhantomData })
        } else {
            Err(Error::NotTransient(Extent { base, size: entries.len() as u64 * GRANULE_SIZE }))
        }
    }

    /// How many pages.
    pub fn pages(&self) -> usize {
        self.entries.len()
    }

    /// The template for mapping pages of this context with `attributes`.
    ///
    /// # Errors
    /// [`Error::Attributes`] if they break a rule.
    pub fn template(&self, attributes: Attributes) -> Result<PageTemplate<R>, Error> {
        let extent = Extent { base: self.base, size: self.entries.len() as u64 * GRANULE_SIZE };
        let format = self.space.format();
        let bits = LeafBits::new::<R>(attributes, format, self.space.walks())
            .map_err(|rule| Error::Attributes(extent, rule))?;
        Ok(PageTemplate { page: bits.transient_page(), format, regime: PhantomData })
    }

    /// The handle of page `index`; `None` if there is no such page.
    pub fn page(&self, index: usize) -> Option<TransientPage<'a, R>> {
        let entry = self.entries.get(index)?;
        // The whole run is inside the address space, so nothing wraps; not to have that checked
        // again saves a third of a map.
        let va = VirtAddr::new(self.base.get().wrapping_add((index as u64) << GRANULE_SHIFT));
        Some(TransientPage {
            entry,
            va,
            max_pa: self.space.max_pa(),
            format: self.space.format(),
            asid: self.space.asid(),
            maintenance: self.maintenance,
            regime: PhantomData,
        })
    }

    /// The `count` pages from page `first` on.
    fn part(&self, first: usize, count: usize) -> Result<Self, Error> {
        let pages = first.checked_add(count).and_then(|end| self.entries.get(first..end));
        let entries = pages.ok_or(Error::NoSuchPage)?;
        // An empty part may begin where the address space ends.
        let base = self.base.checked_add(first as u64 * GRANULE_SIZE).ok_or(Error::NoSuchPage)?;
        Ok(Self { entries, base, ..*self })
    }

    fn iter(&self) -> impl Iterator<Item = TransientPage<'a, R>> {
        (0..self.entries.len()).filter_map(|index| self.page(index))
    }

    /// Maps consecutive pages from page `first` on to `addresses`, with the barriers of one.
    ///
    /// # Errors
    /// Those of [`TransientPage::map`] and [`Error::NoSuchPage`]; then none is mapped.
    pub fn map_group(
        &self,
        first: usize,
        addresses: &[PhysAddr],
        template: PageTemplate<R>,
    ) -> Result<(), Error> {
        let group = self.part(first, addresses.len())?;
        for (page, &pa) in group.iter().zip(addresses) {
            page.check_mappable(pa, template)?;
        }
        for (page, &pa) in group.iter().zip(addresses) {
            store_descriptor(page.entry, template.page.at(pa));
        }
        self.maintenance.publish();
        Ok(())
    }

    /// Unmaps `count` consecutive pages from page `first` on, with the barriers of one.
    ///
    /// # Errors
    /// Those of [`TransientPage::unmap`] and [`Error::NoSuchPage`]; then none is unmapped.
    pub fn unmap_group(&self, first: usize, count: usize) -> Result<(), Error> {
        let group = self.part(first, count)?;
        for page in group.iter() {
            page.check_mapped()?;
        }
        for page in group.iter() {
            store_descriptor(page.entry, TRANSIENT_UNMAPPED);
        }
        self.maintenance.complete_stores();
        for page in group.iter() {
            page.invalidate();
        }
        self.maintenance.complete_invalidations();
        self.maintenance.synchronize();
        Ok(())
    }
}

/// One transient page.
pub struct TransientPage<'a, R> {
    entry: &'a AtomicU64,
    va: VirtAddr,
    max_pa: PhysAddr,
    format: DescriptorFormat,
    asid: u16,
    maintenance: Maintenance,
    regime: PhantomData<(R, *const ())>,
}

static_assertions::assert_not_impl_any!(TransientRange<'static, El2And0>: Send, Sync);
static_assertions::assert_not_impl_any!(TransientPage<'static, El2And0>: Send, Sync);

impl<R: Regime> fmt::Debug for TransientPage<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TransientPage({}, {})", self.va, R::NAME)
    }
}

impl<R: Regime> TransientPage<'_, R> {
    /// Its virtual address.
    pub fn address(&self) -> VirtAddr {
        self.va
    }

    /// Whether it is mapped.
    pub fn is_mapped(&self) -> bool {
        load_descriptor(self.entry) != TRANSIENT_UNMAPPED
    }

    /// Maps it to the granule at `pa`: one store, one DSB, one ISB.
    ///
    /// No TLB maintenance: the entry was invalid, and invalid entries are not cached (Arm ARM
    /// D8.16.1).
    ///
    /// # Errors
    /// [`Error::AlreadyMapped`], [`Error::PageAddress`], or [`Error::Template`]; then nothing has
    /// changed.
    pub fn map(&self, pa: PhysAddr, template: PageTemplate<R>) -> Result<(), Error> {
        self.check_mappable(pa, template)?;
        store_descriptor(self.entry, template.page.at(pa));
        self.maintenance.publish();
        Ok(())
    }

    /// Unmaps it: one store, DSB, one TLB invalidation, DSB, ISB. No stale translation survives.
    ///
    /// # Errors
    /// [`Error::Unmapped`]; then nothing has changed.
    pub fn unmap(&self) -> Result<(), Error> {
        self.check_mapped()?;
        store_descriptor(self.entry, TRANSIENT_UNMAPPED);
        self.maintenance.complete_stores();
        self.invalidate();
        self.maintenance.complete_invalidations();
        self.maintenance.synchronize();
        Ok(())
    }

    fn check_mappable(&self, pa: PhysAddr, template: PageTemplate<R>) -> Result<(), Error> {
        if self.is_mapped() {
            return Err(Error::AlreadyMapped(self.va));
        }
        if !pa.is_aligned(GRANULE_SIZE) || pa > self.max_pa {
            return Err(Error::PageAddress(pa));
        }
        if template.format != self.format {
            return Err(Error::Template);
        }
        Ok(())
    }

    fn check_mapped(&self) -> Result<(), Error> {
        if self.is_mapped() { Ok(()) } else { Err(Error::Unmapped(self.va)) }
    }

    fn invalidate(&self) {
        self.maintenance.invalidate_leaf::<R>(tlbi_operand(self.va, self.asid));
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        AttributeRule, Context, ContextBuilder, PhysicalAddressSpace, Region, RegionStorage, Table,
        TablePool, VaRange,
    };
    use super::*;
    use crate::host::{Event, record};

    const SLOTS: VirtAddr = VirtAddr::new(0xffff_ffff_fff0_0000);
    const LAST: VirtAddr = VirtAddr::new(0xffff_ffff_ffff_f000);

    /// Runs `test` on a context of one table: a stack page, 16 slots, and another slot at the very
    /// top.
    fn with_context(maintenance: Maintenance, test: impl FnOnce(Context<'_, El2And0>)) {
        let mut tables = [Table::EMPTY; 1];
        let mut storage = RegionStorage::<3>::new();
        let max_pa = PhysAddr::new(0xff_ffff_ffff);
        let space =
            AddressSpace::new(VaRange::High, 21, max_pa, DescriptorFormat::Bits48).expect("good");
        let pool = TablePool::new(&mut tables, PhysAddr::new(0x10_0000)).expect("good");
        let mut builder =
            ContextBuilder::new(space.with_asid(3), pool, storage.list()).expect("a good context");
        let stack = VirtAddr::new(0xffff_ffff_ffe0_1000);
        let stack = Region::new(PhysAddr::new(0x20_0000), stack, 0x1000, Attributes::read_write());
        for region in [stack, Region::transient(SLOTS, 0x1_0000), Region::transient(LAST, 0x1000)] {
            builder.add_static(region).expect("a good region");
        }
        let mut context = builder.init().expect("one table is enough");
        context.activate(maintenance);
        test(context);
    }

    fn names(events: &[Event]) -> Vec<(&'static str, Option<u64>)> {
        events
            .iter()
            .map(|event| match event {
                Event::Instruction(text, operand) => (*text, *operand),
                Event::Descriptor(_, value) => ("store", Some(*value)),
                other => panic!("{other:?} is no business of a transient page"),
            })
            .collect()
    }

    #[test]
    fn a_range_and_its_pages_say_what_they_are() {
        with_context(Maintenance::Local, |context| {
            let range = context.transient(SLOTS, 16).expect("transient");
            assert_eq!(range.pages(), 16);
            assert_eq!(
                format!("{range:?}"),
                "TransientRange(16 pages at 0xfffffffffff00000, EL2&0)"
            );
            let page = range.page(1).expect("there");
            assert_eq!(format!("{page:?}"), "TransientPage(0xfffffffffff01000, EL2&0)");
        });
    }

    #[test]
    fn a_map_is_one_store_one_dsb_one_isb() {
        with_context(Maintenance::Local, |context| {
            let range = context.transient(SLOTS, 16).expect("transient");
            let template = range
                .template(
                    Attributes::read_write().non_global().in_pas(PhysicalAddressSpace::NonSecure),
                )
                .expect("good");
            let page = range.page(2).expect("there");
            let (result, events) = record(|| page.map(PhysAddr::new(0x8000_0000), template));
            assert_eq!(result, Ok(()));
            // Transient, UXN, PXN, nG, AF, inner shareable, NS, page.
            let descriptor = 0x00e0_0000_8000_0f23;
            assert_eq!(
                names(&events),
                [("store", Some(descriptor)), ("dsb nshst", None), ("isb", None)]
            );
            let translation = context.translate(page.address()).expect("mapped");
            assert_eq!(translation.pa, PhysAddr::new(0x8000_0000));
            assert!(translation.transient);
        });
    }

    #[test]
    fn an_unmap_is_store_dsb_tlbi_dsb_isb() {
        with_context(Maintenance::Local, |context| {
            let range = context.transient(LAST, 1).expect("transient");
            let template = range.template(Attributes::read_write()).expect("good");
            let page = range.page(0).expect("there");
            page.map(PhysAddr::new(0x8000_0000), template).expect("free");
            let (result, events) = record(|| page.unmap());
            assert_eq!(result, Ok(()));
            assert_eq!(
                names(&events),
                [
                    ("store", Some(1 << 55)),
                    ("dsb nshst", None),
                    ("tlbi vale2", Some(0x0003_0fff_ffff_ffff)),
                    ("dsb nsh", None),
                    ("isb", None),
                ]
            );
            assert_eq!(context.translate(LAST), Err(Error::Unmapped(LAST)));
        });
    }

    #[test]
    fn a_shared_context_is_maintained_in_the_inner_shareable_domain_and_an_inactive_one_not_at_all()
    {
        let expected: [(Maintenance, &[&str]); 2] = [
            (
                Maintenance::InnerShareable,
                &[
                    "store",
                    "dsb ishst",
                    "isb",
                    "store",
                    "dsb ishst",
                    "tlbi vale2is",
                    "dsb ish",
                    "isb",
                ],
            ),
            (Maintenance::None, &["store", "store"]),
        ];
        for (maintenance, expected) in expected {
            with_context(maintenance, |context| {
                let range = context.transient(SLOTS, 1).expect("transient");
                let template = range.template(Attributes::read_write()).expect("good");
                let page = range.page(0).expect("there");
                let ((), events) = record(|| {
                    page.map(PhysAddr::new(0x8000_0000), template).expect("free");
                    page.unmap().expect("mapped");
                });
                let texts: Vec<_> = names(&events).iter().map(|(text, _)| *text).collect();
                assert_eq!(texts, expected);
            });
        }
    }

    #[test]
    fn a_group_has_the_barriers_of_one_page() {
        with_context(Maintenance::Local, |context| {
            let range = context.transient(SLOTS, 16).expect("transient");
            let template = range.template(Attributes::read_write()).expect("good");
            let addresses = [0x9000, 0x4000, 0x7000].map(PhysAddr::new);
            let (result, events) = record(|| range.map_group(4, &addresses, template));
            assert_eq!(result, Ok(()));
            let texts: Vec<_> = names(&events).iter().map(|(text, _)| *text).collect();
            assert_eq!(texts, ["store", "store", "store", "dsb nshst", "isb"]);
            for (index, pa) in (4..).zip(addresses) {
                let va = range.page(index).expect("there").address();
                assert_eq!(context.translate(va).map(|translation| translation.pa), Ok(pa));
            }
            let (result, events) = record(|| range.unmap_group(4, 3));
            assert_eq!(result, Ok(()));
            let (texts, operands): (Vec<_>, Vec<_>) = names(&events).into_iter().unzip();
            assert_eq!(
                texts,
                [
                    "store",
                    "store",
                    "store",
                    "dsb nshst",
                    "tlbi vale2",
                    "tlbi vale2",
                    "tlbi vale2",
                    "dsb nsh",
                    "isb"
                ]
            );
            let first = 0x0003_0fff_ffff_ff04;
            assert_eq!(operands[4..7], [Some(first), Some(first + 1), Some(first + 2)]);
        });
    }

    #[test]
    fn a_refused_call_does_nothing_to_the_machine() {
        with_context(Maintenance::Local, |context| {
            let range = context.transient(SLOTS, 16).expect("transient");
            let template = range.template(Attributes::read_write()).expect("good");
            let page = |index| range.page(index).expect("there");
            let pa = PhysAddr::new(0x8000_0000);
            page(1).map(pa, template).expect("free");
            let unaligned = PhysAddr::new(0x8000_0008);
            let beyond = PhysAddr::new(0x100_0000_0000);
            let ((), events) = record(|| {
                let at = |index| page(index).address();
                assert_eq!(page(1).map(pa, template), Err(Error::AlreadyMapped(at(1))));
                assert_eq!(page(0).unmap(), Err(Error::Unmapped(at(0))));
                assert_eq!(page(0).map(unaligned, template), Err(Error::PageAddress(unaligned)));
                assert_eq!(page(0).map(beyond, template), Err(Error::PageAddress(beyond)));
                let group = range.map_group(0, &[pa, pa], template);
                assert_eq!(group, Err(Error::AlreadyMapped(at(1))));
                assert_eq!(range.map_group(15, &[pa, pa], template), Err(Error::NoSuchPage));
                assert_eq!(
                    range.map_group(usize::MAX, &[pa, pa], template),
                    Err(Error::NoSuchPage)
                );
                assert_eq!(range.unmap_group(1, 2), Err(Error::Unmapped(at(2))));
                assert_eq!(range.unmap_group(usize::MAX, 2), Err(Error::NoSuchPage));
                let top = context.transient(LAST, 1).expect("transient");
                assert_eq!(top.unmap_group(1, 0), Err(Error::NoSuchPage));
                assert!(range.page(16).is_none());
            });
            assert_eq!(events, []);
        });
    }

    #[test]
    fn handles_are_of_transient_pages_in_one_table() {
        with_context(Maintenance::Local, |context| {
            let extent = |base, pages: u64| Extent { base, size: pages * GRANULE_SIZE };
            let stack = VirtAddr::new(0xffff_ffff_ffe0_1000);
            let refused = |base, pages: usize, error| {
                assert_eq!(context.transient(base, pages).map(|_| ()), Err(error));
            };
            refused(stack, 1, Error::NotTransient(extent(stack, 1)));
            refused(SLOTS, 17, Error::NotTransient(extent(SLOTS, 17)));
            refused(LAST, 2, Error::OutsideAddressSpace(extent(LAST, 2)));
            refused(SLOTS, 0, Error::Empty(extent(SLOTS, 0)));
            refused(LAST, usize::MAX, Error::Unaligned(Extent { base: LAST, size: u64::MAX }));
            let range = context.transient(SLOTS, 16).expect("transient");
            let rule = AttributeRule::GuardedButNotExecutable;
            assert_eq!(
                range.template(Attributes::read_write().guarded()),
                Err(Error::Attributes(extent(SLOTS, 16), rule))
            );
        });
    }

    #[test]
    fn a_template_of_another_format_is_refused() {
        with_context(Maintenance::Local, |context| {
            let range = context.transient(SLOTS, 1).expect("transient");
            let template = range.template(Attributes::read_write()).expect("good");
            let other = PageTemplate { format: DescriptorFormat::Lpa2, ..template };
            let page = range.page(0).expect("there");
            assert_eq!(page.map(PhysAddr::new(0x1000), other), Err(Error::Template));
        });
    }
}
