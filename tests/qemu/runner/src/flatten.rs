// SPDX-License-Identifier: BSD-3-Clause
//! Turns a linked AArch64 ELF image into the flat binary that firmware loads and enters at its
//! first byte.
//!
//! A flat binary has no header for an entry point, relocations or permissions. So an image that
//! needs one of these is refused at build time: see [`FlattenError`]. Only `elf2bin` uses it.

use object::Endianness;
use object::elf::{self, FileHeader64, PF_W, PF_X, PT_LOAD, ProgramHeader64, SectionHeader64};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader};

/// Larger than any image of this project. A larger one has a wrong load address.
const LARGEST_IMAGE: u64 = 1 << 28;

/// How the image gets to the address at which it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageKind {
    /// Linked for the one address it runs at: no dynamic relocation at all.
    Fixed,
    /// Relocates itself: packed relative relocations (`SHT_RELR`) only.
    PositionIndependent,
}

impl ImageKind {
    fn relocates_itself(self) -> bool {
        self == Self::PositionIndependent
    }
}

/// A flat binary with facts to print.
#[derive(Debug, PartialEq, Eq)]
pub struct FlatImage {
    /// Physical address of the first byte.
    pub base: u64,
    /// File content of all segments. Gaps between segments are zero.
    pub bytes: Vec<u8>,
    /// Bytes from `base` to the end of the last segment in memory, with BSS. Segments of a fixed
    /// image may have another virtual address; their physical address counts.
    pub memory_size: u64,
    /// Number of dynamic relocations the image applies to itself.
    pub relocations: usize,
}

/// Why an image cannot become a flat binary.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlattenError {
    /// Not a well-formed little-endian 64-bit ELF file.
    #[error("malformed ELF file: {0}")]
    Malformed(String),
    /// Built for a machine other than AArch64.
    #[error("machine {0} is not AArch64")]
    Machine(u16),
    /// The ELF type does not fit the requested [`ImageKind`].
    #[error("ELF type {found}, need {expected}")]
    Type {
        /// The type in the file.
        found: u16,
        /// The type for this kind.
        expected: u16,
    },
    /// No segment has file content.
    #[error("no loadable bytes")]
    Empty,
    /// Two segments have the same physical address.
    #[error("two segments overlap at {0:#x}")]
    Overlap(u64),
    /// The distance between the segments is larger than any image.
    #[error("segments span {0:#x} bytes")]
    TooLarge(u64),
    /// Execution starts at the first byte, but the entry point is elsewhere.
    #[error("entry point {entry:#x} is not the first byte, {base:#x}")]
    Entry {
        /// The entry point in the file.
        entry: u64,
        /// The address of the first byte.
        base: u64,
    },
    /// The segment at this address is both writable and executable.
    #[error("the segment at {0:#x} is writable and executable")]
    WritableExecutable(u64),
    /// A dynamic relocation section that start-up code would not apply.
    #[error("dynamic relocation section {0} is not allowed")]
    RelocationSection(String),
    /// A relocation at an unaligned address, which start-up code could not access.
    #[error("the relocation at {0:#x} is not aligned")]
    UnalignedRelocation(u64),
}

impl From<object::Error> for FlattenError {
    fn from(error: object::Error) -> Self {
        Self::Malformed(error.to_string())
    }
}

type Header = FileHeader64<Endianness>;
type Segment = ProgramHeader64<Endianness>;
type Section = SectionHeader64<Endianness>;

/// Lays the loadable segments of `file` out by physical address, from the lowest one, without BSS.
///
/// # Errors
///
/// Any [`FlattenError`]: the file is malformed, or the image needs what a flat binary cannot
/// express.
pub fn flatten(file: &[u8], kind: ImageKind) -> Result<FlatImage, FlattenError> {
    let header = Header::parse(file)?;
    let endian = header.endian()?;
    if endian != Endianness::Little {
        return Err(FlattenError::Malformed("big-endian".into()));
    }
    let machine = header.e_machine(endian);
    if machine != elf::EM_AARCH64 {
        return Err(FlattenError::Machine(machine));
    }
    let expected = match kind {
        ImageKind::Fixed => elf::ET_EXEC,
        ImageKind::PositionIndependent => elf::ET_DYN,
    };
    let found = header.e_type(endian);
    if found != expected {
        return Err(FlattenError::Type { found, expected });
    }

    let image = lay_out(header.program_headers(endian, file)?, endian, file)?;
    let entry = header.e_entry(endian);
    if entry != image.base {
        return Err(FlattenError::Entry { entry, base: image.base });
    }
    let relocations = check_relocations(header, endian, file, kind)?;
    Ok(FlatImage { relocations, ..image })
}

/// Places the file content of every segment. Refuses segments that a flat image cannot have.
fn lay_out(
    segments: &[Segment],
    endian: Endianness,
    file: &[u8],
) -> Result<FlatImage, FlattenError> {
    let mut loaded: Vec<&Segment> = segments
        .iter()
        .filter(|segment| segment.p_type(endian) == PT_LOAD && segment.p_memsz(endian) != 0)
        .collect();
    loaded.sort_by_key(|segment| segment.p_paddr(endian));
    let base = loaded
        .iter()
        .find(|segment| segment.p_filesz(endian) != 0)
        .map(|segment| segment.p_paddr(endian))
        .ok_or(FlattenError::Empty)?;

    let mut image = FlatImage { base, bytes: Vec::new(), memory_size: 0, relocations: 0 };
    for segment in loaded {
        let address = segment.p_paddr(endian);
        if segment.p_flags(endian) & (PF_W | PF_X) == PF_W | PF_X {
            return Err(FlattenError::WritableExecutable(address));
        }
        // A segment without file content takes no place in the image, wherever it is in memory.
        if segment.p_filesz(endian) != 0 {
            let content = segment.data(endian, file).map_err(|()| {
                FlattenError::Malformed(format!("segment at {address:#x} out of file"))
            })?;
            let offset = address - base;
            if offset > LARGEST_IMAGE {
                return Err(FlattenError::TooLarge(offset));
            }
            let offset = usize::try_from(offset).map_err(|_| FlattenError::TooLarge(offset))?;
            if offset < image.bytes.len() {
                return Err(FlattenError::Overlap(address));
            }
            image.bytes.resize(offset, 0);
            image.bytes.extend_from_slice(content);
        }
        if let Some(end) =
            address.checked_add(segment.p_memsz(endian)).and_then(|end| end.checked_sub(base))
        {
            image.memory_size = image.memory_size.max(end);
        }
    }
    Ok(image)
}

/// Counts the dynamic relocations. Refuses those that start-up code would not apply.
///
/// Looks at relocation sections instead of the dynamic table, which a linker script may drop.
fn check_relocations(
    header: &Header,
    endian: Endianness,
    file: &[u8],
    kind: ImageKind,
) -> Result<usize, FlattenError> {
    let sections = header.sections(endian, file)?;
    let allocated = |section: &&Section| section.sh_flags(endian) & u64::from(elf::SHF_ALLOC) != 0;
    let mut count = 0;
    for section in sections.iter().filter(allocated) {
        let section_type = section.sh_type(endian);
        let relocations = [elf::SHT_REL, elf::SHT_RELA, elf::SHT_RELR, elf::SHT_CREL];
        if !relocations.contains(&section_type) || section.sh_size(endian) == 0 {
            continue;
        }
        let Some(places) = section.relr(endian, file)?.filter(|_| kind.relocates_itself()) else {
            let name = sections.section_name(endian, section)?;
            return Err(FlattenError::RelocationSection(
                String::from_utf8_lossy(name).into_owned(),
            ));
        };
        for place in places {
            if place % 8 != 0 {
                return Err(FlattenError::UnalignedRelocation(place));
            }
            count += 1;
        }
    }
    Ok(count)
}
