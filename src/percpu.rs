// SPDX-License-Identifier: BSD-3-Clause
//! Per-CPU memory: a translation table, two stacks, and the [`Cpu`] that each CPU passes down every
//! call.
//!
//! Cold boot initializes it for all CPUs that EL3 announced. A CPU uses its own from each of its
//! boots on; its content is kept while the CPU is off.

use core::mem::MaybeUninit;

use crate::abi::rmi_v1::MAX_LRS;
use crate::address::{PhysAddr, native};
use crate::arch::barrier;
use crate::arch::el1::El1Registers;
use crate::cpu::CpuIndex;
use crate::cpu::debug::HostDebug;
use crate::cpu::pmu::PmuRegisters;
use crate::cpu::simd::HostSimd;
use crate::mem::SlotBuffer;
use crate::mem::high_va::{self, CONTEXT, EXCEPTION_STACK, Regions, STACK};
use crate::xlat::{Context, El2And0, Error, Table};

/// The context of a CPU, passed down every call that it makes.
#[derive(Debug)]
pub struct Cpu {
    /// The linear index of the CPU.
    pub index: CpuIndex,
    /// Its slots for granules.
    pub slots: SlotBuffer,
    /// The host's registers of EL1 and EL0 while a REC runs.
    pub host_el1: El1Registers,
    /// The host's SIMD registers while a REC owns the registers.
    pub host_simd: HostSimd,
    /// The host's PMU registers while a REC owns the PMU.
    pub host_pmu: PmuRegisters,
    /// The host's breakpoints and watchpoints while a REC owns them.
    pub host_debug: HostDebug,
    /// gicv3_hcr and gicv3_lrs of an entry, until it is checked.
    pub gic_entry: [u64; 1 + MAX_LRS],
}

/// The memory of one CPU. Before [`init_all`] any bytes are a value of this type.
#[repr(C, align(4096))]
#[allow(missing_debug_implementations)]
pub struct CpuMemory {
    /// The table of the High VA map, at the start: boot writes its address to TTBR1_EL2.
    table: Table,
    stack: [u8; native(STACK.size())],
    exception_stack: [u8; native(EXCEPTION_STACK.size())],
    cpu: CpuPages,
    regions: MaybeUninit<Regions>,
    context: MaybeUninit<Context<'static, El2And0>>,
}

/// The context in pages of its own, so that nothing else is mapped with it.
#[repr(C, align(4096))]
struct CpuPages(MaybeUninit<Cpu>);

static_assertions::const_assert_eq!(core::mem::offset_of!(CpuMemory, table), 0);
static_assertions::const_assert_eq!(size_of::<CpuPages>() as u64, CONTEXT.size());

/// Initializes the memory of all CPUs, that of index 0 first. It must be mapped flat.
///
/// # Errors
///
/// The error of `xlat`; [`Error::NoSuchPage`] with more than [`MAX_CPUS`](crate::cpu::MAX_CPUS).
pub fn init_all(cpus: &'static mut [CpuMemory], max_pa: PhysAddr) -> Result<(), Error> {
    for (index, memory) in cpus.iter_mut().enumerate() {
        let context = memory.init(CpuIndex::new(index).ok_or(Error::NoSuchPage)?, max_pa)?;
        log::debug!("High VA map of CPU {index}:\n{context}");
    }
    // The stores to the tables are complete before any CPU's TTBR1_EL2 points to them.
    barrier::dsb_ish();
    Ok(())
}

impl CpuMemory {
    /// Initializes the memory of CPU `index` and builds its map. It must be mapped flat.
    pub(crate) fn init(
        &'static mut self,
        index: CpuIndex,
        max_pa: PhysAddr,
    ) -> Result<&'static Context<'static, El2And0>, Error> {
        #[cfg(feature = "self-test")]
        {
            self.stack.fill(stack_use::PAINT);
            self.exception_stack.fill(stack_use::PAINT);
        }
        let memory = [
            self.stack.as_ptr().addr(),
            self.exception_stack.as_ptr().addr(),
            self.cpu.0.as_ptr().addr(),
        ]
        .map(|start| PhysAddr::new(start as u64));
        let regions = self.regions.write(Regions::new());
        let context = self.context.write(high_va::build(&mut self.table, regions, memory, max_pa)?);
        let slots = SlotBuffer::new(context)?;
        self.cpu.0.write(Cpu {
            index,
            slots,
            host_el1: El1Registers::ZERO,
            host_simd: HostSimd::NONE,
            host_pmu: PmuRegisters::ZERO,
            host_debug: HostDebug::NONE,
            gic_entry: [0; 1 + MAX_LRS],
        });
        Ok(context)
    }
}

/// How much of each stack was ever used: the self-test image fills stacks with a pattern before
/// their first use, and later counts how much of the pattern is left.
#[cfg(any(test, feature = "self-test"))]
pub mod stack_use {
    use super::CpuMemory;

    /// The pattern that stacks are filled with.
    pub(super) const PAINT: u8 = 0xa5;

    /// Bytes of a stack that were used, and bytes in total.
    pub type Use = (usize, usize);

    /// The use of stack and exception stack of the CPU whose memory this is, up to now.
    ///
    /// # Safety
    ///
    /// `memory` is one of those that [`init_all`](super::init_all) was given, mapped and set up.
    /// Its CPU may be running.
    pub unsafe fn of(memory: *const CpuMemory) -> [Use; 2] {
        // SAFETY: both are fields of `*memory`, which is mapped. No reference is made: the CPU may
        // write them.
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

/// The context of the running CPU. Called once in each of its boots.
#[cfg(target_os = "none")]
pub fn this_cpu() -> &'static mut Cpu {
    // SAFETY: this address maps the CPU's own context, which `init_all` has written. The reference
    // of the CPU's previous boot ended when the CPU was switched off.
    unsafe { &mut *core::ptr::with_exposed_provenance_mut(native(CONTEXT.base)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::{GRANULE_SIZE, VirtAddr};
    use crate::mem::high_va::{BASE, PARTS};
    use crate::mem::slot_layout;
    use crate::xlat::Attributes;

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
            let context = memory.init(CpuIndex::new(index).unwrap(), MAX_PA).unwrap();
            let slots = slot_layout::BASE.get()..slot_layout::BASE.get() + slot_layout::SIZE;
            for va in (0..512).map(|page| BASE + page * GRANULE_SIZE) {
                let part = PARTS
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
}
