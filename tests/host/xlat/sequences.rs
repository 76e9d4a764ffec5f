// SPDX-License-Identifier: BSD-3-Clause
//! Random sequences of operations on a live context. `kit::xlat::sequence` says what is checked.

use std::cell::Cell;

use kit::with_regime;
use kit::xlat::region_strategy;
use kit::xlat::sequence::{Op, TABLES, check_case};
use proptest::prelude::*;
use rmm::xlat::{Lifetime, Maintenance};

fn op() -> impl Strategy<Value = Op> {
    let rarely = || prop::bool::weighted(0.1);
    let attributes = region_strategy::attributes;
    prop_oneof![
        4 => region_strategy::region().prop_map(Op::Add),
        3 => (any::<u8>(), rarely()).prop_map(|(which, wrong)| Op::Remove(which, wrong)),
        4 => (any::<u8>(), any::<u64>(), any::<u64>(), attributes(), rarely(), any::<bool>())
            .prop_map(|(which, from, pages, attributes, new, permissions)| Op::Change {
                which, from, pages, attributes, new, permissions,
            }),
        3 => (any::<u16>(), 1u8..5, any::<u64>(), attributes()).prop_map(
            |(page, count, pa, attributes)| Op::Map { page, count, pa, attributes }
        ),
        2 => (any::<u16>(), 1u8..5).prop_map(|(page, count)| Op::Unmap { page, count }),
    ]
}

#[test]
fn every_step_of_a_sequence_is_right_for_every_walker() {
    let drafts = prop::collection::vec(
        (
            region_strategy::region(),
            prop_oneof![2 => Just(Lifetime::Static), 1 => Just(Lifetime::Dynamic)],
        ),
        0..6,
    );
    let maintenance = prop_oneof![
        1 => Just(Maintenance::None),
        3 => Just(Maintenance::Local),
        3 => Just(Maintenance::InnerShareable),
        1 => Just(Maintenance::InnerShareableTwice),
    ];
    let ops = prop::collection::vec(op(), 1..20);
    let cases = (region_strategy::setup(TABLES as u64), drafts, maintenance, ops);
    let (total, succeeded) = (Cell::new(0), Cell::new(0));
    kit::xlat::runner(4000)
        .run(&cases, |(setup, drafts, maintenance, ops)| {
            let done = with_regime!(setup.regime, R => {
                check_case::<R>(&setup, &drafts, maintenance, &ops)
            })?;
            total.set(total.get() + ops.len());
            succeeded.set(succeeded.get() + done);
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
    println!("{} operations, {} of them done", total.get(), succeeded.get());
}
