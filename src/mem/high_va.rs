// SPDX-License-Identifier: BSD-3-Clause
//! The High VA map: 2 MiB at the top of the address space, private to each CPU and laid out alike on all.
//!
//! | Pages | Content |
//! | --- | --- |
//! | 0 | guard |
//! | 1 to 4 | stack |
//! | 5 | guard |
//! | 6 to 9 | exception stack |
//! | 10 | guard |
//! | 480 to 503 | slots ([`slot_layout`]) |
//!
//! The rest is unmapped. A CPU's memory is set up by its first boot; later boots find it as it was.

use core::cell::UnsafeCell;
use core::mem::{MaybeUninit, offset_of};
use core::sync::atomic::{AtomicBool, Ordering};

use tock_registers::interfaces::Readable;

use super::{Cpu, SlotBuffer, low_va, slot_layout};
use crate::address::{GRANULE_SIZE, PhysAddr, VirtAddr, native};
use crate::arch::sysreg::TPIDR_EL2;
use crate::cpu::CpuIndex;
use crate::xlat::mmu::Features;
use crate::xlat::{
    AddressSpace, Attributes, Context, ContextBuilder, El2And0, Error, Maintenance, Region, RegionStorage,
    Table, TablePool, VaRange,
};

/// CPUs that this image has memory for.
pub const PLATFORM_CPUS: usize = 32;

const ADDRESS_BITS: u32 = 21;
const BASE: u64 = u64::MAX - (1 << ADDRESS_BITS) + 1;
const STACK_PAGES: u64 = 4;
const STACK_BYTES: usize = 4 * 4096;
const STACK_BASE: u64 = BASE + GRANULE_SIZE;
const EXCEPTION_STACK_BASE: u64 = STACK_TOP + GRANULE_SIZE;

/// Top of the stack of every CPU.
pub const STACK_TOP: u64 = STACK_BASE + STACK_PAGES * GRANULE_SIZE;
/// Top of the exception stack of every CPU.
pub const EXCEPTION_STACK_TOP: u64 = EXCEPTION_STACK_BASE + STACK_PAGES * GRANULE_SIZE;
/// Top of a CPU's stack in its [`CpuMemory`], as the Low VA map has it.
pub const STACK_TOP_OFFSET: usize = offset_of!(CpuMemory, stack) + STACK_BYTES;
/// Top of a CPU's exception stack in its [`CpuMemory`], as the Low VA map has it.
pub const EXCEPTION_STACK_TOP_OFFSET: usize = offset_of!(CpuMemory, exception_stack) + STACK_BYTES;

static_assertions::const_assert!(EXCEPTION_STACK_TOP + GRANULE_SIZE <= slot_layout::BASE.get());
static_assertions::const_assert_eq!(offset_of!(CpuMemory, table), 0);

/// What a CPU has of its own. All zero before its first boot.
#[repr(C, align(4096))]
#[allow(missing_debug_implementations)]
pub struct CpuMemory {
    /// Its one table, at the start: boot makes it TTBR1.
    table: UnsafeCell<Table>,
    stack: UnsafeCell<[u8; STACK_BYTES]>,
    exception_stack: UnsafeCell<[u8; STACK_BYTES]>,
    ready: AtomicBool,
    storage: UnsafeCell<MaybeUninit<RegionStorage<3>>>,
    context: UnsafeCell<MaybeUninit<Context<'static, El2And0>>>,
    cpu: UnsafeCell<MaybeUninit<Cpu>>,
}

impl CpuMemory {
    const fn new() -> Self {
        Self {
            table: UnsafeCell::new(Table::EMPTY),
            stack: UnsafeCell::new([0; STACK_BYTES]),
            exception_stack: UnsafeCell::new([0; STACK_BYTES]),
            ready: AtomicBool::new(false),
            storage: UnsafeCell::new(MaybeUninit::uninit()),
            context: UnsafeCell::new(MaybeUninit::uninit()),
            cpu: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }
}

// SAFETY: each CPU touches its own element only: EL3 gives every CPU another index.
unsafe impl Sync for CpuMemory {}

static CPUS: [CpuMemory; PLATFORM_CPUS] = [const { CpuMemory::new() }; PLATFORM_CPUS];

/// The address of the first CPU's memory; those of the others follow.
pub fn base() -> u64 {
    core::ptr::from_ref(&CPUS).addr() as u64
}

/// The configuration of the range, one table with FEAT_TTST.
///
/// # Errors
///
/// As [`AddressSpace::new`].
pub fn space(max_pa: PhysAddr) -> Result<AddressSpace, Error> {
    AddressSpace::new(VaRange::High, ADDRESS_BITS, max_pa, low_va::FORMAT)
}

/// Makes CPU `index` the running one, and sets its memory up if this is its first time.
///
/// # Errors
///
/// What `xlat` refuses, or an index that there is no memory for.
pub fn enter(index: usize, features: &Features) -> Result<(), Error> {
    let (Some(memory), Some(cpu)) = (CPUS.get(index), CpuIndex::new(index)) else {
        return Err(Error::NoSuchPage);
    };
    if !memory.ready.load(Ordering::Relaxed) {
        set_up(memory, cpu, features)?;
        memory.ready.store(true, Ordering::Relaxed);
    }
    Ok(())
}

fn set_up(memory: &'static CpuMemory, index: CpuIndex, features: &Features) -> Result<(), Error> {
    let space = space(features.max_pa(low_va::FORMAT)?)?;
    let flat = |cell: *mut [u8; STACK_BYTES]| PhysAddr::new(cell.addr() as u64);
    let table_address = PhysAddr::new(memory.table.get().addr() as u64);
    // SAFETY: this CPU's memory, not set up before: the only references to table, storage and context.
    let (table, storage, context_place, cpu_place) = unsafe {
        (
            core::slice::from_mut(&mut *memory.table.get()),
            &mut *memory.storage.get(),
            &mut *memory.context.get(),
            &mut *memory.cpu.get(),
        )
    };
    let storage = storage.write(RegionStorage::new());
    let pool = TablePool::new(table, table_address)?;
    let mut builder = ContextBuilder::<El2And0>::new(space, pool, storage.list())?;
    let attributes = Attributes::read_write().non_global();
    let size = STACK_PAGES * GRANULE_SIZE;
    let stacks = [(memory.stack.get(), STACK_BASE), (memory.exception_stack.get(), EXCEPTION_STACK_BASE)];
    for (stack, va) in stacks {
        builder.add_static(Region::new(flat(stack), VirtAddr::new(va), size, attributes))?;
    }
    builder.add_static(Region::transient(slot_layout::BASE, slot_layout::SIZE))?;
    let context = context_place.write(builder.init().map_err(|failed| failed.error)?);
    context.activate(Maintenance::Local);
    let slots = SlotBuffer::new(context)?;
    // The stacks are in use at once: invalid to valid takes a barrier, and no TLB maintenance.
    crate::arch::barrier::dsb_nshst();
    crate::arch::barrier::isb();
    cpu_place.write(Cpu { index, slots });
    Ok(())
}

/// The context of the running CPU, which has been through [`enter`]. Called once for each RMI call, so that no two live at a time.
#[inline]
pub fn this_cpu() -> &'static mut Cpu {
    // `enter` checked that the index is within the array; the remainder tells the compiler.
    let index = native(TPIDR_EL2.get().wrapping_sub(1)) % PLATFORM_CPUS;
    // SAFETY: this CPU's own context, written by `enter`; the last RMI call, and with it the last reference, has ended.
    unsafe { (*CPUS[index].cpu.get()).assume_init_mut() }
}
