// SPDX-License-Identifier: BSD-3-Clause
//! The boot manifest in the shared page: version 0.5 as TF-A writes it on the machine of the
//! options, as it is or with one deliberate mistake (`ManifestFault`). Everything else is valid,
//! with its checksums, so an RMM can refuse it only for that mistake.
//!
//! One thing differs from the machine: the console is that of the emulated machine, or nothing
//! would be printed.
//!
//! A checksum makes the sum of a list's count, pointer, checksum and words zero. As in TF-A, the
//! sum of the root complexes leaves out their version word, also if the list is empty.

use rmm_plat::{Machine, RootComplex, qemu_virt};
use rmm_test_firmware::options::{GRANULE, ManifestFault, Options, Range};

const WORDS: usize = 512;
/// Words of the structure itself; the lists follow.
const HEADER_WORDS: usize = 21;

/// Word offsets of the fields, and the words of one element of each list.
const DRAM: Field = Field { at: 2, element: 2 };
const CONSOLES: Field = Field { at: 5, element: 6 };
const NON_COHERENT: Field = Field { at: 8, element: 2 };
const COHERENT: Field = Field { at: 11, element: 2 };
const SMMUS: Field = Field { at: 14, element: 2 };
/// The root complex list has its version word between count and pointer.
const ROOT_COMPLEXES: usize = 17;
const ROOT_COMPLEX_VERSION: u64 = 1;
/// Words of a root complex, of a root port and of a device mapping.
const ROOT_COMPLEX_WORDS: [usize; 3] = [3, 2, 1];

#[derive(Clone, Copy)]
struct Field {
    at: usize,
    element: usize,
}

/// A manifest being written in place: a page is too large for the stack.
struct Manifest<'a> {
    words: &'a mut [u64; WORDS],
    base: u64,
    used: usize,
}

/// Writes the manifest of these options to `page`, which the RMM will find at the address of the
/// shared page.
pub fn write(options: &Options, page: &mut [u64; WORDS]) {
    page.fill(0);
    let mut manifest = Manifest { words: page, base: options.shared_page(), used: HEADER_WORDS };
    manifest.fill(options);
}

impl Manifest<'_> {
    fn fill(&mut self, options: &Options) {
        self.words[0] = u64::from(options.manifest_version);
        let machine = options.machine;
        self.add_list(DRAM, options.banks().iter().flat_map(words_of));
        self.add_list(CONSOLES, console(machine).into_iter());
        self.add_list(NON_COHERENT, machine.non_coherent.iter().flat_map(words_of));
        self.add_list(
            COHERENT,
            machine.coherent.iter().chain(&options.coherent).flat_map(words_of),
        );
        self.add_list(SMMUS, machine.smmus.iter().flat_map(|smmu| [smmu.base, smmu.realm_base]));
        self.add_root_complexes(machine.root_complexes);
        if let Some(fault) = options.fault {
            self.break_by(fault);
        }
    }

    /// Appends words.
    fn add(&mut self, words: impl Iterator<Item = u64>) {
        for word in words {
            self.words[self.used] = word;
            self.used += 1;
        }
    }

    /// Appends a list and points its field to it. The field of an empty list stays zero.
    fn add_list(&mut self, field: Field, words: impl Iterator<Item = u64>) {
        let at = self.used;
        self.add(words);
        let count = (self.used - at) / field.element;
        if count != 0 {
            self.set_list(field, count as u64, self.base + 8 * at as u64);
        }
    }

    /// Sets count, pointer and checksum of a field. Words outside the page count as zero.
    fn set_list(&mut self, field: Field, count: u64, pointer: u64) {
        let mut sum = count.wrapping_add(pointer);
        let length = count.saturating_mul(field.element as u64).min(WORDS as u64);
        for index in 0..length {
            sum = sum.wrapping_add(self.word_at(pointer.wrapping_add(8 * index)));
        }
        self.words[field.at..field.at + 3].copy_from_slice(&[count, pointer, sum.wrapping_neg()]);
    }

    /// The word at a physical address inside the page, aligned or not. Outside the page it counts
    /// as zero.
    fn word_at(&self, address: u64) -> u64 {
        let offset = address.wrapping_sub(self.base);
        let word = |index: u64| {
            usize::try_from(index)
                .ok()
                .and_then(|index| self.words.get(index))
                .copied()
                .unwrap_or(0)
        };
        match offset % 8 * 8 {
            0 => word(offset / 8),
            shift => word(offset / 8) >> shift | word(offset / 8 + 1) << (64 - shift),
        }
    }

    /// Appends all root complexes, then all root ports, then all device mappings.
    fn add_root_complexes(&mut self, complexes: &'static [RootComplex]) {
        let [complex_words, port_words, mapping_words] = ROOT_COMPLEX_WORDS;
        let place = |word: usize| 8 * word as u64;
        let at = self.used;
        let ports = || complexes.iter().flat_map(|complex| complex.root_ports);
        let mut next_port = self.base + place(at + complexes.len() * complex_words);
        let mut next_mapping = next_port + place(ports().count() * port_words);
        self.add(complexes.iter().flat_map(|complex| {
            let first = next_port;
            next_port += place(complex.root_ports.len() * port_words);
            [
                complex.ecam,
                (complex.root_ports.len() as u64) << 32 | u64::from(complex.segment),
                first,
            ]
        }));
        self.add(ports().flat_map(|port| {
            let first = next_mapping;
            next_mapping += place(port.mappings.len() * mapping_words);
            [(port.mappings.len() as u64) << 32 | u64::from(port.id), first]
        }));
        self.add(ports().flat_map(|port| port.mappings).map(|mapping| {
            [mapping.smmu_index, mapping.offset, mapping.top, mapping.base]
                .into_iter()
                .fold(0, |word, field| word << 16 | u64::from(field))
        }));
        // TF-A does not return early for an empty list, so its pointer is where a list would begin.
        self.set_root_complexes(complexes.len() as u64, at, self.used);
    }

    /// Sets the field of the root complexes: their number and the range of their words.
    fn set_root_complexes(&mut self, count: u64, first: usize, end: usize) {
        let pointer = self.base + 8 * first as u64;
        let words = &self.words[first..end];
        let sum =
            words.iter().fold(count.wrapping_add(pointer), |sum, word| sum.wrapping_add(*word));
        self.words[ROOT_COMPLEXES..ROOT_COMPLEXES + 4].copy_from_slice(&[
            count,
            ROOT_COMPLEX_VERSION,
            pointer,
            sum.wrapping_neg(),
        ]);
    }

    /// Redirects the pointer at word `offset` of the only root complex, which has one root port.
    /// Words from `orphaned` on, to which nothing points any more, become zero, so that the
    /// checksum holds whether or not a reader includes them.
    fn redirect_in_root_complex(&mut self, offset: usize, value: u64, orphaned: usize) {
        let pointer = self.words[ROOT_COMPLEXES + 2];
        let start = usize::try_from((pointer - self.base) / 8).unwrap_or(0);
        self.words[start + offset] = value;
        self.words[start + orphaned..self.used].fill(0);
        self.set_root_complexes(1, start, self.used);
    }

    /// Replaces the DRAM list by these banks, after all other lists.
    fn replace_banks(&mut self, words: &[u64]) {
        self.add_list(DRAM, words.iter().copied());
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
            // Not bit 0, since the sum with the version word differs from the sum without it by
            // one.
            ManifestFault::RootComplexChecksum => self.words[ROOT_COMPLEXES + 3] ^= 1 << 40,
            ManifestFault::BanksOverlap => {
                self.replace_banks(&[BASE, SIZE, BASE + SIZE - GRANULE, SIZE])
            }
            ManifestFault::BanksUnsorted => self.replace_banks(&[BASE + SIZE, SIZE, BASE, SIZE]),
            ManifestFault::BankBaseUnaligned => self.replace_banks(&[BASE + 0x800, SIZE]),
            ManifestFault::BankSizeUnaligned => self.replace_banks(&[BASE, SIZE + 0x800]),
            ManifestFault::BankWraps => {
                self.replace_banks(&[BASE, SIZE, 0u64.wrapping_sub(SIZE), 2 * SIZE])
            }
            ManifestFault::BankEmpty => self.replace_banks(&[BASE, SIZE, BASE + 2 * SIZE, 0]),
            ManifestFault::BankCountAbsurd => self.set_list(DRAM, 1 << 60, dram_pointer),
            ManifestFault::BankCountPastPage => {
                // Fill the rest of the page with valid banks, so that only the bound on their
                // number can refuse them.
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
                // A valid bank except for its position.
                let straddling = [BASE << 32, BASE >> 32 | SIZE << 32, SIZE >> 32];
                self.words[self.used..self.used + 3].copy_from_slice(&straddling);
                self.set_list(DRAM, 1, self.base + 8 * self.used as u64 + 4);
            }
            ManifestFault::NoBanks => self.words[DRAM.at..DRAM.at + 3].fill(0),
            ManifestFault::ConsoleCountAbsurd => self.set_list(CONSOLES, 1 << 60, console_pointer),
            ManifestFault::ConsolesOutside => self.set_list(CONSOLES, 1, self.base - GRANULE),
            ManifestFault::ConsolesTruncated => {
                let console: [u64; 5] =
                    core::array::from_fn(|word| self.word_at(console_pointer + 8 * word as u64));
                self.words[WORDS - 5..].copy_from_slice(&console);
                self.set_list(CONSOLES, 1, page_end - 5 * 8);
            }
            ManifestFault::RootPortsOutside => self.redirect_in_root_complex(2, page_end, 3),
            ManifestFault::MappingsOutside => self.redirect_in_root_complex(4, self.base - 16, 5),
            ManifestFault::SmmusOutside => self.set_list(SMMUS, 1, page_end),
        }
    }
}

fn words_of(range: &Range) -> [u64; 2] {
    [range.base, range.size]
}

/// The console of `machine`, at the address of the emulated machine's console.
fn console(machine: &Machine) -> [u64; 6] {
    let base = qemu_virt::MACHINE.consoles[0].base;
    let console = machine.consoles[0];
    [
        base,
        console.map_pages,
        u64::from_le_bytes(console.name),
        console.clock_hz,
        console.baud_rate,
        0,
    ]
}
