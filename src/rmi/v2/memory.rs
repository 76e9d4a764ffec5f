// SPDX-License-Identifier: BSD-3-Clause
//! Memory in ranges: protected memory that the host gives a Realm and takes away, and unprotected
//! memory that it shows to it.
//!
//! A range is done block by block until it ends, a block cannot be done, or an interrupt is pending.
//! If at least one was done the command succeeds, and the host goes on at `out_top`. Only a block of
//! 2 MiB or 1 GiB, which takes long, is parked in its midst as a stateful operation.

use super::list::{AddressList, RangeDescriptor};
use crate::abi::rmi_v2::{
    ADDRESS_LIST, ADDRESS_NONE, ADDRESS_SINGLE, ADDRESS_TYPE, LIST_COUNT_SHIFT, MAX_LIST_COUNT,
    MEMORY_ATTRIBUTES_SHIFT, PERMISSIONS_SHIFT,
};
use crate::address::{GRANULE_SIZE, Ipa, PhysAddr};
use crate::arch::interrupt;
use crate::granule::state::Rd;
use crate::granule::{GranuleAddress, Reference};
use crate::operation::{Operation, Step};
use crate::percpu::Cpu;
use crate::realm::rd::{RealmDescriptor, RealmState};
use crate::realm::stage2::{BlockMemory, Entry, Stage2, Unmapped, UnprotectedMapping, Walk};
use crate::rmi::call::{Failure, Outcome, Status};
use crate::rmi::operations::{BlockOperation, Operation as Parked, Reserved, Way};
use crate::rmi::state::Rmm;
use crate::xlat::{Level, encode_address};

/// The lowest bit of MemAttr in a descriptor of stage 2.
const STAGE2_MEMORY_ATTRIBUTES: u32 = 2;
/// S2AP in a descriptor of stage 2: the Realm may read. The bit above: it may write.
const STAGE2_READ: u32 = 6;

/// A Realm that is not destroyed meanwhile, so that its tables stay, too.
struct Realm<'g> {
    rd: Reference<'g, Rd>,
    stage2: Stage2,
    state: RealmState,
}

impl<'g> Realm<'g> {
    fn find(rmm: &Rmm<'g>, cpu: &mut Cpu, rd: GranuleAddress) -> Result<Self, Status> {
        let rd = rmm.granules.lock::<Rd>(cpu.index, rd)?;
        let mapping = cpu.slots.rd.map(&rd);
        let realm: &RealmDescriptor = mapping.get();
        let (stage2, state) = (realm.stage2, realm.state());
        drop(mapping);
        let reference = rd.reference().map_err(|_| Status::Busy)?;
        Ok(Self { rd: reference, stage2, state })
    }

    /// Memory may be mapped only before the end of a Realm.
    fn expect_alive(&self) -> Result<(), Status> {
        match self.state {
            RealmState::New | RealmState::Active => Ok(()),
            RealmState::SystemOff | RealmState::Zombie => Err(Status::Realm(0)),
        }
    }

    /// Leaves the reference for an operation that is parked.
    fn keep(self) -> Option<GranuleAddress> {
        Some(self.rd.keep())
    }

    fn walk<'r>(&self, rmm: &'r Rmm<'g>, cpu: &Cpu, ipa: Ipa) -> Walk<'r, 'g> {
        Walk::new(&rmm.granules, cpu.index, &self.stage2, ipa)
    }
}

/// Where the physical addresses of a range come from: blocks, in order.
struct Source {
    /// Blocks at hand.
    range: RangeDescriptor,
    /// The rest of a list, and the index of its next entry.
    list: Option<(AddressList, usize)>,
}

impl Source {
    /// From the arguments of a command that maps.
    fn new(rmm: &Rmm<'_>, cpu: &mut Cpu, flags: u64, addresses: u64) -> Result<Self, Status> {
        let mut source = match flags & ADDRESS_TYPE {
            ADDRESS_SINGLE => Self { range: RangeDescriptor::decode(addresses), list: None },
            ADDRESS_LIST => {
                let count = flags >> LIST_COUNT_SHIFT & MAX_LIST_COUNT;
                let list = AddressList::new(&rmm.granules, PhysAddr::new(addresses), count)?;
                Self { range: RangeDescriptor::decode(0), list: Some((list, 0)) }
            }
            _ => return Err(Status::Input),
        };
        source.fill(cpu)?;
        if source.range.count == 0 { Err(Status::Input) } else { Ok(source) }
    }

    /// Has a block at hand, unless the list has no more.
    fn fill(&mut self, cpu: &mut Cpu) -> Result<(), Status> {
        if let (0, Some((list, next))) = (self.range.count, &mut self.list) {
            let page = cpu.slots.ns.map(list.page());
            if let Some(word) = list.next(&page, next)? {
                self.range = RangeDescriptor::decode(word);
            }
        }
        Ok(())
    }

    /// The block at hand.
    fn block(&self) -> Option<RangeDescriptor> {
        (self.range.count != 0).then_some(self.range)
    }

    /// Goes on to the next block. A list that cannot be read any more ends here: the command tells
    /// the host how far it came, and the next call answers the error.
    fn advance(&mut self, cpu: &mut Cpu) {
        let range = &mut self.range;
        range.count = range.count.saturating_sub(1);
        if let Some(next) = range.base.checked_add(range.level.entry_size()) {
            range.base = next;
        } else {
            range.count = 0;
        }
        if self.fill(cpu).is_err() {
            self.list = None;
        }
    }
}

/// The range of a command that maps, as blocks at `level`.
fn blocks(base: u64, top: u64, level: Level, stage2: &Stage2) -> Result<(Ipa, Ipa), Status> {
    if !matches!(level, Level::One | Level::Two | Level::Three)
        || top <= base
        || !top.is_multiple_of(GRANULE_SIZE)
        || top > stage2.ipa_end()
    {
        return Err(Status::Input);
    }
    let base = stage2.walk_entry(base, level)?;
    if top - base.get() < level.entry_size() {
        return Err(Status::Rtt(level));
    }
    Ok((base, Ipa::new(top)))
}

/// What came of one step of a range.
enum Stepped {
    /// It is done up to here.
    To(Ipa),
    /// Nothing more can be done.
    Stopped,
    /// A block that is not done yet, because an interrupt is pending.
    Unfinished(BlockOperation),
}

/// A range that is being mapped or unmapped, one block or hole a step.
struct Range<F> {
    next: Ipa,
    top: Ipa,
    /// Does what begins at an IPA.
    each: F,
    error: Option<Status>,
    unfinished: Option<BlockOperation>,
}

impl<F: FnMut(Ipa) -> Result<Stepped, Status>> Operation for Range<F> {
    fn step(&mut self) -> Step {
        match (self.each)(self.next) {
            Ok(Stepped::To(next)) => self.next = next,
            Ok(Stepped::Stopped) => return Step::Done,
            Ok(Stepped::Unfinished(block)) => {
                self.unfinished = Some(block);
                return Step::Done;
            }
            Err(error) => {
                self.error = Some(error);
                return Step::Done;
            }
        }
        if self.next < self.top { Step::Continue } else { Step::Done }
    }
}

/// Does a range. Gives the first IPA that was not done, and a block that is unfinished.
fn run_range(
    base: Ipa,
    top: Ipa,
    each: impl FnMut(Ipa) -> Result<Stepped, Status>,
) -> Result<(Ipa, Option<BlockOperation>), Failure> {
    let mut range = Range { next: base, top, each, error: None, unfinished: None };
    range.run();
    match range.error {
        Some(status) if range.next == base => Err(Failure { status, outputs: [base.get(), 0, 0] }),
        _ => Ok((range.next, range.unfinished)),
    }
}

/// RMI_RTT_DATA_MAP. `addresses` says which delegated memory, as `flags` say. `out_top` is the first
/// IPA not mapped.
pub(super) fn data_map(
    rmm: &Rmm<'_>,
    cpu: &mut Cpu,
    rd: GranuleAddress,
    base: u64,
    top: u64,
    flags: u64,
    addresses: u64,
) -> Outcome<1> {
    let realm = Realm::find(rmm, cpu, rd)?;
    realm.expect_alive()?;
    if top <= base {
        return Err(Status::Input.into());
    }
    let mut source = Source::new(rmm, cpu, flags, addresses)?;
    let level = source.range.level;
    let (base, top) = blocks(base, top, level, &realm.stage2)?;
    if !source.range.is_delegated() || top.get() > realm.stage2.protected_end() {
        return Err(Status::Input.into());
    }
    // Pages are not parked.
    let reserved = match level {
        Level::Three => None,
        _ => Some(rmm.operations.reserve()?),
    };
    let (reached, unfinished) = run_range(base, top, |ipa| {
        let Some(block) = source.block() else { return Ok(Stepped::Stopped) };
        let next = ipa.checked_add(level.entry_size()).filter(|next| *next <= top);
        let next = next.filter(|_| block.level == level).ok_or(Status::Rtt(level))?;
        if !block.is_delegated() || !block.base.is_aligned(level.entry_size()) {
            return Err(Status::Input);
        }
        realm.stage2.check_reach(GranuleAddress::containing(block.base))?;
        let mut block = BlockOperation::map(&realm, base, ipa, next, block.base, level);
        match block.run(rmm, cpu) {
            None => return Ok(Stepped::Unfinished(block)),
            Some(Err(failure)) => return Err(failure.status),
            Some(Ok([reached, ..])) if reached != next.get() => return Ok(Stepped::Stopped),
            Some(Ok(_)) => {}
        }
        source.advance(cpu);
        Ok(Stepped::To(next))
    })?;
    park(reserved, unfinished, || realm.keep())?;
    Ok([reached.get()])
}

/// Leaves an unfinished block to RMI_OP_CONTINUE.
fn park(
    reserved: Option<Reserved<'_>>,
    unfinished: Option<BlockOperation>,
    keep: impl FnOnce() -> Option<GranuleAddress>,
) -> Result<(), Failure> {
    match (reserved, unfinished) {
        (Some(reserved), Some(mut block)) => {
            block.rd = keep();
            Err(reserved.begin(Parked::Block(block)))
        }
        // One that is not parked is finished.
        _ => Ok(()),
    }
}

impl BlockOperation {
    fn map(
        realm: &Realm<'_>,
        base: Ipa,
        ipa: Ipa,
        next: Ipa,
        memory: PhysAddr,
        level: Level,
    ) -> Self {
        let memory = BlockMemory::new(memory, level);
        Self { rd: None, stage2: realm.stage2, memory, way: Way::In { base, ipa, next } }
    }

    /// Goes on until it ends or an interrupt is pending, by one granule at least. Gives the end.
    pub(super) fn run(&mut self, rmm: &Rmm<'_>, cpu: &mut Cpu) -> Option<Outcome<3>> {
        loop {
            match (self.step(rmm, cpu), &self.way) {
                (Step::Continue, _) if interrupt::is_pending() => return None,
                (Step::Continue, _) => {}
                (Step::Done, Way::In { next, .. }) => return Some(Ok([next.get(), 0, 0])),
                (Step::Done, Way::Out(outcome)) => return Some(*outcome),
            }
        }
    }

    /// Ends a parked one.
    pub(super) fn end(&mut self, rmm: &Rmm<'_>) {
        if let Some(rd) = self.rd.take() {
            drop(rmm.granules.adopt_reference::<Rd>(rd));
        }
    }

    fn step(&mut self, rmm: &Rmm<'_>, cpu: &mut Cpu) -> Step {
        let Way::In { base, ipa, next } = self.way else {
            return self.memory.give_back(&rmm.granules, cpu);
        };
        let error = match self.memory.take(&rmm.granules, cpu) {
            Ok(Step::Continue) => return Step::Continue,
            Ok(Step::Done) => match self.assign(rmm, cpu, ipa) {
                Ok(()) => return Step::Done,
                Err(error) => error,
            },
            Err(error) => error.into(),
        };
        let level = self.memory.level();
        let walk = Walk::new(&rmm.granules, cpu.index, &self.stage2, ipa);
        let status = match walk.read(&mut cpu.slots.rtt, level) {
            (reached, Entry::Assigned(_, same))
                if reached == level && same == self.memory.base() =>
            {
                // It is mapped there already. What was taken is none of it.
                None
            }
            (reached, Entry::Unassigned(_)) if reached == level => Some(error),
            (reached, _) => Some(Status::Rtt(reached)),
        };
        self.way = Way::Out(match status {
            None => Ok([next.get(), 0, 0]),
            // What was mapped before counts.
            Some(_) if ipa > base => Ok([ipa.get(), 0, 0]),
            Some(status) => Err(Failure { status, outputs: [base.get(), 0, 0] }),
        });
        self.memory.give_back(&rmm.granules, cpu)
    }

    /// Has an entry lead to the memory, which is whole.
    fn assign(&mut self, rmm: &Rmm<'_>, cpu: &mut Cpu, ipa: Ipa) -> Result<(), Status> {
        let (base, level) = (self.memory.base(), self.memory.level());
        let memory = core::mem::replace(&mut self.memory, BlockMemory::new(base, level));
        let walk = Walk::new(&rmm.granules, cpu.index, &self.stage2, ipa);
        walk.assign_block(&mut cpu.slots.rtt, memory).map_err(|(memory, error)| {
            self.memory = memory;
            error.into()
        })
    }
}

/// RMI_RTT_UNPROT_MAP. `addresses` says which memory of the host, as `flags` say. `out_top` is the
/// first IPA not mapped.
pub(super) fn unprot_map(
    rmm: &Rmm<'_>,
    cpu: &mut Cpu,
    rd: GranuleAddress,
    base: u64,
    top: u64,
    flags: u64,
    addresses: u64,
) -> Outcome<1> {
    let realm = Realm::find(rmm, cpu, rd)?;
    realm.expect_alive()?;
    if top <= base {
        return Err(Status::Input.into());
    }
    let mut source = Source::new(rmm, cpu, flags, addresses)?;
    let level = source.range.level;
    let (base, top) = blocks(base, top, level, &realm.stage2)?;
    if realm.stage2.is_protected(base) {
        return Err(Status::Input.into());
    }
    let attributes = (flags >> MEMORY_ATTRIBUTES_SHIFT & 0x7) << STAGE2_MEMORY_ATTRIBUTES
        | (flags >> PERMISSIONS_SHIFT & 0xf) << STAGE2_READ;
    let (reached, _) = run_range(base, top, |ipa| {
        let Some(block) = source.block() else { return Ok(Stepped::Stopped) };
        let next = ipa.checked_add(level.entry_size()).filter(|next| *next <= top);
        let next = next.filter(|_| block.level == level).ok_or(Status::Rtt(level))?;
        let descriptor = encode_address(block.base.get()) | attributes;
        let mapping = UnprotectedMapping::new(descriptor, level, realm.stage2.format());
        let mapping = mapping.ok_or(Status::Input)?;
        let walk = realm.walk(rmm, cpu, ipa);
        if let Err(error) = walk.map_unprotected(&mut cpu.slots.rtt, level, mapping) {
            match realm.walk(rmm, cpu, ipa).read(&mut cpu.slots.rtt, level) {
                // As it should be.
                (reached, Entry::AssignedNs(same)) if reached == level && same == mapping => {}
                _ => return Err(error.into()),
            }
        }
        source.advance(cpu);
        Ok(Stepped::To(next))
    })?;
    Ok([reached.get()])
}

/// Where a command that unmaps tells what it unmapped.
enum Report {
    /// Nowhere.
    Nothing,
    /// In an output.
    Single(Option<RangeDescriptor>),
    /// In a list of the host's.
    List {
        list: AddressList,
        /// Entries that were written.
        written: usize,
        /// The entry that is next, as far as it has come.
        entry: Option<RangeDescriptor>,
    },
}

impl Report {
    /// From the arguments of the command.
    fn new(rmm: &Rmm<'_>, cpu: &mut Cpu, flags: u64, addresses: u64) -> Result<Self, Status> {
        match flags & ADDRESS_TYPE {
            ADDRESS_NONE => Ok(Self::Nothing),
            ADDRESS_SINGLE => Ok(Self::Single(None)),
            ADDRESS_LIST => {
                let count = flags >> LIST_COUNT_SHIFT & MAX_LIST_COUNT;
                let list = AddressList::new(&rmm.granules, PhysAddr::new(addresses), count)?;
                if list.len() == 0 {
                    return Err(Status::Input);
                }
                // Before anything is unmapped that could not be told.
                list.write(&cpu.slots.ns.map(list.page()), 0, 0)?;
                Ok(Self::List { list, written: 0, entry: None })
            }
            _ => Err(Status::Input),
        }
    }

    /// Whether there is room for a block. It is told if so.
    fn add(&mut self, level: Level, base: PhysAddr) -> bool {
        match self {
            Self::Nothing => true,
            Self::Single(Some(range)) | Self::List { entry: Some(range), .. } => {
                range.append_block(level, base)
            }
            Self::Single(range @ None) | Self::List { entry: range @ None, .. } => {
                *range = Some(RangeDescriptor::block(level, base));
                true
            }
        }
    }

    /// Writes an entry that is complete. Whether there is room for another.
    fn next_entry(&mut self, cpu: &mut Cpu) -> bool {
        let Self::List { list, written, entry } = self else { return false };
        let Some(range) = entry.take() else { return false };
        if list.write(&cpu.slots.ns.map(list.page()), *written, range.encode()).is_err() {
            // The host has given the page away meanwhile.
            return false;
        }
        *written += 1;
        *written < list.len()
    }

    /// x2 and x3.
    fn outputs(mut self, cpu: &mut Cpu) -> [u64; 2] {
        self.next_entry(cpu);
        match self {
            Self::Nothing => [0; 2],
            Self::Single(range) => [range.map_or(0, RangeDescriptor::encode), 0],
            Self::List { written, .. } => [0, u64::try_from(written).unwrap_or_default()],
        }
    }
}

/// RMI_RTT_DATA_UNMAP. `out_top` is the first IPA that may be mapped, `range` and `count` tell what
/// was unmapped, as `flags` ask.
pub(super) fn data_unmap(
    rmm: &Rmm<'_>,
    cpu: &mut Cpu,
    rd: GranuleAddress,
    base: u64,
    top: u64,
    flags: u64,
    addresses: u64,
) -> Outcome<3> {
    let realm = Realm::find(rmm, cpu, rd)?;
    let (base, top) = realm.stage2.protected_range(base, top)?;
    let report = Report::new(rmm, cpu, flags, addresses)?;
    unmap(rmm, cpu, &realm, base, top, report)
}

/// RMI_RTT_UNPROT_UNMAP, as [`data_unmap`].
pub(super) fn unprot_unmap(
    rmm: &Rmm<'_>,
    cpu: &mut Cpu,
    rd: GranuleAddress,
    base: u64,
    top: u64,
    flags: u64,
    addresses: u64,
) -> Outcome<3> {
    let realm = Realm::find(rmm, cpu, rd)?;
    let (base, top) = realm.stage2.unprotected_range(base, top)?;
    let report = Report::new(rmm, cpu, flags, addresses)?;
    unmap(rmm, cpu, &realm, base, top, report)
}

/// Unmaps a range of one half of the IPA space.
fn unmap<'g>(
    rmm: &Rmm<'g>,
    cpu: &mut Cpu,
    realm: &Realm<'g>,
    base: Ipa,
    top: Ipa,
    mut report: Report,
) -> Outcome<3> {
    let reserved = rmm.operations.reserve()?;
    let (reached, unfinished) = run_range(base, top, |ipa| {
        let unmap = |cpu: &mut Cpu, report: &mut Report| {
            let walk = realm.walk(rmm, cpu, ipa);
            walk.unmap(&mut cpu.slots.rtt, top, |level, base| report.add(level, base))
        };
        let mut unmapped = unmap(cpu, &mut report)?;
        if matches!(unmapped, Unmapped::Refused) && report.next_entry(cpu) {
            unmapped = unmap(cpu, &mut report)?;
        }
        match unmapped {
            Unmapped::Refused => Ok(Stepped::Stopped),
            Unmapped::Hole { next } | Unmapped::Mapping { memory: None, next } => {
                Ok(Stepped::To(next))
            }
            Unmapped::Mapping { memory: Some(memory), next } => {
                let way = Way::Out(Ok([next.get(), 0, 0]));
                let mut block = BlockOperation { rd: None, stage2: realm.stage2, memory, way };
                match block.run(rmm, cpu) {
                    Some(_) => Ok(Stepped::To(next)),
                    None => Ok(Stepped::Unfinished(block)),
                }
            }
        }
    })?;
    let [range, count] = report.outputs(cpu);
    match unfinished {
        Some(mut block) => {
            // The entry leads to the memory no more, but not all of it is Delegated.
            if let Way::Out(Ok([_, to_range, to_count])) = &mut block.way {
                (*to_range, *to_count) = (range, count);
            }
            Err(reserved.begin(Parked::Block(block)))
        }
        None => Ok([reached.get(), range, count]),
    }
}
