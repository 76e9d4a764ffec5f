// SPDX-License-Identifier: BSD-3-Clause
//! Measurements of a Realm (RMM specification 1.0, Realm measurement): what a Realm was before it ran, as one hash.
//!
//! The Realm Initial Measurement begins with the parameters and is extended by each command that gives the Realm something, in the order of those commands. Each
//! extension hashes a descriptor of 256 bytes that holds the measurement so far.

use sha2::block_api::{compress256, compress512};

use super::sha256_zero;

/// Bytes of a measurement value, whatever the algorithm; those that the hash does not fill are 0.
pub const MEASUREMENT_SIZE: usize = 64;
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

/// The value of a measurement.
pub type Measurement = [u8; MEASUREMENT_SIZE];

/// Messages are measured in chunks of this many bytes: a block of SHA-512, two of SHA-256.
const CHUNK: usize = 128;
type Chunk = [u8; CHUNK];

/// Chunks of a granule.
const GRANULE_CHUNKS: usize = 32;
/// Chunks of a measurement descriptor.
const DESCRIPTOR_CHUNKS: usize = 2;

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

/// The block that ends a message of whole blocks, `chunks` chunks long (FIPS 180-4, 5.1): a one bit, zeros, the length in bits.
fn padding<const BLOCK: usize>(chunks: usize) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    // A page at most: the length has 16 bits.
    let [low, high, ..] = (chunks * CHUNK * 8).to_le_bytes();
    if let [first, .., second_last, last] = &mut block[..] {
        (*first, *second_last, *last) = (0x80, high, low);
    }
    block
}

/// The hash of a message that is `head`, then `zeros` chunks of zeros: at most a granule in all.
fn hash(algorithm: HashAlgorithm, head: &[Chunk], zeros: usize) -> Measurement {
    let mut measurement = [0; MEASUREMENT_SIZE];
    match algorithm {
        HashAlgorithm::Sha256 => {
            let mut state = INITIAL_256;
            let (blocks, _none) = head.as_flattened().as_chunks::<64>();
            for block in blocks {
                if *block == [0; 64] {
                    sha256_zero::compress(&mut state, 1);
                } else {
                    compress256(&mut state, core::slice::from_ref(block));
                }
            }
            sha256_zero::compress(&mut state, 2 * zeros);
            compress256(&mut state, &[padding(head.len() + zeros)]);
            for (bytes, word) in measurement.chunks_exact_mut(4).zip(state) {
                bytes.copy_from_slice(&word.to_be_bytes());
            }
        }
        HashAlgorithm::Sha512 => {
            let mut state = INITIAL_512;
            compress512(&mut state, head);
            for _ in 0..zeros {
                compress512(&mut state, &[[0; CHUNK]]);
            }
            compress512(&mut state, &[padding(head.len() + zeros)]);
            for (bytes, word) in measurement.chunks_exact_mut(8).zip(state) {
                bytes.copy_from_slice(&word.to_be_bytes());
            }
        }
    }
    measurement
}

/// The first chunks of a structure, as it is measured. Each use has room for its last field: what does not fit is left out.
struct Structure<const CHUNKS: usize>([Chunk; CHUNKS]);

impl<const CHUNKS: usize> Structure<CHUNKS> {
    fn new() -> Self {
        Self([[0; CHUNK]; CHUNKS])
    }

    #[inline(always)]
    fn with(mut self, offset: usize, bytes: &[u8]) -> Self {
        if let Some(place) = self.0.as_flattened_mut().get_mut(offset..offset + bytes.len()) {
            place.copy_from_slice(bytes);
        }
        self
    }

    #[inline(always)]
    fn with_word(self, offset: usize, word: u64) -> Self {
        self.with(offset, &word.to_le_bytes())
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
        let structure = Structure::<1>::new()
            .with_word(0x0, parameters.flags)
            .with_word(0x8, u64::from(parameters.s2sz))
            .with_word(0x10, u64::from(parameters.sve_vl))
            .with_word(0x18, u64::from(parameters.num_bps))
            .with_word(0x20, u64::from(parameters.num_wps))
            .with_word(0x28, u64::from(parameters.pmu_num_ctrs))
            .with(0x30, &[algorithm as u8]);
        Self { value: hash(algorithm, &structure.0, GRANULE_CHUNKS - 1), algorithm }
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
    fn descriptor(&self, kind: DescriptorKind) -> Structure<DESCRIPTOR_CHUNKS> {
        Structure::new().with(0x0, &[kind as u8]).with_word(0x8, 0x100).with(0x10, &self.value)
    }

    fn extend(&mut self, descriptor: &Structure<DESCRIPTOR_CHUNKS>) {
        self.value = hash(self.algorithm, &descriptor.0, 0);
    }

    /// Extends it by a granule of data at `ipa`, given with the `flags` of RMI_DATA_CREATE, and by its content if that is measured.
    pub fn extend_with_data(&mut self, ipa: u64, flags: u64, content: Option<&[u8; 4096]>) {
        let descriptor = self.descriptor(DescriptorKind::Data).with_word(0x50, ipa).with_word(0x58, flags);
        let descriptor = match content {
            Some(content) => {
                let (chunks, _none) = content.as_chunks();
                descriptor.with(0x60, &hash(self.algorithm, chunks, 0))
            }
            None => descriptor,
        };
        self.extend(&descriptor);
    }

    /// Extends it by a REC that is runnable.
    pub fn extend_with_rec(&mut self, parameters: &MeasuredRecParameters) {
        const HEAD: usize = 7;
        let mut structure =
            Structure::<HEAD>::new().with_word(0x0, parameters.flags).with_word(0x200, parameters.pc);
        for (offset, register) in (0x300..).step_by(8).zip(parameters.gprs) {
            structure = structure.with_word(offset, register);
        }
        let content = hash(self.algorithm, &structure.0, GRANULE_CHUNKS - HEAD);
        self.extend(&self.descriptor(DescriptorKind::Rec).with(0x50, &content));
    }

    /// Extends it by the change of `base` to `top` to RAM, by RMI_RTT_INIT_RIPAS.
    pub fn extend_with_ripas(&mut self, base: u64, top: u64) {
        let descriptor = self.descriptor(DescriptorKind::Ripas).with_word(0x50, base).with_word(0x58, top);
        self.extend(&descriptor);
    }
}
