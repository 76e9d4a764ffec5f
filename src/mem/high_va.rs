// SPDX-License-Identifier: BSD-3-Clause
//! The High VA map: 2 MiB at the top of the address space, private to each CPU and laid out alike
//! on all.
//!
//! From the bottom: the stack, the exception stack and the CPU's context, an unmapped guard page on
//! each side of each; at the top the slots ([`slot_layout`]). All else is unmapped, and `xlat`
//! refuses to map it.
//!
//! Cold boot builds the maps of all CPUs that EL3 announced, in memory that it found for them; each
//! CPU takes its own into use whenever it boots, and finds it as it left it.

use core::mem::MaybeUninit;

use tock_registers::interfaces::{ReadWriteable, Writeable};

use super::{Cpu, SlotBuffer, low_va, slot_layout};
use crate::address::{GRANULE_SIZE, PhysAddr, VirtAddr, native};
use crate::arch::barrier;
use crate::arch::sysreg::{TCR_EL2, TTBR1_EL2, fields};
use crate::cpu::CpuIndex;
use crate::debug;
use crate::xlat::{
    AddressSpace, Attributes, Context, ContextBuilder, El2And0, Error, Maintenance, Region,
    RegionStorage, Table, TablePool, VaRange,
};

/// One table, with FEAT_TTST.
const ADDRESS_BITS: u32 = 21;
/// The first byte of the range, and of the guard page below the stack. Below it is nothing, up to
/// the end of the Low VA range, so that even a frame larger than a page cannot reach over the
/// guard.
pub const BASE: u64 = u64::MAX - (1 << ADDRESS_BITS) + 1;

/// Pages of the stack: an option of the build, the environment variable of this name.
const STACK_PAGES: u64 = pages(option_env!("RMM_STACK_PAGES"), 6);
/// Pages of the stack for exceptions, likewise. It holds no more than a report.
const EXCEPTION_STACK_PAGES: u64 = pages(option_env!("RMM_EXCEPTION_STACK_PAGES"), 2);

/// The number that a build option says, 1 to 64; `default` where it is not given.
const fn pages(option: Option<&str>, default: u64) -> u64 {
    let Some(digits) = option else { return default };
    match u64::from_str_radix(digits, 10) {
        Ok(pages @ 1..=64) => pages,
        _ => panic!("RMM_STACK_PAGES and RMM_EXCEPTION_STACK_PAGES are numbers from 1 to 64"),
    }
}

/// A part of the map: the pages that it has, between two guard pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// What it is.
    pub name: &'static str,
    /// The first byte.
    pub base: u64,
    /// The first byte beyond.
    pub top: u64,
}

impl Part {
    /// The part of `pages` pages above `guard`, the first byte of a guard page.
    const fn above(guard: u64, name: &'static str, pages: u64) -> Self {
        let base = guard + GRANULE_SIZE;
        Self { name, base, top: base + pages * GRANULE_SIZE }
    }

    const fn size(self) -> u64 {
        self.top - self.base
    }
}

/// The stack of every CPU.
pub const STACK: Part = Part::above(BASE, "stack", STACK_PAGES);
/// The stack for exceptions of every CPU.
pub const EXCEPTION_STACK: Part = Part::above(STACK.top, "exception stack", EXCEPTION_STACK_PAGES);
/// The context of every CPU.
pub const CONTEXT: Part = Part::above(EXCEPTION_STACK.top, "context", 1);
/// Every part but the slots, from the bottom. There is one guard page between two of them.
pub const PARTS: [Part; 3] = [STACK, EXCEPTION_STACK, CONTEXT];

static_assertions::const_assert!(CONTEXT.top + GRANULE_SIZE <= slot_layout::BASE.get());
static_assertions::const_assert!(slot_layout::BASE.get() - 1 + slot_layout::SIZE < u64::MAX);

/// How they are mapped.
pub const ATTRIBUTES: Attributes = Attributes::read_write().non_global();

/// What a CPU has of its own. Any bytes are one before [`build`].
#[repr(C, align(4096))]
#[allow(missing_debug_implementations)]
pub struct CpuMemory {
    /// Its one table, at the start: boot makes it TTBR1.
    table: Table,
    stack: [u8; native(STACK.size())],
    exception_stack: [u8; native(EXCEPTION_STACK.size())],
    cpu: CpuPage,
    storage: MaybeUninit<RegionStorage<4>>,
    context: MaybeUninit<Context<'static, El2And0>>,
}

/// A page of its own for the context, so that nothing else is mapped with it.
#[repr(C, align(4096))]
struct CpuPage(MaybeUninit<Cpu>);

static_assertions::const_assert_eq!(core::mem::offset_of!(CpuMemory, table), 0);
static_assertions::const_assert_eq!(size_of::<CpuPage>() as u64, CONTEXT.size());

/// The configuration of the range.
///
/// # Errors
///
/// As [`AddressSpace::new`].
pub fn space(max_pa: PhysAddr) -> Result<AddressSpace, Error> {
    AddressSpace::new(VaRange::High, ADDRESS_BITS, max_pa, low_va::FORMAT)
}

/// Builds the maps of all CPUs, the first element being that of index 0. The memory is flat-mapped.
///
/// # Errors
///
/// What `xlat` refuses, or more CPUs than there can be.
pub fn build(cpus: &'static mut [CpuMemory], max_pa: PhysAddr) -> Result<(), Error> {
    for (index, memory) in cpus.iter_mut().enumerate() {
        let context = memory.set_up(CpuIndex::new(index).ok_or(Error::NoSuchPage)?, max_pa)?;
        debug!("High VA map of CPU {index}:\n{context}");
    }
    // Complete before any CPU's walker is pointed at the tables.
    barrier::dsb_ish();
    Ok(())
}

/// Has the running CPU, which is booting cold, walk `table`, the first page of its [`CpuMemory`].
/// The High VA range was off before.
pub fn enable(table: PhysAddr) {
    // ASID 0, and CnP clear: the tables are this CPU's own. Below 2^48 the register holds the
    // address as it is.
    TTBR1_EL2.set(table.get());
    barrier::isb();
    TCR_EL2.modify(fields::TCR_EL2::EPD1::CLEAR);
    barrier::isb();
}

impl CpuMemory {
    pub(crate) fn set_up(
        &'static mut self,
        index: CpuIndex,
        max_pa: PhysAddr,
    ) -> Result<&'static Context<'static, El2And0>, Error> {
        #[cfg(feature = "self-test")]
        {
            self.stack.fill(stack_use::PAINT);
            self.exception_stack.fill(stack_use::PAINT);
        }
        let flat = |start: usize| PhysAddr::new(start as u64);
        let memory = [
            self.stack.as_ptr().addr(),
            self.exception_stack.as_ptr().addr(),
            self.cpu.0.as_ptr().addr(),
        ];
        let table = core::slice::from_mut(&mut self.table);
        let address = flat(table.as_ptr().addr());
        let pool = TablePool::new(table, address)?;
        let storage = self.storage.write(RegionStorage::new());
        let mut builder = ContextBuilder::<El2And0>::new(space(max_pa)?, pool, storage.list())?;
        for (part, start) in PARTS.into_iter().zip(memory) {
            builder.add_static(Region::new(
                flat(start),
                VirtAddr::new(part.base),
                part.size(),
                ATTRIBUTES,
            ))?;
        }
        builder.add_static(Region::transient(slot_layout::BASE, slot_layout::SIZE))?;
        let context = self.context.write(builder.init().map_err(|failed| failed.error)?);
        // Nobody walks the tables yet; when somebody does it is this CPU alone.
        context.activate(Maintenance::Local);
        let slots = SlotBuffer::new(context)?;
        self.cpu.0.write(Cpu { index, slots });
        Ok(context)
    }
}

/// How much of a stack was ever used: the self-test image paints stacks before their first use, and
/// looks later how much of the paint is left.
#[cfg(any(test, feature = "self-test"))]
pub mod stack_use {
    use super::CpuMemory;

    /// What stacks are filled with.
    pub(super) const PAINT: u8 = 0xa5;

    /// Used and all bytes of a stack.
    pub type Use = (usize, usize);

    /// The use of stack and exception stack of the CPU that `memory` is of, up to now.
    ///
    /// # Safety
    ///
    /// `memory` is one of those that [`build`](super::build) was given, mapped and set up. Its CPU
    /// may be running.
    pub unsafe fn of(memory: *const CpuMemory) -> [Use; 2] {
        // SAFETY: places in it; no reference is made to what another CPU writes.
        let stacks = unsafe {
            [
                &raw const (*memory).stack as *const [u8],
                &raw const (*memory).exception_stack as *const [u8],
            ]
        };
        stacks.map(|stack| {
            let painted = (0..stack.len())
                .take_while(|offset| {
                    // SAFETY: a byte of the stack.
                    unsafe { stack.cast::<u8>().add(*offset).read_volatile() == PAINT }
                })
                .count();
            (stack.len() - painted, stack.len())
        })
    }
}

/// The context of the running CPU. Called once on each of its boots, so that no two live at a time.
#[cfg(target_os = "none")]
pub fn this_cpu() -> &'static mut Cpu {
    // SAFETY: every CPU finds its own context at this address of its own map, written by `build`;
    // what held the reference before, in an earlier life of the CPU, ended when the CPU was turned
    // off.
    unsafe { &mut *core::ptr::with_exposed_provenance_mut(native(CONTEXT.base)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_PA: PhysAddr = PhysAddr::new((1 << 48) - 1);

    fn memory() -> &'static mut CpuMemory {
        // SAFETY: any bytes are a `CpuMemory` before it is set up.
        Box::leak(unsafe { Box::new_zeroed().assume_init() })
    }

    #[test]
    fn each_part_is_mapped_to_the_memory_of_its_own_cpu_and_everything_else_is_not() {
        for index in [0, 511] {
            let memory = memory();
            let physical = [
                memory.stack.as_ptr().addr(),
                memory.exception_stack.as_ptr().addr(),
                memory.cpu.0.as_ptr().addr(),
            ];
            let context = memory.set_up(CpuIndex::new(index).unwrap(), MAX_PA).unwrap();
            let parts = [STACK, EXCEPTION_STACK, CONTEXT];
            let slots = slot_layout::BASE.get()..slot_layout::BASE.get() + slot_layout::SIZE;
            for va in (0..512).map(|page| BASE + page * GRANULE_SIZE) {
                let part = parts
                    .iter()
                    .zip(physical)
                    .find(|(part, _)| (part.base..part.top).contains(&va));
                match (part, context.translate(VirtAddr::new(va))) {
                    (Some((part, pa)), Ok(translation)) => {
                        assert_eq!(translation.pa.get(), pa as u64 + (va - part.base), "{va:#x}");
                        assert_eq!(translation.attributes, Attributes::read_write().non_global());
                    }
                    (None, Err(Error::Unmapped(_))) => assert!(slots.contains(&va), "{va:#x}"),
                    (None, Err(Error::NotMapped(_))) => assert!(!slots.contains(&va), "{va:#x}"),
                    other => panic!("{va:#x}: {other:?}"),
                }
            }
        }
    }

    #[test]
    fn the_use_of_a_stack_is_what_lies_above_the_paint_that_is_left() {
        let memory = memory();
        memory.stack.fill(stack_use::PAINT);
        memory.exception_stack.fill(stack_use::PAINT);
        let size = memory.stack.len();
        // The least used byte counts, wherever paint shows through above it.
        memory.stack[size - 100] = 0;
        memory.exception_stack[0] = 0;
        let all = memory.exception_stack.len();
        // SAFETY: set up enough: its stacks are painted, and nobody runs on them.
        assert_eq!(unsafe { stack_use::of(memory) }, [(100, size), (all, all)]);
    }

    #[test]
    fn guard_pages_are_on_both_sides_of_each_part() {
        assert_eq!(STACK.base, BASE + GRANULE_SIZE);
        for (below, above) in [(STACK, EXCEPTION_STACK), (EXCEPTION_STACK, CONTEXT)] {
            assert_eq!(above.base, below.top + GRANULE_SIZE);
        }
    }
}
