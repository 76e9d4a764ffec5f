// SPDX-License-Identifier: BSD-3-Clause
//! Tables, and the pool that a context takes them from.
//!
//! The pool knows the physical address of its tables: the address in a table descriptor becomes an
//! index by arithmetic and a bound check, never a raw pointer. Returned tables form a list through
//! their first entries, which stay invalid descriptors.

use core::sync::atomic::AtomicU64;

use super::descriptor::{self, Descriptor, DescriptorFormat, EMPTY};
use super::error::Error;
use super::level::{Level, TABLE_ENTRIES};
use crate::address::{GRANULE_SIZE, PhysAddr, native};
use crate::arch::memory::{clear_descriptors, load_descriptor, store_descriptor};

/// A translation table of 512 descriptors, one granule in size and alignment.
#[derive(Debug)]
#[repr(C, align(4096))]
pub struct Table([AtomicU64; TABLE_ENTRIES]);

static_assertions::const_assert_eq!(size_of::<Table>(), 4096);

impl Table {
    /// A table of invalid descriptors.
    #[expect(
        clippy::declare_interior_mutable_const,
        reason = "an initializer, copied into each table"
    )]
    pub const EMPTY: Self = Self([const { AtomicU64::new(EMPTY) }; TABLE_ENTRIES]);
}

/// Low bit of the link in the first entry of a returned table. Bit 0 stays clear.
const LINK_SHIFT: u32 = 12;

/// The index of a table in its pool.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct TableIndex(u32);

impl TableIndex {
    const fn get(self) -> usize {
        native(self.0 as u64)
    }
}

/// The tables of a context, used and free.
#[derive(Debug)]
pub struct TablePool<'a> {
    tables: &'a [Table],
    base: PhysAddr,
    /// Tables from this index on have never been taken.
    fresh: u32,
    /// One more than the index of the table returned last, which links to the one before; 0 for
    /// none.
    returned: u32,
    free: usize,
}

impl<'a> TablePool<'a> {
    /// A pool of `tables` at physical address `base`, with any content.
    ///
    /// # Safety
    /// The physical memory of `tables` is at `base`, and no walker uses it, until the memory is
    /// given back. Otherwise a CPU may use other data there as translation tables.
    ///
    /// # Errors
    /// [`Error::TablePool`] if there are none, or 2^32 and more, or a table cannot be at `base`.
    pub unsafe fn new(tables: &'a mut [Table], base: PhysAddr) -> Result<Self, Error> {
        let error = Error::TablePool(base);
        let count = u32::try_from(tables.len()).map_err(|_| error)?;
        let bytes = u64::from(count) * GRANULE_SIZE;
        if count == 0 || !base.is_aligned(GRANULE_SIZE) || base.checked_add(bytes - 1).is_none() {
            return Err(error);
        }
        Ok(Self { free: tables.len(), tables, base, fresh: 0, returned: 0 })
    }

    /// The number of tables.
    pub fn total(&self) -> usize {
        self.tables.len()
    }

    /// The number of tables not in use.
    pub fn free(&self) -> usize {
        self.free
    }

    /// Physical address of the first table.
    pub fn base(&self) -> PhysAddr {
        self.base
    }

    /// Physical address of the last byte of the last table.
    pub(super) fn last(&self) -> PhysAddr {
        // `new` checked that this does not wrap.
        PhysAddr::new(self.base.get() + (self.tables.len() as u64 * GRANULE_SIZE - 1))
    }

    /// Takes a table whose entries are all empty.
    pub(super) fn take(&mut self) -> Option<TableIndex> {
        self.free = self.free.checked_sub(1)?;
        if let Some(index) = self.returned.checked_sub(1) {
            let table = TableIndex(index);
            // `give_back` stored 32 bits.
            self.returned =
                (load_descriptor(self.entry(table, 0)) >> LINK_SHIFT & 0xffff_ffff) as u32;
            store_descriptor(self.entry(table, 0), EMPTY);
            return Some(table);
        }
        let table = TableIndex(self.fresh);
        self.fresh += 1;
        clear_descriptors(&self.tables[table.get()].0);
        Some(table)
    }

    /// Returns a table whose entries are all empty and that no walker can reach.
    pub(super) fn give_back(&mut self, table: TableIndex) {
        store_descriptor(self.entry(table, 0), u64::from(self.returned) << LINK_SHIFT);
        self.returned = table.0 + 1;
        self.free += 1;
    }

    /// Returns every table but `kept`, the first one taken, and clears that. No walker may use
    /// any.
    pub(super) fn reset_to(&mut self, kept: TableIndex) {
        debug_assert_eq!(kept.0, 0);
        self.fresh = 1;
        self.returned = 0;
        self.free = self.tables.len() - 1;
        clear_descriptors(self.entries(kept));
    }

    pub(super) fn entries(&self, table: TableIndex) -> &'a [AtomicU64; TABLE_ENTRIES] {
        &self.tables[table.get()].0
    }

    pub(super) fn entry(&self, table: TableIndex, index: usize) -> &'a AtomicU64 {
        &self.tables[table.get()].0[index]
    }

    pub(super) fn load(
        &self,
        table: TableIndex,
        index: usize,
        level: Level,
        format: DescriptorFormat,
    ) -> Descriptor {
        Descriptor::decode(load_descriptor(self.entry(table, index)), level, format)
    }

    pub(super) fn address_of(&self, table: TableIndex) -> PhysAddr {
        PhysAddr::new(self.base.get() + u64::from(table.0) * GRANULE_SIZE)
    }

    /// The table that a descriptor of this context points to.
    ///
    /// # Panics
    /// If it is not in this pool: the tables have been overwritten.
    pub(super) fn at(&self, pa: PhysAddr) -> TableIndex {
        let index = pa.checked_sub(self.base).map(|bytes| bytes / GRANULE_SIZE);
        match index.map(u32::try_from) {
            Some(Ok(index)) if index < self.fresh => TableIndex(index),
            _ => panic!("a translation table points to {pa}, where no table of its context is"),
        }
    }

    /// The descriptor that points to `table`.
    pub(super) fn descriptor_of(&self, table: TableIndex) -> u64 {
        descriptor::table(self.address_of(table))
    }
}

#[cfg(test)]
impl<'a> TablePool<'a> {
    /// A pool that no CPU will ever walk.
    pub(super) fn unwalked(tables: &'a mut [Table], base: PhysAddr) -> Result<Self, Error> {
        // SAFETY: no register of a CPU gets the address.
        unsafe { Self::new(tables, base) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(tables: &mut [Table]) -> TablePool<'_> {
        TablePool::unwalked(tables, PhysAddr::new(0x8_0000)).expect("a good pool")
    }

    #[test]
    fn a_table_taken_is_clear_whatever_it_held() {
        let mut tables = [Table::EMPTY; 2];
        tables[0].0[7].store(0x7ff, core::sync::atomic::Ordering::Relaxed);
        let mut pool = pool(&mut tables);
        for _ in 0..2 {
            let taken = [pool.take(), pool.take()].map(|table| table.expect("two are free"));
            for table in taken {
                assert!(pool.entries(table).iter().all(|entry| load_descriptor(entry) == EMPTY));
            }
            // The second one links to the first.
            for table in taken {
                pool.give_back(table);
            }
        }
    }

    #[test]
    fn a_pool_knows_where_it_ends() {
        let mut tables = [Table::EMPTY; 3];
        assert_eq!(pool(&mut tables).last(), PhysAddr::new(0x8_2fff));
    }

    #[test]
    fn every_table_is_handed_out_once() {
        let mut tables = [Table::EMPTY; 3];
        let mut pool = pool(&mut tables);
        let first: Vec<_> = core::iter::from_fn(|| pool.take()).collect();
        assert_eq!(first.len(), 3);
        assert_eq!(pool.free(), 0);
        for &table in &first {
            pool.give_back(table);
        }
        let mut second: Vec<_> = core::iter::from_fn(|| pool.take()).map(|table| table.0).collect();
        second.sort_unstable();
        assert_eq!(second, [0, 1, 2]);
    }

    #[test]
    fn a_free_table_holds_no_valid_descriptor() {
        let mut tables = [Table::EMPTY; 3];
        let mut pool = pool(&mut tables);
        let taken: Vec<_> = core::iter::from_fn(|| pool.take()).collect();
        for &table in &taken {
            pool.give_back(table);
        }
        for table in taken {
            assert!(pool.entries(table).iter().all(|entry| load_descriptor(entry) & 1 == 0));
        }
    }

    #[test]
    fn an_address_and_its_table_belong_together() {
        let mut tables = [Table::EMPTY; 3];
        let mut pool = pool(&mut tables);
        while let Some(table) = pool.take() {
            assert_eq!(pool.at(pool.address_of(table)), table);
        }
    }

    #[test]
    #[should_panic(expected = "no table of its context")]
    fn a_pointer_out_of_the_pool_is_caught() {
        let mut tables = [Table::EMPTY; 1];
        let mut pool = pool(&mut tables);
        pool.take();
        pool.at(PhysAddr::new(0x8_1000));
    }

    #[test]
    fn a_pool_must_be_placed_where_tables_can_be() {
        for base in [0x8_0800, 0u64.wrapping_sub(GRANULE_SIZE)] {
            let mut tables = [Table::EMPTY; 2];
            let base = PhysAddr::new(base);
            assert_eq!(TablePool::unwalked(&mut tables, base).unwrap_err(), Error::TablePool(base));
        }
        let base = PhysAddr::new(0x8_0000);
        assert_eq!(TablePool::unwalked(&mut [], base).unwrap_err(), Error::TablePool(base));
    }
}
