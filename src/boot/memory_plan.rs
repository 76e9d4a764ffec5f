// SPDX-License-Identifier: BSD-3-Clause
//! Memory whose size depends on the machine: per-CPU memory and the granule array.
//!
//! Each comes from EL3 if EL3 has RMM_RESERVE_MEMORY and grants it, else from the pool in the
//! image. An EL3 with the service may grant nothing: TF-A on QEMU does not.
//!
//! Cold boot decides once, before it builds the Low VA map, whose tables cannot change later.
//! Nothing here accesses the memory.

use core::ops::Range;

use arrayvec::ArrayVec;
use rmm_plat::LIMITS;

use crate::address::{GRANULE_SHIFT, GRANULE_SIZE, PhysAddr, native};
use crate::cpu::MAX_CPUS;
use crate::el3::error::{BootError, Consumer, ReservedMemoryRule};
use crate::el3::services;
use crate::granule::{GranuleEntry, GranuleTable, MemoryRange};
use crate::percpu::CpuMemory;

/// Bytes of the pool in the image: room for the CPUs and the granules of every machine that the
/// image is built for. It is one pool, so that fewer CPUs leave room for more granules.
pub const POOL_SIZE: usize = LIMITS.cpus * size_of::<CpuMemory>()
    + native(LIMITS.dram >> GRANULE_SHIFT) * size_of::<GranuleEntry>();

static_assertions::const_assert!(LIMITS.cpus <= MAX_CPUS);

/// log2 of the largest block that tables map: reserved memory of at least that size is aligned to
/// it, for few tables.
const BLOCK_SHIFT: u8 = 21;

/// A range of memory that stays the RMM's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allocation {
    /// The first byte, in Realm PAS.
    pub base: PhysAddr,
    /// Bytes: a whole number of granules.
    pub size: u64,
    /// Whether EL3 reserved it. If not, it is part of the image.
    pub reserved: bool,
}

/// Ranges of the RMM: at most the image, the shared page and two reservations.
type Ranges = ArrayVec<MemoryRange, 4>;

/// The memory of CPUs and granules, and what can never be delegated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryPlan {
    /// The CPUs' own memory: one [`CpuMemory`] for each CPU that EL3 announced.
    pub cpus: Allocation,
    /// The granule array: one [`GranuleEntry`] for each granule that can be delegated.
    pub granules: Allocation,
    /// Memory that can never be delegated: everything from the image to the page shared with EL3,
    /// and what EL3 reserved.
    pub excluded: Ranges,
}

/// What the plan is made from.
#[derive(Clone, Debug)]
pub struct MemoryInputs {
    /// The memory that holds the RMM's image.
    pub image: Range<PhysAddr>,
    /// The pool in the image.
    pub pool: Range<PhysAddr>,
    /// The page shared with EL3.
    pub shared_buffer: PhysAddr,
    /// The first address beyond what the RMM's own tables can map.
    pub physical_limit: PhysAddr,
    /// Whether EL3 has RMM_RESERVE_MEMORY.
    pub ask_el3: bool,
}

impl MemoryInputs {
    fn shared_page(&self) -> MemoryRange {
        (self.shared_buffer, GRANULE_SIZE)
    }

    /// The memory that EL3 set aside for the RMM.
    ///
    /// No argument says how large it is. If the shared page is above the image, and at most
    /// [`LIMITS`]`.carve_out` bytes from the start of one to the end of the other, it is all from
    /// one to the other. Otherwise it is only those two.
    fn carve_out(&self) -> Ranges {
        let start = self.image.start;
        let end = self.shared_buffer.get().saturating_add(GRANULE_SIZE);
        if end.saturating_sub(start.get()) <= LIMITS.carve_out && self.shared_buffer > start {
            Ranges::from_iter([(start, end - start.get())])
        } else {
            Ranges::from_iter([range(&self.image), self.shared_page()])
        }
    }
}

fn range(range: &Range<PhysAddr>) -> MemoryRange {
    (range.start, range.end.get() - range.start.get())
}

impl MemoryPlan {
    /// Finds memory for `cpus` CPUs and for the granules of `banks`.
    ///
    /// # Errors
    ///
    /// [`BootError::Capacity`] when neither EL3 nor the pool has room,
    /// [`BootError::ReservedMemory`] when memory that EL3 gives cannot be used.
    pub fn make(
        inputs: &MemoryInputs,
        cpus: usize,
        banks: impl Iterator<Item = MemoryRange> + Clone,
    ) -> Result<Self, BootError> {
        let mut planner = Planner {
            inputs,
            pool: inputs.pool.clone(),
            taken: Ranges::from_iter([range(&inputs.image), inputs.shared_page()]),
        };
        let mut excluded = inputs.carve_out();
        let cpus = planner.place(Consumer::Cpus, bytes::<CpuMemory>(cpus))?;
        excluded.extend(cpus.reserved());
        // The reserved array may itself lie in a bank; then it is a little larger than needed.
        let entries = GranuleTable::required(banks, &excluded).map_err(|_| {
            BootError::Unsupported("the DRAM banks of the manifest cannot be tracked")
        })?;
        let granules = planner.place(Consumer::Granules, bytes::<GranuleEntry>(entries))?;
        excluded.extend(granules.reserved());
        Ok(Self { cpus, granules, excluded })
    }

    /// What EL3 reserved, to be mapped.
    pub fn reserved(&self) -> impl Iterator<Item = MemoryRange> + Clone + use<> {
        self.cpus.reserved().into_iter().chain(self.granules.reserved())
    }
}

impl Allocation {
    /// The range, if EL3 reserved it.
    fn reserved(&self) -> Option<MemoryRange> {
        self.reserved.then_some((self.base, self.size))
    }
}

/// The size of `count` values of `T` in whole granules, at least one; [`u64::MAX`] if it overflows.
fn bytes<T>(count: usize) -> u64 {
    u64::try_from(count.saturating_mul(size_of::<T>()).max(1))
        .ok()
        .and_then(|bytes| bytes.checked_next_multiple_of(GRANULE_SIZE))
        .unwrap_or(u64::MAX)
}

struct Planner<'a> {
    inputs: &'a MemoryInputs,
    /// The rest of the pool.
    pool: Range<PhysAddr>,
    /// Memory that the RMM has already.
    taken: Ranges,
}

impl Planner<'_> {
    fn place(&mut self, what: Consumer, size: u64) -> Result<Allocation, BootError> {
        let alignment = if size >> BLOCK_SHIFT == 0 { GRANULE_ALIGNMENT } else { BLOCK_SHIFT };
        if self.inputs.ask_el3
            && let Ok(base) = services::reserve_memory(size, alignment)
        {
            self.check(base, size, alignment).map_err(|rule| BootError::ReservedMemory {
                base,
                size,
                rule,
            })?;
            self.taken.push((base, size));
            return Ok(Allocation { base, size, reserved: true });
        }
        let base = self.pool.start;
        match base.checked_add(size) {
            Some(end) if end <= self.pool.end => {
                self.pool.start = end;
                Ok(Allocation { base, size, reserved: false })
            }
            _ => {
                let available = self.pool.end.get() - base.get();
                Err(BootError::Capacity { what, needed: size, available })
            }
        }
    }

    /// Checks memory that EL3 gave.
    fn check(&self, base: PhysAddr, size: u64, alignment: u8) -> Result<(), ReservedMemoryRule> {
        if !base.is_aligned(1 << alignment) {
            return Err(ReservedMemoryRule::Misaligned);
        }
        let limit = self.inputs.physical_limit;
        let end = base.checked_add(size).filter(|end| *end <= limit);
        let end = end.ok_or(ReservedMemoryRule::BeyondPhysicalRange(limit))?;
        for &(other, other_size) in &self.taken {
            // None of these passes the end of the address space.
            let other_end = PhysAddr::new(other.get().saturating_add(other_size));
            if base < other_end && other < end {
                return Err(ReservedMemoryRule::Overlaps(other, other_end));
            }
        }
        Ok(())
    }
}

/// log2 of the alignment of a granule.
#[expect(clippy::cast_possible_truncation, reason = "12")]
const GRANULE_ALIGNMENT: u8 = GRANULE_SHIFT as u8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{Event, record, set_monitor};

    const CPU: u64 = size_of::<CpuMemory>() as u64;
    const MIB: u64 = 1 << 20;
    const IMAGE: u64 = 0x4010_0000;
    const SHARED: u64 = 0x418F_F000;
    const RESERVED: u64 = 0x4100_0000;

    fn inputs(pool: u64) -> MemoryInputs {
        let address = PhysAddr::new;
        MemoryInputs {
            image: address(IMAGE)..address(IMAGE + 8 * MIB),
            pool: address(IMAGE + MIB)..address(IMAGE + MIB + pool),
            shared_buffer: address(SHARED),
            physical_limit: address(1 << 40),
            ask_el3: true,
        }
    }

    /// A plan for one CPU and one bank of 4 MiB, under an EL3 that gives these answers in turn, and
    /// what EL3 was asked.
    fn plan(
        pool: u64,
        answers: &'static [(i64, u64)],
    ) -> (Result<MemoryPlan, BootError>, Vec<[u64; 3]>) {
        let mut answers = answers.iter();
        set_monitor(Box::new(move |_| {
            let (status, x1) = answers.next().expect("another question");
            [status.cast_unsigned(), *x1, 0, 0, 0, 0, 0, 0]
        }));
        let banks = [(PhysAddr::new(0x8000_0000), 4 * MIB)];
        let (plan, events) = record(|| MemoryPlan::make(&inputs(pool), 1, banks.into_iter()));
        let questions = events.into_iter().map(|event| match event {
            Event::Smc([function, x1, x2, ..]) => [function, x1, x2],
            other => panic!("nothing else is done to the machine: {other:?}"),
        });
        (plan, questions.collect())
    }

    #[test]
    fn without_the_service_both_come_from_the_pool_one_after_the_other() {
        for refusal in [-1, -4] {
            let answers: &[_] =
                if refusal == -1 { &[(-1, 0), (-1, 0)] } else { &[(-4, 0), (-4, 0)] };
            let (plan, questions) = plan(CPU + GRANULE_SIZE, answers);
            let plan = plan.unwrap();
            let base = PhysAddr::new(IMAGE + MIB);
            assert_eq!(plan.cpus, Allocation { base, size: CPU, reserved: false });
            let base = PhysAddr::new(IMAGE + MIB + CPU);
            assert_eq!(plan.granules, Allocation { base, size: GRANULE_SIZE, reserved: false });
            assert_eq!(plan.reserved().count(), 0);
            let twelve = 12 << 56;
            assert_eq!(
                questions,
                [[0xC400_01BB, CPU, twelve], [0xC400_01BB, GRANULE_SIZE, twelve]]
            );
        }
    }

    #[test]
    fn what_el3_grants_is_used_and_never_delegable() {
        let (plan, _) = plan(0, &[(0, RESERVED), (0, RESERVED + 0x10_0000)]);
        let plan = plan.unwrap();
        assert_eq!(
            plan.cpus,
            Allocation { base: PhysAddr::new(RESERVED), size: CPU, reserved: true }
        );
        let reserved =
            [(PhysAddr::new(RESERVED), CPU), (PhysAddr::new(RESERVED + 0x10_0000), GRANULE_SIZE)];
        assert!(plan.reserved().eq(reserved));
        let carve_out = (PhysAddr::new(IMAGE), SHARED + GRANULE_SIZE - IMAGE);
        assert_eq!(plan.excluded[..], [carve_out, reserved[0], reserved[1]]);
    }

    #[test]
    fn each_is_asked_for_by_itself() {
        let (plan, _) = plan(GRANULE_SIZE, &[(0, RESERVED), (-4, 0)]);
        let plan = plan.unwrap();
        assert_eq!((plan.cpus.reserved, plan.granules.reserved), (true, false));
        assert_eq!(plan.excluded[1..], [(PhysAddr::new(RESERVED), CPU)]);
    }

    #[test]
    fn an_el3_without_the_service_is_not_asked() {
        let inputs = MemoryInputs { ask_el3: false, ..inputs(MIB) };
        let (plan, events) = record(|| MemoryPlan::make(&inputs, 1, core::iter::empty()));
        assert_eq!((plan.unwrap().reserved().count(), events), (0, vec![]));
    }

    #[test]
    fn all_from_the_image_to_the_shared_page_is_excluded_where_that_can_be_one_carve_out() {
        let address = PhysAddr::new;
        let pieces = |shared| {
            [(address(IMAGE), 8 * MIB), (address(shared), GRANULE_SIZE)].into_iter().collect()
        };
        let whole = |size| Ranges::from_iter([(address(IMAGE), size)]);
        let furthest = IMAGE + LIMITS.carve_out - GRANULE_SIZE;
        for (shared, expected) in [
            (SHARED, whole(SHARED + GRANULE_SIZE - IMAGE)),
            (furthest, whole(LIMITS.carve_out)),
            (furthest + GRANULE_SIZE, pieces(furthest + GRANULE_SIZE)),
            (IMAGE - GRANULE_SIZE, pieces(IMAGE - GRANULE_SIZE)),
        ] {
            let inputs = MemoryInputs { shared_buffer: address(shared), ..inputs(0) };
            assert_eq!(inputs.carve_out(), expected, "{shared:#x}");
        }
    }

    #[test]
    fn too_little_room_is_refused_with_both_numbers() {
        let refused =
            |what, needed, available| Err(BootError::Capacity { what, needed, available });
        const NOTHING_TO_GIVE: &[(i64, u64)] = &[(-4, 0), (-4, 0)];
        assert_eq!(plan(CPU - 1, NOTHING_TO_GIVE).0, refused(Consumer::Cpus, CPU, CPU - 1));
        let too_little = GRANULE_SIZE - 1;
        let granules = refused(Consumer::Granules, GRANULE_SIZE, too_little);
        assert_eq!(plan(CPU + too_little, NOTHING_TO_GIVE).0, granules);
    }

    #[test]
    fn memory_that_el3_should_not_have_given_is_refused() {
        use ReservedMemoryRule::{BeyondPhysicalRange, Misaligned, Overlaps};
        /// The last granule of the address space.
        const LAST: u64 = !(GRANULE_SIZE - 1);
        let address = PhysAddr::new;
        let refused =
            |base, rule| Err(BootError::ReservedMemory { base: address(base), size: CPU, rule });
        let image = Overlaps(address(IMAGE), address(IMAGE + 8 * MIB));
        let shared = Overlaps(address(SHARED), address(SHARED + GRANULE_SIZE));
        let beyond = BeyondPhysicalRange(address(1 << 40));
        let cases: [(u64, &'static [_], _); 6] = [
            (RESERVED + 8, &[(0, RESERVED + 8)], Misaligned),
            (IMAGE, &[(0, IMAGE)], image),
            (IMAGE + 8 * MIB - 0x1000, &[(0, IMAGE + 8 * MIB - 0x1000)], image),
            (SHARED - 0x1000, &[(0, SHARED - 0x1000)], shared),
            ((1 << 40) - 0x1000, &[(0, (1 << 40) - 0x1000)], beyond),
            (LAST, &[(0, LAST)], beyond),
        ];
        for (base, answers, rule) in cases {
            assert_eq!(plan(MIB, answers).0, refused(base, rule));
        }
        // The same memory twice.
        let (plan, _) = plan(MIB, &[(0, RESERVED), (0, RESERVED)]);
        let rule = Overlaps(address(RESERVED), address(RESERVED + CPU));
        let base = address(RESERVED);
        assert_eq!(plan, Err(BootError::ReservedMemory { base, size: GRANULE_SIZE, rule }));
    }

    #[test]
    fn large_demands_are_aligned_to_blocks() {
        set_monitor(Box::new(|registers| [0, 0x8000_0000, registers[1], 0, 0, 0, 0, 0]));
        let (_, events) = record(|| MemoryPlan::make(&inputs(0), 512, core::iter::empty()));
        assert!(
            matches!(events[..], [Event::Smc([0xC400_01BB, _, alignment, ..]), ..] if alignment == 21 << 56)
        );
    }
}
