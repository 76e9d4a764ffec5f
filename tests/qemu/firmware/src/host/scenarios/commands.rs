// SPDX-License-Identifier: BSD-3-Clause
//! Commands about the RMM itself, and function identifiers of no command (RMM specification,
//! RMI_VERSION, RMI_FEATURES; SMCCC, unknown functions).

use rmm_test_firmware::smccc::SVE_HINT;

use crate::check::{self, Every};
use crate::memory::granule;
use crate::random::Random;
use crate::rmi::{self, Dialect, Status, Version, fid};

/// The rules for versions. One version is supported, so every answer names it twice.
pub fn version() {
    let supported = Dialect::current().version();
    check::equal(
        format_args!("RMI_VERSION({supported}) succeeds and reports {supported} twice"),
        rmi::version(supported),
        (Status::SUCCESS, supported, supported),
    );
    let mut others = Every::new(
        "RMI_VERSION of another version is an input error and reports the supported one",
    );
    let (major, minor) = (1 << 16, 1);
    for requested in [
        0,
        minor,
        supported.0 - major,
        supported.0 - minor,
        supported.0 + minor,
        supported.0 + major,
        supported.0 ^ (3 * major),
        supported.0 | 1 << 31,
        supported.0 | 1 << 32,
        supported.0 | 1 << 63,
        u64::from(u32::MAX),
        u64::MAX,
    ] {
        let answer = rmi::version(Version(requested));
        others.equal(
            format_args!("{requested:#x}"),
            answer,
            (Status::ERROR_INPUT, supported, supported),
        );
    }
}

/// Feature registers: register 0 is stable with its reserved bits zero; registers that do not exist
/// are zero.
pub fn features() {
    let (status, value) = rmi::features(0);
    check::equal("RMI_FEATURES(0) succeeds", status, Status::SUCCESS);
    let (reserved_from, registers) = match Dialect::current() {
        Dialect::One => (42, 1),
        Dialect::Two => (32, 5),
    };
    check::equal(format_args!("bits 63:{reserved_from} are zero"), value >> reserved_from, 0);
    check::equal("it reads the same again", rmi::features(0), (Status::SUCCESS, value));
    let mut absent =
        Every::new("RMI_FEATURES of a register that does not exist succeeds with zero");
    for register in [registers, 7, 0xff, 1 << 16, 1 << 32, u64::MAX] {
        absent.equal(format_args!("{register:#x}"), rmi::features(register), (Status::SUCCESS, 0));
    }
}

/// Function identifiers that EL3 forwards but no version of the dialect assigns.
pub fn unknown() {
    const FIRST_RANGE: core::ops::RangeInclusive<u64> = 0xC400_0150..=0xC400_018F;
    const SECOND_RANGE: core::ops::RangeInclusive<u64> = 0xC400_01D0..=0xC400_02CF;
    let unassigned = |fid: &u64| match Dialect::current() {
        Dialect::One => matches!(fid & 0xfff, 0x156 | 0x160 | 0x163 | 0x16A..),
        Dialect::Two => {
            matches!(fid & 0xfff, 0x151 | 0x152 | 0x154 | 0x155 | 0x15F | 0x162 | 0x167 | 0x18E..)
                && !matches!(fid & 0xfff, 0x1D0..=0x211)
        }
    };
    let mut every = Every::new("an unassigned identifier that EL3 forwards is unknown");
    for fid in FIRST_RANGE.chain(SECOND_RANGE).filter(unassigned) {
        every.equal(format_args!("{fid:#x}"), Status(rmi::call(fid, &[], 0)[0]), Status::UNKNOWN);
    }
    drop(every);

    let mut every = Every::new("an identifier that EL3 does not forward is unknown");
    for fid in [
        0xC400_014F_u64,
        0xC400_0190,
        0xC400_01CF,
        0xC400_02D0,
        0x8400_0150,
        0x4400_0150,
        0xC402_0150,
    ] {
        every.equal(format_args!("{fid:#x}"), Status(rmi::call(fid, &[], 0)[0]), Status::UNKNOWN);
    }
    drop(every);
    let version = Dialect::current().version();
    check::equal("the RMM still serves", rmi::version(version).0, Status::SUCCESS);
}

/// The SVE hint is not part of the function identifier.
pub fn sve_hint() {
    let version = Dialect::current().version();
    let returned = rmi::call(u64::from(fid::VERSION) | SVE_HINT, &[version.0], 2);
    check::equal(
        "RMI_VERSION with the SVE hint answers like RMI_VERSION",
        (Status(returned[0]), returned[1], returned[2]),
        (Status::SUCCESS, version.0, version.0),
    );
    rmi::activate();
    let (delegate, undelegate) = match Dialect::current() {
        Dialect::One => (fid::GRANULE_DELEGATE, fid::GRANULE_UNDELEGATE),
        Dialect::Two => (fid::GRANULE_RANGE_DELEGATE, fid::GRANULE_RANGE_UNDELEGATE),
    };
    let arguments = [granule(0), granule(1)];
    for (name, fid) in [("delegate", delegate), ("undelegate", undelegate)] {
        let status = Status(rmi::call(u64::from(fid) | SVE_HINT, &arguments, 1)[0]);
        check::equal(format_args!("{name} with the SVE hint succeeds"), status, Status::SUCCESS);
    }
    let mut every = Every::new("an unassigned identifier with the SVE hint is unknown");
    let mut random = Random::new(1);
    for _ in 0..16 {
        let fid = 0xC400_0212 + random.below(0xB0);
        let status = Status(rmi::call(fid | SVE_HINT, &[], 0)[0]);
        every.equal(format_args!("{fid:#x}"), status, Status::UNKNOWN);
    }
}
