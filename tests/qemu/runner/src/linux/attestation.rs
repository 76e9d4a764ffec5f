// SPDX-License-Identifier: BSD-3-Clause
//! What a relying party knows of a guest before it boots: its Realm Initial Measurement, computed
//! from the specification without code of the firmware. (`crate::rim` computes it with that code.)

use std::path::Path;

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};
use verifier::verify;

use super::{DTB, Guest, INITRD, KERNEL, RAM, Rmi};
use crate::scenarios::attestation::platform_key;

const GRANULE: usize = 4096;
/// The bytes that an entry of the root tables maps.
const BLOCK: u64 = 2 << 20;

/// A measurement in progress, by SHA-256 (RMM specification 1.0, Realm measurement).
struct Measurement([u8; 64]);

impl Measurement {
    /// The hash of a structure of `size` bytes with these fields and zeros.
    fn hash(fields: &[(usize, &[u8])], size: usize) -> [u8; 64] {
        let mut structure = vec![0; size];
        for (offset, field) in fields {
            structure[*offset..offset + field.len()].copy_from_slice(field);
        }
        let mut padded = [0; 64];
        padded[..32].copy_from_slice(&Sha256::digest(&structure));
        padded
    }

    fn extend(&mut self, kind: u64, fields: &[&[u8]]) {
        const SIZE: usize = 0x100;
        let fields = fields.concat();
        self.0 = Self::hash(
            &[
                (0x0, &kind.to_le_bytes()),
                (0x8, &(SIZE as u64).to_le_bytes()),
                (0x10, &self.0.clone()),
                (0x50, &fields),
            ],
            SIZE,
        );
    }

    /// RMI_DATA_CREATE for all granules of a file, measured.
    fn data(&mut self, ipa: u64, file: &Path) -> Result<()> {
        const MEASURED: u64 = 1;
        let content =
            std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        for (granule, at) in content.chunks(GRANULE).zip((ipa..).step_by(GRANULE)) {
            let hash = Self::hash(&[(0, granule)], GRANULE);
            self.extend(0, &[&at.to_le_bytes(), &MEASURED.to_le_bytes(), &hash]);
        }
        Ok(())
    }
}

/// The Realm Initial Measurement of a guest whose device tree has been written to `folder`.
///
/// # Errors
///
/// A part cannot be read.
pub fn initial_measurement(guest: &Guest, folder: &Path) -> Result<Vec<u8>> {
    const IPA_BITS: u32 = 33;
    const RUNNABLE: u64 = 1;
    // As the monitor passes them in each dialect.
    let (breakpoints, watchpoints): (u32, u32) = match guest.rmi {
        Rmi::One => (1, 1),
        Rmi::Two => (0, 0),
    };
    let mut rim = Measurement(Measurement::hash(
        &[
            (0x8, &IPA_BITS.to_le_bytes()),
            (0x18, &breakpoints.to_le_bytes()),
            (0x20, &watchpoints.to_le_bytes()),
        ],
        GRANULE,
    ));
    // RMI 2.0 does not measure RIPAS.
    let measured = if guest.rmi == Rmi::One { guest.ram_mib << 20 } else { 0 };
    for base in (RAM..RAM + measured).step_by(BLOCK as usize) {
        rim.extend(2, &[&base.to_le_bytes(), &(base + BLOCK).to_le_bytes()]);
    }
    let dtb = folder.join("guest.dtb");
    for (file, place) in [(&guest.image, KERNEL), (&guest.initrd, INITRD), (&dtb, DTB)] {
        rim.data(RAM + (place - KERNEL), file)?;
    }
    // Only the first REC is runnable.
    let content = Measurement::hash(
        &[
            (0x0, &RUNNABLE.to_le_bytes()),
            (0x200, &RAM.to_le_bytes()),
            (0x300, &(RAM + DTB - KERNEL).to_le_bytes()),
        ],
        GRANULE,
    );
    rim.extend(1, &[&content]);
    Ok(rim.0[..32].to_vec())
}

/// Whether a token is of this guest and for this challenge.
///
/// # Errors
///
/// The reason why the token is refused.
pub fn appraise(token: &[u8], challenge: &[u8], rim: &[u8]) -> Result<()> {
    let verified = verify(token, &platform_key()?)?;
    ensure!(verified.challenge == challenge, "the token is for another challenge");
    ensure!(verified.initial == rim, "the token is of a Realm with another RIM");
    Ok(())
}

/// An unpredictable challenge.
///
/// # Errors
///
/// This machine has no random numbers.
pub fn challenge() -> Result<[u8; 64]> {
    use std::io::Read;
    let mut bytes = [0; 64];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}
