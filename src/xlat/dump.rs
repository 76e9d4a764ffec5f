// SPDX-License-Identifier: BSD-3-Clause
//! The tables of a context as text: one line for each range of addresses with the same attributes.

use core::fmt;

use super::attributes::Attributes;
use super::context::{Context, LeafMapping, Translation};
use super::descriptor::{Descriptor, DescriptorFormat};
use super::error::Extent;
use super::level::{Level, TABLE_ENTRIES};
use super::pool::TableIndex;
use super::regime::Regime;
use super::space::VaRange;
use super::table_tree::TableTree;
use crate::address::{PhysAddr, VirtAddr};

/// A leaf that a line shows.
#[derive(Clone, Copy, PartialEq, Eq)]
struct MappedLeaf {
    pa: PhysAddr,
    attributes: Attributes,
    transient: bool,
}

/// Consecutive addresses with the same attributes and consecutive physical addresses, or transient
/// and not mapped.
#[derive(Clone, Copy)]
struct DumpLine {
    extent: Extent,
    leaf: Option<MappedLeaf>,
}

impl DumpLine {
    /// The last address.
    fn last(self) -> VirtAddr {
        VirtAddr::new(self.extent.base.get() + (self.extent.size - 1))
    }

    /// Both as one line, if `next` continues this one.
    fn join(self, next: Self) -> Option<Self> {
        let expected = self.leaf.map(|leaf| MappedLeaf {
            pa: PhysAddr::new(leaf.pa.get().wrapping_add(self.extent.size)),
            ..leaf
        });
        let follows = self.last().checked_add(1) == Some(next.extent.base);
        let size = self.extent.size + next.extent.size;
        (follows && expected == next.leaf)
            .then_some(Self { extent: Extent { size, ..self.extent }, ..self })
    }

    fn write(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{} ", self.extent.base, self.last())?;
        let Some(MappedLeaf { pa, attributes, transient }) = self.leaf else {
            return writeln!(f, "transient, not mapped");
        };
        let transient = if transient { " transient" } else { "" };
        writeln!(f, "-> {pa} {attributes}{transient}")
    }
}

impl<R: Regime> fmt::Display for Context<'_, R> {
    /// Writes the VA configuration, the mappings, and the number of tables at each level.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let space = self.space();
        let range = match space.range() {
            VaRange::Low => "low",
            VaRange::High => "high",
        };
        let format = match space.format() {
            DescriptorFormat::Bits48 => "48-bit",
            DescriptorFormat::Lpa2 => "52-bit (LPA2)",
        };
        let (bits, asid) = (space.address_bits(), space.asid());
        writeln!(
            f,
            "{} {range} VA range, {bits} bits, {format} descriptors, ASID {asid}",
            R::NAME
        )?;

        let mut line: Option<DumpLine> = None;
        self.visit_mappings::<fmt::Error>(|LeafMapping { extent, translation }| {
            let leaf = translation.map(|Translation { pa, attributes, transient, .. }| {
                MappedLeaf { pa, attributes, transient }
            });
            let next = DumpLine { extent, leaf };
            let Some(previous) = line.replace(next) else { return Ok(()) };
            match previous.join(next) {
                Some(joined) => line = Some(joined),
                None => previous.write(f)?,
            }
            Ok(())
        })?;
        if let Some(last) = line {
            last.write(f)?;
        }

        let pool = self.pool();
        write!(f, "tables: {} of {}", pool.total() - pool.free(), pool.total())?;
        let levels = core::iter::successors(Some(space.initial_level()), |level| level.finer());
        for level in levels {
            write!(f, ", level {level}: {}", self.tree.tables_at(level))?;
        }
        writeln!(f)
    }
}

impl TableTree<'_> {
    /// How many tables there are at `level`.
    fn tables_at(&self, level: Level) -> usize {
        self.count_in(self.root, self.space.initial_level(), level)
    }

    fn count_in(&self, table: TableIndex, at: Level, wanted: Level) -> usize {
        let Some(finer) = at.finer().filter(|_| at != wanted) else { return 1 };
        (0..TABLE_ENTRIES)
            .map(|index| match self.load(table, index, at) {
                Descriptor::Table(pa) => self.count_in(self.pool.at(pa), finer, wanted),
                _ => 0,
            })
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        AddressSpace, ContextBuilder, El2And0, PhysicalAddressSpace, Region, RegionStorage, Table,
        TablePool,
    };
    use super::*;

    #[test]
    fn runs_are_merged_and_told_in_words() {
        let mut tables = [Table::EMPTY; 8];
        let mut storage = RegionStorage::<8>::new();
        let max_pa = PhysAddr::new(0xff_ffff_ffff);
        let space =
            AddressSpace::new(VaRange::High, 31, max_pa, DescriptorFormat::Bits48).expect("good");
        let pool = TablePool::unwalked(&mut tables, PhysAddr::new(0x10_0000)).expect("good");
        let mut builder =
            ContextBuilder::<El2And0>::new(space, pool, storage.list()).expect("a good context");
        let va = |offset: u64| VirtAddr::new(0xffff_ffff_8000_0000 + offset);
        let (pa, data) = (PhysAddr::new(0x4000_0000), Attributes::read_write());
        for region in [
            // A block and pages after it, of one region: one line. What follows has other
            // attributes: another.
            Region::new(pa, va(0x20_0000), 0x20_3000, data),
            Region::new(
                PhysAddr::new(0x4020_3000),
                va(0x40_3000),
                0x1000,
                Attributes::code().guarded(),
            ),
            // Not where the physical addresses would go on.
            Region::new(
                PhysAddr::new(0x5000_0000),
                va(0x40_4000),
                0x1000,
                Attributes::code().guarded(),
            ),
            Region::transient(va(0x7fff_c000), 0x4000),
        ] {
            builder.add_static(region).expect("a good region");
        }
        let context = builder.init().expect("enough tables");
        let slots = context.transient(va(0x7fff_c000), 4).expect("transient");
        let shared = Attributes::read_write().non_global().in_pas(PhysicalAddressSpace::NonSecure);
        let template = slots.template(shared).expect("good");
        slots.page(1).expect("there").map(PhysAddr::new(0x9_0000), template).expect("free");
        assert_eq!(
            context.to_string(),
            "EL2&0 high VA range, 31 bits, 48-bit descriptors, ASID 0\n\
             0xffffffff80200000-0xffffffff80402fff -> 0x0000000040000000 normal rw xn realm inner\n\
             0xffffffff80403000-0xffffffff80403fff -> 0x0000000040203000 normal ro x guarded realm inner\n\
             0xffffffff80404000-0xffffffff80404fff -> 0x0000000050000000 normal ro x guarded realm inner\n\
             0xffffffffffffc000-0xffffffffffffcfff transient, not mapped\n\
             0xffffffffffffd000-0xffffffffffffdfff -> 0x0000000000090000 normal rw xn non-secure inner \
             non-global transient\n\
             0xffffffffffffe000-0xffffffffffffffff transient, not mapped\n\
             tables: 5 of 8, level 1: 1, level 2: 2, level 3: 2\n"
        );
    }
}
