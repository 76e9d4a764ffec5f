// SPDX-License-Identifier: BSD-3-Clause
//! The services of EL3 for the RMM: granule transitions, attestation, features, memory. Results are
//! those of TF-A built for QEMU `virt`.

use core::sync::atomic::{AtomicU64, Ordering};

use rmm_abi::el3::{self, status};
use rmm_test_firmware::options::{GRANULE, ReserveMemory};
use rmm_test_firmware::{say, smccc};

use crate::boot::options;
use crate::gpt::{Gpi, GptError, gpt};
use crate::world::Frame;

mod attestation;
mod signing;

pub use attestation::{fiber, scan, search, shared_page_is_zero};

/// Status of a service, for the RMM's x0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i64)]
enum Status {
    Ok = status::OK,
    Unknown = status::UNKNOWN,
    BadAddress = status::BAD_ADDRESS,
    BadPas = status::BAD_PAS,
    NoMemory = status::NO_MEMORY,
    Invalid = status::INVALID,
    Again = status::AGAIN,
}

/// Serves one call of the RMM, which resumes with the results in its registers.
pub fn serve(frame: &mut Frame) {
    let [fid, x1, x2, x3] = [frame.x[0], frame.x[1], frame.x[2], frame.x[3]];
    let status = match fid {
        el3::GRANULE_DELEGATE => transition(x1, Gpi::Nonsecure, Gpi::Realm),
        el3::GRANULE_UNDELEGATE => transition(x1, Gpi::Realm, Gpi::Nonsecure),
        el3::ATTEST_GET_REALM_KEY => attestation::realm_key(x1, x2, x3, &mut frame.x[1]),
        el3::ATTEST_GET_PLAT_TOKEN => attestation::platform_token(frame, x1, x2, x3),
        el3::EL3_FEATURES => features(x1, &mut frame.x[1]),
        el3::EL3_TOKEN_SIGN => signing::serve(frame),
        el3::RESERVE_MEMORY => reserve_memory(x1, x2, &mut frame.x[1]),
        _ => {
            say!("EL3: WARNING: unsupported RMM-EL3 call {fid:#x}");
            Status::Unknown
        }
    };
    frame.x[0] =
        if status == Status::Unknown { smccc::UNKNOWN } else { (status as i64).cast_unsigned() };
}

fn transition(address: u64, from: Gpi, to: Gpi) -> Status {
    // The RMM holds the granule's lock here. If CPUs take turns, another CPU should run now and
    // contend for it. SAFETY: a hint.
    unsafe { core::arch::asm!("yield", options(nomem, nostack, preserves_flags)) };
    match gpt().change(address, from, to) {
        Ok(()) => Status::Ok,
        Err(error) => {
            say!("EL3: ERROR: granule {address:#x} not changed from {from:?} to {to:?}: {error:?}");
            match error {
                GptError::Address => Status::BadAddress,
                GptError::Gpi => Status::BadPas,
            }
        }
    }
}

fn features(register: u64, value: &mut u64) -> Status {
    if register != 0 {
        return Status::Invalid;
    }
    *value = if options().el3_signs != 0 { el3::token_sign::FEATURE } else { 0 };
    Status::Ok
}

/// Reserves memory from below the shared page downwards, to the end of the part for the image.
fn reserve_memory(size: u64, argument: u64, address: &mut u64) -> Status {
    /// End of the memory that is left; 0 before the first reservation.
    static TOP: AtomicU64 = AtomicU64::new(0);
    let options = options();
    match options.reserve_memory {
        ReserveMemory::Unknown => return Status::Unknown,
        ReserveMemory::NoMemory => return Status::NoMemory,
        ReserveMemory::Grant => {}
    }
    let Some(alignment) = 1u64.checked_shl(u32::from(argument.to_be_bytes()[0])) else {
        return Status::Invalid;
    };
    if size == 0 || !size.is_multiple_of(GRANULE) {
        return Status::Invalid;
    }
    let lowest = options.carve_out.base + options.payload;
    let take = |top: u64| {
        let top = if top == 0 { options.shared_page() } else { top };
        let base = top.checked_sub(size)? & !(alignment.max(GRANULE) - 1);
        (base >= lowest).then_some(base)
    };
    let mut granted = 0;
    let reserved = TOP.try_update(Ordering::AcqRel, Ordering::Acquire, |top| {
        granted = take(top)?;
        Some(granted)
    });
    if reserved.is_err() {
        return Status::NoMemory;
    }
    say!("EL3: {size:#x} bytes reserved for the RMM at {granted:#x}");
    *address = granted;
    Status::Ok
}
