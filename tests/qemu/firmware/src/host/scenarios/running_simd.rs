// SPDX-License-Identifier: BSD-3-Clause
//! SIMD registers of a host and of a Realm that uses them: each finds its own.

use core::arch::{asm, global_asm};
use core::cell::UnsafeCell;

use rmm_test_firmware::{read_register, say, write_register};

use crate::check;
use crate::guest::Guest;

global_asm!(include_str!("../simd.S"));

/// Instructions of the payload.
mod instruction {
    /// `msr cpacr_el1, x1`
    pub const CPACR: u32 = 0xd518_1041;
    /// `dup v31.2d, x1`, `umov x0, v31.d[1]`
    pub const SET_V31: u32 = 0x4e08_0c3f;
    pub const GET_V31: u32 = 0x4e18_3fe0;
    /// `umov x0, v30.d[0]`
    pub const GET_V30: u32 = 0x4e08_3fc0;
    /// `msr fpcr, x1`, `mrs x0, fpcr`
    pub const SET_FPCR: u32 = 0xd51b_4401;
    pub const GET_FPCR: u32 = 0xd53b_4400;
    pub const NOP: u32 = 0xd503_201f;
}

/// What the host has in its registers.
#[repr(C, align(16))]
struct Shown {
    vectors: [u8; 32 * 256],
    predicates: [u8; 17 * 32],
}

impl Shown {
    const NOTHING: Self = Self { vectors: [0; 32 * 256], predicates: [0; 17 * 32] };
}

struct Buffers(UnsafeCell<[Shown; 2]>);

// SAFETY: CPU 0 alone uses them.
unsafe impl Sync for Buffers {}

static BUFFERS: Buffers = Buffers(UnsafeCell::new([Shown::NOTHING; 2]));

unsafe extern "C" {
    fn host_simd_fill(seed: u64, streaming: u64);
    fn host_simd_show(vectors: *mut u8, predicates: *mut u8, streaming: u64);
}

fn isb() {
    // SAFETY: a barrier.
    unsafe { asm!("isb", options(nostack, preserves_flags)) };
}

/// A Realm uses SIMD registers while the host has all of its own filled, in each mode and at
/// several vector lengths.
pub fn simd() {
    // SAFETY: CPTR_EL2 of this image, which uses no SIMD registers otherwise.
    unsafe { write_register!("cptr_el2", 0x2ff) };
    isb();
    let guest = Guest::start(1);
    guest.execute(0, instruction::CPACR, [0, 3 << 20, 0, 0]);
    let modes = [(0, 0), (0, 1), (0, 3), (0, 15), (1, 0), (1, 1), (1, 15)];
    for (mark, (streaming, length)) in (1..).zip(modes) {
        // SAFETY: vector lengths of this image.
        unsafe {
            write_register!("s3_4_c1_c2_0", length);
            write_register!("s3_4_c1_c2_6", length);
            write_register!("s3_3_c4_c2_2", streaming);
        }
        isb();
        round(&guest, streaming, length, mark);
        check::equal("the vector length is the host's", read_register!("s3_4_c1_c2_0"), length);
        check::equal("and the streaming one", read_register!("s3_4_c1_c2_6"), length);
        check::equal("and its mode", read_register!("s3_3_c4_c2_2"), streaming);
    }
    // SAFETY: back to what the image began with.
    unsafe { write_register!("s3_3_c4_c2_2", 0) };
    say!("SIMD registers of host and Realm are apart");
    guest.destroy();
}

fn round(guest: &Guest, streaming: u64, length: u64, mark: u64) {
    // SAFETY: CPU 0 alone uses the buffers, and this function is not entered again meanwhile.
    let [before, after] = unsafe { &mut *BUFFERS.0.get() };
    *before = Shown::NOTHING;
    *after = Shown::NOTHING;
    // SAFETY: the compiler keeps nothing in SIMD registers, and the buffers have room for all.
    unsafe {
        host_simd_fill(mark * 0x21, streaming);
        write_register!("s3_3_c4_c4_0", 1 << 22);
        host_simd_show(before.vectors.as_mut_ptr(), before.predicates.as_mut_ptr(), streaming);
    }
    let last = guest.execute(0, instruction::GET_V31, [0; 4]);
    let expected = if mark == 1 { 0 } else { mark - 1 };
    check::equal("the Realm finds what it had", last.x[0], expected);
    check::equal("and nothing else", guest.execute(0, instruction::GET_V30, [0; 4]).x[0], 0);
    guest.execute(0, instruction::SET_V31, [0, mark, 0, 0]);
    let control = guest.execute(0, instruction::GET_FPCR, [0; 4]).x[0];
    check::equal("FPCR is its own", control, if mark == 1 { 0 } else { 1 << 24 });
    guest.execute(0, instruction::SET_FPCR, [0, 1 << 24, 0, 0]);
    guest.execute(0, instruction::NOP, [0; 4]);
    // SAFETY: as above.
    unsafe {
        host_simd_show(after.vectors.as_mut_ptr(), after.predicates.as_mut_ptr(), streaming);
    }
    let differing = before.vectors.iter().zip(&after.vectors).filter(|(a, b)| a != b).count();
    let what = format_args!(
        "bytes of the host's vectors that changed (streaming {streaming}, length {length})"
    );
    check::equal(what, differing, 0);
    let differing = before.predicates.iter().zip(&after.predicates).filter(|(a, b)| a != b).count();
    check::equal("and of its predicates", differing, 0);
    check::equal("and its FPCR", read_register!("s3_3_c4_c4_0"), 1 << 22);
    check::that("there was something in them", before.vectors.iter().any(|byte| *byte != 0));
}
