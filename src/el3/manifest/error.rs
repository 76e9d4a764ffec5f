// SPDX-License-Identifier: BSD-3-Clause
//! Why a boot manifest is refused: which list, which entry of it, and which rule.
//!
//! Values only; `boot` chooses the status that EL3 gets, and the boot log prints the sentence.

use core::fmt;

use crate::address::PhysAddr;
use crate::el3::version::Version;

/// Why a boot manifest is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ManifestError {
    /// The version word is not one of version 0.2 or a later 0.x.
    Version(u32),
    /// There are root complexes, and the version word of their structures is not one of version 0.1
    /// or a later 0.x.
    RootComplexVersion(u32),
    /// A list breaks a rule.
    Data {
        /// The list.
        list: List,
        /// The entry that breaks it, counted from 0; `None` when the list as a whole does.
        index: Option<usize>,
        /// The rule.
        rule: Rule,
    },
}

/// A list of the manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// Banks of delegable memory.
    Dram,
    /// Consoles for the RMM.
    Console,
    /// Device memory regions that are not coherent.
    NonCoherent,
    /// Device memory regions that are coherent.
    Coherent,
    /// SMMUs.
    Smmu,
    /// PCIe root complexes.
    RootComplex,
    /// The root ports of a root complex.
    RootPort {
        /// Index of the root complex.
        root_complex: usize,
    },
    /// The mappings of a root port.
    BdfMapping {
        /// Index of the root complex.
        root_complex: usize,
        /// Index of the root port in it.
        root_port: usize,
    },
}

/// A rule of the boot manifest, with the values that break it. Unless it says otherwise it is about
/// one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Of an array: where there are entries, their address is not 0.
    PointerNull,
    /// Of an array: it begins in the page that holds the manifest.
    PointerOutsidePage(PhysAddr),
    /// Of an array: it begins after the fixed part of the manifest.
    PointerInHeader(PhysAddr),
    /// Of an array: it is aligned to 8 bytes.
    PointerMisaligned(PhysAddr),
    /// Of an array: all of this many entries are in the page.
    CountPastPage(u64),
    /// Of the root complexes: the arrays are distinct, so that all of them together fit into a
    /// page.
    NestedPastPage,
    /// Of a list: it sums to 0, not to this.
    Checksum(u64),
    /// Of the DRAM banks: there is at least one.
    NoEntries,
    /// The address is a multiple of 4 KiB.
    BaseMisaligned(PhysAddr),
    /// What begins here has bytes in it.
    SizeZero(PhysAddr),
    /// The size is a multiple of 4 KiB.
    SizeMisaligned(u64),
    /// Base and size add up without overflow.
    EndWraps(PhysAddr, u64),
    /// What ends at the first address ends at or below the second, which ends the physical address
    /// range.
    BeyondPhysicalRange(PhysAddr, PhysAddr),
    /// The base lies above that of the entry before it, which is the second address.
    NotAscending(PhysAddr, PhysAddr),
    /// It has no address in common with this entry of this list.
    Overlaps(List, usize),
    /// A console has this many pages of registers at the most; the first number is what it claims.
    PageCount(u64, u64),
    /// The range of requester identifiers does not end, at the second, before it begins.
    MappingReversed(u16, u16),
    /// Where there are SMMUs, this many of them, the index names one.
    SmmuIndex(u16, usize),
}

impl core::error::Error for ManifestError {}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(word) => write_version(f, "version", *word, "0.2"),
            Self::RootComplexVersion(word) => {
                write_version(f, "root complex version", *word, "0.1")
            }
            Self::Data { list, index: None, rule } => write!(f, "{list} list: {rule}"),
            Self::Data { list, index: Some(index), rule } => write!(f, "{list} {index}: {rule}"),
        }
    }
}

fn write_version(f: &mut fmt::Formatter<'_>, what: &str, word: u32, least: &str) -> fmt::Result {
    match Version::from_word(word) {
        Some(version) => write!(f, "{what} {version} is neither {least} nor a later 0.x"),
        None => write!(f, "{what} {word:#x} has reserved bits set"),
    }
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dram => f.write_str("DRAM bank"),
            Self::Console => f.write_str("console"),
            Self::NonCoherent => f.write_str("non-coherent device region"),
            Self::Coherent => f.write_str("coherent device region"),
            Self::Smmu => f.write_str("SMMU"),
            Self::RootComplex => f.write_str("root complex"),
            Self::RootPort { root_complex } => write!(f, "root complex {root_complex}, root port"),
            Self::BdfMapping { root_complex, root_port } => {
                write!(f, "root complex {root_complex}, root port {root_port}, BDF mapping")
            }
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PointerNull => f.write_str("null pointer to the entries"),
            Self::PointerOutsidePage(pointer) => {
                write!(f, "the entries at {pointer} are not in the manifest's page")
            }
            Self::PointerInHeader(pointer) => {
                write!(f, "the entries at {pointer} are in the manifest's fixed part")
            }
            Self::PointerMisaligned(pointer) => {
                write!(f, "the entries at {pointer} are not aligned to 8 bytes")
            }
            Self::CountPastPage(count) => write!(f, "{count} entries run past the end of the page"),
            Self::NestedPastPage => {
                f.write_str("the nested arrays together are larger than the page")
            }
            Self::Checksum(sum) => write!(f, "the checksum leaves {sum:#x}, not 0"),
            Self::NoEntries => f.write_str("empty"),
            Self::BaseMisaligned(base) => write!(f, "base {base} is not aligned to 4 KiB"),
            Self::SizeZero(base) => write!(f, "no bytes at base {base}"),
            Self::SizeMisaligned(size) => write!(f, "size {size:#x} is not a multiple of 4 KiB"),
            Self::EndWraps(base, size) => write!(f, "base {base} and size {size:#x} wrap around"),
            Self::BeyondPhysicalRange(end, limit) => {
                write!(f, "its end {end} is beyond the physical addresses, which end at {limit}")
            }
            Self::NotAscending(base, previous) => {
                write!(f, "base {base} is below {previous}, the base of the entry before it")
            }
            Self::Overlaps(list, index) => write!(f, "overlaps {list} {index}"),
            Self::PageCount(count, limit) => write!(f, "{count} pages to map, more than {limit}"),
            Self::MappingReversed(base, top) => {
                write!(f, "its base {base:#x} is above its top {top:#x}")
            }
            Self::SmmuIndex(index, count) => {
                write!(f, "SMMU index {index} is not below the {count} SMMUs")
            }
        }
    }
}
