// SPDX-License-Identifier: BSD-3-Clause
//! Builds boot manifests for tests: valid ones, laid out as TF-A does, which a test then changes
//! word by word.

pub use rmm_plat::Console as ConsoleEntry;
use rmm_plat::{Machine, Range, RootComplex, RootPort, fvp};

use rmm::address::PhysAddr;
use rmm::el3::manifest::{BdfMapping, Header, Manifest, ManifestError};

use super::model::seal;

/// The first address beyond the physical addresses of the tests' machine. It has 40 bits of them,
/// as TF-A configures QEMU's.
pub const PHYSICAL_LIMIT: PhysAddr = PhysAddr::new(1 << 40);

/// A root port of a manifest to build.
#[derive(Clone, Debug)]
pub struct RootPortEntry {
    pub id: u16,
    pub mappings: Vec<BdfMapping>,
}

/// A root complex of a manifest to build.
#[derive(Clone, Debug)]
pub struct RootComplexEntry {
    pub ecam: u64,
    pub segment: u8,
    pub root_ports: Vec<RootPortEntry>,
}

/// A manifest to build: its version is 0.`minor`, and lists of regions are pairs of base and size.
#[derive(Clone, Debug)]
pub struct Builder {
    pub base: PhysAddr,
    pub minor: u16,
    pub dram: Vec<(u64, u64)>,
    pub consoles: Vec<ConsoleEntry>,
    pub non_coherent: Vec<(u64, u64)>,
    pub coherent: Vec<(u64, u64)>,
    pub smmus: Vec<(u64, u64)>,
    pub root_complexes: Vec<RootComplexEntry>,
}

/// The page of a manifest and its physical address.
#[derive(Clone, Debug)]
pub struct Image {
    pub bytes: Box<[u8; 4096]>,
    pub base: PhysAddr,
}

/// Size in bytes of the fixed part in version 0.5. The builder lays out the arrays after it.
pub const HEADER_SIZE: u64 = 0xA8;

pub const PL011: ConsoleEntry = fvp::MACHINE.consoles[0];

impl Builder {
    /// One bank of DRAM and nothing else.
    pub fn minimal() -> Self {
        Self {
            base: PhysAddr::new(0x418F_F000),
            minor: 5,
            dram: vec![(0x4000_0000, 0xC000_0000)],
            consoles: Vec::new(),
            non_coherent: Vec::new(),
            coherent: Vec::new(),
            smmus: Vec::new(),
            root_complexes: Vec::new(),
        }
    }

    /// What TF-A builds for FVP.
    pub fn fvp() -> Self {
        Self::of(&fvp::MACHINE)
    }

    /// What TF-A builds for `machine`.
    pub fn of(machine: &Machine) -> Self {
        let ranges =
            |ranges: &[Range]| ranges.iter().map(|range| (range.base, range.size)).collect();
        let mapping = |&rmm_plat::BdfMapping { base, top, offset, smmu_index }: &_| BdfMapping {
            base,
            top,
            offset,
            smmu_index,
        };
        let port = |port: &RootPort| RootPortEntry {
            id: port.id,
            mappings: port.mappings.iter().map(mapping).collect(),
        };
        let complex = |complex: &RootComplex| RootComplexEntry {
            ecam: complex.ecam,
            segment: complex.segment,
            root_ports: complex.root_ports.iter().map(port).collect(),
        };
        Self {
            base: PhysAddr::new(machine.shared_page()),
            minor: 5,
            dram: ranges(machine.dram),
            consoles: machine.consoles.to_vec(),
            non_coherent: ranges(machine.non_coherent),
            coherent: ranges(machine.coherent),
            smmus: machine.smmus.iter().map(|smmu| (smmu.base, smmu.realm_base)).collect(),
            root_complexes: machine.root_complexes.iter().map(complex).collect(),
        }
    }

    /// The same manifest under version 0.`minor`.
    pub fn of_version(self, minor: u16) -> Self {
        Self { minor, ..self }
    }

    /// Several entries in every list, and nested arrays of several lengths.
    pub fn full() -> Self {
        let mapping =
            |base, smmu_index| BdfMapping { base, top: base + 0x100, offset: 0x7000, smmu_index };
        let port = |id, mappings| RootPortEntry { id, mappings };
        Self {
            consoles: vec![PL011, ConsoleEntry { base: 0x1C0D_0000, map_pages: 16, ..PL011 }],
            coherent: vec![
                (0x50_0000_0000, 0x1000),
                (0x50_0000_1000, 0x1000),
                (0x60_0000_0000, 0x20_0000),
            ],
            smmus: vec![(0x2B80_0000, 0x2B82_0000), (0x2B40_0000, 0x2B42_0000)],
            root_complexes: vec![
                RootComplexEntry {
                    ecam: 0x4000_0000,
                    segment: 0,
                    root_ports: vec![
                        port(0, vec![mapping(0, 0), mapping(0x200, 1)]),
                        port(0x1234, vec![]),
                    ],
                },
                RootComplexEntry { ecam: 0x4800_0000, segment: 0xFE, root_ports: vec![] },
                RootComplexEntry {
                    ecam: 0xFF_FFFF_F000,
                    segment: 1,
                    root_ports: vec![port(7, vec![mapping(0xFE00, 1)])],
                },
            ],
            ..Self::fvp()
        }
    }

    pub fn build(&self) -> Image {
        let mut image = Image { bytes: Box::new([0; 4096]), base: self.base };
        image.set(0, u64::from(self.minor));
        let mut next = HEADER_SIZE;
        let pairs =
            |pairs: &[(u64, u64)]| pairs.iter().flat_map(|&(a, b)| [a, b]).collect::<Vec<_>>();
        let consoles: Vec<_> = self
            .consoles
            .iter()
            .flat_map(|console| {
                let ConsoleEntry { base, map_pages, name, clock_hz, baud_rate } = *console;
                [base, map_pages, u64::from_le_bytes(name), clock_hz, baud_rate, 0]
            })
            .collect();
        image.add_list(0x10, 2, &pairs(&self.dram), &mut next);
        image.add_list(0x28, 6, &consoles, &mut next);
        image.add_list(0x40, 2, &pairs(&self.non_coherent), &mut next);
        image.add_list(0x58, 2, &pairs(&self.coherent), &mut next);
        image.add_list(0x70, 2, &pairs(&self.smmus), &mut next);
        self.add_root_complexes(&mut image, next);
        image.sealed()
    }

    /// Appends all root complexes, then all root ports, then all mappings.
    fn add_root_complexes(&self, image: &mut Image, start: u64) {
        if self.root_complexes.is_empty() {
            return;
        }
        let count = self.root_complexes.len() as u64;
        let ports: Vec<_> =
            self.root_complexes.iter().flat_map(|complex| &complex.root_ports).collect();
        let mut next_complex = start;
        let mut next_port = start + count * 24;
        let mut next_mapping = next_port + ports.len() as u64 * 16;
        let base = self.base.get();
        image.set(0x88, count);
        image.set(0x90, 1);
        image.set(0x98, base + start);
        for complex in &self.root_complexes {
            image.set(next_complex, complex.ecam);
            let ports = complex.root_ports.len() as u64;
            image.set(next_complex + 8, u64::from(complex.segment) | ports << 32);
            image.set(next_complex + 16, if ports == 0 { 0 } else { base + next_port });
            next_complex += 24;
            for port in &complex.root_ports {
                image.set(next_port, u64::from(port.id) | (port.mappings.len() as u64) << 32);
                image.set(
                    next_port + 8,
                    if port.mappings.is_empty() { 0 } else { base + next_mapping },
                );
                next_port += 16;
                for mapping in &port.mappings {
                    let fields = [mapping.base, mapping.top, mapping.offset, mapping.smmu_index];
                    let word =
                        fields.iter().rev().fold(0, |word, &field| word << 16 | u64::from(field));
                    image.set(next_mapping, word);
                    next_mapping += 8;
                }
            }
        }
    }
}

impl Image {
    /// The page that holds these words and then zeros.
    pub fn of_words(base: PhysAddr, words: &[u64]) -> Self {
        let mut image = Self { bytes: Box::new([0; 4096]), base };
        for (offset, &word) in (0..).step_by(8).zip(words) {
            image.set(offset, word);
        }
        image
    }

    pub fn get(&self, offset: u64) -> u64 {
        let start = usize::try_from(offset).unwrap();
        u64::from_le_bytes(self.bytes[start..start + 8].try_into().unwrap())
    }

    pub fn set(&mut self, offset: u64, word: u64) {
        let start = usize::try_from(offset).unwrap();
        self.bytes[start..start + 8].copy_from_slice(&word.to_le_bytes());
    }

    /// This page with one word replaced. Checksums stay as they are.
    pub fn with(mut self, offset: u64, word: u64) -> Self {
        self.set(offset, word);
        self
    }

    /// This page with every checksum corrected whose array lies in the page.
    pub fn sealed(mut self) -> Self {
        seal(&mut self.bytes, self.base);
        self
    }

    /// Parses the page with [`PHYSICAL_LIMIT`].
    pub fn parse(&self) -> Result<Manifest<'_>, ManifestError> {
        assert!(self.base < PHYSICAL_LIMIT);
        Header::read(&self.bytes, self.base, PHYSICAL_LIMIT)?.validate()
    }

    /// The error with which the page is refused.
    pub fn refusal(&self) -> ManifestError {
        self.parse().expect_err("the manifest is accepted")
    }

    fn add_list(&mut self, triple: u64, entry_words: usize, words: &[u64], next: &mut u64) {
        if words.is_empty() {
            return;
        }
        self.set(triple, (words.len() / entry_words) as u64);
        self.set(triple + 8, self.base.get() + *next);
        for &word in words {
            self.set(*next, word);
            *next += 8;
        }
    }
}
