// SPDX-License-Identifier: BSD-3-Clause
//! Tests of the encoding.

use super::super::{El1And0, El2, El2And0, El3};
use super::*;

const NS: u64 = DescriptorFlags::NS.bits();
const NSE: u64 = DescriptorFlags::NSE.bits();
const UNPRIVILEGED: u64 = DescriptorFlags::UNPRIVILEGED.bits();
const PRIVILEGED_EXECUTE_NEVER: u64 = DescriptorFlags::PRIVILEGED_EXECUTE_NEVER.bits();
const EXECUTE_NEVER: u64 = DescriptorFlags::EXECUTE_NEVER.bits();
const CONTIGUOUS: u64 = DescriptorFlags::CONTIGUOUS.bits();
const VALID: u64 = DescriptorFlags::VALID.bits();

const WALKS: Shareability = Shareability::Inner;

fn page<R: Regime>(attributes: Attributes, format: DescriptorFormat) -> u64 {
    let bits = LeafBits::new::<R>(attributes, format, WALKS).expect("good attributes");
    leaf(bits, PhysAddr::new(0x8000_0000), Level::Three)
}

/// Every combination that makes sense in regime `R`.
fn all<R: Regime>(format: DescriptorFormat) -> Vec<Attributes> {
    use PhysicalAddressSpace::{NonSecure, Realm, Root, Secure};
    let mut all = Vec::new();
    for memory in [
        MemoryType::NormalWriteBack,
        MemoryType::Device,
        MemoryType::NormalNonCacheable,
        MemoryType::DeviceNGnRnE,
    ] {
        for (access, executable, guarded) in [
            (DataAccess::ReadOnly, false, false),
            (DataAccess::ReadWrite, false, false),
            (DataAccess::ReadOnly, true, false),
            (DataAccess::ReadOnly, true, true),
        ] {
            for privilege in [Privilege::Privileged, Privilege::User] {
                for pas in [Secure, NonSecure, Root, Realm] {
                    for shareability in
                        [Shareability::Non, Shareability::Outer, Shareability::Inner]
                    {
                        for global in [false, true] {
                            all.push(Attributes {
                                memory,
                                access,
                                executable,
                                guarded,
                                privilege,
                                pas,
                                shareability,
                                global,
                            });
                        }
                    }
                }
            }
        }
    }
    all.retain(|&attributes| LeafBits::new::<R>(attributes, format, WALKS).is_ok());
    all
}

fn round_trips<R: Regime>() {
    for format in [DescriptorFormat::Bits48, DescriptorFormat::Lpa2] {
        let all = all::<R>(format);
        assert!(all.len() > 10, "{}", R::NAME);
        for attributes in all {
            let bits = LeafBits::new::<R>(attributes, format, WALKS).expect("good attributes");
            for level in [Level::One, Level::Two, Level::Three] {
                let address = match format {
                    DescriptorFormat::Bits48 => PhysAddr::new(0xffff_c000_0000),
                    DescriptorFormat::Lpa2 => PhysAddr::new(0xf_ffff_c000_0000),
                };
                let raw = leaf(bits, address, level) | CONTIGUOUS;
                let Descriptor::Leaf(leaf) = Descriptor::decode(raw, level, format) else {
                    panic!("{raw:#x} is no leaf")
                };
                assert_eq!(leaf.pa(format), address);
                assert_eq!(leaf.bits(format), bits);
                assert_eq!(leaf.attributes::<R>(format, WALKS), attributes);
                assert_eq!(
                    Descriptor::decode(park(raw), level, format),
                    Descriptor::ParkedLeaf(leaf)
                );
            }
        }
    }
}

#[test]
fn attributes_survive_encoding_in_every_regime() {
    round_trips::<El1And0>();
    round_trips::<El2>();
    round_trips::<El2And0>();
    round_trips::<El3>();
}

#[test]
fn each_regime_has_its_own_bits() {
    let code = Attributes::code().guarded();
    let format = DescriptorFormat::Bits48;
    // Common: AF, inner shareable, read-only, index 0, page, GP.
    let common = 0x0004_0000_8000_0783;
    assert_eq!(page::<El2And0>(code, format), common | EXECUTE_NEVER);
    assert_eq!(page::<El1And0>(code, format), common | EXECUTE_NEVER);
    assert_eq!(page::<El2>(code, format), common | UNPRIVILEGED);
    let root = code.in_pas(PhysicalAddressSpace::Root);
    assert_eq!(page::<El3>(root, format), common | UNPRIVILEGED | NSE);
    let user = common | PRIVILEGED_EXECUTE_NEVER | UNPRIVILEGED;
    assert_eq!(page::<El2And0>(code.user(), format), user);
    let never = Attributes::read_write();
    assert_eq!(
        page::<El2And0>(never, format) & (EXECUTE_NEVER | PRIVILEGED_EXECUTE_NEVER),
        EXECUTE_NEVER | PRIVILEGED_EXECUTE_NEVER
    );
    assert_eq!(
        page::<El3>(never, format) & (EXECUTE_NEVER | PRIVILEGED_EXECUTE_NEVER),
        EXECUTE_NEVER
    );
}

#[test]
fn el3_selects_each_physical_address_space_by_nse_and_ns() {
    for (pas, bits) in [
        (PhysicalAddressSpace::Secure, 0),
        (PhysicalAddressSpace::NonSecure, NS),
        (PhysicalAddressSpace::Root, NSE),
        (PhysicalAddressSpace::Realm, NSE | NS),
    ] {
        let raw = page::<El3>(Attributes::read_write().in_pas(pas), DescriptorFormat::Bits48);
        assert_eq!(raw & (NSE | NS), bits, "{pas}");
    }
}

#[test]
fn lpa2_puts_address_bits_where_shareability_was() {
    let bits = LeafBits::new::<El2And0>(Attributes::read_write(), DescriptorFormat::Lpa2, WALKS);
    let bits = bits.expect("good attributes");
    let raw = leaf(bits, PhysAddr::new(0xf_0000_0000_1000), Level::Three);
    assert_eq!(raw & 0x0003_ffff_ffff_f300, 0x0003_0000_0000_1300);
    assert_eq!(table(PhysAddr::new(0xc_0000_0000_1000)), 0x1303);
    let decoded = Descriptor::decode(0x1303, Level::Two, DescriptorFormat::Lpa2);
    assert_eq!(decoded, Descriptor::Table(PhysAddr::new(0xc_0000_0000_1000)));
}

#[test]
fn what_a_regime_or_format_cannot_say_is_refused() {
    let new =
        |attributes| LeafBits::new::<El2>(attributes, DescriptorFormat::Lpa2, WALKS).map(|_| ());
    let data = Attributes::read_write();
    assert_eq!(new(data.user()), Err(AttributeRule::NoUnprivilegedAccess));
    assert_eq!(new(data.non_global()), Err(AttributeRule::NoNonGlobal));
    assert_eq!(
        new(data.in_pas(PhysicalAddressSpace::Root)),
        Err(AttributeRule::PhysicalAddressSpace)
    );
    assert_eq!(new(data.shareable(Shareability::Non)), Err(AttributeRule::ShareabilityFixedByLpa2));
    let non_secure = data.in_pas(PhysicalAddressSpace::NonSecure);
    let elsewhere = Attributes::code().in_pas(PhysicalAddressSpace::NonSecure);
    assert_eq!(new(elsewhere), Err(AttributeRule::ExecutableElsewhere));
    let realm_el3 = LeafBits::new::<El3>(Attributes::code(), DescriptorFormat::Bits48, WALKS);
    assert_eq!(realm_el3, Err(AttributeRule::ExecutableElsewhere));
    let realm_el1 = LeafBits::new::<El1And0>(non_secure, DescriptorFormat::Bits48, WALKS);
    assert_eq!(realm_el1, Err(AttributeRule::PhysicalAddressSpace));
}

#[test]
fn invalid_entries_differ_by_why_they_are() {
    let decode = |raw| Descriptor::decode(raw, Level::Three, DescriptorFormat::Bits48);
    assert_eq!(decode(EMPTY), Descriptor::Empty);
    assert_eq!(decode(TRANSIENT_UNMAPPED), Descriptor::Transient);
    let table = PhysAddr::new(0x5000);
    let parked =
        Descriptor::decode(park(super::table(table)), Level::Two, DescriptorFormat::Bits48);
    assert_eq!(parked, Descriptor::ParkedTable(table));
    assert_eq!(park(super::table(table)) & VALID, 0);
}
