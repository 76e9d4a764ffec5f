// SPDX-License-Identifier: BSD-3-Clause
//! Why a boot manifest is refused: which list, which entry of it, and which rule.
//!
//! Values only; `boot` chooses the status that EL3 gets, and the boot log prints the sentence.

use core::fmt;

use crate::address::PhysAddr;
use crate::el3::version::Version;

/// Why a boot manifest is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// The version word is not one of version 0.2 or a later 0.x.
    #[error("version {}", Unreadable(*.0, "0.2"))]
    Version(u32),
    /// There are root complexes, and the version word of their structures is not one of version 0.1
    /// or a later 0.x.
    #[error("root complex version {}", Unreadable(*.0, "0.1"))]
    RootComplexVersion(u32),
    /// A list breaks a rule.
    #[error("{list} {}: {rule}", Place(*index))]
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

/// A rule of the boot manifest, with the values that break it. Unless it says otherwise it is about
/// one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rule {
    /// Of an array: where there are entries, their address is not 0.
    #[error("null pointer to the entries")]
    PointerNull,
    /// Of an array: it begins in the page that holds the manifest.
    #[error("the entries at {0} are not in the manifest's page")]
    PointerOutsidePage(PhysAddr),
    /// Of an array: it begins after the fixed part of the manifest.
    #[error("the entries at {0} are in the manifest's fixed part")]
    PointerInHeader(PhysAddr),
    /// Of an array: it is aligned to 8 bytes.
    #[error("the entries at {0} are not aligned to 8 bytes")]
    PointerMisaligned(PhysAddr),
    /// Of an array: all of this many entries are in the page.
    #[error("{0} entries run past the end of the page")]
    CountPastPage(u64),
    /// Of the root complexes: the arrays are distinct, so that all of them together fit into a
    /// page.
    #[error("the nested arrays together are larger than the page")]
    NestedPastPage,
    /// Of a list: it sums to 0, not to this.
    #[error("the checksum leaves {0:#x}, not 0")]
    Checksum(u64),
    /// Of the DRAM banks: there is at least one.
    #[error("empty")]
    NoEntries,
    /// The address is a multiple of 4 KiB.
    #[error("base {0} is not aligned to 4 KiB")]
    BaseMisaligned(PhysAddr),
    /// What begins here has bytes in it.
    #[error("no bytes at base {0}")]
    SizeZero(PhysAddr),
    /// The size is a multiple of 4 KiB.
    #[error("size {0:#x} is not a multiple of 4 KiB")]
    SizeMisaligned(u64),
    /// Base and size add up without overflow.
    #[error("base {0} and size {1:#x} wrap around")]
    EndWraps(PhysAddr, u64),
    /// What ends at the first address ends at or below the second, which ends the physical address
    /// range.
    #[error("its end {0} is beyond the physical addresses, which end at {1}")]
    BeyondPhysicalRange(PhysAddr, PhysAddr),
    /// The base lies above that of the entry before it, which is the second address.
    #[error("base {0} is below {1}, the base of the entry before it")]
    NotAscending(PhysAddr, PhysAddr),
    /// It has no address in common with this entry of this list.
    #[error("overlaps {0} {1}")]
    Overlaps(List, usize),
    /// A console has this many pages of registers at the most; the first number is what it claims.
    #[error("{0} pages to map, more than {1}")]
    PageCount(u64, u64),
    /// The range of requester identifiers does not end, at the second, before it begins.
    #[error("its base {0:#x} is above its top {1:#x}")]
    MappingReversed(u16, u16),
    /// Where there are SMMUs, this many of them, the index names one.
    #[error("SMMU index {0} is not below the {1} SMMUs")]
    SmmuIndex(u16, usize),
}

/// What is wrong with a version word: the least version that is read is a 0.x, too.
struct Unreadable(u32, &'static str);

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(word, least) = self;
        match Version::from_word(*word) {
            Some(version) => write!(f, "{version} is neither {least} nor a later 0.x"),
            None => write!(f, "{word:#x} has reserved bits set"),
        }
    }
}

/// The index of an entry, or the list as a whole.
struct Place(Option<usize>);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(index) => index.fmt(f),
            None => f.write_str("list"),
        }
    }
}
