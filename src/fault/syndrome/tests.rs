// SPDX-License-Identifier: BSD-3-Clause
//! Tests of the words for a syndrome.

use std::collections::HashSet;

use super::*;

fn words(class: u64, iss: u64) -> String {
    Syndrome(class << 26 | 1 << 25 | iss).to_string()
}

fn status(code: u64) -> String {
    FaultStatus(code).to_string()
}

#[test]
fn every_class_has_words_of_its_own() {
    let all: HashSet<_> = (0..64).map(|class| words(class, 0)).collect();
    assert_eq!(all.len(), 64);
}

#[test]
fn exactly_the_unallocated_classes_are_reserved() {
    let reserved: Vec<_> =
        (0..64).filter(|&class| words(class, 0).starts_with("reserved")).collect();
    assert_eq!(
        reserved,
        [0x02, 0x0B, 0x0F, 0x10, 0x23, 0x29, 0x2A, 0x2B, 0x2E, 0x36, 0x37, 0x39, 0x3B, 0x3E, 0x3F]
    );
    assert_eq!(words(0x3F, 0), "reserved exception class 0x3f");
}

#[test]
fn the_classes_met_in_the_rmm_are_named() {
    for (class, iss, expected) in [
        (0x00, 0, "undefined instruction or unknown reason"),
        (0x0D, 2, "branch target exception (BTI) with BTYPE 2"),
        (0x0E, 0, "illegal execution state"),
        (0x1C, 0, "pointer authentication failure (FPAC) with instruction key A"),
        (0x1C, 3, "pointer authentication failure (FPAC) with data key B"),
        (0x22, 0, "PC alignment fault"),
        (0x26, 0, "SP alignment fault"),
        (0x2F, 0, "SError"),
        (0x3C, 0xF001, "BRK instruction with immediate 0xf001"),
    ] {
        assert_eq!(words(class, iss), expected);
    }
}

#[test]
fn aborts_tell_where_from_and_how() {
    for (class, iss, expected) in [
        (0x20, 0x0F, "instruction abort from a lower EL, permission fault at level 3"),
        (0x21, 0x04, "instruction abort from the current EL, translation fault at level 0"),
        (0x24, 0x07, "data abort from a lower EL, translation fault at level 3, by a read"),
        (0x25, 0x68, "data abort from the current EL, Granule Protection Fault, by a write"),
        (
            0x25,
            0x147,
            "data abort from the current EL, translation fault at level 3, by cache maintenance or address translation",
        ),
        (
            0x24,
            0x86,
            "data abort from a lower EL, translation fault at level 2, on a stage 2 translation for a stage 1 walk, by a read",
        ),
    ] {
        assert_eq!(words(class, iss), expected);
    }
}

#[test]
fn an_invalid_far_is_told_only_where_the_bit_means_that() {
    assert!(words(0x25, 1 << 10 | 0x10).contains("FAR not valid"));
    assert!(!words(0x25, 0x10).contains("FAR not valid"));
    assert!(!words(0x25, 1 << 10 | 0x07).contains("FAR not valid"));
}

#[test]
fn every_fault_status_has_words_of_its_own() {
    let all: HashSet<_> = (0..64).map(status).collect();
    assert_eq!(all.len(), 64);
}

#[test]
fn fault_statuses_with_a_level_name_it() {
    for (first, kind) in [
        (0x00, "address size fault at level"),
        (0x04, "translation fault at level"),
        (0x08, "access flag fault at level"),
        (0x0C, "permission fault at level"),
        (0x14, "synchronous External abort on a walk at level"),
        (0x1C, "synchronous parity or ECC error on a walk at level"),
        (0x24, "Granule Protection Fault on a walk at level"),
    ] {
        for level in 0..4 {
            assert_eq!(status(first + level), format!("{kind} {level}"));
        }
    }
}

#[test]
fn the_other_fault_statuses_are_told() {
    for (code, expected) in [
        (0x10, "synchronous External abort"),
        (0x11, "synchronous tag check fault"),
        (0x12, "synchronous External abort on a walk at level -2"),
        (0x13, "synchronous External abort on a walk at level -1"),
        (0x18, "synchronous parity or ECC error"),
        (0x1A, "synchronous parity or ECC error on a walk at level -2"),
        (0x1B, "synchronous parity or ECC error on a walk at level -1"),
        (0x21, "alignment fault"),
        (0x22, "Granule Protection Fault on a walk at level -2"),
        (0x23, "Granule Protection Fault on a walk at level -1"),
        (0x28, "Granule Protection Fault"),
        (0x29, "address size fault at level -1"),
        (0x2A, "translation fault at level -2"),
        (0x2B, "translation fault at level -1"),
        (0x2C, "address size fault at level -2"),
        (0x30, "TLB conflict"),
        (0x31, "unsupported atomic hardware update"),
        (0x34, "IMPLEMENTATION DEFINED fault (lockdown)"),
        (0x35, "IMPLEMENTATION DEFINED fault (unsupported exclusive or atomic access)"),
        (0x3F, "reserved fault status 0x3f"),
    ] {
        assert_eq!(status(code), expected);
    }
}
