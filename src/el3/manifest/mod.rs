// SPDX-License-Identifier: BSD-3-Clause
//! The boot manifest: EL3's description of the machine, in the page shared with the RMM.
//!
//! The caller gives a private copy of the page to [`Header::read`], which checks the version.
//! [`Header::consoles`] gives the console on which errors of [`Header::validate`] can be printed. A
//! [`Manifest`] exists only if every list keeps every rule: its iterators borrow the copy and
//! cannot fail. The rules, beyond the layout that the RMM-EL3 interface defines:
//!
//! - A list that was added after the manifest's version is empty, whatever its words hold. Versions
//!   above 0.5 are read as 0.5, since minor versions only add.
//! - Number of entries, pointer, checksum and all words of the entries sum to 0 modulo 2^64. The
//!   sum of the root complexes includes their nested arrays. RF-A adds their version word and TF-A
//!   does not: both sums are accepted. In manifests before 0.4, TF-A left the names and flags of
//!   consoles out of the sum: that sum is accepted in those versions.
//! - The pointer of a list without entries is not checked, except by the checksum: TF-A on QEMU
//!   sets it.
//! - Arrays are aligned, in the page, and not in its fixed part. Only the page limits the number of
//!   entries.
//! - DRAM banks and device regions ascend. No two of DRAM banks, device regions, consoles and SMMUs
//!   overlap. A DRAM bank may contain memory that is not delegable: on QEMU it contains the RMM.
//!
//! Pure code, for the cold boot.

#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic
    )
)]

mod entry;
mod error;
mod page;

pub use entry::{BdfMapping, Console, MemoryRegion, RootComplex, RootPort, Smmu};
pub use error::{List, ManifestError, Rule};

use page::{Page, Triple, Word, sum};

use crate::address::{GRANULE_SIZE, PhysAddr};
use crate::el3::version::Version;

/// The minor versions that added a list.
mod since {
    pub(super) const DRAM: u16 = 2;
    pub(super) const CONSOLES: u16 = 3;
    pub(super) const DEVICE_REGIONS: u16 = 4;
    pub(super) const SMMUS_AND_ROOT_COMPLEXES: u16 = 5;
}

/// Indices of 64-bit words in the fixed part: count, pointer and checksum of each list.
mod word_index {
    pub(super) const DRAM: [usize; 3] = [2, 3, 4];
    pub(super) const CONSOLES: [usize; 3] = [5, 6, 7];
    pub(super) const NON_COHERENT: [usize; 3] = [8, 9, 10];
    pub(super) const COHERENT: [usize; 3] = [11, 12, 13];
    pub(super) const SMMUS: [usize; 3] = [14, 15, 16];
    pub(super) const ROOT_COMPLEXES: [usize; 3] = [17, 19, 20];
    pub(super) const ROOT_COMPLEX_VERSION: usize = 18;
}

/// A boot manifest whose version is checked, and nothing else.
#[derive(Clone, Copy, Debug)]
pub struct Header<'a> {
    page: Page<'a>,
    version: Version,
    physical_limit: PhysAddr,
}

impl<'a> Header<'a> {
    /// Takes a private copy of the shared page, the physical address of the shared page, and the
    /// first address above the physical address range of the CPU.
    ///
    /// # Errors
    ///
    /// [`ManifestError::Version`].
    pub fn read(
        copy: &'a [u8; 4096],
        page: PhysAddr,
        physical_limit: PhysAddr,
    ) -> Result<Self, ManifestError> {
        let [v0, v1, v2, v3, ..] = *copy;
        let word = u32::from_le_bytes([v0, v1, v2, v3]);
        let version = Version::from_word(word)
            .filter(|version| version.major == 0 && version.minor >= since::DRAM)
            .ok_or(ManifestError::Version(word))?;
        // How many words the fixed part has, by version.
        let header_words = match version.minor {
            ..since::CONSOLES => 5,
            since::CONSOLES => 8,
            since::DEVICE_REGIONS => 14,
            _ => 21,
        };
        Ok(Self { page: Page::new(copy, page, header_words), version, physical_limit })
    }

    /// The version of the manifest: 0.2 or a later 0.x.
    pub const fn version(&self) -> Version {
        self.version
    }

    /// The consoles, none before version 0.3. Checks the rules for consoles alone.
    ///
    /// # Errors
    ///
    /// [`ManifestError::Data`] of [`List::Console`].
    pub fn consoles(
        &self,
    ) -> Result<impl Iterator<Item = Console> + Clone + use<'a>, ManifestError> {
        let words = self.console_words()?;
        let consoles = words.iter().map(Console::decode);
        check_disjoint(occupied(List::Console, consoles.clone().map(|console| console.region())))?;
        Ok(consoles)
    }

    /// Checks every rule of every list.
    ///
    /// # Errors
    ///
    /// The first error: first each list by itself in the order of the fixed part, then each region
    /// against those before it.
    pub fn validate(self) -> Result<Manifest<'a>, ManifestError> {
        let dram = self.regions(List::Dram, since::DRAM, word_index::DRAM)?;
        if dram.is_empty() {
            return Err(of_list(List::Dram)(Rule::NoEntries));
        }
        let consoles = self.console_words()?;
        let non_coherent =
            self.regions(List::NonCoherent, since::DEVICE_REGIONS, word_index::NON_COHERENT)?;
        let coherent = self.regions(List::Coherent, since::DEVICE_REGIONS, word_index::COHERENT)?;
        let smmus = self.smmus()?;
        let root_complexes = self.root_complexes(smmus.len())?;
        let manifest = Manifest {
            header: self,
            dram,
            consoles,
            non_coherent,
            coherent,
            smmus,
            root_complexes,
        };
        check_disjoint(manifest.occupied())?;
        Ok(manifest)
    }

    fn has(&self, since: u16) -> bool {
        self.version.minor >= since
    }

    /// The entries of a list, its checksum verified.
    fn entries<const WORDS: usize>(&self, words: [usize; 3]) -> Result<&'a [[Word; WORDS]], Rule> {
        let triple = self.page.triple(words);
        let entries = self.page.array(triple.pointer, triple.count)?;
        check_sum(triple, sum(entries))?;
        Ok(entries)
    }

    fn regions(
        &self,
        list: List,
        since: u16,
        words: [usize; 3],
    ) -> Result<&'a [[Word; 2]], ManifestError> {
        if !self.has(since) {
            return Ok(&[]);
        }
        let entries = self.entries(words).map_err(of_list(list))?;
        let mut previous = None;
        for (index, region) in entries.iter().map(MemoryRegion::decode).enumerate() {
            let base = region.base();
            region
                .check(self.physical_limit)
                .and_then(|()| match previous {
                    Some(previous) if base < previous => Err(Rule::NotAscending(base, previous)),
                    _ => Ok(()),
                })
                .map_err(of_entry(list, index))?;
            previous = Some(base);
        }
        Ok(entries)
    }

    fn console_words(&self) -> Result<&'a [[Word; 6]], ManifestError> {
        if !self.has(since::CONSOLES) {
            return Ok(&[]);
        }
        let triple = self.page.triple(word_index::CONSOLES);
        let entries =
            self.page.array(triple.pointer, triple.count).map_err(of_list(List::Console))?;
        check_sum(triple, sum(entries))
            .or_else(|refusal| {
                if self.has(since::DEVICE_REGIONS) {
                    return Err(refusal);
                }
                let without_name_and_flags = entries.iter().fold(0, |total: u64, words| {
                    let [base, map_pages, _name, clock_hz, baud_rate, _flags] = *words;
                    total.wrapping_add(sum(&[[base, map_pages, clock_hz, baud_rate]]))
                });
                check_sum(triple, without_name_and_flags).map_err(|_| refusal)
            })
            .map_err(of_list(List::Console))?;
        for (index, console) in entries.iter().map(Console::decode).enumerate() {
            console.check(self.physical_limit).map_err(of_entry(List::Console, index))?;
        }
        Ok(entries)
    }

    fn smmus(&self) -> Result<&'a [[Word; 2]], ManifestError> {
        if !self.has(since::SMMUS_AND_ROOT_COMPLEXES) {
            return Ok(&[]);
        }
        let entries = self.entries(word_index::SMMUS).map_err(of_list(List::Smmu))?;
        for (index, smmu) in entries.iter().map(Smmu::decode).enumerate() {
            for region in smmu.regions() {
                region.check(self.physical_limit).map_err(of_entry(List::Smmu, index))?;
            }
        }
        Ok(entries)
    }

    fn root_complexes(&self, smmus: usize) -> Result<&'a [[Word; 3]], ManifestError> {
        if !self.has(since::SMMUS_AND_ROOT_COMPLEXES) {
            return Ok(&[]);
        }
        let triple = self.page.triple(word_index::ROOT_COMPLEXES);
        let version = self.page.word(word_index::ROOT_COMPLEX_VERSION);
        let [v0, v1, v2, v3, ..] = version.to_le_bytes();
        let word = u32::from_le_bytes([v0, v1, v2, v3]);
        if triple.count != 0
            && !matches!(Version::from_word(word), Some(Version { major: 0, minor: 1.. }))
        {
            return Err(ManifestError::RootComplexVersion(word));
        }
        let entries =
            self.page.array(triple.pointer, triple.count).map_err(of_list(List::RootComplex))?;
        let total = self.sum_root_complexes(entries)?;
        check_sum(triple, total)
            .or_else(|rule| check_sum(triple, total.wrapping_add(version)).map_err(|_| rule))
            .map_err(of_list(List::RootComplex))?;
        for (index, root_complex) in resolve(self.page, entries).enumerate() {
            // How much of the configuration space there is depends on the number of buses, which
            // the manifest does not say.
            MemoryRegion::new(root_complex.ecam, GRANULE_SIZE)
                .check(self.physical_limit)
                .map_err(of_entry(List::RootComplex, index))?;
            for (root_port, port) in root_complex.root_ports().enumerate() {
                check_mappings(&port, smmus, List::BdfMapping { root_complex: index, root_port })?;
            }
        }
        Ok(entries)
    }

    /// Finds all arrays of the root complexes and sums their words.
    fn sum_root_complexes(&self, entries: &[[Word; 3]]) -> Result<u64, ManifestError> {
        let mut total = sum(entries);
        // Arrays may overlap: without this limit the entries of one page could name thousands of
        // pages of work.
        let mut room: usize = 4096 / page::WORD_SIZE;
        let mut take = |words: &[Word]| {
            room = room
                .checked_sub(words.len())
                .ok_or(of_list(List::RootComplex)(Rule::NestedPastPage))?;
            total =
                words.iter().fold(total, |sum, &word| sum.wrapping_add(u64::from_le_bytes(word)));
            Ok(())
        };
        for (root_complex, words) in entries.iter().enumerate() {
            let list = List::RootPort { root_complex };
            let resolved = RootComplex::resolve(self.page, words).map_err(of_list(list))?;
            take(resolved.root_port_words().as_flattened())?;
            for (root_port, words) in resolved.root_port_words().iter().enumerate() {
                let list = List::BdfMapping { root_complex, root_port };
                let port = RootPort::resolve(self.page, words).map_err(of_list(list))?;
                take(port.mapping_words().as_flattened())?;
            }
        }
        Ok(total)
    }
}

/// A boot manifest that keeps every rule.
#[derive(Clone, Copy, Debug)]
pub struct Manifest<'a> {
    header: Header<'a>,
    dram: &'a [[Word; 2]],
    consoles: &'a [[Word; 6]],
    non_coherent: &'a [[Word; 2]],
    coherent: &'a [[Word; 2]],
    smmus: &'a [[Word; 2]],
    root_complexes: &'a [[Word; 3]],
}

impl<'a> Manifest<'a> {
    /// The version of the manifest: 0.2 or a later 0.x.
    pub const fn version(&self) -> Version {
        self.header.version()
    }

    /// The DRAM banks, at least one, ascending. The host may delegate their memory, except what EL3
    /// and the RMM use.
    pub fn dram(&self) -> impl ExactSizeIterator<Item = MemoryRegion> + Clone + use<'a> {
        self.dram.iter().map(MemoryRegion::decode)
    }

    /// The consoles for the RMM to print on.
    pub fn consoles(&self) -> impl ExactSizeIterator<Item = Console> + Clone + use<'a> {
        self.consoles.iter().map(Console::decode)
    }

    /// Device memory that is not coherent; ascending.
    pub fn non_coherent(&self) -> impl ExactSizeIterator<Item = MemoryRegion> + Clone + use<'a> {
        self.non_coherent.iter().map(MemoryRegion::decode)
    }

    /// Device memory that is coherent; ascending.
    pub fn coherent(&self) -> impl ExactSizeIterator<Item = MemoryRegion> + Clone + use<'a> {
        self.coherent.iter().map(MemoryRegion::decode)
    }

    /// The SMMUs.
    pub fn smmus(&self) -> impl ExactSizeIterator<Item = Smmu> + Clone + use<'a> {
        self.smmus.iter().map(Smmu::decode)
    }

    /// The PCIe root complexes.
    pub fn root_complexes(&self) -> impl Iterator<Item = RootComplex<'a>> + Clone + use<'a> {
        resolve(self.header.page, self.root_complexes)
    }

    /// All that occupies memory, with its list and index.
    fn occupied(&self) -> impl Iterator<Item = (List, usize, MemoryRegion)> + Clone {
        let smmus = self
            .smmus()
            .enumerate()
            .flat_map(|(index, smmu)| smmu.regions().map(|region| (List::Smmu, index, region)));
        occupied(List::Dram, self.dram())
            .chain(occupied(List::Console, self.consoles().map(|console| console.region())))
            .chain(occupied(List::NonCoherent, self.non_coherent()))
            .chain(occupied(List::Coherent, self.coherent()))
            .chain(smmus)
    }
}

fn occupied(
    list: List,
    regions: impl Iterator<Item = MemoryRegion> + Clone,
) -> impl Iterator<Item = (List, usize, MemoryRegion)> + Clone {
    regions.enumerate().map(move |(index, region)| (list, index, region))
}

/// The root complexes of an array. Verifying the checksum has resolved each of them: the filter
/// drops none.
fn resolve<'a>(
    page: Page<'a>,
    entries: &'a [[Word; 3]],
) -> impl Iterator<Item = RootComplex<'a>> + Clone + use<'a> {
    entries.iter().filter_map(move |words| RootComplex::resolve(page, words).ok())
}

/// Makes an error about a list as a whole out of the rule.
fn of_list(list: List) -> impl Fn(Rule) -> ManifestError {
    move |rule| ManifestError::Data { list, index: None, rule }
}

/// Makes an error about an entry of a list out of the rule.
fn of_entry(list: List, index: usize) -> impl Fn(Rule) -> ManifestError {
    move |rule| ManifestError::Data { list, index: Some(index), rule }
}

fn check_sum(triple: Triple, entries: u64) -> Result<(), Rule> {
    let Triple { count, pointer, checksum } = triple;
    match count.wrapping_add(pointer.get()).wrapping_add(checksum).wrapping_add(entries) {
        0 => Ok(()),
        remainder => Err(Rule::Checksum(remainder)),
    }
}

/// Checks that no region overlaps one before it.
fn check_disjoint(
    regions: impl Iterator<Item = (List, usize, MemoryRegion)> + Clone,
) -> Result<(), ManifestError> {
    for (before, (list, index, region)) in regions.clone().enumerate() {
        for (other_list, other_index, other) in regions.clone().take(before) {
            if region.overlaps(&other) {
                return Err(of_entry(list, index)(Rule::Overlaps(other_list, other_index)));
            }
        }
    }
    Ok(())
}

fn check_mappings(port: &RootPort<'_>, smmus: usize, list: List) -> Result<(), ManifestError> {
    for (index, mapping) in port.mappings().enumerate() {
        mapping.check(smmus).map_err(of_entry(list, index))?;
        for (other_index, other) in port.mappings().enumerate().take(index) {
            if mapping.overlaps(&other) {
                return Err(of_entry(list, index)(Rule::Overlaps(list, other_index)));
            }
        }
    }
    Ok(())
}
