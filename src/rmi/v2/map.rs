// SPDX-License-Identifier: BSD-3-Clause
//! The commands that map ranges: delegated memory at protected IPAs, and memory of the host at
//! unprotected IPAs.

use super::list::{AddressList, RangeDescriptor};
use super::range::{Half, Realm, run_range, unless_mapped};
use crate::abi::rmi_v2::{
    ADDRESS_LIST, ADDRESS_SINGLE, ADDRESS_TYPE, LIST_COUNT_SHIFT, MAX_LIST_COUNT,
    MEMORY_ATTRIBUTES_SHIFT, PERMISSIONS_SHIFT,
};
use crate::address::{GRANULE_SIZE, Ipa, PhysAddr};
use crate::granule::GranuleAddress;
use crate::granule::state::Delegated;
use crate::percpu::Cpu;
use crate::realm::stage2::{BlockMemory, Entry, Stage2, UnprotectedMapping};
use crate::rmi::call::{Outcome, Status};
use crate::rmi::data::assign_wiped;
use crate::rmi::operations::{BlockOperation, Way};
use crate::rmi::state::Rmm;
use crate::xlat::{Level, encode_address};

/// The lowest bit of MemAttr in a descriptor of stage 2.
const STAGE2_MEMORY_ATTRIBUTES: u32 = 2;
/// S2AP in a descriptor of stage 2: the Realm may read. The bit above: it may write.
const STAGE2_READ: u32 = 6;
/// The access permissions that there are.
const READ_WRITE: u64 = 0x3;

/// The physical blocks to map, in order.
struct Source {
    /// The next blocks.
    range: RangeDescriptor,
    /// The list that the rest come from, and the index of its next entry.
    list: Option<(AddressList, usize)>,
}

impl Source {
    /// No blocks.
    const NONE: Self = Self { range: RangeDescriptor::decode(0), list: None };

    /// Decodes the arguments of a command that maps. It works in place because returning a `Source`
    /// would copy it byte by byte.
    fn begin(
        &mut self,
        rmm: &Rmm<'_>,
        cpu: &mut Cpu,
        flags: u64,
        addresses: u64,
    ) -> Result<(), Status> {
        match flags & ADDRESS_TYPE {
            ADDRESS_SINGLE => self.range = RangeDescriptor::decode(addresses),
            ADDRESS_LIST => {
                let count = flags >> LIST_COUNT_SHIFT & MAX_LIST_COUNT;
                let list = AddressList::new(&rmm.granules, PhysAddr::new(addresses), count)?;
                self.list = Some((list, 0));
            }
            _ => return Err(Status::INPUT),
        }
        self.fill(cpu)?;
        if self.range.count == 0 { Err(Status::INPUT) } else { Ok(()) }
    }

    /// Reads the next entry of the list, if no block is left of the last one.
    fn fill(&mut self, cpu: &mut Cpu) -> Result<(), Status> {
        if let (0, Some((list, next))) = (self.range.count, &mut self.list) {
            let page = cpu.slots.ns.map(list.page());
            if let Some(word) = list.next(&page, next)? {
                self.range = RangeDescriptor::decode(word);
            }
        }
        Ok(())
    }

    /// The next block.
    fn block(&self) -> Option<RangeDescriptor> {
        (self.range.count != 0).then_some(self.range)
    }

    /// Advances to the next block. A list that can no longer be read ends here: the command
    /// returns how far it came, and the host's next call returns the error.
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

/// Checks the range of a command that maps blocks at `level`.
fn blocks(base: u64, top: u64, level: Level, stage2: &Stage2) -> Result<(Ipa, Ipa), Status> {
    if !matches!(level, Level::One | Level::Two | Level::Three)
        || top <= base
        || !top.is_multiple_of(GRANULE_SIZE)
        || top > stage2.ipa_end()
    {
        return Err(Status::INPUT);
    }
    Ok((stage2.walk_entry(base, level)?, Ipa::new(top)))
}

/// RMI_RTT_DATA_MAP. `flags` say how `addresses` names the delegated memory. `out_top` is the first
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
    map(rmm, cpu, rd, [base, top], flags, addresses, Half::Protected)
}

/// RMI_RTT_UNPROT_MAP. `flags` say how `addresses` names the host's memory. `out_top` is the first
/// IPA not mapped.
pub(super) fn unprot_map(
    rmm: &Rmm<'_>,
    cpu: &mut Cpu,
    rd: GranuleAddress,
    base: u64,
    top: u64,
    flags: u64,
    addresses: u64,
) -> Outcome<1> {
    map(rmm, cpu, rd, [base, top], flags, addresses, Half::Unprotected)
}

/// Maps a range of one half of the IPA space.
fn map(
    rmm: &Rmm<'_>,
    cpu: &mut Cpu,
    rd: GranuleAddress,
    [base, top]: [u64; 2],
    flags: u64,
    addresses: u64,
    half: Half,
) -> Outcome<1> {
    Realm::with(rmm, cpu, rd, |realm, cpu| {
        realm.expect_alive()?;
        if top <= base {
            return Err(Status::INPUT.into());
        }
        let mut source = Source::NONE;
        source.begin(rmm, cpu, flags, addresses)?;
        let level = source.range.level;
        let (base, top) = blocks(base, top, level, &realm.stage2)?;
        let is_right = match half {
            Half::Protected => {
                source.range.is_delegated() && top.get() <= realm.stage2.protected_end()
            }
            Half::Unprotected => !realm.stage2.is_protected(base),
        };
        if !is_right {
            return Err(Status::INPUT.into());
        }
        if top.get() - base.get() < level.entry_size() {
            return Err(Status::rtt(level).into());
        }
        // Only blocks of protected memory can be parked.
        let reserved = match (half, level) {
            (Half::Unprotected, _) | (_, Level::Three) => None,
            _ => Some(rmm.operations.reserve()?),
        };
        let mut unfinished = None;
        let reached = run_range(base, top, |ipa| {
            let Some(block) = source.block() else { return Ok(None) };
            let fits = |next: &Ipa| block.level == level && *next <= top;
            let next = ipa.checked_add(level.entry_size()).filter(fits);
            let next = next.ok_or(Status::rtt(level))?;
            match half {
                Half::Unprotected => unprot_map_one(rmm, cpu, &realm, ipa, block, flags)?,
                Half::Protected => {
                    if !block.is_delegated() || !block.base.is_aligned(level.entry_size()) {
                        return Err(Status::INPUT);
                    }
                    realm.stage2.check_reach(GranuleAddress::containing(block.base))?;
                    if level == Level::Three {
                        data_map_page(rmm, cpu, &realm, ipa, block.base)?;
                    } else {
                        let memory = BlockMemory::new(block.base, level);
                        let way = Way::In { base, ipa, next };
                        let stage2 = realm.stage2;
                        let mut block = BlockOperation { rd: None, stage2, memory, way };
                        match block.run(rmm, cpu) {
                            Some(Ok([reached, ..])) if reached == next.get() => {}
                            Some(Ok(_)) => return Ok(None),
                            Some(Err(failure)) => return Err(failure.status),
                            None => {
                                unfinished = Some(block);
                                return Ok(None);
                            }
                        }
                    }
                }
            }
            source.advance(cpu);
            Ok(Some(next))
        })?;
        match reserved.zip(unfinished) {
            Some((reserved, block)) => Err(realm.park(reserved, block)),
            None => Ok([reached.get()]),
        }
    })
}

/// Maps one granule of delegated memory.
fn data_map_page<'g>(
    rmm: &Rmm<'g>,
    cpu: &mut Cpu,
    realm: &Realm<'g>,
    ipa: Ipa,
    memory: PhysAddr,
) -> Result<(), Status> {
    let granule = GranuleAddress::containing(memory);
    let assigned = match rmm.granules.lock::<Delegated>(cpu.index, granule) {
        Ok(data) => assign_wiped(realm.walk(rmm, cpu, ipa), &mut cpu.slots, data),
        Err(error) => Err(error.into()),
    };
    assigned.or_else(|error| {
        let is_same = |entry| matches!(entry, Entry::Assigned(_, same) if same == memory);
        unless_mapped(realm.walk(rmm, cpu, ipa), cpu, Level::Three, is_same, error)
    })
}

/// Maps one page or block of the host's memory, with the attributes in `flags`.
fn unprot_map_one<'g>(
    rmm: &Rmm<'g>,
    cpu: &mut Cpu,
    realm: &Realm<'g>,
    ipa: Ipa,
    block: RangeDescriptor,
    flags: u64,
) -> Result<(), Status> {
    let permissions = flags >> PERMISSIONS_SHIFT & 0xf;
    if permissions & !READ_WRITE != 0 {
        return Err(Status::INPUT);
    }
    let attributes = (flags >> MEMORY_ATTRIBUTES_SHIFT & 0x7) << STAGE2_MEMORY_ATTRIBUTES
        | permissions << STAGE2_READ;
    let descriptor = encode_address(block.base.get()) | attributes;
    let mapping = UnprotectedMapping::new(descriptor, block.level, realm.stage2.format());
    let mapping = mapping.ok_or(Status::INPUT)?;
    let walk = realm.walk(rmm, cpu, ipa);
    walk.map_unprotected(&mut cpu.slots.rtt, block.level, mapping).or_else(|error| {
        let is_same = |entry| entry == Entry::AssignedNs(mapping);
        unless_mapped(realm.walk(rmm, cpu, ipa), cpu, block.level, is_same, error.into())
    })
}
