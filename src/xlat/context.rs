// SPDX-License-Identifier: BSD-3-Clause
//! Contexts: a VA configuration, its regions and its tables.
//!
//! Only a [`ContextBuilder`] takes static regions, only a [`Context`] has mappings.

use core::convert::Infallible;
use core::fmt;
use core::marker::PhantomData;

use super::attributes::{Attributes, Permissions, Shareability};
use super::change::FieldChange;
use super::descriptor::{Descriptor, LeafDescriptor};
use super::error::{Error, Extent};
use super::level::{Level, Span};
use super::maintenance::Maintenance;
use super::pool::TablePool;
use super::regime::Regime;
use super::region::{Region, RegionKind};
use super::region_list::{Lifetime, PlacedRegion, RegionList};
use super::space::{AddressSpace, VaRange};
use super::table_tree::{MapRequest, OutOfTables, TableCounter, TableTree};
use super::transient::TransientRange;
use crate::address::{GRANULE_SIZE, PhysAddr, VirtAddr};

/// A context under construction: a list of regions, and a table that maps nothing.
#[derive(Debug)]
pub struct ContextBuilder<'a, R>(Context<'a, R>);

/// A context whose regions are mapped.
///
/// Methods that take `&self` store into no table.
#[derive(Debug)]
pub struct Context<'a, R> {
    pub(super) tree: TableTree<'a>,
    pub(super) regions: RegionList<'a>,
    pub(super) maintenance: Maintenance,
    regime: PhantomData<R>,
}

/// The error of [`ContextBuilder::init`].
#[derive(Debug)]
pub struct InitError<'a, R> {
    /// The builder, unchanged.
    pub builder: ContextBuilder<'a, R>,
    /// The reason.
    pub error: Error,
}

impl<R> fmt::Display for InitError<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<R: fmt::Debug> core::error::Error for InitError<'_, R> {}

/// A block, a page, or a transient page that is not mapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LeafMapping {
    /// The addresses.
    pub extent: Extent,
    /// The translation of the first one; `None` for a transient page that is not mapped.
    pub translation: Option<Translation>,
}

/// The translation of an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Translation {
    /// The physical address.
    pub pa: PhysAddr,
    /// The attributes of the mapping.
    pub attributes: Attributes,
    /// The level of the block or page that maps it.
    pub level: Level,
    /// Whether that block or page has the Contiguous hint.
    pub contiguous: bool,
    /// Whether it is a page of a transient region.
    pub transient: bool,
}

/// Checks all that does not depend on other regions.
fn check<R: Regime>(
    space: &AddressSpace,
    region: Region,
    lifetime: Lifetime,
) -> Result<PlacedRegion, Error> {
    let span = space.span(region.extent.base, region.extent.size)?;
    region.check(space.max_pa(), space.format())?;
    let placed = PlacedRegion::new(region, span, lifetime);
    let RegionKind::Memory { attributes, .. } = region.kind else { return Ok(placed) };
    match space.leaf_bits::<R>(attributes) {
        Ok(bits) => Ok(placed.with_bits(bits)),
        Err(rule) => Err(Error::Attributes(region.extent, rule)),
    }
}

impl<'a, R: Regime> ContextBuilder<'a, R> {
    /// A context without regions. `pool` and `regions` limit its tables and its regions.
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
        if (!R::UNPRIVILEGED && space.asid() != 0) || (!R::ANY_ASID && space.is_for_any_asid()) {
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

    /// Adds a region that its author knows to be valid, for the life of the context.
    ///
    /// A debug build logs an error and panics. Use [`Self::try_add_static`] for other regions.
    ///
    /// # Errors
    /// The rule that `region` breaks, by itself or with the regions so far.
    pub fn add_static(&mut self, region: Region) -> Result<(), Error> {
        let result = self.try_add_static(region);
        if cfg!(debug_assertions)
            && let Err(error) = result
        {
            log::error!("a static region breaks a rule: {error}");
        }
        debug_assert_eq!(result, Ok(()), "a static region breaks a rule");
        result
    }

    /// Adds a region for the life of the context.
    ///
    /// # Errors
    /// The rule that `region` breaks, by itself or with the regions so far.
    pub fn try_add_static(&mut self, region: Region) -> Result<(), Error> {
        self.add(region, Lifetime::Static)
    }

    /// Adds a region that can be removed, before `init` or after.
    ///
    /// # Errors
    /// The rule that `region` breaks, by itself or with the regions so far.
    pub fn add_dynamic(&mut self, region: Region) -> Result<(), Error> {
        self.add(region, Lifetime::Dynamic)
    }

    fn add(&mut self, region: Region, lifetime: Lifetime) -> Result<(), Error> {
        let placed = check::<R>(self.space(), region, lifetime)?;
        let insertion = self.0.regions.check(&placed)?;
        self.0.regions.insert(&placed, insertion);
        Ok(())
    }

    /// Removes the dynamic region of exactly this base and size.
    ///
    /// # Errors
    /// [`Error::NoSuchRegion`], [`Error::Static`], or the rule that base and size break.
    pub fn remove(&mut self, base: VirtAddr, size: u64) -> Result<(), Error> {
        let span = self.space().span(base, size)?;
        self.0.regions.remove(span, Extent { base, size })?;
        Ok(())
    }

    /// How many tables of the pool [`Self::init`] takes, the initial one included. Takes none, so
    /// that a pool of one table is enough to ask.
    pub fn tables_needed(&self) -> usize {
        let Context { tree, regions, .. } = &self.0;
        let mut counter = TableCounter::new();
        let Ok(()) = regions.try_for_each_part::<Infallible>(|placed, part| {
            counter.add(&MapRequest::new(placed, part, &tree.space), &tree.space);
            Ok(())
        });
        counter.count()
    }

    /// Builds the tables. No CPU may walk them before [`Context::activate`].
    ///
    /// # Errors
    /// [`Error::OutOfTables`] with the region that could not be mapped, and the builder.
    #[expect(
        clippy::result_large_err,
        reason = "the error returns the builder, and there is no heap"
    )]
    pub fn init(mut self) -> Result<Context<'a, R>, InitError<'a, R>> {
        let Context { tree, regions, .. } = &mut self.0;
        // The parts ascend, so most are in the same table as the one before.
        let mut last = None;
        let mapped = regions.try_for_each_part(|placed, part| {
            let window = part.first >> Level::Two.shift();
            let same = part.last >> Level::Two.shift() == window;
            let table = match last {
                Some((at, table)) if same && at == window => Some(table),
                _ => None,
            };
            let request = MapRequest::new(placed, part, &tree.space);
            tree.map(&request, table)
                .map_err(|OutOfTables| Error::OutOfTables(placed.region.extent))?;
            if table.is_none() {
                last = tree.page_table(part).map(|table| (window, table));
            }
            Ok(())
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
    /// States which CPUs may walk the tables from now on. Later changes maintain accordingly.
    ///
    /// Call it before a TTBR gets the tables, and with `Maintenance::None` after the last TTBR lost
    /// them. It does not make earlier stores visible: the writer of the TTBR executes a DSB before.
    ///
    /// # Safety
    /// Until the next call no other CPUs walk the tables. Otherwise they may continue to use memory
    /// after it is unmapped.
    ///
    /// # Errors
    /// [`Error::NonShareableWalks`] if CPUs are to share tables whose walks are Non-shareable.
    pub unsafe fn activate(&mut self, maintenance: Maintenance) -> Result<(), Error> {
        if maintenance.is_shared() && self.space().walks() == Shareability::Non {
            return Err(Error::NonShareableWalks);
        }
        self.maintenance = maintenance;
        Ok(())
    }

    /// Adds a region that can be removed, and maps it.
    ///
    /// # Errors
    /// The rule that `region` breaks, or [`Error::OutOfTables`].
    pub fn add(&mut self, region: Region) -> Result<(), Error> {
        let placed = check::<R>(self.space(), region, Lifetime::Dynamic)?;
        let request = MapRequest::new(&placed, placed.span, self.space());
        let out_of_tables = Error::OutOfTables(region.extent);
        // Checked first: counting tables assumes that the region overlaps no other.
        let insertion = self.regions.check(&placed)?;
        let page_table = self.tree.page_table(placed.span);
        if page_table.is_none()
            && self.tree.tables_for(&request, self.tree.pool.free()) > self.tree.pool.free()
        {
            return Err(out_of_tables);
        }
        self.tree.map(&request, page_table).map_err(|OutOfTables| out_of_tables)?;
        self.maintenance.publish();
        self.regions.insert(&placed, insertion);
        Ok(())
    }

    /// Removes the dynamic region of exactly this base and size. No TLB entry of it survives.
    ///
    /// # Errors
    /// [`Error::NoSuchRegion`], [`Error::Static`], [`Error::StillMapped`] if a transient page in it
    /// is mapped, or the rule that base and size break.
    pub fn remove(&mut self, base: VirtAddr, size: u64) -> Result<(), Error> {
        let span = self.space().span(base, size)?;
        let extent = Extent { base, size };
        if self.regions.find_dynamic(span, extent)?.kind == RegionKind::Transient {
            self.tree.visit(span, &mut |visited| match visited.descriptor {
                Descriptor::Leaf(_) => Err(Error::StillMapped(extent)),
                _ => Ok(()),
            })?;
        }
        let vacant = self.regions.remove(span, extent)?;
        self.tree.unmap::<R>(span, vacant, self.maintenance);
        Ok(())
    }

    /// Changes access permission, execution, guard, privilege or globality of `size` bytes at
    /// `base`.
    ///
    /// Permissions of whole pages, blocks and Contiguous groups change in place. If a block or
    /// group is changed in part, all of it and the range fault meanwhile, unless
    /// [`MaintenanceFeatures::resize_in_place`] is set. If globality changes, they always do. No
    /// CPU may be using addresses that fault, this code included. Blocks are split where needed and
    /// not joined again.
    ///
    /// # Errors
    /// [`Error::NotMapped`] or [`Error::Transient`] if part of the range is,
    /// [`Error::FixedAttribute`] if memory type, physical address space or shareability would
    /// change, [`Error::Attributes`] or [`Error::OutOfTables`].
    ///
    /// [`MaintenanceFeatures::resize_in_place`]: super::MaintenanceFeatures::resize_in_place
    pub fn change_attributes(
        &mut self,
        base: VirtAddr,
        size: u64,
        attributes: Attributes,
    ) -> Result<(), Error> {
        let span = self.space().span(base, size)?;
        let fields = FieldChange::to_attributes::<R>(attributes, self.space())
            .map_err(|rule| Error::Attributes(Extent { base, size }, rule))?;
        self.tree.change::<R>(span, fields, self.maintenance)
    }

    /// Changes permissions of `size` bytes at `base`. The range may contain several memory types
    /// and physical address spaces, and be global in part. Otherwise as
    /// [`Self::change_attributes`].
    ///
    /// # Errors
    /// [`Error::NotMapped`] or [`Error::Transient`] if part of the range is, [`Error::Attributes`]
    /// if memory in it cannot have these permissions, or [`Error::OutOfTables`].
    pub fn change_permissions(
        &mut self,
        base: VirtAddr,
        size: u64,
        permissions: Permissions,
    ) -> Result<(), Error> {
        let span = self.space().span(base, size)?;
        let fields = FieldChange::to_permissions::<R>(permissions, self.space())
            .map_err(|rule| Error::Attributes(Extent { base, size }, rule))?;
        self.tree.change::<R>(span, fields, self.maintenance)
    }

    /// The VA configuration.
    pub fn space(&self) -> &AddressSpace {
        &self.tree.space
    }

    /// The regions as they were added. [`Self::translate`] and [`Self::visit_mappings`] give the
    /// current attributes.
    pub fn added_regions(&self) -> &RegionList<'a> {
        &self.regions
    }

    /// The table pool, for its counts.
    pub fn pool(&self) -> &TablePool<'a> {
        &self.tree.pool
    }

    /// The physical address of the initial table.
    pub fn root(&self) -> PhysAddr {
        self.tree.pool.address_of(self.tree.root)
    }

    /// Translates `va`.
    ///
    /// # Errors
    /// [`Error::OutsideAddressSpace`], [`Error::NotMapped`], or [`Error::Unmapped`] for a transient
    /// page.
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
        let of_leaf = self.translation(leaf, found.level);
        Ok(Translation { pa: PhysAddr::new(of_leaf.pa.get() + within), ..of_leaf })
    }

    fn translation(&self, leaf: LeafDescriptor, level: Level) -> Translation {
        let space = self.space();
        Translation {
            pa: leaf.pa(space.format()),
            attributes: leaf.attributes::<R>(space.format(), space.walks()),
            level,
            contiguous: leaf.is_contiguous(),
            transient: leaf.is_transient(),
        }
    }

    /// Calls `f` with each block and page, and each transient page that is not mapped, in ascending
    /// order, until it fails.
    ///
    /// # Errors
    /// That of `f`.
    pub fn visit_mappings<E>(
        &self,
        mut f: impl FnMut(LeafMapping) -> Result<(), E>,
    ) -> Result<(), E> {
        let all = Span { first: 0, last: (1 << self.space().address_bits()) - 1 };
        self.tree.visit(all, &mut |visited| {
            let translation = match visited.descriptor {
                Descriptor::Leaf(leaf) => Some(self.translation(leaf, visited.level)),
                Descriptor::Transient => None,
                _ => return Ok(()),
            };
            f(LeafMapping { extent: self.space().extent(visited.span), translation })
        })
    }

    /// A handle for `pages` transient pages from `base` on.
    ///
    /// # Errors
    /// [`Error::NotTransient`] if one is not in a transient region, [`Error::SeveralTables`] if
    /// their entries are not in one table (2 MiB).
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
