// SPDX-License-Identifier: BSD-3-Clause
//! The boot manifest's rules stated a second time, by offset and in wide arithmetic, for tests and
//! the fuzz target.
//!
//! A broken rule panics.

use rmm::address::PhysAddr;
use rmm::el3::manifest::{Manifest, MemoryRegion};

/// A list: the offsets of its count, pointer and checksum, the words of an entry, and the minor
/// version that added it.
struct Layout {
    count: u64,
    pointer: u64,
    checksum: u64,
    entry_words: u64,
    since: u16,
}

const fn layout(offset: u64, entry_words: u64, since: u16) -> Layout {
    Layout { count: offset, pointer: offset + 8, checksum: offset + 16, entry_words, since }
}

const DRAM: Layout = layout(0x10, 2, 2);
const CONSOLE: Layout = layout(0x28, 6, 3);
const NON_COHERENT: Layout = layout(0x40, 2, 4);
const COHERENT: Layout = layout(0x58, 2, 4);
const SMMU: Layout = layout(0x70, 2, 5);
const ROOT_COMPLEX: Layout =
    Layout { count: 0x88, pointer: 0x98, checksum: 0xA0, entry_words: 3, since: 5 };

/// A page and where it is.
pub struct Model<'a> {
    bytes: &'a [u8; 4096],
    base: u64,
}

impl<'a> Model<'a> {
    pub fn new(bytes: &'a [u8; 4096], base: PhysAddr) -> Self {
        Self { bytes, base: base.get() }
    }

    fn number<const BYTES: usize>(&self, offset: u64) -> u64 {
        let start = usize::try_from(offset).unwrap();
        self.bytes[start..start + BYTES]
            .iter()
            .rev()
            .fold(0, |value, &byte| value << 8 | u64::from(byte))
    }

    /// The offset of an array that lies wholly in the page and is aligned.
    fn array(&self, pointer: u64, count: u64, words: u64) -> Option<u64> {
        let end = u128::from(pointer) + u128::from(count) * u128::from(words) * 8;
        let inside = pointer >= self.base && end <= u128::from(self.base) + 4096;
        (count == 0 || inside && pointer.is_multiple_of(8)).then(|| pointer.wrapping_sub(self.base))
    }

    fn sum(&self, offset: u64, words: u64) -> u64 {
        (0..words).fold(0, |sum, word| sum.wrapping_add(self.number::<8>(offset + word * 8)))
    }

    /// The sum of a list's entries and of the arrays that they point to. `None` if one of these is
    /// not in the page, or the nested ones together are larger than it.
    fn entries_sum(&self, list: &Layout) -> Option<u64> {
        let count = self.number::<8>(list.count);
        let offset = self.array(self.number::<8>(list.pointer), count, list.entry_words)?;
        let mut sum = self.sum(offset, count * list.entry_words);
        if list.count == ROOT_COMPLEX.count {
            let mut nested = 0;
            for complex in (0..count).map(|index| offset + index * 24) {
                let ports = self.number::<4>(complex + 12);
                let ports_offset = self.array(self.number::<8>(complex + 16), ports, 2)?;
                sum = sum.wrapping_add(self.sum(ports_offset, ports * 2));
                nested += ports * 2;
                for port in (0..ports).map(|index| ports_offset + index * 16) {
                    let mappings = self.number::<4>(port + 4);
                    let mappings_offset = self.array(self.number::<8>(port + 8), mappings, 1)?;
                    sum = sum.wrapping_add(self.sum(mappings_offset, mappings));
                    nested += mappings;
                    if nested > 512 {
                        return None;
                    }
                }
            }
        }
        Some(sum)
    }

    fn remainder(&self, list: &Layout) -> Option<u64> {
        let [count, pointer, checksum] =
            [list.count, list.pointer, list.checksum].map(|offset| self.number::<8>(offset));
        Some(
            count
                .wrapping_add(pointer)
                .wrapping_add(checksum)
                .wrapping_add(self.entries_sum(list)?),
        )
    }

    /// Panics if an accepted manifest breaks a rule or differs from the page.
    pub fn check(&self, limit: PhysAddr, manifest: &Manifest<'_>) {
        let [minor, major] = [0, 2].map(|offset| self.number::<2>(offset));
        assert!(major == 0 && minor >= 2, "version {major}.{minor}");
        let version = manifest.version();
        assert_eq!((u64::from(version.major), u64::from(version.minor)), (major, minor));
        let count = |list: &Layout| {
            if minor < u64::from(list.since) {
                return 0;
            }
            // Before 0.4 the checksum of the consoles may leave out some of their words.
            if list.count != CONSOLE.count || minor > 3 {
                // RF-A's checksum of the root complexes includes their version word.
                let with_version = (list.count == 0x88)
                    .then(|| Some(0_u64.wrapping_sub(self.number::<8>(0x90))))
                    .flatten();
                let remainder = self.remainder(list);
                assert!(
                    remainder == Some(0) || (with_version.is_some() && remainder == with_version),
                    "checksum of the list at {:#x}",
                    list.count
                );
            }
            self.number::<8>(list.count)
        };
        let entry = |list: &Layout, index: u64, word: u64| {
            let offset = self.number::<8>(list.pointer) - self.base;
            self.number::<8>(offset + (index * list.entry_words + word) * 8)
        };

        let mut occupied: Vec<(u128, u128)> = Vec::new();
        let mut occupy = |base: u64, size: u64| {
            let end = u128::from(base) + u128::from(size);
            assert!(size > 0 && base.is_multiple_of(4096) && size.is_multiple_of(4096));
            assert!(end <= u128::from(limit.get()));
            for &(other, other_end) in &occupied {
                assert!(
                    u128::from(base) >= other_end || end <= other,
                    "{base:#x} overlaps {other:#x}"
                );
            }
            occupied.push((u128::from(base), end));
        };

        let regions: [(&Layout, Vec<MemoryRegion>); 3] = [
            (&DRAM, manifest.dram().collect()),
            (&NON_COHERENT, manifest.non_coherent().collect()),
            (&COHERENT, manifest.coherent().collect()),
        ];
        assert!(!regions[0].1.is_empty(), "no DRAM");
        for (list, regions) in &regions {
            assert_eq!(regions.len() as u64, count(list));
            assert!(regions.is_sorted_by_key(MemoryRegion::base));
            for (index, region) in (0..).zip(regions) {
                assert_eq!(region.base().get(), entry(list, index, 0));
                assert_eq!(region.size(), entry(list, index, 1));
                assert_eq!(region.end().get() - region.base().get(), region.size());
                occupy(region.base().get(), region.size());
            }
        }
        assert_eq!(manifest.consoles().len() as u64, count(&CONSOLE));
        for (index, console) in (0..).zip(manifest.consoles()) {
            let words = [
                console.base.get(),
                console.map_pages,
                u64::from_le_bytes(console.name),
                console.clock_hz,
            ];
            assert_eq!(words, [0, 1, 2, 3].map(|word| entry(&CONSOLE, index, word)));
            assert_eq!(console.baud_rate, entry(&CONSOLE, index, 4));
            assert!(console.map_pages <= 16);
            occupy(console.base.get(), console.map_pages * 4096);
        }
        let smmus = manifest.smmus().len() as u64;
        assert_eq!(smmus, count(&SMMU));
        for (index, smmu) in (0..).zip(manifest.smmus()) {
            assert_eq!(smmu.base.get(), entry(&SMMU, index, 0));
            assert_eq!(smmu.realm_base.get(), entry(&SMMU, index, 1));
            occupy(smmu.base.get(), 4096);
            occupy(smmu.realm_base.get(), 4096);
        }
        self.check_root_complexes(limit, count(&ROOT_COMPLEX), smmus, manifest);
    }

    fn check_root_complexes(
        &self,
        limit: PhysAddr,
        count: u64,
        smmus: u64,
        manifest: &Manifest<'_>,
    ) {
        assert_eq!(manifest.root_complexes().count() as u64, count);
        for (index, root_complex) in (0..).zip(manifest.root_complexes()) {
            let complex = self.number::<8>(ROOT_COMPLEX.pointer) - self.base + index * 24;
            assert_eq!(root_complex.ecam.get(), self.number::<8>(complex));
            assert_eq!(u64::from(root_complex.segment), self.number::<1>(complex + 8));
            assert!(root_complex.ecam.get().is_multiple_of(4096));
            assert!(u128::from(root_complex.ecam.get()) + 4096 <= u128::from(limit.get()));
            assert_eq!(root_complex.root_ports().count() as u64, self.number::<4>(complex + 12));
            for (index, root_port) in (0..).zip(root_complex.root_ports()) {
                let port = self.number::<8>(complex + 16) - self.base + index * 16;
                assert_eq!(u64::from(root_port.id), self.number::<2>(port));
                assert_eq!(root_port.mappings().count() as u64, self.number::<4>(port + 4));
                for (index, mapping) in (0..).zip(root_port.mappings()) {
                    let word = self.number::<8>(port + 8) - self.base + index * 8;
                    let fields = [mapping.base, mapping.top, mapping.offset, mapping.smmu_index];
                    assert_eq!(
                        fields.map(u64::from),
                        [0, 2, 4, 6].map(|offset| self.number::<2>(word + offset))
                    );
                    assert!(mapping.base <= mapping.top);
                    for other in root_port.mappings().take(usize::try_from(index).unwrap()) {
                        assert!(mapping.base >= other.top || mapping.top <= other.base);
                    }
                    assert!(smmus == 0 || u64::from(mapping.smmu_index) < smmus);
                }
            }
        }
    }
}

/// Corrects the checksum of each list whose arrays are all in the page.
pub fn seal(bytes: &mut [u8; 4096], base: PhysAddr) {
    for list in [DRAM, CONSOLE, NON_COHERENT, COHERENT, SMMU, ROOT_COMPLEX] {
        let model = Model::new(bytes, base);
        if let Some(remainder) = model.remainder(&list) {
            let checksum = model.number::<8>(list.checksum).wrapping_sub(remainder);
            let start = usize::try_from(list.checksum).unwrap();
            bytes[start..start + 8].copy_from_slice(&checksum.to_le_bytes());
        }
    }
}
