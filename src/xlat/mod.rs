// SPDX-License-Identifier: BSD-3-Clause
//! The translation tables library: stage 1 tables with the 4 KiB granule, for any regime, in
//! memory of the caller.
//!
//! [`ContextBuilder`] takes regions; `init` turns it into a [`Context`] with tables;
//! [`Context::activate`] states which CPUs walk them. All state is in the context. The library
//! writes no register: [`mmu`] computes values.
//!
//! It could be a crate of its own. Of this one it uses `address`, and of `arch`:
//!
//! | Module | What |
//! | --- | --- |
//! | `arch::memory` | accesses to descriptors: load, store, exchange, clear a table |
//! | `arch::barrier` | DSBs and the ISB |
//! | `arch::tlbi` | TLBIs of stage 1 |
//! | `arch::tlbi_range` | the operand of a TLBI of a range |
//! | `arch::sysreg::fields` | fields of TCR and SCTLR |
//!
//! ```
//! use rmm::address::{PhysAddr, VirtAddr};
//! use rmm::xlat::{
//!     AddressSpace, Attributes, ContextBuilder, DescriptorFormat, El2And0, Maintenance, Region,
//!     RegionStorage, Table, TablePool, VaRange,
//! };
//!
//! # fn main() -> Result<(), rmm::xlat::Error> {
//! // One table covers 2 MiB at the top of the address space (TxSZ 43): a stack page and two slots.
//! let max_pa = PhysAddr::new((1 << 48) - 1);
//! let space = AddressSpace::new(VaRange::High, 21, max_pa, DescriptorFormat::Bits48)?;
//! let (mut tables, mut storage) = ([Table::EMPTY; 1], RegionStorage::<2>::new());
//! // SAFETY: that is where the tables are, and no CPU walks them yet.
//! let pool = unsafe { TablePool::new(&mut tables, PhysAddr::new(0x4020_0000)) }?;
//! let mut builder = ContextBuilder::<El2And0>::new(space, pool, storage.list())?;
//!
//! let stack = VirtAddr::new(0xffff_ffff_ffe0_1000);
//! let slots = VirtAddr::new(0xffff_ffff_ffff_e000);
//! builder.add_static(Region::new(
//!     PhysAddr::new(0x4030_0000),
//!     stack,
//!     0x1000,
//!     Attributes::read_write().non_global(),
//! ))?;
//! builder.add_static(Region::transient(slots, 0x2000))?;
//!
//! let mut context = builder.init().map_err(|failed| failed.error)?;
//! // SAFETY: of all CPUs only this one will get them into a TTBR.
//! unsafe { context.activate(Maintenance::Local) }?;
//! assert_eq!(context.translate(stack)?.pa, PhysAddr::new(0x4030_0000));
//!
//! // Made once per CPU. Then a map is one store and its barriers.
//! let slots = context.transient(slots, 2)?;
//! let realm_data = slots.template(Attributes::read_write().non_global())?;
//! let slot = slots.page(1).expect("there are two");
//! slot.map(PhysAddr::new(0x8000_0000), realm_data)?;
//! assert_eq!(context.translate(slot.address())?.pa, PhysAddr::new(0x8000_0000));
//! slot.unmap()?;
//! assert!(context.translate(slot.address()).is_err());
//! # Ok(())
//! # }
//! ```

/// Runs the example of the design page as a test.
#[cfg(doctest)]
#[doc = include_str!("../../docs/design/xlat.md")]
struct DesignPage;

mod attributes;
mod change;
mod context;
mod descriptor;
mod descriptor_flags;
mod dump;
mod error;
mod invalidation;
mod level;
mod maintenance;
pub mod mmu;
mod pool;
mod regime;
mod region;
mod region_list;
mod retire;
mod space;
mod table_tree;
mod transient;
mod unmap;

pub use attributes::{
    Attributes, DataAccess, MemoryType, Permissions, PhysicalAddressSpace, Privilege, Shareability,
};
pub use context::{Context, ContextBuilder, InitError, LeafMapping, Translation};
pub use descriptor::DescriptorFormat;
// Shared with the descriptors of stage 2.
pub(crate) use descriptor::{SHAREABILITY, decode_address, encode_address};
pub(crate) use descriptor_flags::DescriptorFlags;
pub use error::{AttributeRule, Error, Extent};
pub use level::{Level, TABLE_ENTRIES};
pub use maintenance::Maintenance;
pub use pool::{Table, TablePool};
pub use regime::{El1And0, El2, El2And0, El3, Regime};
pub use region::{Granularity, Region, RegionKind};
pub use region_list::{Lifetime, RegionList, RegionStorage};
pub use space::{AddressSpace, MIN_ADDRESS_BITS, MaintenanceFeatures, VaRange};
pub use transient::{PageTemplate, TransientPage, TransientRange};
