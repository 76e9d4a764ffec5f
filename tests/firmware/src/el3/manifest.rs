// SPDX-License-Identifier: BSD-3-Clause
//! The boot manifest in the shared page: version 0.5 as TF-A writes it, or as TF-A would on FVP, or with
//! one deliberate mistake (`ManifestFault`). Everything but the mistake is valid, checksums included, so
//! that an RMM can only refuse for the reason the test names.
//!
//! A checksum makes the sum of a list's count, pointer, checksum and words zero. The version word of the
//! root complex list is not part of the sum: TF-A leaves it out, in the empty list as well as in a full one.

use rmm_test_firmware::options::{GRANULE, ManifestFault, ManifestKind, Options};

const WORDS: usize = 512;
/// Words of the structure itself; the lists follow.
const HEADER_WORDS: usize = 21;

/// Word offsets of the fields, and the words of one element of each list.
const DRAM: Field = Field { at: 2, element: 2 };
const CONSOLES: Field = Field { at: 5, element: 6 };
const NON_COHERENT: Field = Field { at: 8, element: 2 };
const COHERENT: Field = Field { at: 11, element: 2 };
const SMMUS: Field = Field { at: 14, element: 2 };
/// The root complex list has its version between count and pointer.
const ROOT_COMPLEXES: usize = 17;
const ROOT_COMPLEX_VERSION: u64 = 1;
/// Words of the one root complex: 3 of its own, 2 of its root port, 2 device mappings.
const ROOT_COMPLEX_WORDS: usize = 7;

#[derive(Clone, Copy)]
struct Field {
    at: usize,
    element: usize,
}

/// A manifest being written.
pub struct Manifest {
    words: [u64; WORDS],
    base: u64,
    used: usize,
}

impl Manifest {
    /// The manifest these options ask for.
    pub fn new(options: &Options) -> Self {
        let mut manifest = Self { words: [0; WORDS], base: options.shared_page(), used: HEADER_WORDS };
        manifest.words[0] = u64::from(options.manifest_version);
        manifest.add_banks(options);
        manifest.add_list(CONSOLES, &console());
        if options.manifest == ManifestKind::Full {
            manifest.add_list(NON_COHERENT, &[0x50_0000_0000, 0x1_0000_0000, 0x60_0000_0000, 0xc000_0000]);
            manifest.add_list(COHERENT, &[0x70_0000_0000, 0x1000_0000]);
            manifest.add_list(SMMUS, &[0x2b40_0000, 0x2b42_0000]);
            manifest.add_root_complex();
        } else {
            // TF-A forgets to return early for an empty list, so its pointer is where a list would be.
            manifest.set_root_complexes(0, manifest.base + 8 * manifest.used as u64, &[]);
        }
        if let Some(fault) = options.fault {
            manifest.break_by(fault);
        }
        manifest
    }

    /// Writes the manifest to the page.
    ///
    /// # Safety
    ///
    /// `page` must be valid for 4096 bytes of writes.
    pub unsafe fn write_to(&self, page: *mut u64) {
        for (index, word) in self.words.iter().enumerate() {
            // SAFETY: the index is below 512.
            unsafe { page.add(index).write_volatile(*word) };
        }
    }

    fn add_banks(&mut self, options: &Options) {
        let mut words = [0; 2 * rmm_test_firmware::options::MAX_BANKS];
        for (pair, bank) in words.chunks_exact_mut(2).zip(options.banks()) {
            pair.copy_from_slice(&[bank.base, bank.size]);
        }
        self.add_list(DRAM, &words[..2 * options.banks().len()]);
    }

    /// Appends a list and points its field to it.
    fn add_list(&mut self, field: Field, words: &[u64]) {
        let at = self.used;
        self.words[at..at + words.len()].copy_from_slice(words);
        self.used += words.len();
        let count = words.len() / field.element;
        self.set_list(field, count as u64, self.base + 8 * at as u64);
    }

    /// Sets count, pointer and checksum of a field; words outside the page count as zero.
    fn set_list(&mut self, field: Field, count: u64, pointer: u64) {
        let mut sum = count.wrapping_add(pointer);
        let length = count.saturating_mul(field.element as u64).min(WORDS as u64);
        for index in 0..length {
            sum = sum.wrapping_add(self.word_at(pointer.wrapping_add(8 * index)));
        }
        self.words[field.at..field.at + 3].copy_from_slice(&[count, pointer, sum.wrapping_neg()]);
    }

    /// The word at a physical address inside the page, aligned or not; what lies outside counts as zero.
    fn word_at(&self, address: u64) -> u64 {
        let offset = address.wrapping_sub(self.base);
        let word = |index: u64| {
            usize::try_from(index).ok().and_then(|index| self.words.get(index)).copied().unwrap_or(0)
        };
        match offset % 8 * 8 {
            0 => word(offset / 8),
            shift => word(offset / 8) >> shift | word(offset / 8 + 1) << (64 - shift),
        }
    }

    /// One root complex with one root port with two device mappings, in one piece.
    fn add_root_complex(&mut self) {
        let pointer = self.base + 8 * self.used as u64;
        let ports = pointer + 3 * 8;
        let mappings = ports + 2 * 8;
        let words =
            [0x4010_0000_0000, 1 << 32, ports, 2 << 32, mappings, 0x0100 << 16, 0x0200 << 16 | 0x0100];
        self.words[self.used..self.used + words.len()].copy_from_slice(&words);
        self.used += words.len();
        self.set_root_complexes(1, pointer, &words);
    }

    fn set_root_complexes(&mut self, count: u64, pointer: u64, words: &[u64]) {
        let sum = words.iter().fold(count.wrapping_add(pointer), |sum, word| sum.wrapping_add(*word));
        self.words[ROOT_COMPLEXES..ROOT_COMPLEXES + 4].copy_from_slice(&[
            count,
            ROOT_COMPLEX_VERSION,
            pointer,
            sum.wrapping_neg(),
        ]);
    }

    /// Redirects the pointer at word `offset` of the root complex. What nothing refers to any more, from word
    /// `orphaned` on, becomes zero, so that the sum is zero whether or not a reader includes it.
    fn redirect_in_root_complex(&mut self, offset: usize, value: u64, orphaned: usize) {
        let pointer = self.words[ROOT_COMPLEXES + 2];
        let start = usize::try_from((pointer - self.base) / 8).unwrap_or(0);
        let mut words = [0; ROOT_COMPLEX_WORDS];
        words.copy_from_slice(&self.words[start..start + ROOT_COMPLEX_WORDS]);
        words[offset] = value;
        words[orphaned..].fill(0);
        self.words[start..start + ROOT_COMPLEX_WORDS].copy_from_slice(&words);
        self.set_root_complexes(1, pointer, &words);
    }

    /// Replaces the DRAM list by these banks, at the end of what is used.
    fn replace_banks(&mut self, words: &[u64]) {
        self.add_list(DRAM, words);
    }

    fn break_by(&mut self, fault: ManifestFault) {
        const BASE: u64 = 0x4000_0000;
        const SIZE: u64 = 0x4000_0000;
        let page_end = self.base + GRANULE;
        let dram_pointer = self.words[DRAM.at + 1];
        let console_pointer = self.words[CONSOLES.at + 1];
        match fault {
            ManifestFault::DramChecksum => self.words[DRAM.at + 2] ^= 1,
            ManifestFault::ConsoleChecksum => self.words[CONSOLES.at + 2] ^= 1,
            ManifestFault::NonCoherentChecksum => self.words[NON_COHERENT.at + 2] ^= 1,
            ManifestFault::CoherentChecksum => self.words[COHERENT.at + 2] ^= 1,
            ManifestFault::SmmuChecksum => self.words[SMMUS.at + 2] ^= 1,
            // Not bit 0: the sum with the version word differs from the sum without it by one.
            ManifestFault::RootComplexChecksum => self.words[ROOT_COMPLEXES + 3] ^= 1 << 40,
            ManifestFault::BanksOverlap => self.replace_banks(&[BASE, SIZE, BASE + SIZE - GRANULE, SIZE]),
            ManifestFault::BanksUnsorted => self.replace_banks(&[BASE + SIZE, SIZE, BASE, SIZE]),
            ManifestFault::BankBaseUnaligned => self.replace_banks(&[BASE + 0x800, SIZE]),
            ManifestFault::BankSizeUnaligned => self.replace_banks(&[BASE, SIZE + 0x800]),
            ManifestFault::BankWraps => self.replace_banks(&[BASE, SIZE, 0u64.wrapping_sub(SIZE), 2 * SIZE]),
            ManifestFault::BankEmpty => self.replace_banks(&[BASE, SIZE, BASE + 2 * SIZE, 0]),
            ManifestFault::BankCountAbsurd => self.set_list(DRAM, 1 << 60, dram_pointer),
            ManifestFault::BankCountPastPage => {
                // Fill the rest of the page with plausible banks, so that only the bound can refuse.
                let mut at = self.used;
                while at + 2 <= WORDS {
                    let bank = (at - self.used) as u64 / 2;
                    self.words[at] = BASE + bank * GRANULE;
                    self.words[at + 1] = GRANULE;
                    at += 2;
                }
                let fitting = (at - self.used) as u64 / 2;
                self.set_list(DRAM, fitting + 1, self.base + 8 * self.used as u64);
            }
            ManifestFault::BanksTruncated => {
                self.words[WORDS - 1] = BASE;
                self.set_list(DRAM, 1, page_end - 8);
            }
            ManifestFault::BanksNull => self.set_list(DRAM, 1, 0),
            ManifestFault::BanksOutside => self.set_list(DRAM, 1, page_end),
            ManifestFault::BanksUnaligned => {
                // A good bank in all but its place.
                let straddling = [BASE << 32, BASE >> 32 | SIZE << 32, SIZE >> 32];
                self.words[self.used..self.used + 3].copy_from_slice(&straddling);
                self.set_list(DRAM, 1, self.base + 8 * self.used as u64 + 4);
            }
            ManifestFault::NoBanks => self.words[DRAM.at..DRAM.at + 3].fill(0),
            ManifestFault::ConsoleCountAbsurd => self.set_list(CONSOLES, 1 << 60, console_pointer),
            ManifestFault::ConsolesOutside => self.set_list(CONSOLES, 1, self.base - GRANULE),
            ManifestFault::ConsolesTruncated => {
                self.words[WORDS - 5..].copy_from_slice(&console()[..5]);
                self.set_list(CONSOLES, 1, page_end - 5 * 8);
            }
            ManifestFault::RootPortsOutside => self.redirect_in_root_complex(2, page_end, 3),
            ManifestFault::MappingsOutside => self.redirect_in_root_complex(4, self.base - 16, 5),
            ManifestFault::SmmusOutside => self.set_list(SMMUS, 1, page_end),
        }
    }
}

/// The PL011 of QEMU `virt`.
fn console() -> [u64; 6] {
    [0x0900_0000, 1, u64::from_le_bytes(*b"pl011\0\0\0"), 1, 115_200, 0]
}
