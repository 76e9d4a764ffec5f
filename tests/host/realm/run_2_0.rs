// SPDX-License-Identifier: BSD-3-Clause
//! RECs that run under RMI 2.0. The host loads and reads virtual interrupts in the CPU. The RMM
//! itself knows which RECs are on.

use kit::calls::{call, registers};
use kit::realm_fixture::*;
use kit::rmi::fixture::{SUCCESS, granule};
use kit::system::System;
use rmm::abi::psci;
use rmm::granule::state::Rec;
use rmm::host::{preset_register, read_register, set_realm};
use rmm::realm::rec::PendingRequest;
use rmm::rmi::{Dialect, function};

/// The vector of interrupts.
const IRQ: u64 = 1;
const EN: u64 = 1 << 0;
const UIE: u64 = 1 << 1;
const DVIM: u64 = 1 << 15;

fn realm() -> RealmFixture {
    preset_register("ICH_VTR_EL2", 3 | 4 << 29 | 4 << 26);
    let fixture = RealmFixture::in_dialect(Dialect::V2_0);
    fixture.realm(RD, ROOT, 1);
    fixture.rec(RD, REC, AUX, 0);
    fixture.activate();
    fixture
}

fn enter(fixture: &RealmFixture) -> u64 {
    fixture.call(function::REC_ENTER, &[REC, HOSTS])
}

#[test]
fn list_registers_stay_in_the_cpu_and_an_exit_turns_the_interface_off() {
    let fixture = realm();
    let of_host = 1 << 62 | 1 << 60 | 0xa0 << 48 | 33;
    for (given, seen) in [(EN | UIE, DVIM | EN | UIE), (DVIM | EN, DVIM | EN), (0, DVIM)] {
        preset_register("ICH_LR0_EL2", of_host);
        preset_register("ICH_VMCR_EL2", 0xf800_0002);
        preset_register("ICH_AP1R0_EL2", 0);
        preset_register("ICH_HCR_EL2", given);
        set_realm(move |_| {
            assert_eq!(read_register("ICH_LR0_EL2"), of_host);
            assert_eq!(read_register("ICH_HCR_EL2"), seen);
            preset_register("ICH_LR0_EL2", 2 << 62 | 33);
            preset_register("ICH_AP1R0_EL2", 8);
            IRQ
        });
        assert_eq!(enter(&fixture), SUCCESS);
        let left = ["ICH_LR0_EL2", "ICH_VMCR_EL2", "ICH_AP1R0_EL2", "ICH_HCR_EL2"];
        assert_eq!(left.map(read_register), [2 << 62 | 33, 0xf800_0002, 8, given & !EN]);
    }
}

#[test]
fn an_exit_before_the_realm_has_run_turns_the_interface_off_too() {
    let fixture = realm();
    set_realm(|_| IRQ);
    assert_eq!(enter(&fixture), SUCCESS);
    fixture.with_rec(REC, |rec| rec.state.timers.physical.ctl = 5);
    preset_register("ICH_HCR_EL2", EN | UIE);
    set_realm(|_| panic!("the REC leaves before it runs"));
    assert_eq!(enter(&fixture), SUCCESS);
    assert_eq!(read_register("ICH_HCR_EL2"), UIE);
}

#[test]
fn an_entry_that_is_refused_leaves_the_interface_as_it_is() {
    let fixture = realm();
    set_realm(|_| panic!("the REC does not run"));
    preset_register("ICH_HCR_EL2", EN | UIE);
    for wrong in [3 << 61 | 33, 1 << 62 | 1020, 1 << 62 | 1 << 32 | 33] {
        preset_register("ICH_LR2_EL2", wrong);
        assert_eq!(enter(&fixture), ERROR_REC, "{wrong:#x}");
        assert_eq!(["ICH_HCR_EL2", "ICH_LR2_EL2"].map(read_register), [EN | UIE, wrong]);
    }
    // The same interrupt twice.
    preset_register("ICH_LR2_EL2", 1 << 62 | 33);
    preset_register("ICH_LR3_EL2", 2 << 62 | 33);
    assert_eq!(enter(&fixture), ERROR_REC);
}

/// PSCI_AFFINITY_INFO for the second REC, which the RMM answers without an exit.
fn affinity_of_second(fixture: &RealmFixture) -> u64 {
    let function = u64::from(psci::function::AFFINITY_INFO_64);
    let called = call(fixture, REC, registers(&[function, 1, 0])).expect("it goes on");
    assert_eq!(called[1..4], [0; 3]);
    fixture.with_rec(REC, |rec| assert_eq!(rec.state.pending, PendingRequest::None));
    called[0]
}

#[test]
fn affinity_info_is_answered_without_the_host() {
    let fixture = RealmFixture::in_dialect(Dialect::V2_0);
    fixture.realm(RD, ROOT, 1);
    fixture.rec(RD, REC, AUX, 0);
    fixture.rec(RD, SECOND_REC, SECOND_AUX, 1);
    assert_eq!(fixture.call(function::REALM_ACTIVATE, &[RD]), SUCCESS);
    for is_on in [true, false, true] {
        fixture.with_rec(SECOND_REC, |rec| rec.state.runnable = is_on);
        let expected = if is_on { psci::AFFINITY_ON } else { psci::AFFINITY_OFF };
        assert_eq!(affinity_of_second(&fixture), expected);
    }
    // Another CPU runs it, so its state in memory is not valid.
    fixture.with_rec(SECOND_REC, |rec| rec.state.runnable = false);
    let cpu = System::cpu(1);
    let locked = fixture.system.rmm.granules().lock::<Rec>(cpu.index, granule(SECOND_REC));
    let running = locked.expect("a REC").reference().expect("it does not run");
    assert_eq!(affinity_of_second(&fixture), psci::AFFINITY_ON);
    drop(running);
    // A REC of another Realm at its address is not taken for it.
    fixture.with_rec(SECOND_REC, |rec| {
        rec.state.runnable = true;
        rec.identity.realm = granule(OTHER_RD);
    });
    assert_eq!(affinity_of_second(&fixture), psci::AFFINITY_OFF);
    fixture.with_rec(SECOND_REC, |rec| rec.identity.realm = granule(RD));
    let (x0, _) = kit::rmi::fixture::call(&fixture.system, function::REC_DESTROY, &[SECOND_REC]);
    assert_eq!(x0 & 0xff, INCOMPLETE);
    assert_eq!(affinity_of_second(&fixture), psci::AFFINITY_OFF);
}
