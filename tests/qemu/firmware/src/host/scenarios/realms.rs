// SPDX-License-Identifier: BSD-3-Clause
//! Realms and RECs, created and destroyed.

use rmm_test_firmware::say;

use crate::check::{self, Every};
use crate::memory::{GPI_NONSECURE, GPI_REALM, granule};
use crate::realm::{self, ERROR_REALM, Shape};
use crate::rmi::Status;
use crate::smc;

/// Indices of a Realm's granules in test memory. The root tables are aligned to their largest
/// number.
const PARAMETERS: u64 = 0;
const RD: u64 = 1;
const RECS: [u64; 2] = [3, 2];
const AUXILIARY: [u64; 2] = [0x90, 0x80];
const ROOT: u64 = 16;

/// Delegates the auxiliary granules of both RECs. Gives whether all could be delegated.
fn delegate_auxiliary() -> bool {
    AUXILIARY.into_iter().all(|first| realm::delegate(granule(first), realm::AUXILIARY as u64))
}

/// The life of a Realm with two RECs, and what is refused at each stage.
pub fn life() {
    crate::rmi::activate();
    let (parameters, rd, root) = (granule(PARAMETERS), granule(RD), granule(ROOT));
    let recs = RECS.map(granule);
    let auxiliary = AUXILIARY.map(|first| realm::auxiliary(granule(first)));
    let delegated = realm::delegate(rd, 3) && realm::delegate(root, 2) && delegate_auxiliary();
    check::that("the granules are delegated", delegated);

    let create = |vmid| realm::create(rd, parameters, Shape::USUAL, root, vmid);
    check::equal("RMI_REALM_CREATE succeeds", create(1), Status::SUCCESS);
    check::equal("and not twice", create(2), Status::ERROR_INPUT);
    check::equal(
        "RMI_REC_AUX_COUNT answers",
        realm::rec_aux_count(rd),
        (Status::SUCCESS, realm::AUXILIARY as u64),
    );
    for granule in [rd, root, root + 0x1000] {
        check::equal(
            "its granules cannot be undelegated",
            crate::rmi::undelegate(granule),
            Status::ERROR_INPUT,
        );
        check::equal("they are Realm memory", smc::granule_gpi(granule), GPI_REALM);
    }

    let rec = |index: usize, mpidr| {
        realm::rec_create(rd, recs[index], parameters, mpidr, &auxiliary[index])
    };
    check::equal("a REC is not created out of turn", rec(0, 1), Status::ERROR_INPUT);
    check::equal("RMI_REC_CREATE succeeds", rec(0, 0), Status::SUCCESS);
    check::equal("and again", rec(1, 1), Status::SUCCESS);
    check::equal(
        "a REC of a NEW Realm is not entered",
        realm::rec_enter(recs[0], parameters),
        ERROR_REALM,
    );
    check::equal("RMI_REALM_ACTIVATE succeeds", realm::activate(rd), Status::SUCCESS);
    check::equal("and not twice", realm::activate(rd), ERROR_REALM);
    let complete = realm::psci_complete(recs[0], recs[1], 0);
    check::equal("none has a PSCI call pending", complete, Status::ERROR_INPUT);

    check::equal("a Realm with RECs stays", realm::destroy(rd), ERROR_REALM);
    check::equal(
        "RMI_REC_DESTROY succeeds",
        realm::rec_destroy(recs[1], parameters),
        Status::SUCCESS,
    );
    check::equal("a Realm with a REC stays", realm::destroy(rd), ERROR_REALM);
    check::equal(
        "RMI_REC_DESTROY succeeds again",
        realm::rec_destroy(recs[0], parameters),
        Status::SUCCESS,
    );
    check::equal("RMI_REALM_DESTROY succeeds", realm::destroy(rd), Status::SUCCESS);
    check::equal("and not twice", realm::destroy(rd), Status::ERROR_INPUT);
    let back = AUXILIARY
        .into_iter()
        .all(|first| realm::undelegate(granule(first), realm::AUXILIARY as u64));
    let back = back && realm::undelegate(rd, 3) && realm::undelegate(root, 2);
    check::that("all come back, and zero", back);
    check::equal("to the host", smc::granule_gpi(rd), GPI_NONSECURE);
}

/// A Realm of every shape that this CPU supports, and of none that it does not.
pub fn shapes() {
    let (parameters, rd, root) = (granule(PARAMETERS), granule(RD), granule(ROOT));
    let (_, features) = crate::rmi::features(0);
    let (most_bits, has_lpa2) = (features & 0xff, features >> 8 & 1 != 0);
    check::that("the granules are delegated", realm::delegate(rd, 1) && realm::delegate(root, 16));
    let mut every = Every::new("a Realm of each shape is created and destroyed, if the CPU has it");
    let mut made = 0;
    Shape::for_all(|shape| {
        let allowed = shape.ipa_bits <= most_bits && (has_lpa2 || !shape.lpa2);
        let expected = if allowed { Status::SUCCESS } else { Status::ERROR_INPUT };
        made += u64::from(allowed);
        every.equal(
            format_args!("{shape:?}"),
            realm::create(rd, parameters, shape, root, 1),
            expected,
        );
        every.equal(format_args!("{shape:?}, the end"), realm::destroy(rd), expected);
        for roots in [shape.roots - 1, shape.roots + 1] {
            let wrong = Shape { roots, ..shape };
            let status = realm::create(rd, parameters, wrong, root, 1);
            every.equal(format_args!("{wrong:?}"), status, Status::ERROR_INPUT);
        }
    });
    drop(every);
    check::that("there are some", made != 0);
    say!("{made} shapes on this CPU");
    check::that("all come back, and zero", realm::undelegate(rd, 1) && realm::undelegate(root, 16));
}

/// Bound for REALM_CREATE. Most of it is hashing a page with the CPU's instructions.
const CREATE_BOUND: u64 = 14_000;

/// Instructions of the RMM for each command, on a Realm of the usual shape.
pub fn instructions() {
    let (parameters, rd, root) = (granule(PARAMETERS), granule(RD), granule(ROOT));
    let rec = granule(RECS[0]);
    let auxiliary = realm::auxiliary(granule(AUXILIARY[0]));
    let delegated = realm::delegate(rd, 3) && realm::delegate(root, 2) && delegate_auxiliary();
    check::that("the granules are delegated", delegated);
    let figure = |name: &str, status: Status| {
        let instructions = smc::last_visit().last;
        check::equal(format_args!("{name} succeeds"), status, Status::SUCCESS);
        say!("figure: Instructions, RMI 1.0 | {name} | {instructions}");
        instructions
    };
    let create = figure("RMI_REALM_CREATE", realm::create(rd, parameters, Shape::USUAL, root, 1));
    check::that("RMI_REALM_CREATE keeps its bound", create <= CREATE_BOUND);
    figure("RMI_REC_AUX_COUNT", realm::rec_aux_count(rd).0);
    figure("RMI_REC_CREATE", realm::rec_create(rd, rec, parameters, 0, &auxiliary));
    figure("RMI_REALM_ACTIVATE", realm::activate(rd));
    figure("RMI_REC_DESTROY", realm::rec_destroy(rec, parameters));
    figure("RMI_REALM_DESTROY", realm::destroy(rd));
}
