// SPDX-License-Identifier: BSD-3-Clause
//! Why a boot manifest is refused: which list, which entry of it, and which rule.
//!
//! `BootError` gives the status for EL3, and the boot log prints the sentence.

use core::fmt;

use crate::address::PhysAddr;
use crate::el3::version::Version;

/// Why a boot manifest is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// The version word is not one of version 0.2 or a later 0.x.
    #[error("version {}", UnsupportedVersion(*.0, "0.2"))]
    Version(u32),
    /// There are root complexes, and the version word of their structures is not one of version 0.1
    /// or a later 0.x.
    #[error("root complex version {}", UnsupportedVersion(*.0, "0.1"))]
    RootComplexVersion(u32),
    /// A list breaks a rule.
    #[error("{list} {}: {rule}", EntryIndex(*index))]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum List {
    /// Banks of delegable memory.
    #[error("DRAM bank")]
    Dram,
    /// Consoles for the RMM.
    #[error("console")]
    Console,
    /// Device memory regions that are not coherent.
    #[error("non-coherent device region")]
    NonCoherent,
    /// Device memory regions that are coherent.
    #[error("coherent device region")]
    Coherent,
    /// SMMUs.
    #[error("SMMU")]
    Smmu,
    /// PCIe root complexes.
    #[error("root complex")]
    RootComplex,
    /// The root ports of a root complex.
    #[error("root complex {root_complex}, root port")]
    RootPort {
        /// Index of the root complex.
        root_complex: usize,
    },
    /// The mappings of a root port.
    #[error("root complex {root_complex}, root port {root_port}, BDF mapping")]
    BdfMapping {
        /// Index of the root complex.
        root_complex: usize,
        /// Index of the root port in it.
        root_port: usize,
    },
}

/// What is wrong with an entry of the boot manifest, or with a whole list or array.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rule {
    /// An array with entries is at address 0.
    #[error("null pointer to the entries")]
    PointerNull,
    /// An array begins outside the page that holds the manifest.
    #[error("the entries at {0} are not in the manifest's page")]
    PointerOutsidePage(PhysAddr),
    /// An array begins in the fixed part of the manifest.
    #[error("the entries at {0} are in the manifest's fixed part")]
    PointerInHeader(PhysAddr),
    /// An array is not aligned to 8 bytes.
    #[error("the entries at {0} are not aligned to 8 bytes")]
    PointerMisaligned(PhysAddr),
    /// An array of this many entries ends outside the page.
    #[error("{0} entries run past the end of the page")]
    CountPastPage(u64),
    /// The arrays of the root complexes overlap: together they are larger than the page.
    #[error("the nested arrays together are larger than the page")]
    NestedPastPage,
    /// A list sums to this, not to 0.
    #[error("the checksum leaves {0:#x}, not 0")]
    Checksum(u64),
    /// There is no DRAM bank.
    #[error("empty")]
    NoEntries,
    /// The base is not a multiple of 4 KiB.
    #[error("base {0} is not aligned to 4 KiB")]
    BaseMisaligned(PhysAddr),
    /// The size is 0.
    #[error("no bytes at base {0}")]
    SizeZero(PhysAddr),
    /// The size is not a multiple of 4 KiB.
    #[error("size {0:#x} is not a multiple of 4 KiB")]
    SizeMisaligned(u64),
    /// The sum of base and size wraps.
    #[error("base {0} and size {1:#x} wrap around")]
    EndWraps(PhysAddr, u64),
    /// The end, the first address, is above the end of the physical address range, the second.
    #[error("its end {0} is beyond the physical addresses, which end at {1}")]
    BeyondPhysicalRange(PhysAddr, PhysAddr),
    /// The base, the first address, is below that of the entry before it, the second.
    #[error("base {0} is below {1}, the base of the entry before it")]
    NotAscending(PhysAddr, PhysAddr),
    /// It overlaps this entry of this list.
    #[error("overlaps {0} {1}")]
    Overlaps(List, usize),
    /// A console has more pages of registers, the first number, than allowed, the second.
    #[error("{0} pages to map, more than {1}")]
    PageCount(u64, u64),
    /// The range of requester identifiers ends, at the second, before it begins.
    #[error("its base {0:#x} is above its top {1:#x}")]
    MappingReversed(u16, u16),
    /// The index names no SMMU; the second number is how many there are.
    #[error("SMMU index {0} is not below the {1} SMMUs")]
    SmmuIndex(u16, usize),
}

/// A version word that is not supported, and the least version that is: a 0.x, too.
struct UnsupportedVersion(u32, &'static str);

impl fmt::Display for UnsupportedVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(word, least) = self;
        match Version::from_word(*word) {
            Some(version) => write!(f, "{version} is neither {least} nor a later 0.x"),
            None => write!(f, "{word:#x} has reserved bits set"),
        }
    }
}

/// The index of an entry, or the list as a whole.
struct EntryIndex(Option<usize>);

impl fmt::Display for EntryIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(index) => index.fmt(f),
            None => f.write_str("list"),
        }
    }
}
