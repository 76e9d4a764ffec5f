// SPDX-License-Identifier: BSD-3-Clause
//! What a context must do, in the plainest terms: a list of regions, searched from end to end, and
//! runs of addresses.

use std::collections::BTreeSet;

use rmm::xlat::{
    Attributes, DataAccess, DescriptorFormat, Lifetime, MemoryType, PhysicalAddressSpace,
    Privilege, Region, RegionKind, Shareability,
};

use super::walker::{Output, Pas, RegimeKind};

/// A run of addresses with one mapping: first and last offset, and the physical address and
/// attributes of the first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MappedRun {
    pub first: u64,
    pub last: u64,
    pub pa: u64,
    pub attributes: Attributes,
    /// The largest page or block that may map it.
    pub cap: u64,
}

/// A rule that refuses a region.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RegionRule {
    Overlap,
    NestedElsewhere,
    PhysicalOverlap,
}

/// The regions of a context, each with its offset.
#[derive(Clone, Debug, Default)]
pub struct Regions(pub Vec<(Region, Lifetime, u64)>);

fn ends(region: &Region, offset: u64) -> (u64, u64) {
    (offset, offset + (region.extent.size - 1))
}

fn physical(region: &Region) -> Option<(u64, u64)> {
    match region.kind {
        RegionKind::Memory { base, .. } => {
            Some((base.get(), base.get() + (region.extent.size - 1)))
        }
        RegionKind::Transient => None,
    }
}

fn meet(a: (u64, u64), b: (u64, u64)) -> bool {
    a.0 <= b.1 && b.0 <= a.1
}

fn holds(outer: (u64, u64), inner: (u64, u64)) -> bool {
    outer.0 <= inner.0 && inner.1 <= outer.1 && outer != inner
}

impl Regions {
    /// The rules that adding `new` at `offset` would break.
    pub fn broken_rules(&self, new: &Region, lifetime: Lifetime, offset: u64) -> Vec<RegionRule> {
        let mut broken_rules = Vec::new();
        let new_va = ends(new, offset);
        for (old, old_lifetime, old_offset) in &self.0 {
            let old_va = ends(old, *old_offset);
            if meet(old_va, new_va) {
                let nested = holds(old_va, new_va) || holds(new_va, old_va);
                let both_static = (lifetime, *old_lifetime) == (Lifetime::Static, Lifetime::Static);
                match (physical(old), physical(new)) {
                    (Some(old_pa), Some(new_pa)) if nested && both_static => {
                        if i128::from(old_pa.0) - i128::from(old_va.0)
                            != i128::from(new_pa.0) - i128::from(new_va.0)
                        {
                            broken_rules.push(RegionRule::NestedElsewhere);
                        }
                    }
                    _ => broken_rules.push(RegionRule::Overlap),
                }
            } else if let (Some(old_pa), Some(new_pa)) = (physical(old), physical(new))
                && meet(old_pa, new_pa)
            {
                broken_rules.push(RegionRule::PhysicalOverlap);
            }
        }
        broken_rules
    }

    /// The smallest region around `offset`.
    fn innermost(&self, offset: u64) -> Option<&(Region, Lifetime, u64)> {
        self.0
            .iter()
            .filter(|(region, _, at)| holds_or_is(ends(region, *at), offset))
            .min_by_key(|(region, ..)| region.extent.size)
    }

    /// The mapped memory, in runs that have one innermost region each.
    pub fn runs(&self) -> Vec<MappedRun> {
        let mut edges: Vec<u64> =
            self.0.iter().flat_map(|(region, _, at)| [*at, at + region.extent.size]).collect();
        edges.sort_unstable();
        edges.dedup();
        let mut runs = Vec::new();
        for pair in edges.windows(2) {
            let (first, last) = (pair[0], pair[1] - 1);
            // A region begins or ends at each edge, so the innermost region changes there.
            let Some((region, _, at)) = self.innermost(first) else { continue };
            let RegionKind::Memory { base, attributes } = region.kind else { continue };
            let cap = region.granularity.map_or(u64::MAX, rmm::xlat::Granularity::size);
            runs.push(MappedRun { first, last, pa: base.get() + (first - at), attributes, cap });
        }
        runs
    }

    /// The offsets of transient pages.
    pub fn transient_pages(&self) -> Vec<u64> {
        self.0
            .iter()
            .filter(|(region, ..)| region.kind == RegionKind::Transient)
            .flat_map(|(region, _, at)| (*at..at + region.extent.size).step_by(4096))
            .collect()
    }
}

fn holds_or_is(span: (u64, u64), offset: u64) -> bool {
    span.0 <= offset && offset <= span.1
}

/// The leaves that map `runs` with the largest pages and blocks: first offset, size, and whether
/// they have the Contiguous hint.
pub fn leaves(
    runs: &[MappedRun],
    format: DescriptorFormat,
    address_bits: u32,
    with_hint: bool,
) -> Vec<(u64, u64, bool)> {
    let sizes: &[u64] = match format {
        DescriptorFormat::Bits48 => &[1 << 30, 1 << 21, 1 << 12],
        DescriptorFormat::Lpa2 => &[1 << 39, 1 << 30, 1 << 21, 1 << 12],
    };
    let mut leaves = Vec::new();
    for run in runs {
        let mut first = run.first;
        let pa = |offset: u64| run.pa + (offset - run.first);
        while first <= run.last {
            let fits = |size: u64| {
                size < 1 << address_bits
                    && size <= run.cap
                    && first % size == 0
                    && pa(first) % size == 0
                    && run.last - first >= size - 1
            };
            let size = *sizes.iter().find(|&&size| fits(size)).expect("a page always fits");
            let group = 16 * size;
            let start = first / group * group;
            let hint = with_hint
                && size < 1 << 39
                && group <= run.cap
                && start >= run.first
                && run.last - start >= group - 1
                && pa(start) % group == 0;
            leaves.push((first, size, hint));
            first += size;
        }
    }
    leaves
}

/// The tables, except the initial one, that leaves need, given by first offset and size. For each
/// table: log2 of what an entry covers, and the first offset.
pub fn tables(leaves: impl Iterator<Item = (u64, u64)>, address_bits: u32) -> BTreeSet<(u32, u64)> {
    let mut tables = BTreeSet::new();
    let mut last = None;
    for (first, size) in leaves {
        let mut shift = size.trailing_zeros();
        let innermost = (shift, first >> (shift + 9));
        if last.replace(innermost) == Some(innermost) {
            continue;
        }
        while shift + 9 < address_bits {
            tables.insert((shift, first >> (shift + 9) << (shift + 9)));
            shift += 9;
        }
    }
    tables
}

/// What a walker must find for memory mapped with `attributes`, at `pa`.
pub fn output(attributes: Attributes, pa: u64, regime: RegimeKind) -> Output {
    let user = attributes.privilege == Privilege::User;
    Output {
        pa,
        memory: match attributes.memory {
            MemoryType::NormalWriteBack => 0xff,
            MemoryType::Device => 0x04,
            MemoryType::DeviceNGnRnE => 0x00,
            MemoryType::NormalNonCacheable => 0x44,
        },
        el0_access: user,
        writable: attributes.access == DataAccess::ReadWrite,
        executable: attributes.executable && !user,
        el0_executable: regime.has_el0() && attributes.executable && user,
        guarded: attributes.guarded,
        pas: match attributes.pas {
            PhysicalAddressSpace::Secure => Pas::Secure,
            PhysicalAddressSpace::NonSecure => Pas::NonSecure,
            PhysicalAddressSpace::Root => Pas::Root,
            PhysicalAddressSpace::Realm => Pas::Realm,
        },
        shareability: match attributes.shareability {
            Shareability::Non => 0b00,
            Shareability::Outer => 0b10,
            Shareability::Inner => 0b11,
        },
        non_global: !attributes.global,
    }
}
