// SPDX-License-Identifier: BSD-3-Clause
//! How the alignment of a region determines its leaves, read from tables that the library builds.

use rmm::address::{PhysAddr, VirtAddr};
use rmm::xlat::{
    AddressSpace, Attributes, ContextBuilder, DescriptorFormat, El2And0, Error, LeafMapping, Level,
    Region, RegionStorage, Table, TablePool, VaRange,
};

use crate::style::{Align, Area, Canvas, Paint, TOP, Type, count, hex};

const BLOCK: u64 = 2 << 20;
const SIZE: u64 = 3 * BLOCK;
/// Virtual and physical base of the region of each row.
const ROWS: [(u64, u64); 3] =
    [(0x4000_0000, 0x8000_0000), (0x4010_0000, 0x8010_0000), (0x4000_0000, 0x8000_1000)];
const ROW: i32 = 92;

/// Leaves of one level within a block's window: level, first address, bytes, number.
type Run = (Level, u64, u64, u64);

/// The runs that map a region, and the number of its tables.
fn runs(va: u64, pa: u64) -> Result<(Vec<Run>, usize), Error> {
    let max_pa = PhysAddr::new(0xffff_ffff);
    let space = AddressSpace::new(VaRange::Low, 32, max_pa, DescriptorFormat::Bits48)?;
    let mut tables = [const { Table::EMPTY }; 8];
    let mut storage = RegionStorage::<1>::new();
    // SAFETY: no CPU walks these tables.
    let pool = unsafe { TablePool::new(&mut tables, PhysAddr::new(0x1000)) }?;
    let mut builder = ContextBuilder::<El2And0>::new(space, pool, storage.list())?;
    let (pa, base) = (PhysAddr::new(pa), VirtAddr::new(va));
    builder.add_static(Region::new(pa, base, SIZE, Attributes::read_write()))?;
    let context = builder.init().map_err(|failed| failed.error)?;
    let mut runs: Vec<Run> = Vec::new();
    context.visit_mappings(|LeafMapping { extent, translation }| {
        let level = translation.map_or(Level::Three, |translation| translation.level);
        match runs.last_mut() {
            Some((Level::Three, first, size, leaves))
                if level == Level::Three && *first / BLOCK == extent.base.get() / BLOCK =>
            {
                *size += extent.size;
                *leaves += 1;
            }
            _ => runs.push((level, extent.base.get(), extent.size, 1)),
        }
        Ok::<(), Error>(())
    })?;
    Ok((runs, context.pool().total() - context.pool().free()))
}

pub fn draw() -> Canvas {
    let height = TOP + ROW * 3 + 40;
    let mut canvas = Canvas::new(
        height,
        "What maps a region of 6 MiB",
        "Blocks of 2 MiB where both bases agree on alignment, pages where they do not",
        "Three rows, each a region of 6 MiB by virtual address. Aligned bases give three blocks; \
         bases off by the same megabyte give pages, two blocks and pages; a physical base off by \
         a page gives pages only.",
    );
    let x = |address: u64| {
        40 + i32::try_from((address - 0x4000_0000) * 600 / (4 * BLOCK)).unwrap_or(i32::MAX)
    };
    for (row, (va, pa)) in (0i32..).zip(ROWS) {
        let y = TOP + row * ROW;
        let (runs, tables) = runs(va, pa).unwrap_or_default();
        let text = format!("{} to {}", hex(va), hex(pa));
        canvas.text((40, y + 12), Align::Start, Type::Code, text);
        canvas.text((640, y + 12), Align::End, Type::Plain, count(tables, "table"));
        for (level, first, size, leaves) in runs {
            let area =
                Area { x: x(first), y: y + 22, width: x(first + size) - x(first), height: 34 };
            if level == Level::Three {
                canvas.labeled(area, Paint::Amber, Type::Plain, count(leaves, "page"));
            } else {
                canvas.labeled(area, Paint::Green, Type::Plain, "block");
            }
        }
    }
    canvas.legend(
        height - 20,
        &[(Paint::Green, "one entry at level 2"), (Paint::Amber, "a table at level 3")],
    );
    canvas
}
