// SPDX-License-Identifier: BSD-3-Clause
//! The High VA map: 2 MiB at the top of the address space, private to each CPU, with the same
//! layout on all.
//!
//! From the bottom: the stack, the exception stack and the CPU's context, each between two unmapped
//! guard pages; at the top the slots ([`slot_layout`]). Everything else is unmapped and cannot be
//! mapped. The memory that it maps is [`CpuMemory`](crate::percpu::CpuMemory).

use tock_registers::interfaces::{ReadWriteable, Writeable};

use super::{low_va, slot_layout};
use crate::address::{GRANULE_SIZE, PhysAddr, VirtAddr};
use crate::arch::barrier;
use crate::arch::sysreg::{TCR_EL2, TTBR1_EL2, fields};
use crate::xlat::{
    AddressSpace, Attributes, Context, ContextBuilder, El2And0, Error, Maintenance, Region,
    RegionStorage, Table, TablePool, VaRange,
};

/// Address bits of the range: one level 3 table, with FEAT_TTST.
const ADDRESS_BITS: u32 = 21;
/// The first byte of the range, and of the guard page below the stack.
///
/// Nothing is mapped between the Low VA range and this address, so a stack frame larger than a page
/// cannot skip the guard.
pub const BASE: u64 = u64::MAX - (1 << ADDRESS_BITS) + 1;

/// Pages of the stack: a build option, the environment variable of this name.
const STACK_PAGES: u64 = pages(option_env!("RMM_STACK_PAGES"), 6);
/// Pages of the exception stack: a build option, likewise. It only needs room for a fatal report.
const EXCEPTION_STACK_PAGES: u64 = pages(option_env!("RMM_EXCEPTION_STACK_PAGES"), 2);

/// The number in a build option, 1 to 64, or `default`.
const fn pages(option: Option<&str>, default: u64) -> u64 {
    let Some(digits) = option else { return default };
    match u64::from_str_radix(digits, 10) {
        Ok(pages @ 1..=64) => pages,
        _ => panic!("RMM_STACK_PAGES and RMM_EXCEPTION_STACK_PAGES are numbers from 1 to 64"),
    }
}

/// A part of the map: some pages between two guard pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HighVaPart {
    /// Its name.
    pub name: &'static str,
    /// The first byte.
    pub base: u64,
    /// The first byte after it.
    pub top: u64,
}

impl HighVaPart {
    /// The part of `pages` pages above `guard`, the first byte of a guard page.
    const fn above(guard: u64, name: &'static str, pages: u64) -> Self {
        let base = guard + GRANULE_SIZE;
        Self { name, base, top: base + pages * GRANULE_SIZE }
    }

    /// Its bytes.
    pub const fn size(self) -> u64 {
        self.top - self.base
    }
}

/// The stack of every CPU.
pub const STACK: HighVaPart = HighVaPart::above(BASE, "stack", STACK_PAGES);
/// The stack for exceptions of every CPU.
pub const EXCEPTION_STACK: HighVaPart =
    HighVaPart::above(STACK.top, "exception stack", EXCEPTION_STACK_PAGES);
/// The context of every CPU.
pub const CONTEXT: HighVaPart = HighVaPart::above(EXCEPTION_STACK.top, "context", 3);
/// Every part but the slots, from the bottom, with one guard page between any two.
pub const PARTS: [HighVaPart; 3] = [STACK, EXCEPTION_STACK, CONTEXT];

static_assertions::const_assert!(CONTEXT.top + GRANULE_SIZE <= slot_layout::BASE.get());
static_assertions::const_assert!(slot_layout::BASE.get() - 1 + slot_layout::SIZE < u64::MAX);

/// The attributes of the parts.
pub const ATTRIBUTES: Attributes = Attributes::read_write().non_global();

/// The configuration of the range.
///
/// # Errors
///
/// As [`AddressSpace::new`].
pub fn space(max_pa: PhysAddr) -> Result<AddressSpace, Error> {
    // As in the Low VA map: a CPU that boots later may have an erratum with the contiguous hint.
    let space = AddressSpace::new(VaRange::High, ADDRESS_BITS, max_pa, low_va::FORMAT)?;
    Ok(space.without_contiguous_hint())
}

/// Memory for the regions of a CPU's map: its parts and the slots.
pub type Regions = RegionStorage<4>;

/// Builds the map of a CPU in `table`, its only table: the slots, and each of [`PARTS`] at the
/// physical address in `memory`.
///
/// # Errors
///
/// The error of `xlat`.
pub fn build(
    table: &'static mut Table,
    regions: &'static mut Regions,
    memory: [PhysAddr; PARTS.len()],
    max_pa: PhysAddr,
) -> Result<Context<'static, El2And0>, Error> {
    // The table is flat-mapped: its address is its physical address.
    let address = PhysAddr::new(core::ptr::from_ref(table).addr() as u64);
    // SAFETY: `address` is the table's physical address, and no CPU walks the table yet: it is
    // borrowed as `&'static mut`.
    let pool = unsafe { TablePool::new(core::slice::from_mut(table), address) }?;
    let mut builder = ContextBuilder::<El2And0>::new(space(max_pa)?, pool, regions.list())?;
    for (part, start) in PARTS.into_iter().zip(memory) {
        let va = VirtAddr::new(part.base);
        builder.add_static(Region::new(start, va, part.size(), ATTRIBUTES))?;
    }
    builder.add_static(Region::transient(slot_layout::BASE, slot_layout::SIZE))?;
    let mut context = builder.init().map_err(|failed| failed.error)?;
    // SAFETY: no CPU walks the table yet, and only its own CPU will.
    unsafe { context.activate(Maintenance::Local) }?;
    Ok(context)
}

/// Loads `table` into the running CPU's TTBR1 and enables the High VA range.
pub fn enable(table: PhysAddr) {
    // ASID 0, and CnP clear: the tables are this CPU's own. The register holds an address below
    // 2^48 unchanged.
    TTBR1_EL2.set(table.get());
    barrier::isb();
    TCR_EL2.modify(fields::TCR_EL2::EPD1::CLEAR);
    barrier::isb();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guard_pages_are_on_both_sides_of_each_part() {
        assert_eq!(STACK.base, BASE + GRANULE_SIZE);
        for (below, above) in [(STACK, EXCEPTION_STACK), (EXCEPTION_STACK, CONTEXT)] {
            assert_eq!(above.base, below.top + GRANULE_SIZE);
        }
    }
}
