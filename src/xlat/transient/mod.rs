// SPDX-License-Identifier: BSD-3-Clause
//! Transient pages: mapped and unmapped one by one through a handle to their entries, without a
//! walk.
//!
//! [`Context::transient`](super::Context::transient) makes a handle. It cannot leave its CPU: at
//! `Maintenance::Local` it invalidates TLB entries of that CPU only. CPUs that share a context may
//! each have handles: of two that map one page, one is refused.

#[cfg(test)]
mod tests;

use core::fmt;
use core::marker::PhantomData;
use core::sync::atomic::AtomicU64;

use super::attributes::Attributes;
use super::descriptor::{Descriptor, DescriptorFormat, PageBits, TRANSIENT_UNMAPPED};
use super::error::{Error, Extent};
use super::invalidation::{Invalidation, WalkPart};
use super::level::Level;
use super::maintenance::Maintenance;
use super::regime::{El2And0, Regime};
use super::space::AddressSpace;
use crate::address::{GRANULE_SHIFT, GRANULE_SIZE, PhysAddr, VirtAddr};
use crate::arch::memory::{exchange_descriptor, load_descriptor, swap_descriptor};

/// A page descriptor without its address, made once for each kind of mapping by
/// [`TransientRange::template`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PageTemplate<R> {
    page: PageBits,
    format: DescriptorFormat,
    regime: PhantomData<R>,
}

/// Consecutive transient pages whose entries are in one table.
pub struct TransientRange<'a, R> {
    entries: &'a [AtomicU64],
    base: VirtAddr,
    space: AddressSpace,
    maintenance: Maintenance,
    /// The regime for TLB maintenance. The raw pointer makes the handle `!Send`.
    regime: PhantomData<(R, *const ())>,
}

impl<R: Regime> fmt::Debug for TransientRange<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TransientRange({} pages at {}, {})", self.entries.len(), self.base, R::NAME)
    }
}

impl<'a, R: Regime> TransientRange<'a, R> {
    /// The pages of `entries`, from `base` on.
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

    /// The number of pages.
    pub fn pages(&self) -> usize {
        self.entries.len()
    }

    /// A template for pages of this context with `attributes`.
    ///
    /// # Errors
    /// [`Error::Attributes`] if they break a rule.
    pub fn template(&self, attributes: Attributes) -> Result<PageTemplate<R>, Error> {
        let extent = Extent { base: self.base, size: self.entries.len() as u64 * GRANULE_SIZE };
        let format = self.space.format();
        let bits = self
            .space
            .leaf_bits::<R>(attributes)
            .map_err(|rule| Error::Attributes(extent, rule))?;
        Ok(PageTemplate { page: bits.transient_page(), format, regime: PhantomData })
    }

    /// The handle of page `index`, if there is one.
    pub fn page(&self, index: usize) -> Option<TransientPage<'a, R>> {
        let entry = self.entries.get(index)?;
        // The range is inside the address space, so nothing wraps. A check takes a third of a map.
        let va = VirtAddr::new(self.base.get().wrapping_add((index as u64) << GRANULE_SHIFT));
        Some(TransientPage {
            entry,
            va,
            max_pa: self.space.max_pa(),
            format: self.space.format(),
            operand: self.space.leaf_operand(va, Some(Level::Three)),
            any_asid: self.space.is_for_any_asid(),
            maintenance: self.maintenance,
            regime: PhantomData,
        })
    }

    /// The `count` pages from `first` on.
    fn part(&self, first: usize, count: usize) -> Result<Self, Error> {
        let pages = first.checked_add(count).and_then(|end| self.entries.get(first..end));
        let entries = pages.ok_or(Error::NoSuchPage)?;
        // An empty part may begin at the end of the address space.
        let base = self.base.checked_add(first as u64 * GRANULE_SIZE).ok_or(Error::NoSuchPage)?;
        Ok(Self { entries, base, ..*self })
    }

    fn iter(&self) -> impl Iterator<Item = TransientPage<'a, R>> {
        (0..self.entries.len()).filter_map(|index| self.page(index))
    }

    /// Maps the pages from `first` on to `addresses`, with the barriers of one page.
    ///
    /// # Errors
    /// As [`TransientPage::map`], and [`Error::NoSuchPage`].
    pub fn map_group(
        &self,
        first: usize,
        addresses: &[PhysAddr],
        template: PageTemplate<R>,
    ) -> Result<(), Error> {
        let group = self.part(first, addresses.len())?;
        for (page, &pa) in group.iter().zip(addresses) {
            page.check_target(pa, template)?;
            if page.is_mapped() {
                return Err(Error::AlreadyMapped(page.va));
            }
        }
        for (index, (page, &pa)) in group.iter().zip(addresses).enumerate() {
            if let Err(error) = page.set(template.page.at(pa)) {
                group.part(0, index)?.iter().try_for_each(|mapped| mapped.unmap())?;
                return Err(error);
            }
        }
        self.maintenance.publish();
        Ok(())
    }

    /// Unmaps `count` pages from `first` on, with the barriers of one page.
    ///
    /// # Errors
    /// As [`TransientPage::unmap`], and [`Error::NoSuchPage`].
    pub fn unmap_group(&self, first: usize, count: usize) -> Result<(), Error> {
        let group = self.part(first, count)?;
        for page in group.iter() {
            page.check_mapped()?;
        }
        // If another CPU unmaps one of the pages meanwhile, the others are unmapped all the same.
        let mut result = Ok(());
        for page in group.iter() {
            result = result.and(page.clear().map(|_| ()));
        }
        self.maintenance.complete_stores();
        let mut last = self.space.invalidation(self.base, WalkPart::Leaf, Some(Level::Three));
        for page in group.iter() {
            last = page.invalidation();
            self.maintenance.invalidate::<R>(last);
        }
        self.maintenance.complete_invalidations::<R>(last);
        self.maintenance.synchronize();
        result
    }
}

/// One transient page.
pub struct TransientPage<'a, R> {
    entry: &'a AtomicU64,
    va: VirtAddr,
    max_pa: PhysAddr,
    format: DescriptorFormat,
    /// What names it in a TLBI by address.
    operand: u64,
    any_asid: bool,
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
    /// No TLB maintenance, since the entry was invalid and TLBs do not hold invalid entries.
    ///
    /// # Errors
    /// [`Error::AlreadyMapped`], [`Error::PageAddress`], or [`Error::Template`].
    #[inline]
    pub fn map(&self, pa: PhysAddr, template: PageTemplate<R>) -> Result<(), Error> {
        self.check_target(pa, template)?;
        self.set(template.page.at(pa))?;
        self.maintenance.publish();
        Ok(())
    }

    /// Unmaps it: one store, DSB, one TLBI, DSB, ISB.
    ///
    /// # Errors
    /// [`Error::Unmapped`].
    #[inline]
    pub fn unmap(&self) -> Result<(), Error> {
        self.clear()?;
        self.maintenance.retire_and_synchronize::<R, _>([self.invalidation()]);
        Ok(())
    }

    /// Maps it to another granule, with one ISB less than unmapping and mapping.
    ///
    /// # Errors
    /// [`Error::Unmapped`], and as [`map`](Self::map). The page is as it was, or as another CPU has
    /// just mapped it.
    #[inline(always)]
    pub fn remap(&self, pa: PhysAddr, template: PageTemplate<R>) -> Result<(), Error> {
        self.check_target(pa, template)?;
        self.clear()?;
        self.maintenance.retire::<R, _>([self.invalidation()]);
        self.set(template.page.at(pa))?;
        self.maintenance.publish();
        Ok(())
    }

    /// Maps this page and another of its context, with the barriers of one.
    ///
    /// # Errors
    /// As [`map`](Self::map).
    pub fn map_with(
        &self,
        (pa, template): (PhysAddr, PageTemplate<R>),
        other: &Self,
        (other_pa, other_template): (PhysAddr, PageTemplate<R>),
    ) -> Result<(), Error> {
        self.check_target(pa, template)?;
        other.check_target(other_pa, other_template)?;
        if other.is_mapped() {
            return Err(Error::AlreadyMapped(other.va));
        }
        self.set(template.page.at(pa))?;
        if let Err(error) = other.set(other_template.page.at(other_pa)) {
            self.unmap()?;
            return Err(error);
        }
        self.maintenance.publish();
        Ok(())
    }

    /// Unmaps this page and another of its context, with the barriers of one.
    ///
    /// # Errors
    /// [`Error::Unmapped`].
    pub fn unmap_with(&self, other: &Self) -> Result<(), Error> {
        other.check_mapped()?;
        let mapped = self.clear()?;
        if let Err(error) = other.clear() {
            self.put_back(mapped);
            return Err(error);
        }
        self.maintenance
            .retire_and_synchronize::<R, _>([self.invalidation(), other.invalidation()]);
        Ok(())
    }

    /// Stores the descriptor `page`, unless another CPU has mapped the page.
    fn set(&self, page: u64) -> Result<(), Error> {
        if exchange_descriptor(self.entry, TRANSIENT_UNMAPPED, page) {
            Ok(())
        } else {
            Err(Error::AlreadyMapped(self.va))
        }
    }

    /// Stores the descriptor of a page that is not mapped, unless another CPU has. Returns what the
    /// descriptor was.
    fn clear(&self) -> Result<u64, Error> {
        match swap_descriptor(self.entry, TRANSIENT_UNMAPPED) {
            TRANSIENT_UNMAPPED => Err(Error::Unmapped(self.va)),
            mapped => Ok(mapped),
        }
    }

    /// Undoes a `clear` that no TLBI followed. Does nothing if another CPU has mapped the page
    /// since.
    fn put_back(&self, mapped: u64) {
        exchange_descriptor(self.entry, TRANSIENT_UNMAPPED, mapped);
        self.maintenance.publish();
    }

    /// Checks that the page can be mapped to `pa`.
    fn check_target(&self, pa: PhysAddr, template: PageTemplate<R>) -> Result<(), Error> {
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

    fn invalidation(&self) -> Invalidation {
        // A constant in regimes without such an instruction.
        if R::ANY_ASID && self.any_asid {
            Invalidation::LeafAnyAsid(self.operand)
        } else {
            Invalidation::Leaf(self.operand)
        }
    }
}
