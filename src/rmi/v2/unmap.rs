// SPDX-License-Identifier: BSD-3-Clause
//! The commands that unmap ranges of protected or unprotected memory, and report to the host what
//! they unmapped.

use super::list::{AddressList, RangeDescriptor};
use super::range::{Half, Realm, run_range};
use crate::abi::rmi_v2::{
    ADDRESS_LIST, ADDRESS_NONE, ADDRESS_SINGLE, ADDRESS_TYPE, LIST_COUNT_SHIFT, MAX_LIST_COUNT,
};
use crate::address::PhysAddr;
use crate::granule::GranuleAddress;
use crate::operation::Step;
use crate::percpu::Cpu;
use crate::realm::stage2::{Taken, Unmapped};
use crate::rmi::call::{Outcome, Status};
use crate::rmi::operations::{BlockOperation, Operation as Parked, Reserved, Way};
use crate::rmi::state::Rmm;
use crate::xlat::Level;

/// The report of what a command unmapped.
enum Report {
    /// None.
    Nothing,
    /// In an output.
    Single(Option<RangeDescriptor>),
    /// In a list in the host's memory.
    List {
        list: AddressList,
        /// Entries that were written.
        written: usize,
        /// The next entry, which is not complete.
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
                    return Err(Status::INPUT);
                }
                // The page must be writable before anything is unmapped.
                list.write(&cpu.slots.ns.map(list.page()), 0, 0)?;
                Ok(Self::List { list, written: 0, entry: None })
            }
            _ => Err(Status::INPUT),
        }
    }

    /// Adds a block to the report. Returns whether there was room for it.
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

    /// Writes the next entry. Returns whether there is room for another.
    fn next_entry(&mut self, cpu: &mut Cpu) -> bool {
        let Self::List { list, written, entry } = self else { return false };
        let Some(range) = entry.take() else { return false };
        if list.write(&cpu.slots.ns.map(list.page()), *written, range.encode()).is_err() {
            // The page has gone away meanwhile.
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

/// RMI_RTT_DATA_UNMAP. `out_top` is the first IPA that may still be mapped. `range` and `count`
/// report what was unmapped, in the way that `flags` request.
pub(super) fn data_unmap(
    rmm: &Rmm<'_>,
    cpu: &mut Cpu,
    rd: GranuleAddress,
    base: u64,
    top: u64,
    flags: u64,
    addresses: u64,
) -> Outcome<3> {
    unmap(rmm, cpu, rd, [base, top], flags, addresses, Half::Protected)
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
    unmap(rmm, cpu, rd, [base, top], flags, addresses, Half::Unprotected)
}

/// Unmaps a range of one half of the IPA space.
fn unmap(
    rmm: &Rmm<'_>,
    cpu: &mut Cpu,
    rd: GranuleAddress,
    [base, top]: [u64; 2],
    flags: u64,
    addresses: u64,
    half: Half,
) -> Outcome<3> {
    Realm::with(rmm, cpu, rd, |realm, cpu| {
        let (base, top) = match half {
            Half::Protected => realm.stage2.protected_range(base, top)?,
            Half::Unprotected => realm.stage2.unprotected_range(base, top)?,
        };
        let mut report = Report::new(rmm, cpu, flags, addresses)?;
        // Reserved at the first block of protected memory: only these are parked.
        let mut reserved: Option<Reserved<'_>> = None;
        let mut unfinished = None;
        let reached = run_range(base, top, |ipa| {
            loop {
                let mut full = None;
                let accept = |level: Level, base| {
                    let may_park = half == Half::Protected && level != Level::Three;
                    if may_park && reserved.is_none() {
                        match rmm.operations.reserve() {
                            Ok(place) => reserved = Some(place),
                            Err(error) => full = Some(error),
                        }
                    }
                    full.is_none() && report.add(level, base)
                };
                let walk = realm.walk(rmm, cpu, ipa);
                let mut taken = Taken::new();
                let unmapped = walk.unmap(&mut cpu.slots.rtt, top, &mut taken, accept)?;
                let next = match (unmapped, full) {
                    (Unmapped::Hole { next } | Unmapped::Mappings { next }, _) => next,
                    (Unmapped::Refused, Some(error)) => return Err(error),
                    (Unmapped::Refused, None) if report.next_entry(cpu) => continue,
                    (Unmapped::Refused, None) => return Ok(None),
                };
                while let Some(mut memory) = taken.pop() {
                    if memory.give_back(&rmm.granules, cpu) == Step::Continue {
                        // A block, since pages do not stop. It is the only one taken.
                        let way = Way::Out(Ok([next.get(), 0, 0]));
                        let stage2 = realm.stage2;
                        unfinished = Some(BlockOperation { rd: None, stage2, memory, way });
                        return Ok(None);
                    }
                }
                return Ok(Some(next));
            }
        })?;
        let [range, count] = report.outputs(cpu);
        let Some((reserved, mut block)) = reserved.zip(unfinished) else {
            return Ok([reached.get(), range, count]);
        };
        // The entry no longer maps the memory, but not all of it is Delegated yet. The rest needs
        // no reference to the Realm.
        if let Way::Out(Ok([_, to_range, to_count])) = &mut block.way {
            (*to_range, *to_count) = (range, count);
        }
        Err(reserved.begin(Parked::Block(block)))
    })
}
