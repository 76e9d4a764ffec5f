// SPDX-License-Identifier: BSD-3-Clause
//! Measurements of a Realm (RMM specification 1.0, Realm measurement): what a Realm was before it
//! ran, as one hash.
//!
//! The Realm Initial Measurement begins with the parameters and is extended by each command that
//! gives the Realm something, in the order of those commands. Each extension hashes a descriptor of
//! 256 bytes that holds the measurement so far.

use sha2::block_api::{compress256, compress512};

use super::sha256_known::{KnownBlock, ZEROS};
use crate::mem::GRANULE_WORDS;

/// Measurement slots: the initial one and four that the Realm extends itself.
pub const MEASUREMENT_SLOTS: usize = 5;

/// What hashes are computed with (RmiHashAlgorithm).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum HashAlgorithm {
    /// SHA-256.
    Sha256 = 0,
    /// SHA-512.
    Sha512 = 1,
}

impl HashAlgorithm {
    /// The algorithm with this number; `None` for those not supported.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Sha256),
            1 => Some(Self::Sha512),
            _ => None,
        }
    }
}

/// The value of a measurement: 64 bytes, whatever the algorithm, of which those that the hash does
/// not fill are 0; as little-endian words, which is how registers hold it.
pub type Measurement = [u64; 8];

/// Words that messages are measured by: a block of SHA-512, two of SHA-256.
type Chunk = [u64; 16];

/// How long a message is. There are no others.
#[derive(Clone, Copy)]
enum Length {
    /// A measurement descriptor: 256 bytes.
    Descriptor = 2,
    /// A granule, or a structure that fills one.
    Granule = 32,
}

impl Length {
    const fn chunks(self) -> usize {
        self as usize
    }

    const fn bytes(self) -> u32 {
        match self {
            Self::Descriptor => 0x100,
            Self::Granule => 0x1000,
        }
    }

    /// The block that ends such a message in SHA-256.
    fn end(self) -> &'static KnownBlock {
        static DESCRIPTOR: KnownBlock = KnownBlock::end(Length::Descriptor.bytes());
        static GRANULE: KnownBlock = KnownBlock::end(Length::Granule.bytes());
        match self {
            Self::Descriptor => &DESCRIPTOR,
            Self::Granule => &GRANULE,
        }
    }
}

/// SHA-256's initial state (FIPS 180-4, 5.3.3).
#[rustfmt::skip]
const INITIAL_256: [u32; 8] = [
    0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19,
];

/// SHA-512's initial state (FIPS 180-4, 5.3.5).
#[rustfmt::skip]
const INITIAL_512: [u64; 8] = [
    0x6a09_e667_f3bc_c908, 0xbb67_ae85_84ca_a73b, 0x3c6e_f372_fe94_f82b, 0xa54f_f53a_5f1d_36f1,
    0x510e_527f_ade6_82d1, 0x9b05_688c_2b3e_6c1f, 0x1f83_d9ab_fb41_bd6b, 0x5be0_cd19_137e_2179,
];

/// The bytes of words, as memory has them.
fn bytes<const WORDS: usize, const BYTES: usize>(words: &[u64; WORDS]) -> [u8; BYTES] {
    const { assert!(BYTES == 8 * WORDS) };
    let mut bytes = [0; BYTES];
    let (places, _none) = bytes.as_chunks_mut();
    for (place, word) in places.iter_mut().zip(words) {
        *place = word.to_le_bytes();
    }
    bytes
}

/// The hash of a message that is `head`, then zeros up to `length`.
fn hash(algorithm: HashAlgorithm, head: &[Chunk], length: Length) -> Measurement {
    let zeros = length.chunks() - head.len();
    match algorithm {
        HashAlgorithm::Sha256 => {
            let mut state = INITIAL_256;
            let (blocks, _none) = head.as_flattened().as_chunks::<8>();
            for block in blocks {
                if block.iter().fold(0, |all, word| all | word) == 0 {
                    ZEROS.compress(&mut state, 1);
                } else {
                    compress256(&mut state, &[bytes(block)]);
                }
            }
            ZEROS.compress(&mut state, 2 * zeros);
            length.end().compress(&mut state, 1);
            let [a, b, c, d, e, f, g, h] = state.map(|word| u64::from(word.swap_bytes()));
            [a | b << 32, c | d << 32, e | f << 32, g | h << 32, 0, 0, 0, 0]
        }
        HashAlgorithm::Sha512 => {
            let mut state = INITIAL_512;
            for block in head {
                compress512(&mut state, &[bytes(block)]);
            }
            for _ in 0..zeros {
                compress512(&mut state, &[[0; 128]]);
            }
            // A one bit, zeros, the length in bits (FIPS 180-4, 5.1.2).
            let mut end = [0; 16];
            end[0] = 0x80;
            end[15] = (u64::from(length.bytes()) * 8).swap_bytes();
            compress512(&mut state, &[bytes(&end)]);
            state.map(u64::swap_bytes)
        }
    }
}

/// The first chunks of a structure, as it is measured. Each use has room for its last field: what
/// does not fit is left out.
struct Structure<const CHUNKS: usize>([Chunk; CHUNKS]);

impl<const CHUNKS: usize> Structure<CHUNKS> {
    fn new() -> Self {
        Self([[0; 16]; CHUNKS])
    }

    /// With words from byte `offset`, a multiple of 8, on.
    fn with(mut self, offset: usize, words: &[u64]) -> Self {
        let first = offset / 8;
        if let Some(place) = self.0.as_flattened_mut().get_mut(first..first + words.len()) {
            place.copy_from_slice(words);
        }
        self
    }
}

/// What is measured of the parameters of a Realm, as the host gave it (RmiRealmParams).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MeasuredRealmParameters {
    /// The flags.
    pub flags: u64,
    /// Bits of an Intermediate Physical Address.
    pub s2sz: u32,
    /// SVE vector length.
    pub sve_vl: u32,
    /// Breakpoints, less one.
    pub num_bps: u32,
    /// Watchpoints, less one.
    pub num_wps: u32,
    /// PMU counters.
    pub pmu_num_ctrs: u32,
    /// What measurements are computed with.
    pub algorithm: HashAlgorithm,
}

/// What is measured of the parameters of a REC, as the host gave it (RmiRecParams).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MeasuredRecParameters {
    /// The flags.
    pub flags: u64,
    /// Where it begins to execute.
    pub pc: u64,
    /// X0 to X7.
    pub gprs: [u64; 8],
}

/// The Realm Initial Measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InitialMeasurement {
    value: Measurement,
    algorithm: HashAlgorithm,
}

/// The kinds of measurement descriptors.
#[derive(Clone, Copy)]
enum DescriptorKind {
    Data = 0,
    Rec = 1,
    Ripas = 2,
}

impl InitialMeasurement {
    /// That of a Realm just created: the hash of its parameters, alone in a structure of a page.
    pub fn new(parameters: &MeasuredRealmParameters) -> Self {
        let algorithm = parameters.algorithm;
        let fields = [
            parameters.flags,
            u64::from(parameters.s2sz),
            u64::from(parameters.sve_vl),
            u64::from(parameters.num_bps),
            u64::from(parameters.num_wps),
            u64::from(parameters.pmu_num_ctrs),
            algorithm as u64,
        ];
        let structure = Structure::<1>::new().with(0x0, &fields);
        Self { value: hash(algorithm, &structure.0, Length::Granule), algorithm }
    }

    /// The value.
    pub fn value(&self) -> &Measurement {
        &self.value
    }

    /// What it is computed with.
    pub fn algorithm(&self) -> HashAlgorithm {
        self.algorithm
    }

    /// The descriptor that extends this measurement.
    fn descriptor(&self, kind: DescriptorKind) -> Structure<{ Length::Descriptor.chunks() }> {
        Structure::new().with(0x0, &[kind as u64, 0x100]).with(0x10, &self.value)
    }

    fn extend(&mut self, descriptor: &Structure<{ Length::Descriptor.chunks() }>) {
        self.value = hash(self.algorithm, &descriptor.0, Length::Descriptor);
    }

    /// Extends it by a granule of data at `ipa`, given with the `flags` of RMI_DATA_CREATE, and by
    /// its content if that is measured.
    pub fn extend_with_data(
        &mut self,
        ipa: u64,
        flags: u64,
        content: Option<&[u64; GRANULE_WORDS]>,
    ) {
        let descriptor = self.descriptor(DescriptorKind::Data).with(0x50, &[ipa, flags]);
        let descriptor = match content {
            Some(content) => {
                let (chunks, _none) = content.as_chunks();
                descriptor.with(0x60, &hash(self.algorithm, chunks, Length::Granule))
            }
            None => descriptor,
        };
        self.extend(&descriptor);
    }

    /// Extends it by a REC that is runnable.
    pub fn extend_with_rec(&mut self, parameters: &MeasuredRecParameters) {
        let structure = Structure::<7>::new()
            .with(0x0, &[parameters.flags])
            .with(0x200, &[parameters.pc])
            .with(0x300, &parameters.gprs);
        let content = hash(self.algorithm, &structure.0, Length::Granule);
        self.extend(&self.descriptor(DescriptorKind::Rec).with(0x50, &content));
    }

    /// Extends it by the change of `base` to `top` to RAM, by RMI_RTT_INIT_RIPAS.
    pub fn extend_with_ripas(&mut self, base: u64, top: u64) {
        self.extend(&self.descriptor(DescriptorKind::Ripas).with(0x50, &[base, top]));
    }
}
