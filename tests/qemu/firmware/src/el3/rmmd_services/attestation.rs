// SPDX-License-Identifier: BSD-3-Clause
//! Services for attestation: the Realm key and the platform token of TF-A on QEMU, or those of the
//! options.

use core::sync::atomic::{AtomicU64, Ordering};

use rmm_test_firmware::REALM_KEY;
use rmm_test_firmware::options::{GRANULE, PlatformToken, RealmKey};
use rmm_test_firmware::say;

use super::Status;
use crate::boot::options;
use crate::mmu;
use crate::world::Frame;

/// The platform token bound to that key. `tests/host/attest/platform_token.rs` makes it.
const TOKEN: &[u8] = include_bytes!("platform_token.cbor");
/// The SHA-256 of the public half of the key as a COSE_Key.
const CHALLENGE: [u8; 32] = [
    0x0d, 0x22, 0xe0, 0x8a, 0x98, 0x46, 0x90, 0x58, 0x48, 0x63, 0x18, 0x28, 0x34, 0x89, 0xbd, 0xb3,
    0x6f, 0x09, 0xdb, 0xef, 0xeb, 0x18, 0x64, 0xdf, 0x43, 0x3f, 0xa6, 0xe5, 0x4e, 0xa2, 0xd7, 0x11,
];
/// Bytes of a hunk.
const HUNK: usize = 500;

/// The offset in the shared page of a buffer that the RMM names. The buffer must lie inside.
pub fn buffer_start(address: u64, size: u64) -> Result<usize, Status> {
    let offset = address.checked_sub(options().shared_page()).filter(|offset| *offset < GRANULE);
    let offset = offset.ok_or(Status::BadAddress)?;
    if offset.checked_add(size).is_none_or(|end| end > GRANULE) {
        return Err(Status::Invalid);
    }
    usize::try_from(offset).map_err(|_| Status::BadAddress)
}

pub fn write(start: usize, bytes: &[u8]) {
    for (offset, byte) in bytes.iter().enumerate() {
        // SAFETY: `buffer_start` keeps the write inside the page behind the window.
        unsafe { mmu::shared_page().cast::<u8>().add(start + offset).write_volatile(*byte) };
    }
}

/// Reads from the shared page.
pub fn read(start: usize, bytes: &mut [u8]) {
    for (offset, byte) in bytes.iter_mut().enumerate() {
        // SAFETY: as for writing.
        *byte = unsafe { mmu::shared_page().cast::<u8>().add(start + offset).read_volatile() };
    }
}

/// Whether the shared page holds `bytes` from `start` on.
fn holds(start: usize, bytes: impl IntoIterator<Item = u8>) -> bool {
    bytes.into_iter().enumerate().all(|(offset, byte)| {
        // SAFETY: as for writing.
        unsafe { mmu::shared_page().cast::<u8>().add(start + offset).read_volatile() == byte }
    })
}

/// Whether the shared page is all zero.
pub fn shared_page_is_zero() -> bool {
    holds(0, (0..GRANULE).map(|_| 0))
}

/// PSTATE as a saved register: EL2 with SP_EL0, D and A masked, I and F not, and DIT set. Condition
/// flags, PAN, UAO, TCO, SSBS and BTYPE may have any value.
const FIBER: u64 = 0b01000 | 1 << 8 | 1 << 9 | 1 << 24;
const FIBER_MASK: u64 = !(0xf << 28 | 1 << 25 | 1 << 23 | 1 << 22 | 0b111 << 10);

/// Counts words of a Realm granule: those that are not zero, those that are part of the key in
/// either byte order, and those that are a fiber's PSTATE with DIT set.
pub fn scan(address: u64) -> [u64; 3] {
    let words = GRANULE / 8;
    mmu::with_realm_granule(address, |granule| {
        let mut found = [0; 3];
        for index in 0..words as usize {
            // SAFETY: the granule stays mapped here, and the RMM does not run on this CPU.
            let word = unsafe { granule.add(index).read_volatile() };
            let is_of_key = REALM_KEY
                .chunks_exact(8)
                .any(|part| part == word.to_le_bytes() || part == word.to_be_bytes());
            found[0] += u64::from(word != 0);
            found[1] += u64::from(is_of_key);
            found[2] += u64::from(word & FIBER_MASK == FIBER);
        }
        found
    })
}

/// The PC of the fiber whose context is in a Realm granule: the word before its PSTATE. 0 if there
/// is none.
pub fn fiber(address: u64) -> u64 {
    mmu::with_realm_granule(address, |granule| {
        let mut before = 0;
        for index in 0..(GRANULE / 8) as usize {
            // SAFETY: as for scanning.
            let word = unsafe { granule.add(index).read_volatile() };
            if before != 0 && word & FIBER_MASK == FIBER {
                return before;
            }
            before = word;
        }
        0
    })
}

/// Counts words of a Realm granule that equal one of these, in either byte order.
pub fn search(address: u64, wanted: [u64; 6]) -> u64 {
    let words = GRANULE / 8;
    mmu::with_realm_granule(address, |granule| {
        let mut found = 0;
        for index in 0..words as usize {
            // SAFETY: as for scanning.
            let word = unsafe { granule.add(index).read_volatile() };
            let is_wanted = |wanted: &u64| word == *wanted || word == wanted.swap_bytes();
            found += u64::from(word != 0 && wanted.iter().any(is_wanted));
        }
        found
    })
}

pub fn realm_key(address: u64, size: u64, curve: u64, length: &mut u64) -> Status {
    const P384: u64 = 0;
    if options().el3_signs != 0 {
        say!("EL3: ERROR: the RMM asks for a key that stays here");
        return Status::Unknown;
    }
    let key = match options().realm_key {
        RealmKey::Sample => REALM_KEY,
        RealmKey::Zero | RealmKey::Short => [0; 48],
        RealmKey::Unknown => return Status::Unknown,
    };
    let start = match buffer_start(address, size) {
        Ok(start) => start,
        Err(status) => return status,
    };
    if curve != P384 || size < key.len() as u64 {
        return Status::Invalid;
    }
    write(start, &key);
    *length = if options().realm_key == RealmKey::Short { 32 } else { key.len() as u64 };
    Status::Ok
}

pub fn platform_token(frame: &mut Frame, address: u64, size: u64, challenge: u64) -> Status {
    /// How often the RMM has asked for the present hunk, and the bytes served before it.
    static ASKED: AtomicU64 = AtomicU64::new(0);
    static DONE: AtomicU64 = AtomicU64::new(0);
    let start = match buffer_start(address, size) {
        Ok(start) => start,
        Err(status) => return status,
    };
    if !matches!(challenge, 0 | 32 | 48 | 64) || size < HUNK as u64 {
        return Status::Invalid;
    }
    if challenge != 0 {
        if !holds(start, CHALLENGE) {
            return Status::Invalid;
        }
        DONE.store(0, Ordering::Relaxed);
    }
    let kind = options().platform_token;
    let done = usize::try_from(DONE.load(Ordering::Relaxed)).unwrap_or(0);
    let (hunk, remaining): (&[u8], usize) = match kind {
        PlatformToken::Whole => (TOKEN, 0),
        PlatformToken::Again => return Status::Again,
        PlatformToken::Empty => (&[], 0),
        PlatformToken::Breaks if done != 0 => return Status::Unknown,
        PlatformToken::Endless => (&TOKEN[..HUNK], HUNK),
        PlatformToken::Hunks | PlatformToken::Breaks => {
            let asked = ASKED.fetch_add(1, Ordering::Relaxed);
            if asked % 4 != 3 {
                return Status::Again;
            }
            let rest = &TOKEN[done..];
            let (hunk, rest) = rest.split_at(rest.len().min(HUNK));
            (hunk, rest.len())
        }
    };
    DONE.store((done + hunk.len()) as u64, Ordering::Relaxed);
    write(start, hunk);
    frame.x[1] = hunk.len() as u64;
    // Earlier interfaces have no such output.
    const HUNKS: u32 = 3;
    if options().interface.major() != 0 || options().interface.0 & 0xffff >= HUNKS {
        frame.x[2] = remaining as u64;
    }
    Status::Ok
}
