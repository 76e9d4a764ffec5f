// SPDX-License-Identifier: BSD-3-Clause
//! Memory in ranges: protected memory that the host gives a Realm and takes away, and unprotected
//! memory that it shows to it.
//!
//! A range is done block by block until it ends, a block cannot be done, or an interrupt is pending.
//! If at least one was done the command succeeds, and the host goes on at `out_top`.

use super::list::{AddressList, RangeDescriptor};
use crate::abi::rmi_v2::{
    ADDRESS_LIST, ADDRESS_NONE, ADDRESS_SINGLE, ADDRESS_TYPE, LIST_COUNT_SHIFT, MAX_LIST_COUNT,
    MEMORY_ATTRIBUTES_SHIFT, PERMISSIONS_SHIFT,
};
use crate::address::{GRANULE_SIZE, Ipa, PhysAddr};
use crate::granule::state::Rd;
use crate::granule::{GranuleAddress, Reference};
use crate::operation::{Operation, Step};
use crate::percpu::Cpu;
use crate::realm::rd::{RealmDescriptor, RealmState};
use crate::realm::stage2::{BlockMemory, Entry, Stage2, Unmapped, UnprotectedMapping, Walk};
use crate::rmi::call::{Failure, Outcome, Status};
use crate::rmi::state::Rmm;
use crate::xlat::{Level, encode_address};

/// The lowest bit of MemAttr in a descriptor of stage 2.
const STAGE2_MEMORY_ATTRIBUTES: u32 = 2;
/// S2AP in a descriptor of stage 2: the Realm may read. The bit above: it may write.
const STAGE2_READ: u32 = 6;

/// A Realm that is not destroyed meanwhile, so that its tables stay, too.
struct Realm<'g> {
    _rd: Reference<'g, Rd>,
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
        Ok(Self { _rd: reference, stage2, state })
    }

    /// Memory may be mapped only before the end of a Realm.
    fn expect_alive(&self) -> Result<(), Status> {
        match self.state {
            RealmState::New | RealmState::Active => Ok(()),
            RealmState::SystemOff | RealmState::Zombie => Err(Status::Realm(0)),
        }
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

    /// Reads entries of the list until there is a block at hand, or no more.
    fn fill(&mut self, cpu: &mut Cpu) -> Result<(), Status> {
        while let (0, Some((list, next))) = (self.range.count, &mut self.list)
            && *next < list.len()
        {
            let word = list.read(&cpu.slots.ns.map(list.page()), *next)?;
            self.range = RangeDescriptor::decode(word);
            *next += 1;
        }
        Ok(())
    }

    /// The block at hand.
    fn block(&self) -> Option<RangeDescriptor> {
        (self.range.count != 0).then_some(self.range)
    }

    /// Goes on to the next block.
    fn advance(&mut self, cpu: &mut Cpu) -> Result<(), Status> {
        let range = &mut self.range;
        range.count = range.count.saturating_sub(1);
        if let Some(next) = range.base.checked_add(range.level.entry_size()) {
            range.base = next;
        } else {
            range.count = 0;
        }
        self.fill(cpu)
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

/// A range that is being mapped or unmapped, one block or hole a step.
struct Range<F> {
    next: Ipa,
    top: Ipa,
    /// Does what begins at an IPA. Gives the next IPA, or `None` to stop.
    each: F,
    error: Option<Status>,
}

impl<F: FnMut(Ipa) -> Result<Option<Ipa>, Status>> Operation for Range<F> {
    fn step(&mut self) -> Step {
        match (self.each)(self.next) {
            Ok(Some(next)) => self.next = next,
            Ok(None) => return Step::Done,
            Err(error) => {
                self.error = Some(error);
                return Step::Done;
            }
        }
        if self.next < self.top { Step::Continue } else { Step::Done }
    }
}

/// Does a range. Gives the first IPA that was not done.
fn run_range(
    base: Ipa,
    top: Ipa,
    each: impl FnMut(Ipa) -> Result<Option<Ipa>, Status>,
) -> Result<Ipa, Failure> {
    let mut range = Range { next: base, top, each, error: None };
    range.run();
    match range.error {
        Some(status) if range.next == base => Err(Failure { status, outputs: [base.get(), 0, 0] }),
        _ => Ok(range.next),
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
    let reached = run_range(base, top, |ipa| {
        let Some(block) = source.block() else { return Ok(None) };
        let next = ipa.checked_add(level.entry_size()).filter(|next| *next <= top);
        let next = next.filter(|_| block.level == level).ok_or(Status::Rtt(level))?;
        if !block.is_delegated() || !block.base.is_aligned(level.entry_size()) {
            return Err(Status::Input);
        }
        map_block(rmm, cpu, &realm, ipa, block.base, level)?;
        source.advance(cpu)?;
        Ok(Some(next))
    })?;
    Ok([reached.get()])
}

/// Maps one page or block of delegated memory. One that is mapped there already stays.
fn map_block<'g>(
    rmm: &Rmm<'g>,
    cpu: &mut Cpu,
    realm: &Realm<'g>,
    ipa: Ipa,
    base: PhysAddr,
    level: Level,
) -> Result<(), Status> {
    realm.stage2.check_reach(GranuleAddress::containing(base))?;
    let mut memory = BlockMemory::new(base, level);
    let taken = loop {
        match memory.take(&rmm.granules, cpu) {
            Ok(Step::Continue) => {}
            Ok(Step::Done) => break Ok(()),
            Err(error) => break Err(Status::from(error)),
        }
    };
    let error = match taken {
        Ok(()) => match realm.walk(rmm, cpu, ipa).assign_block(&mut cpu.slots.rtt, memory) {
            Ok(()) => return Ok(()),
            Err((returned, error)) => {
                memory = returned;
                error.into()
            }
        },
        Err(error) => error,
    };
    while memory.give_back(&rmm.granules, cpu) == Step::Continue {}
    match realm.walk(rmm, cpu, ipa).read(&mut cpu.slots.rtt, level) {
        (reached, Entry::Assigned(_, same)) if reached == level && same == base => Ok(()),
        (reached, Entry::Unassigned(_)) if reached == level => Err(error),
        (reached, _) => Err(Status::Rtt(reached)),
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
    let reached = run_range(base, top, |ipa| {
        let Some(block) = source.block() else { return Ok(None) };
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
        source.advance(cpu)?;
        Ok(Some(next))
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
    let reached = run_range(base, top, |ipa| {
        let unmap = |cpu: &mut Cpu, report: &mut Report| {
            let walk = realm.walk(rmm, cpu, ipa);
            walk.unmap(&mut cpu.slots.rtt, top, |level, base| report.add(level, base))
        };
        let mut unmapped = unmap(cpu, &mut report)?;
        if matches!(unmapped, Unmapped::Refused) && report.next_entry(cpu) {
            unmapped = unmap(cpu, &mut report)?;
        }
        match unmapped {
            Unmapped::Refused => Ok(None),
            Unmapped::Hole { next } => Ok(Some(next)),
            Unmapped::Mapping { memory, next } => {
                if let Some(mut memory) = memory {
                    while memory.give_back(&rmm.granules, cpu) == Step::Continue {}
                }
                Ok(Some(next))
            }
        }
    })?;
    let [range, count] = report.outputs(cpu);
    Ok([reached.get(), range, count])
}
