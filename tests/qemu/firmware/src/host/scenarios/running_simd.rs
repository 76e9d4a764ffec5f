// SPDX-License-Identifier: BSD-3-Clause
//! SIMD registers of a host and of a Realm that uses them: each finds its own values.

use core::arch::asm;
use core::cell::UnsafeCell;

use rmm_abi::rmi_v1::RealmFlags;
use rmm_test_firmware::realm_protocol::command;
use rmm_test_firmware::simd::{Shown, fill, show};
use rmm_test_firmware::{read_register, say, write_register};
use rmm_test_requests::request;

use crate::check;
use crate::guest::Guest;
use crate::rmi::Status;

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
    /// `mrs x0, id_aa64pfr0_el1`, `mrs x0, id_aa64zfr0_el1`
    pub const ID_PFR0: u32 = 0xd538_0400;
    pub const ID_ZFR0: u32 = 0xd538_0480;
    /// `msr zcr_el1, x1`, `mrs x0, zcr_el1`
    pub const SET_ZCR: u32 = 0xd518_1201;
    pub const GET_ZCR: u32 = 0xd538_1200;
}

struct Buffers(UnsafeCell<[Shown; 2]>);

// SAFETY: only CPU 0 uses them.
unsafe impl Sync for Buffers {}

static BUFFERS: Buffers = Buffers(UnsafeCell::new([Shown::NOTHING; 2]));

/// The host's modes (streaming or not), each at every vector length: all of SVE, in units of 16
/// bytes less one, and powers of two for SME.
fn modes() -> impl Iterator<Item = (u64, u64)> {
    (0..16).map(|length| (0, length)).chain([0, 1, 3, 7, 15].map(|length| (1, length)))
}

fn isb() {
    // SAFETY: a barrier.
    unsafe { asm!("isb", options(nostack, preserves_flags)) };
}

/// Sets the host's vector lengths and its mode.
pub(super) fn set_mode(streaming: u64, length: u64) {
    // SAFETY: vector lengths of this image, which keeps no values in vector registers.
    unsafe {
        write_register!("s3_3_c4_c2_2", 0);
        write_register!("s3_4_c1_c2_0", length);
        write_register!("s3_4_c1_c2_6", length);
        write_register!("s3_3_c4_c2_2", streaming);
    }
    isb();
}

/// A Realm uses SIMD registers while the host has filled its own, in each mode and at every vector
/// length.
pub fn simd() {
    // SAFETY: CPTR_EL2 of this image, which otherwise uses no SIMD registers.
    unsafe { write_register!("cptr_el2", 0x2ff) };
    isb();
    let guest = Guest::start(1);
    guest.execute(0, instruction::CPACR, [0, 3 << 20, 0, 0]);
    for (mark, (streaming, length)) in (1..).zip(modes()) {
        set_mode(streaming, length);
        round(&guest, streaming, length, mark);
        check::equal("the vector length is the host's", read_register!("s3_4_c1_c2_0"), length);
        check::equal("and the streaming one", read_register!("s3_4_c1_c2_6"), length);
        check::equal("and its mode", read_register!("s3_3_c4_c2_2"), streaming);
    }
    // SAFETY: restores the image's initial value.
    unsafe { write_register!("s3_3_c4_c2_2", 0) };
    say!("SIMD registers of host and Realm are apart");
    guest.destroy();
}

fn round(guest: &Guest, streaming: u64, length: u64, mark: u64) {
    // SAFETY: only CPU 0 uses the buffers, and this function does not call itself.
    let [before, after] = unsafe { &mut *BUFFERS.0.get() };
    // SAFETY: the compiler keeps no values in SIMD registers, and the buffers are large enough.
    unsafe {
        fill(mark * 0x21, streaming != 0);
        write_register!("s3_3_c4_c4_0", 1 << 22);
        show(before, streaming != 0);
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
    unsafe { show(after, streaming != 0) };
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

/// The sum over the registers after a fill from `seed` at a vector length.
fn expected_sum(shown: &mut Shown, seed: u64, length: u64) -> u64 {
    // SAFETY: vector length of this image, which keeps no values in these registers.
    unsafe {
        write_register!("s3_4_c1_c2_0", length);
        isb();
        fill(seed, false);
        show(shown, false);
    }
    shown.sum()
}

/// Realms with SVE at every vector length, while the host has filled all its registers, in each
/// mode and at every vector length, with and without the hint that they are not live.
pub fn sve() {
    // SAFETY: CPTR_EL2 of this image, which otherwise uses no SIMD registers.
    unsafe { write_register!("cptr_el2", 0x2ff) };
    isb();
    let (_, features) = crate::rmi::features(0);
    let greatest = features >> 10 & 0xf;
    check::equal("Realms can have SVE", features >> 9 & 1, 1);
    let too_long = |attributes: &mut rmm_abi::rmi_v1::RealmAttributes| {
        attributes.flags |= RealmFlags::SVE.bits();
        attributes.sve_vl = 16;
    };
    check::that("but no longer vectors than there are", !Guest::can_be_created(too_long));
    (0..=greatest).for_each(at_length);
    // SAFETY: restores the image's initial value.
    unsafe { write_register!("s3_3_c4_c2_2", 0) };
    say!("Realms have SVE with vectors of up to {} bytes", (greatest + 1) * 16);
}

/// A Realm with this largest vector length.
fn at_length(length: u64) {
    // SAFETY: only CPU 0 uses the buffers, and this function does not call itself.
    let [before, after] = unsafe { &mut *BUFFERS.0.get() };
    let guest = Guest::start_with(1, |attributes| {
        attributes.flags |= RealmFlags::SVE.bits();
        attributes.sve_vl = u32::try_from(length).unwrap_or(u32::MAX);
    });
    let id = |instruction| guest.execute(0, instruction, [0; 4]).x[0];
    let has_sve = read_register!("id_aa64pfr0_el1") >> 32 & 0xf;
    check::equal("the Realm sees SVE", id(instruction::ID_PFR0) >> 32 & 0xf, has_sve);
    check::equal("and all of it", id(instruction::ID_ZFR0), read_register!("s3_0_c0_c4_4"));
    guest.execute(0, instruction::CPACR, [0, 3 << 20 | 3 << 16, 0, 0]);
    // As an EL1 does that wants the largest length.
    guest.execute(0, instruction::SET_ZCR, [0, 0xf, 0, 0]);
    let nothing = Shown::NOTHING.sum();
    let mut held = nothing;
    let modes = modes().flat_map(|mode| [(mode, false), (mode, true)]);
    for (mark, ((streaming, hosts_length), hint)) in (1..).zip(modes) {
        let seed = length << 8 | mark << 4;
        let expected = expected_sum(before, seed, length);
        set_mode(streaming, hosts_length);
        // SAFETY: as in `round`.
        unsafe {
            fill(mark * 0x35, streaming != 0);
            show(before, streaming != 0);
        }
        guest.hint(hint);
        let [bytes, sum] = guest.ask(0, command::SHOW_SIMD, 0);
        check::equal("the vector length is the Realm's", bytes, (length + 1) * 16);
        check::equal("the Realm finds what it had", sum, held);
        guest.ask(0, command::FILL_SIMD, seed);
        guest.execute(0, instruction::NOP, [0; 4]);
        held = expected;
        // SAFETY: as above.
        unsafe { show(after, streaming != 0) };
        let bytes = (hosts_length + 1) * 16;
        let live = |index: &u64| !hint || streaming != 0 || index % bytes < 16;
        let changed = (0..).zip(before.vectors.iter().zip(&after.vectors));
        let changed = changed.filter(|(index, (a, b))| live(index) && a != b).count();
        let what = format_args!(
            "bytes of the host's vectors that changed (streaming {streaming}, length {hosts_length})"
        );
        check::equal(what, changed, 0);
        let of_realm = (0..).zip(&after.vectors);
        let of_realm = of_realm.filter(|(index, byte)| !live(index) && **byte != 0).count();
        check::equal("bytes of the Realm's in them", of_realm, 0);
        let predicates = if hint && streaming == 0 { [0; 17 * 32] } else { before.predicates };
        check::that("and predicates are the host's", after.predicates == predicates);
        check::equal("the vector length is", read_register!("s3_4_c1_c2_0"), hosts_length);
        check::equal("and the streaming one", read_register!("s3_4_c1_c2_6"), hosts_length);
        check::equal("and its mode", read_register!("s3_3_c4_c2_2"), streaming);
        // SAFETY: for the next fill, at another length.
        unsafe { write_register!("s3_3_c4_c2_2", 0) };
        isb();
    }
    check::equal("EL1's greatest length is its own", id(instruction::GET_ZCR), 0xf);
    guest.destroy();
}

/// The RMM hashes with SIMD instructions while the host's registers are filled, at each vector
/// length and in each mode.
pub fn hashing() {
    // SAFETY: CPTR_EL2 of this image, which otherwise uses no SIMD registers.
    unsafe { write_register!("cptr_el2", 0x2ff) };
    isb();
    // SAFETY: only CPU 0 uses the buffers, and this function does not call itself.
    let [before, after] = unsafe { &mut *BUFFERS.0.get() };
    let mut by_instructions = 0;
    for (mark, (streaming, length)) in (1..).zip(modes()) {
        set_mode(streaming, length);
        // SAFETY: as in `round`.
        unsafe {
            fill(mark * 0x21, streaming != 0);
            show(before, streaming != 0);
        }
        let (status, result) = crate::rmi::self_test_for(&[request::HASH, 0x1234_5678 * mark]);
        check::equal("digests are compared", status, Status::SUCCESS);
        check::equal("and are those of sha2", result & 0xffff_ffff, 0);
        let expected = if streaming == 0 { 800 } else { 0 };
        check::equal("by instructions outside streaming mode", result >> 32, expected);
        by_instructions += result >> 32;
        // SAFETY: as above.
        unsafe { show(after, streaming != 0) };
        check::that("vectors are the host's", before.vectors == after.vectors);
        check::that("and predicates", before.predicates == after.predicates);
        check::equal("and the vector length", read_register!("s3_4_c1_c2_0"), length);
        check::equal("and the mode", read_register!("s3_3_c4_c2_2"), streaming);
    }
    // SAFETY: restores the image's initial value.
    unsafe { write_register!("s3_3_c4_c2_2", 0) };
    say!("{by_instructions} digests by instructions are right");
}
