// SPDX-License-Identifier: BSD-3-Clause
//! Tests of the ELF flattener with small images, built byte by byte, each of which breaks one rule.

use rmm_test_system::flatten::{FlattenError, ImageKind, flatten};

const READ_EXECUTE: u32 = 5;
const READ_WRITE: u32 = 6;
const READ_WRITE_EXECUTE: u32 = 7;
/// `R_AARCH64_RELATIVE`.
const RELATIVE: u64 = 1027;
const SHT_REL: u32 = 9;
const SHT_RELA: u32 = 4;
const SHT_RELR: u32 = 19;

/// A loadable segment: permissions, physical address, file content and BSS bytes after it.
struct Segment {
    flags: u32,
    address: u64,
    content: Vec<u8>,
    bss: u64,
}

/// An ELF image to serialize: header fields, segments and at most one section of dynamic
/// relocations.
struct Elf {
    kind: u16,
    machine: u16,
    entry: u64,
    segments: Vec<Segment>,
    relocations: Option<(u32, Vec<u64>)>,
}

impl Elf {
    /// A valid position-independent image: code at 0, data with BSS at 0x1000, three relocations.
    fn position_independent() -> Self {
        Self {
            kind: 3,
            machine: 183,
            entry: 0,
            segments: vec![
                Segment { flags: READ_WRITE, address: 0x1000, content: vec![7; 8], bss: 0x100 },
                Segment { flags: READ_EXECUTE, address: 0, content: vec![1, 2, 3, 4], bss: 0 },
            ],
            relocations: Some((SHT_RELR, vec![0x1000, 0b1011])),
        }
    }

    /// A valid fixed image: one segment at 0x4000_0000.
    fn fixed() -> Self {
        let code =
            Segment { flags: READ_EXECUTE, address: 0x4000_0000, content: vec![9; 12], bss: 0 };
        Self { kind: 2, machine: 183, entry: 0x4000_0000, segments: vec![code], relocations: None }
    }

    fn bytes(&self) -> Vec<u8> {
        let program_headers = 64u64;
        let count = u64::try_from(self.segments.len()).unwrap();
        let mut content_at = program_headers + count * 56;
        let mut headers = Vec::new();
        let mut content = Vec::new();
        for segment in &self.segments {
            let size = u64::try_from(segment.content.len()).unwrap();
            headers.extend(1u32.to_le_bytes());
            headers.extend(segment.flags.to_le_bytes());
            for word in [content_at, segment.address, segment.address, size, size + segment.bss, 1]
            {
                headers.extend(word.to_le_bytes());
            }
            content.extend(&segment.content);
            content_at += size;
        }
        let relocations_at = content_at;
        let mut sections = Vec::new();
        if let Some((section_type, entries)) = &self.relocations {
            content.extend(entries.iter().flat_map(|word| word.to_le_bytes()));
            let size = u64::try_from(entries.len()).unwrap() * 8;
            // The null section, then the empty table of section names, which the header refers to
            // as number 1.
            sections.push(section_header(0, 0, 0, 0));
            sections.push(section_header(3, 0, content_at, 1));
            sections.push(section_header(*section_type, 2, relocations_at, size));
            content_at += size;
        }

        let mut file = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        file.extend(self.kind.to_le_bytes());
        file.extend(self.machine.to_le_bytes());
        file.extend(1u32.to_le_bytes());
        let sections_at = if sections.is_empty() { 0 } else { content_at };
        for word in [self.entry, program_headers, sections_at] {
            file.extend(word.to_le_bytes());
        }
        file.extend(0u32.to_le_bytes());
        for half in
            [64, 56, self.segments.len(), 64, sections.len(), usize::from(!sections.is_empty())]
        {
            file.extend(u16::try_from(half).unwrap().to_le_bytes());
        }
        file.extend(headers);
        file.extend(content);
        file.extend(sections.into_iter().flatten());
        file
    }
}

fn section_header(section_type: u32, flags: u64, offset: u64, size: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(0u32.to_le_bytes());
    bytes.extend(section_type.to_le_bytes());
    for word in [flags, 0, offset, size] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(0u64.to_le_bytes());
    for word in [8u64, 8] {
        bytes.extend(word.to_le_bytes());
    }
    bytes
}

#[test]
fn segments_are_laid_out_by_address_and_bss_is_dropped() {
    let image =
        flatten(&Elf::position_independent().bytes(), ImageKind::PositionIndependent).unwrap();
    assert_eq!(image.base, 0);
    assert_eq!(image.bytes.len(), 0x1008);
    assert_eq!(image.bytes[..5], [1, 2, 3, 4, 0]);
    assert_eq!(image.bytes[0x1000..], [7; 8]);
    assert_eq!(image.memory_size, 0x1108);
    assert_eq!(image.relocations, 3);
}

#[test]
fn a_fixed_image_starts_at_its_lowest_address() {
    let image = flatten(&Elf::fixed().bytes(), ImageKind::Fixed).unwrap();
    assert_eq!((image.base, image.bytes), (0x4000_0000, vec![9; 12]));
}

#[test]
fn relocations_that_are_not_packed_are_refused() {
    for section_type in [SHT_RELA, SHT_REL] {
        let mut elf = Elf::position_independent();
        elf.relocations = Some((section_type, vec![0x1000, RELATIVE, 0]));
        let refused = flatten(&elf.bytes(), ImageKind::PositionIndependent);
        assert!(matches!(refused, Err(FlattenError::RelocationSection(_))), "{refused:?}");
    }
}

#[test]
fn a_relocation_of_what_is_not_a_word_is_refused() {
    let mut elf = Elf::position_independent();
    elf.relocations = Some((SHT_RELR, vec![0x1000, 0x1012]));
    let refused = flatten(&elf.bytes(), ImageKind::PositionIndependent);
    assert_eq!(refused, Err(FlattenError::UnalignedRelocation(0x1012)));
}

#[test]
fn a_fixed_image_may_not_have_dynamic_relocations() {
    for section_type in [SHT_RELA, SHT_RELR] {
        let mut elf = Elf::fixed();
        elf.relocations = Some((section_type, vec![0x4000_0000, RELATIVE, 0]));
        let refused = flatten(&elf.bytes(), ImageKind::Fixed);
        assert!(matches!(refused, Err(FlattenError::RelocationSection(_))), "{refused:?}");
    }
}

#[test]
fn an_entry_point_past_the_first_byte_is_refused() {
    let elf = Elf { entry: 4, ..Elf::position_independent() };
    let refused = flatten(&elf.bytes(), ImageKind::PositionIndependent);
    assert_eq!(refused, Err(FlattenError::Entry { entry: 4, base: 0 }));
}

#[test]
fn a_writable_and_executable_segment_is_refused() {
    let mut elf = Elf::position_independent();
    elf.segments[0].flags = READ_WRITE_EXECUTE;
    let refused = flatten(&elf.bytes(), ImageKind::PositionIndependent);
    assert_eq!(refused, Err(FlattenError::WritableExecutable(0x1000)));
}

#[test]
fn overlapping_segments_are_refused() {
    let mut elf = Elf::position_independent();
    elf.segments[0].address = 2;
    let refused = flatten(&elf.bytes(), ImageKind::PositionIndependent);
    assert_eq!(refused, Err(FlattenError::Overlap(2)));
}

#[test]
fn a_stray_load_address_is_refused() {
    let mut elf = Elf::position_independent();
    elf.segments[0].address = 1 << 40;
    let refused = flatten(&elf.bytes(), ImageKind::PositionIndependent);
    assert_eq!(refused, Err(FlattenError::TooLarge(1 << 40)));
}

#[test]
fn the_type_must_fit_the_kind_and_the_machine_must_be_aarch64() {
    let refused = flatten(&Elf::fixed().bytes(), ImageKind::PositionIndependent);
    assert_eq!(refused, Err(FlattenError::Type { found: 2, expected: 3 }));
    let refused = flatten(&Elf { machine: 62, ..Elf::fixed() }.bytes(), ImageKind::Fixed);
    assert_eq!(refused, Err(FlattenError::Machine(62)));
}

#[test]
fn truncated_files_are_refused_wherever_they_are_cut() {
    let file = Elf::position_independent().bytes();
    for length in 0..file.len() {
        let refused = flatten(&file[..length], ImageKind::PositionIndependent);
        assert!(matches!(refused, Err(FlattenError::Malformed(_))), "cut at {length}: {refused:?}");
    }
}
