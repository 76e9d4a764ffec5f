// SPDX-License-Identifier: BSD-3-Clause
//! What each CPU has of its own: a page table, two stacks, and the [`Cpu`] that it passes down
//! every call.
//!
//! Cold boot builds it for all CPUs that EL3 announced, in memory that it found for them. A CPU
//! takes its own into use whenever it boots, and finds it as it left it.

use core::mem::MaybeUninit;

use crate::abi::rmi_v1::{GPRS, MAX_LRS};
use crate::address::{PhysAddr, native};
use crate::arch::barrier;
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
    /// Its linear index.
    pub index: CpuIndex,
    /// Its windows on granules.
    pub slots: SlotBuffer,
    /// The host's SIMD registers while a REC has them.
    pub host_simd: HostSimd,
    /// The host's PMU while a REC has it.
    pub host_pmu: PmuRegisters,
    /// The host's breakpoints and watchpoints while a REC has them.
    pub host_debug: HostDebug,
    /// General registers of a host call, on their way between the host's page and the Realm's.
    pub call_gprs: [u64; GPRS],
    /// gicv3_hcr and gicv3_lrs of an entry that may yet be refused.
    pub gic_entry: [u64; 1 + MAX_LRS],
}

/// What a CPU has of its own. Any bytes are one before [`init_all`].
#[repr(C, align(4096))]
#[allow(missing_debug_implementations)]
pub struct CpuMemory {
    /// Its one table, at the start: boot makes it TTBR1.
    table: Table,
    stack: [u8; native(STACK.size())],
    exception_stack: [u8; native(EXCEPTION_STACK.size())],
    cpu: CpuPages,
    regions: MaybeUninit<Regions>,
    context: MaybeUninit<Context<'static, El2And0>>,
}

/// Pages of their own for the context, so that nothing else is mapped with it.
#[repr(C, align(4096))]
struct CpuPages(MaybeUninit<Cpu>);

static_assertions::const_assert_eq!(core::mem::offset_of!(CpuMemory, table), 0);
static_assertions::const_assert_eq!(size_of::<CpuPages>() as u64, CONTEXT.size());

/// Fills in what each CPU has, the first element being that of index 0. The memory is mapped flat.
///
/// # Errors
///
/// What `xlat` refuses, or more CPUs than there can be.
pub fn init_all(cpus: &'static mut [CpuMemory], max_pa: PhysAddr) -> Result<(), Error> {
    for (index, memory) in cpus.iter_mut().enumerate() {
        let context = memory.init(CpuIndex::new(index).ok_or(Error::NoSuchPage)?, max_pa)?;
        log::debug!("High VA map of CPU {index}:\n{context}");
    }
    // Complete before any CPU's walker is pointed at the tables.
    barrier::dsb_ish();
    Ok(())
}

impl CpuMemory {
    /// Fills in what CPU `index` has, and builds its map. The memory is mapped flat.
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
            host_simd: HostSimd::NONE,
            host_pmu: PmuRegisters::ZERO,
            host_debug: HostDebug::NONE,
            call_gprs: [0; GPRS],
            gic_entry: [0; 1 + MAX_LRS],
        });
        Ok(context)
    }
}

/// How much of a stack was ever used: the self-test image paints stacks before their first use and
/// counts later how much paint is left.
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
    /// `memory` is one of those that [`init_all`](super::init_all) was given, mapped and set up. Its CPU
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
    // SAFETY: every CPU finds its own context at this address of its own map, written by `init_all`;
    // what held the reference before, in an earlier life of the CPU, ended when the CPU was turned
    // off.
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
