// SPDX-License-Identifier: BSD-3-Clause
//! A part of a block becomes read-only while the rest is in use. The tables that change lie in the
//! block. If CPUs replace a block with a table without a break (FEAT_BBM), no access to it ever
//! faults.

use core::cell::UnsafeCell;

use rmm::address::{PhysAddr, VirtAddr, native};
use rmm::xlat::mmu::{self, TableSharing};
use rmm::xlat::{
    AddressSpace, Attributes, ContextBuilder, DescriptorFormat, Error, Level, Maintenance, Regime,
    RegionStorage, Table, TablePool, VaRange,
};

use crate::check::Every;
use crate::exception_level::{ExceptionLevel, features, maintenance_features};
use crate::layout::{MIB_2, PAGE, add_image};
use crate::probe::{Outcome, load, store};

const TABLES: usize = 16;

/// Room for an aligned block, wherever the image is.
#[repr(C, align(4096))]
struct Room(UnsafeCell<[u8; 2 * native(MIB_2)]>);

// SAFETY: there is only one CPU.
unsafe impl Sync for Room {}

#[unsafe(link_section = ".room")]
static ROOM: Room = Room(UnsafeCell::new([0; 2 * native(MIB_2)]));

/// Runs in a regime, with the 48-bit format.
pub fn run<R: Regime>(level: ExceptionLevel) -> Result<(), Error> {
    let mut every = Every::new("a page of a block becomes read-only while tables in it are in use");
    let features = features();
    let block = (ROOM.0.get().addr() as u64).next_multiple_of(MIB_2);
    let first = core::ptr::with_exposed_provenance_mut::<Table>(native(block));
    // SAFETY: inside `ROOM`, which nothing else uses; any content is a valid table.
    let tables = unsafe { core::slice::from_raw_parts_mut(first, TABLES) };
    let format = DescriptorFormat::Bits48;
    let space = AddressSpace::new(VaRange::Low, 39, features.max_pa(format), format)?;
    let space = space.with_maintenance_features(maintenance_features());
    // SAFETY: everything is mapped flat, and the ground is in force.
    let pool = unsafe { TablePool::new(tables, PhysAddr::new(block)) }?;
    let mut storage = RegionStorage::<8>::new();
    let mut builder = ContextBuilder::<R>::new(space, pool, storage.list())?;
    add_image(&mut builder, level)?;
    let mut context = builder.init().map_err(|failed| failed.error)?;
    let low = context.space();
    let tcr = if level.has_el0() {
        mmu::tcr(Some(low), None, &features)?
    } else {
        mmu::tcr_one_range(low, &features)?
    };
    let ttbr = mmu::ttbr(&context, TableSharing::Private, &features);
    // SAFETY: there is only one CPU.
    unsafe { context.activate(Maintenance::Local) }?;
    // SAFETY: the image is mapped flat.
    unsafe { level.put_in_force(tcr, ttbr, 0) };

    let last = VirtAddr::new(block + MIB_2 - PAGE);
    every.equal("level before", context.translate(last)?.level, Level::Two);
    every.equal("write before", store(last.get(), 1), Outcome::Done(0));
    let (read_only, read_write) = (Attributes::read_only(), Attributes::read_write());
    context.change_permissions(last, PAGE, read_only.permissions())?;
    every.equal("level", context.translate(last)?.level, Level::Three);
    every.equal("read", load(last.get()), Outcome::Done(1));
    every.equal("write", store(last.get(), 2), Outcome::Permission(3));
    // The page before it is in a contiguous group of sixteen.
    let before = VirtAddr::new(last.get() - 0x20 * PAGE);
    every.equal("hint before", context.translate(before)?.contiguous, true);
    context.change_permissions(before, PAGE, read_only.permissions())?;
    every.equal("hint", context.translate(before)?.contiguous, false);
    every.equal("write to another", store(before.get(), 2), Outcome::Permission(3));
    every.equal("write beside it", store(before.get() + PAGE, 2), Outcome::Done(0));
    context.change_permissions(VirtAddr::new(block), MIB_2, read_write.permissions())?;
    every.equal("write after", store(last.get(), 3), Outcome::Done(0));
    level.ground();
    Ok(())
}
