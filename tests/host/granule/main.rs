// SPDX-License-Identifier: BSD-3-Clause
//! The granule manager by itself: look-up, states, references, and locking several granules.

mod guards;
mod lookup;

use rmm::address::PhysAddr;
use rmm::cpu::CpuIndex;
use rmm::granule::state::{Delegated, Unproven};
use rmm::granule::{
    BankError, Epochs, GranuleAddress, GranuleEntry, GranuleTable, LockedGranule, MemoryRange,
    Probe, ProbeError, Waiters,
};

/// The granule that begins at `address`.
fn at(address: u64) -> GranuleAddress {
    GranuleAddress::new(PhysAddr::new(address)).expect("aligned")
}

/// A CPU.
fn cpu(index: usize) -> CpuIndex {
    CpuIndex::new(index).expect("an index of a CPU")
}

/// Ranges from bases and sizes.
fn ranges(ranges: &[(u64, u64)]) -> Vec<MemoryRange> {
    ranges.iter().map(|&(base, size)| (PhysAddr::new(base), size)).collect()
}

/// A table in storage of exactly the size it needs, which is never freed.
fn table(
    banks: &[(u64, u64)],
    excluded: &[(u64, u64)],
) -> Result<GranuleTable<'static>, BankError> {
    let (banks, excluded) = (ranges(banks), ranges(excluded));
    let entries = GranuleTable::required(banks.iter().copied(), &excluded)?;
    let storage: Vec<_> = (0..entries).map(|_| GranuleEntry::new()).collect();
    GranuleTable::new(
        storage.leak(),
        Box::leak(Box::new(Waiters::new())),
        Box::leak(Box::new(Epochs::new())),
        banks.into_iter(),
        &excluded,
    )
}

/// Memory that answers.
struct Answering;

impl Probe for Answering {
    fn probe(&mut self, _: &LockedGranule<'_, Unproven>) -> Result<(), ProbeError> {
        Ok(())
    }
}

/// Delegates the granule at `address`.
fn delegate(table: &GranuleTable<'_>, address: u64) {
    let locked = table.lock_ns(cpu(0), at(address)).expect("it is Non-secure");
    drop(locked.prove(&mut Answering).expect("memory answers").transition::<Delegated>());
}
