// SPDX-License-Identifier: BSD-3-Clause
//! Takes any bytes as a context with regions and a sequence of operations on it in use, with the
//! checks of the sequence tests (`tests/kit/src/xlat/sequence.rs`).
#![no_main]

use kit::with_regime;
use kit::xlat::region_strategy::{AttributeDraft, RegionDraft, SetupDraft};
use kit::xlat::sequence::{Op, TABLES, check_case};
use libfuzzer_sys::arbitrary::{self, Unstructured};
use libfuzzer_sys::{Corpus, fuzz_target};
use rmm::xlat::{Lifetime, Maintenance};

fn setup(u: &mut Unstructured<'_>) -> arbitrary::Result<SetupDraft> {
    Ok(SetupDraft {
        regime: u.arbitrary()?,
        high: u.arbitrary()?,
        lpa2: u.arbitrary()?,
        asid: u.arbitrary()?,
        pool: u.arbitrary()?,
        walks: u.arbitrary()?,
        maintenance: u.arbitrary()?,
        bits: u.int_in_range(16..=52)?,
        pa_bits: u.int_in_range(32..=52)?,
    })
}

fn region(u: &mut Unstructured<'_>) -> arbitrary::Result<RegionDraft> {
    Ok(RegionDraft {
        place: u.int_in_range(0..=15)?,
        at: u.arbitrary()?,
        size: (u.int_in_range(0..=15)?, u.arbitrary()?, u.int_in_range(0..=7)?),
        physical: (u.int_in_range(0..=7)?, u.arbitrary()?),
        granularity: if u.arbitrary()? { Some(u.int_in_range(0..=3)?) } else { None },
        attributes: attributes(u)?,
        transient: u.ratio(1, 8)?,
    })
}

fn attributes(u: &mut Unstructured<'_>) -> arbitrary::Result<AttributeDraft> {
    u.arbitrary().map(AttributeDraft)
}

fn op(u: &mut Unstructured<'_>) -> arbitrary::Result<Op> {
    Ok(match u.int_in_range(0..=4)? {
        0 => Op::Add(region(u)?),
        1 => Op::Remove(u.arbitrary()?, u.ratio(1, 8)?),
        2 => Op::Change {
            which: u.arbitrary()?,
            from: u.arbitrary()?,
            pages: u.arbitrary()?,
            attributes: attributes(u)?,
            new: u.ratio(1, 8)?,
            permissions: u.arbitrary()?,
        },
        3 => Op::Map {
            page: u.arbitrary()?,
            count: u.int_in_range(1..=5)?,
            pa: u.arbitrary()?,
            attributes: attributes(u)?,
        },
        _ => Op::Unmap { page: u.arbitrary()?, count: u.int_in_range(1..=5)? },
    })
}

fn run(u: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    let setup = setup(u)?.build(TABLES as u64);
    let maintenance = *u.choose(&[
        Maintenance::None,
        Maintenance::Local,
        Maintenance::InnerShareable,
        Maintenance::InnerShareableTwice,
    ])?;
    let regions = (0..u.int_in_range(0..=6)?)
        .map(|_| {
            Ok((region(u)?, if u.arbitrary()? { Lifetime::Static } else { Lifetime::Dynamic }))
        })
        .collect::<arbitrary::Result<Vec<_>>>()?;
    let mut ops = Vec::new();
    while !u.is_empty() && ops.len() < 32 {
        ops.push(op(u)?);
    }
    with_regime!(setup.regime, R => check_case::<R>(&setup, &regions, maintenance, &ops))
        .unwrap_or_else(|error| panic!("{setup:?}: {error}"));
    Ok(())
}

fuzz_target!(|data: &[u8]| -> Corpus {
    match run(&mut Unstructured::new(data)) {
        Ok(()) => Corpus::Keep,
        Err(_) => Corpus::Reject,
    }
});
