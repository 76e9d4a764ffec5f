// SPDX-License-Identifier: BSD-3-Clause
//! Contexts: a VA configuration, its regions and its tables; under construction, and live.
//!
//! What each phase allows is a matter of types: only a [`ContextBuilder`] takes static regions, and
//! only a [`Context`] has tables.

use core::marker::PhantomData;

use super::attributes::Attributes;
use super::descriptor::Descriptor;
use super::error::{Error, Extent};
use super::level::{Level, Span};
use super::maintenance::Maintenance;
use super::pool::TablePool;
use super::regime::Regime;
use super::region::{Region, RegionKind};
use super::region_list::{Lifetime, PlacedRegion, RegionList};
use super::space::{AddressSpace, VaRange};
use super::table_tree::{MapRequest, OutOfTables, TableTree};
use super::transient::TransientRange;
use crate::address::{GRANULE_SIZE, PhysAddr, VirtAddr};

/// A context under construction: a list of regions, and tables that map nothing yet.
#[derive(Debug)]
pub struct ContextBuilder<'a, R>(Context<'a, R>);

/// A context with tables.
///
/// Queries, the dump and handles of transient pages need only `&self`, and store into no table.
#[derive(Debug)]
pub struct Context<'a, R> {
    pub(super) tree: TableTree<'a>,
    pub(super) regions: RegionList<'a>,
    pub(super) maintenance: Maintenance,
    regime: PhantomData<R>,
}

/// A context that could not be made live, unchanged, and why.
#[derive(Debug)]
pub struct InitError<'a, R> {
    /// The context, still under construction.
    pub builder: ContextBuilder<'a, R>,
    /// The reason.
    pub error: Error,
}

/// What an address translates to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Translation {
    /// The physical address.
    pub pa: PhysAddr,
    /// How it is mapped.
    pub attributes: Attributes,
    /// The level of the block or page that maps it.
    pub level: Level,
    /// Whether that is one of 16 joined by the Contiguous hint.
    pub contiguous: bool,
    /// Whether it is a page of a transient region.
    pub transient: bool,
}

/// Checks `region` against what does not change in a context, and gives its offsets and how to map
/// it.
fn check<R: Regime>(space: &AddressSpace, region: &Region) -> Result<(Span, MapRequest), Error> {
    let span = space.span(region.extent.base, region.extent.size)?;
    region.check(space.max_pa(), space.format())?;
    Ok((span, MapRequest::new::<R>(region, span.first, span, space)?))
}

impl<'a, R: Regime> ContextBuilder<'a, R> {
    /// A context without regions, with at most as many tables as `pool` has and as many regions as
    /// fit `regions`.
    ///
    /// # Errors
    /// [`Error::NoHighRange`] or [`Error::NoAsid`] if the regime has none, [`Error::TablePool`] if
    /// the tables lie above the highest physical address.
    pub fn new(
        space: AddressSpace,
        pool: TablePool<'a>,
        regions: RegionList<'a>,
    ) -> Result<Self, Error> {
        if !R::UNPRIVILEGED && space.range() == VaRange::High {
            return Err(Error::NoHighRange);
        }
        if !R::UNPRIVILEGED && space.asid() != 0 {
            return Err(Error::NoAsid);
        }
        if pool.last() > space.max_pa() {
            return Err(Error::TablePool(pool.base()));
        }
        let tree = TableTree::new(pool, space)?;
        Ok(Self(Context { tree, regions, maintenance: Maintenance::None, regime: PhantomData }))
    }

    /// The VA configuration.
    pub fn space(&self) -> &AddressSpace {
        self.0.space()
    }

    /// The regions so far.
    pub fn regions(&self) -> &RegionList<'a> {
        &self.0.regions
    }

    /// Adds a region that stays as long as the context, of which whoever wrote the call knows that
    /// it is good.
    ///
    /// A debug build logs a refusal, and asserts that there is none: [`Self::try_add_static`] is
    /// for regions that may be bad.
    ///
    /// # Errors
    /// The rule that `region` breaks, by itself or with the regions so far.
    pub fn add_static(&mut self, region: Region) -> Result<(), Error> {
        let result = self.try_add_static(region);
        if cfg!(debug_assertions)
            && let Err(refusal) = result
        {
            crate::error!("a static region is refused: {refusal:?}");
        }
        debug_assert_eq!(result, Ok(()), "a static region is refused");
        result
    }

    /// Adds a region that stays as long as the context.
    ///
    /// # Errors
    /// The rule that `region` breaks, by itself or with the regions so far.
    pub fn try_add_static(&mut self, region: Region) -> Result<(), Error> {
        self.add(region, Lifetime::Static)
    }

    /// Adds a region that can be removed again, now or later.
    ///
    /// # Errors
    /// The rule that `region` breaks, by itself or with the regions so far.
    pub fn add_dynamic(&mut self, region: Region) -> Result<(), Error> {
        self.add(region, Lifetime::Dynamic)
    }

    fn add(&mut self, region: Region, lifetime: Lifetime) -> Result<(), Error> {
        let (span, _) = check::<R>(self.space(), &region)?;
        let insertion = self.0.regions.check(PlacedRegion::new(region, span, lifetime))?;
        self.0.regions.insert(insertion);
        Ok(())
    }

    /// Removes the dynamic region of exactly this base and size.
    ///
    /// # Errors
    /// [`Error::NoSuchRegion`], [`Error::Static`], or what makes base and size no region at all.
    pub fn remove(&mut self, base: VirtAddr, size: u64) -> Result<(), Error> {
        let span = self.space().span(base, size)?;
        self.0.regions.remove(span, Extent { base, size })
    }

    /// Builds the tables, for nobody to walk yet: see [`Context::activate`].
    ///
    /// # Errors
    /// [`Error::OutOfTables`] with the region that found no more of them. The builder comes back as
    /// it was.
    #[expect(
        clippy::result_large_err,
        reason = "the error gives the builder back, there is no heap to keep it on"
    )]
    pub fn init(mut self) -> Result<Context<'a, R>, InitError<'a, R>> {
        let Context { tree, regions, .. } = &mut self.0;
        let mapped = regions.try_for_each_part(|placed, part| {
            let PlacedRegion { region, span, .. } = placed;
            let mapping = MapRequest::new::<R>(region, span.first, part, &tree.space)?;
            tree.map(&mapping).map_err(|OutOfTables| Error::OutOfTables(region.extent))
        });
        match mapped {
            Ok(()) => Ok(self.0),
            Err(error) => {
                tree.clear();
                Err(InitError { builder: self, error })
            }
        }
    }
}

impl<'a, R: Regime> Context<'a, R> {
    /// States who may be walking the tables from now on, which decides the barriers and maintenance
    /// of every later change.
    ///
    /// Call it before a TTBR is given the tables, and with `Maintenance::None` when no TTBR has
    /// them any more. Stores made so far are not made visible: whoever writes the TTBR does that
    /// with a DSB before, as for all it has written.
    pub fn activate(&mut self, maintenance: Maintenance) {
        self.maintenance = maintenance;
    }

    /// Adds a region that can be removed again, and maps it.
    ///
    /// # Errors
    /// The rule that `region` breaks, or [`Error::OutOfTables`]; then nothing has changed.
    pub fn add(&mut self, region: Region) -> Result<(), Error> {
        let (span, mapping) = check::<R>(self.space(), &region)?;
        let out_of_tables = Error::OutOfTables(region.extent);
        // Only a region that overlaps none may be asked about: the walk takes what it meets for
        // free.
        let insertion = self.regions.check(PlacedRegion::new(region, span, Lifetime::Dynamic))?;
        if self.tree.tables_for(&mapping, self.tree.pool.free()) > self.tree.pool.free() {
            return Err(out_of_tables);
        }
        self.tree.map(&mapping).map_err(|OutOfTables| out_of_tables)?;
        self.maintenance.publish();
        self.regions.insert(insertion);
        Ok(())
    }

    /// Removes the dynamic region of exactly this base and size: nothing of it is mapped, or cached
    /// anywhere, any more.
    ///
    /// # Errors
    /// [`Error::NoSuchRegion`], [`Error::Static`], [`Error::StillMapped`] for a transient region of
    /// which a page is mapped, or what makes base and size no region at all. Then nothing has
    /// changed.
    pub fn remove(&mut self, base: VirtAddr, size: u64) -> Result<(), Error> {
        let span = self.space().span(base, size)?;
        let extent = Extent { base, size };
        if self.regions.find_dynamic(span, extent)?.kind == RegionKind::Transient {
            self.tree.visit(span, &mut |visited| match visited.descriptor {
                Descriptor::Leaf(_) => Err(Error::StillMapped(extent)),
                _ => Ok(()),
            })?;
        }
        self.regions.remove(span, extent)?;
        self.tree.unmap::<R>(span, self.maintenance);
        Ok(())
    }

    /// Gives all of `size` bytes at `base` other access permissions, execution, guard, privilege or
    /// globality.
    ///
    /// While it runs, the range faults (and with it the rest of a block, or of a group joined by
    /// the Contiguous hint, that is changed in part): nothing, this code included, may be using it.
    /// Blocks are split where needed and not joined again.
    ///
    /// # Errors
    /// [`Error::NotMapped`] if part of it is not mapped, [`Error::Transient`] if part of it is
    /// transient, [`Error::FixedAttribute`] if memory type, physical address space or shareability
    /// would change, [`Error::Attributes`] or [`Error::OutOfTables`]. Then nothing has changed.
    pub fn change_attributes(
        &mut self,
        base: VirtAddr,
        size: u64,
        attributes: Attributes,
    ) -> Result<(), Error> {
        let span = self.space().span(base, size)?;
        self.tree.change::<R>(span, attributes, self.maintenance)
    }

    /// The VA configuration.
    pub fn space(&self) -> &AddressSpace {
        &self.tree.space
    }

    /// The regions.
    pub fn regions(&self) -> &RegionList<'a> {
        &self.regions
    }

    /// The tables, to be counted.
    pub fn pool(&self) -> &TablePool<'a> {
        &self.tree.pool
    }

    /// The physical address of the initial table.
    pub fn root(&self) -> PhysAddr {
        self.tree.pool.address_of(self.tree.root)
    }

    /// What `va` translates to.
    ///
    /// # Errors
    /// [`Error::OutsideAddressSpace`], [`Error::NotMapped`], or [`Error::Unmapped`] for a transient
    /// page without mapping.
    pub fn translate(&self, va: VirtAddr) -> Result<Translation, Error> {
        let extent = Extent { base: va, size: 1 };
        let space = self.space();
        let offset = space.offset(va).ok_or(Error::OutsideAddressSpace(extent))?;
        let found = self.tree.find(offset);
        let leaf = match found.descriptor {
            Descriptor::Leaf(leaf) => leaf,
            Descriptor::Transient => return Err(Error::Unmapped(va)),
            _ => return Err(Error::NotMapped(extent)),
        };
        let within = offset & (found.level.entry_size() - 1);
        Ok(Translation {
            pa: PhysAddr::new(leaf.pa(space.format()).get() + within),
            attributes: leaf.attributes::<R>(space.format(), space.walks()),
            level: found.level,
            contiguous: leaf.is_contiguous(),
            transient: leaf.is_transient(),
        })
    }

    /// The handle of `pages` transient pages from `base` on, to map and unmap them without a walk.
    ///
    /// # Errors
    /// [`Error::NotTransient`] if one of them is not of a transient region,
    /// [`Error::SeveralTables`] if their entries are not in one table (which covers 2 MiB).
    pub fn transient(&self, base: VirtAddr, pages: usize) -> Result<TransientRange<'_, R>, Error> {
        let size = u64::try_from(pages).ok().and_then(|pages| pages.checked_mul(GRANULE_SIZE));
        let extent = Extent { base, size: size.unwrap_or(u64::MAX) };
        let span = self.space().span(base, extent.size)?;
        if !Span::unit(span.first, Level::Two.entry_size()).contains(span.last) {
            return Err(Error::SeveralTables(extent));
        }
        let found = self.tree.find(span.first);
        let entries = self.tree.pool.entries(found.table).get(found.index..found.index + pages);
        match entries {
            Some(entries) if found.level == Level::Three => {
                TransientRange::new(entries, base, *self.space(), self.maintenance)
            }
            _ => Err(Error::NotTransient(extent)),
        }
    }
}
