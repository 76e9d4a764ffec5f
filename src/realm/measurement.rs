// SPDX-License-Identifier: BSD-3-Clause
//! Measurements of a Realm (RMM specification 1.0, Realm measurement).
//!
//! The Realm Initial Measurement starts as the hash of the parameters. Each command that adds
//! something to the Realm extends it: it hashes a descriptor that holds the measurement so far.

use zerocopy::IntoBytes;

use crate::cpu::hash::{HashFunction, Hasher, Sha256, Sha512};
use crate::mem::GRANULE_WORDS;

/// Measurement slots: the initial one and four that the Realm extends itself.
pub const MEASUREMENT_SLOTS: usize = 5;

/// Hash algorithm of a Realm (RmiHashAlgorithm).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum HashAlgorithm {
    /// SHA-256.
    Sha256 = 0,
    /// SHA-512.
    Sha512 = 1,
}

impl HashAlgorithm {
    /// Its name (IANA, Named Information Hash Algorithms), and bytes of its hash.
    pub const fn name_and_size(self) -> (&'static str, usize) {
        match self {
            Self::Sha256 => ("sha-256", 32),
            Self::Sha512 => ("sha-512", 64),
        }
    }

    /// The algorithm with this number; `None` for those not supported.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Sha256),
            1 => Some(Self::Sha512),
            _ => None,
        }
    }
}

/// The value of a measurement: 64 bytes as little-endian words. Bytes beyond the hash are 0.
pub type Measurement = [u64; 8];

/// Bytes of a measurement descriptor.
const DESCRIPTOR_SIZE: usize = 0x100;
/// Bytes of a structure of parameters.
const PARAMETERS_SIZE: usize = 0x1000;

/// The hash of a message of `size` bytes: `fields` at their byte offsets, in ascending order, and
/// zeros.
fn hash(algorithm: HashAlgorithm, fields: &[(usize, &[u64])], size: usize) -> Measurement {
    match algorithm {
        HashAlgorithm::Sha256 => message_digest::<Sha256, 64>(fields, size),
        HashAlgorithm::Sha512 => message_digest::<Sha512, 128>(fields, size),
    }
}

fn message_digest<F: HashFunction<BLOCK>, const BLOCK: usize>(
    fields: &[(usize, &[u64])],
    size: usize,
) -> Measurement {
    if size == DESCRIPTOR_SIZE {
        digest::<F, BLOCK, { DESCRIPTOR_SIZE / 8 }>(fields, size)
    } else {
        digest::<F, BLOCK, 0x80>(fields, size)
    }
}

/// The digest of a message whose fields lie within the first `HEAD` words, or are all of it.
fn digest<F: HashFunction<BLOCK>, const BLOCK: usize, const HEAD: usize>(
    fields: &[(usize, &[u64])],
    size: usize,
) -> Measurement {
    /// Zeros to hash at a time. More would make the image larger.
    static ZEROS: [u8; 512] = [0; 512];
    let mut hasher = Hasher::<F, BLOCK>::default();
    if let [(0, whole)] = fields
        && size_of_val(*whole) == size
    {
        hasher.update(whole.as_bytes());
        return hasher.finish();
    }
    let mut head = [0_u64; HEAD];
    for (offset, words) in fields {
        if let Some(place) = head.get_mut(offset / 8..offset / 8 + words.len()) {
            place.copy_from_slice(words);
        }
    }
    let (head, mut zeros) = (head.as_bytes(), size.saturating_sub(8 * HEAD));
    hasher.update(head.get(..size).unwrap_or(head));
    while zeros != 0 {
        let some = ZEROS.get(..zeros).unwrap_or(&ZEROS);
        hasher.update(some);
        zeros -= some.len();
    }
    hasher.finish()
}

/// Extends a Realm Extensible Measurement: the new value is the hash of the old one, without its
/// padding, followed by `value`.
pub fn extend(algorithm: HashAlgorithm, extended: &mut Measurement, value: &[u8]) {
    fn digest<F: HashFunction<BLOCK>, const BLOCK: usize>(
        before: &Measurement,
        value: &[u8],
    ) -> Measurement {
        let before = before.as_bytes();
        let mut hasher = Hasher::<F, BLOCK>::default();
        hasher.update(before.get(..F::SIZE).unwrap_or(before));
        hasher.update(value);
        hasher.finish()
    }
    *extended = match algorithm {
        HashAlgorithm::Sha256 => digest::<Sha256, 64>(extended, value),
        HashAlgorithm::Sha512 => digest::<Sha512, 128>(extended, value),
    };
}

/// The parameters of a Realm that are measured, as the host gave them (RmiRealmParams).
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
    /// The hash algorithm of measurements.
    pub algorithm: HashAlgorithm,
}

/// The parameters of a REC that are measured, as the host gave them (RmiRecParams).
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
    /// That of a new Realm: the hash of its parameters.
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
        Self { value: hash(algorithm, &[(0x0, &fields)], PARAMETERS_SIZE), algorithm }
    }

    /// Erases the value.
    pub fn forget(&mut self) {
        self.value = Measurement::default();
    }

    /// The value.
    pub fn value(&self) -> &Measurement {
        &self.value
    }

    /// The hash algorithm.
    pub fn algorithm(&self) -> HashAlgorithm {
        self.algorithm
    }

    /// Extends it by a descriptor of this kind, with `fields` from byte 0x50 on.
    fn extend(&mut self, kind: DescriptorKind, fields: &[u64]) {
        let head = [kind as u64, DESCRIPTOR_SIZE as u64];
        let descriptor: [(usize, &[u64]); 3] = [(0x0, &head), (0x10, &self.value), (0x50, fields)];
        self.value = hash(self.algorithm, &descriptor, DESCRIPTOR_SIZE);
    }

    /// Extends it by a granule of data at `ipa` with the `flags` of RMI_DATA_CREATE, and by its
    /// content if that is measured.
    pub fn extend_with_data(
        &mut self,
        ipa: u64,
        flags: u64,
        content: Option<&[u64; GRANULE_WORDS]>,
    ) {
        let content = content.map_or([0; 8], |content| {
            hash(self.algorithm, &[(0x0, content)], size_of_val(content))
        });
        let [h0, h1, h2, h3, h4, h5, h6, h7] = content;
        self.extend(DescriptorKind::Data, &[ipa, flags, h0, h1, h2, h3, h4, h5, h6, h7]);
    }

    /// Extends it by a REC that is runnable.
    pub fn extend_with_rec(&mut self, parameters: &MeasuredRecParameters) {
        let MeasuredRecParameters { flags, pc, gprs } = parameters;
        let fields: [(usize, &[u64]); 3] = [(0x0, &[*flags]), (0x200, &[*pc]), (0x300, gprs)];
        let content = hash(self.algorithm, &fields, PARAMETERS_SIZE);
        self.extend(DescriptorKind::Rec, &content);
    }

    /// Extends it by the change of `base` to `top` to RAM, by RMI_RTT_INIT_RIPAS.
    pub fn extend_with_ripas(&mut self, base: u64, top: u64) {
        self.extend(DescriptorKind::Ripas, &[base, top]);
    }
}
