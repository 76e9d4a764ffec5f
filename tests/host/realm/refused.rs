// SPDX-License-Identifier: BSD-3-Clause
//! What the commands refuse. Each failure condition alone gives its code; of two, the one that is
//! checked first decides. Nothing changes.

use kit::system::System;
use rmm::granule::state::{Rec, Rtt};
use rmm::mem::AUXILIARY;
use rmm::realm::rd::RealmState;
use rmm::realm::rec::{Mpidr, PendingRequest};
use rmm::rmi::function;

use kit::realm_fixture::*;
use kit::rmi::fixture::{CARVE_OUT, DEVICE, ERROR_INPUT, SECURE, SUCCESS, granule};

/// A failure condition and its answer.
struct Fault<Arguments> {
    what: &'static str,
    status: u64,
    /// Establishes the condition in the fixture or in the arguments of a call that would otherwise
    /// succeed.
    commit: fn(&RealmFixture, &mut Arguments),
}

fn fault<A>(what: &'static str, status: u64, commit: fn(&RealmFixture, &mut A)) -> Fault<A> {
    Fault { what, status, commit }
}

/// Checks `faults`, in the order in which the RMM checks them, alone and in pairs. The later one of
/// a pair is committed first, so that the earlier one prevails if both change the same thing.
fn check<A>(
    prepare: fn() -> (RealmFixture, A),
    call: fn(&RealmFixture, &A) -> (u32, Vec<u64>),
    faults: &[Fault<A>],
) {
    let (fixture, arguments) = prepare();
    let (function, registers) = call(&fixture, &arguments);
    assert_eq!(fixture.call(function, &registers), SUCCESS, "without a fault it succeeds");
    for (index, first) in faults.iter().enumerate() {
        let seconds = faults.iter().skip(index + 1).map(Some);
        for second in std::iter::once(None).chain(seconds) {
            let (fixture, mut arguments) = prepare();
            if let Some(second) = second {
                (second.commit)(&fixture, &mut arguments);
            }
            (first.commit)(&fixture, &mut arguments);
            let (function, registers) = call(&fixture, &arguments);
            let what = format!("{} (and {:?})", first.what, second.map(|second| second.what));
            fixture.refused(function, &registers, first.status, &what);
            assert_eq!(fixture.system.rmm.refused_undelegates(), 0);
        }
    }
}

/// A page that the RMM takes for Non-secure, but that belongs to the Secure world.
const TAKEN_AWAY: u64 = SECURE;

struct RealmCreate {
    rd: u64,
    page: u64,
    parameters: RealmParams,
}

fn realm_create_fault(
    what: &'static str,
    commit: fn(&RealmFixture, &mut RealmCreate),
) -> Fault<RealmCreate> {
    fault(what, ERROR_INPUT, commit)
}

#[test]
fn realm_create() {
    check(
        || {
            let fixture = RealmFixture::new();
            fixture.realm(OTHER_RD, OTHER_ROOT, 2);
            fixture.delegate(&[RD, ROOT, ROOT + 0x1000]);
            (fixture, RealmCreate { rd: RD, page: PARAMETERS, parameters: RealmParams::default() })
        },
        |fixture, arguments| {
            fixture.write_realm(PARAMETERS, &arguments.parameters);
            (function::REALM_CREATE, vec![arguments.rd, arguments.page])
        },
        &[
            realm_create_fault("parameters unaligned", |_, call| call.page = PARAMETERS + 8),
            realm_create_fault("parameters in a device", |_, call| call.page = DEVICE),
            realm_create_fault("parameters in the RMM", |_, call| call.page = CARVE_OUT.0),
            realm_create_fault("parameters in an RD", |_, call| call.page = OTHER_RD),
            realm_create_fault("parameters taken away", |_, call| call.page = TAKEN_AWAY),
            realm_create_fault("SVE", |_, call| call.parameters.flags = 2),
            realm_create_fault("a PMU", |_, call| call.parameters.flags = 4),
            realm_create_fault("a flag that is none", |_, call| call.parameters.flags = 1 << 63),
            realm_create_fault("SVE, which this CPU does not have", |_, call| {
                call.parameters.flags |= 1 << 1;
            }),
            realm_create_fault("no breakpoints", |_, call| call.parameters.num_bps = 0),
            realm_create_fault("too many breakpoints", |_, call| call.parameters.num_bps = 2),
            realm_create_fault("no watchpoints", |_, call| call.parameters.num_wps = 0),
            realm_create_fault("256 watchpoints too many", |_, call| call.parameters.num_wps = 257),
            realm_create_fault("an unknown hash", |_, call| call.parameters.algorithm = 2),
            realm_create_fault("too few IPA bits", |_, call| call.parameters.s2sz = 31),
            realm_create_fault("too many IPA bits", |_, call| call.parameters.s2sz = 49),
            realm_create_fault("no such level", |_, call| call.parameters.rtt_level_start = 4),
            realm_create_fault("level -1", |_, call| call.parameters.rtt_level_start = -1),
            realm_create_fault("level 2 for 40 bits", |_, call| {
                call.parameters.rtt_level_start = 2
            }),
            realm_create_fault("one root of two", |_, call| call.parameters.rtt_num_start = 1),
            realm_create_fault("no root", |_, call| call.parameters.rtt_num_start = 0),
            realm_create_fault("roots unaligned", |_, call| {
                call.parameters.rtt_base = ROOT + 0x1000
            }),
            realm_create_fault("roots not granules", |_, call| call.parameters.rtt_base = ROOT + 8),
            realm_create_fault("roots out of reach", |_, call| call.parameters.rtt_base = 1 << 48),
            realm_create_fault("roots at the end", |_, call| call.parameters.rtt_base = !0x1fff),
            realm_create_fault("the RD unaligned", |_, call| call.rd = RD + 1),
            realm_create_fault("the RD the first root", |_, call| {
                call.rd = call.parameters.rtt_base
            }),
            realm_create_fault("the RD the last root", |_, call| {
                call.rd = call.parameters.rtt_base.wrapping_add(0x1000);
            }),
            realm_create_fault("the RD the host's", |_, call| call.rd = HOSTS),
            realm_create_fault("the RD another one", |_, call| call.rd = OTHER_RD),
            realm_create_fault("the RD the parameters", |_, call| call.rd = call.page),
            realm_create_fault("the RD nowhere", |_, call| call.rd = DEVICE),
            realm_create_fault("a root the host's", |_, call| {
                call.parameters.rtt_base = HOSTS & !0x1fff
            }),
            realm_create_fault("a root another's", |_, call| call.parameters.rtt_base = OTHER_ROOT),
            realm_create_fault("the VMID another's", |_, call| call.parameters.vmid = 2),
        ],
    );
}

#[test]
fn realm_create_without_lpa2_and_with_8_bit_vmids() {
    let refused = |parameters: RealmParams, what| {
        // PARange 5: 48 bits.
        let fixture = RealmFixture::with_registers(5, 0);
        fixture.delegate(&[RD, ROOT, ROOT + 0x1000]);
        fixture.write_realm(PARAMETERS, &parameters);
        fixture.refused(function::REALM_CREATE, &[RD, PARAMETERS], ERROR_INPUT, what);
    };
    refused(RealmParams { flags: 1, ..RealmParams::default() }, "LPA2");
    refused(RealmParams { vmid: 256, ..RealmParams::default() }, "a VMID of 9 bits");
    // PARange 3: 42 bits, so no walk starts at level 0.
    let fixture = RealmFixture::with_registers(3, 0);
    fixture.delegate(&[RD, ROOT]);
    let level_0 = RealmParams { rtt_level_start: 0, rtt_num_start: 1, ..RealmParams::default() };
    fixture.write_realm(PARAMETERS, &level_0);
    fixture.refused(function::REALM_CREATE, &[RD, PARAMETERS], ERROR_INPUT, "level 0 with 42 bits");
}

#[test]
fn realm_activate() {
    let prepare = || {
        let fixture = RealmFixture::new();
        fixture.realm(RD, ROOT, 1);
        fixture.rec(RD, REC, AUX, 0);
        (fixture, RD)
    };
    check(
        prepare,
        |_, rd| (function::REALM_ACTIVATE, vec![*rd]),
        &[
            fault("unaligned", ERROR_INPUT, |_, rd| *rd = RD + 0x10),
            fault("nowhere", ERROR_INPUT, |_, rd| *rd = DEVICE),
            fault("a REC", ERROR_INPUT, |_, rd| *rd = REC),
            fault("the host's", ERROR_INPUT, |_, rd| *rd = HOSTS),
            fault("ACTIVE", ERROR_REALM, |fixture, _| {
                fixture.with_realm(RD, |rd| {
                    rd.set_state(RealmState::Active, fixture.system.rmm.granules().epochs())
                })
            }),
            fault("SYSTEM_OFF", ERROR_REALM, |fixture, _| {
                fixture.with_realm(RD, |rd| {
                    rd.set_state(RealmState::SystemOff, fixture.system.rmm.granules().epochs())
                });
            }),
        ],
    );
}

/// Adds a live entry to the count of a root table.
fn make_live(fixture: &RealmFixture, root: u64) {
    let cpu = System::cpu(0);
    let root =
        fixture.system.rmm.granules().lock::<Rtt>(cpu.index, granule(root)).expect("a root table");
    root.get(1).expect("it has room");
}

#[test]
fn realm_destroy() {
    let prepare = || {
        let fixture = RealmFixture::new();
        fixture.realm(RD, ROOT, 1);
        fixture.realm(OTHER_RD, OTHER_ROOT, 2);
        (fixture, RD)
    };
    check(
        prepare,
        |_, rd| (function::REALM_DESTROY, vec![*rd]),
        &[
            fault("unaligned", ERROR_INPUT, |_, rd| *rd = RD + 0x800),
            fault("nowhere", ERROR_INPUT, |_, rd| *rd = CARVE_OUT.0),
            fault("a root table", ERROR_INPUT, |_, rd| *rd = ROOT),
            fault("a REC exists", ERROR_REALM, |fixture, _| fixture.rec(RD, REC, AUX, 0)),
            fault("a live entry in the first root", ERROR_REALM, |fixture, _| {
                make_live(fixture, ROOT)
            }),
            fault("a live entry in the last root", ERROR_REALM, |fixture, _| {
                make_live(fixture, ROOT + 0x1000)
            }),
        ],
    );
}

struct RecCreate {
    rd: u64,
    rec: u64,
    page: u64,
    parameters: RecParams,
}

#[test]
fn rec_create() {
    let input = |what, commit: fn(&RealmFixture, &mut RecCreate)| -> Fault<RecCreate> {
        fault(what, ERROR_INPUT, commit)
    };
    check(
        || {
            let fixture = RealmFixture::new();
            fixture.realm(OTHER_RD, OTHER_ROOT, 2);
            fixture.realm(RD, ROOT, 1);
            fixture.delegate(&[REC, SECOND_AUX]);
            fixture.delegate(&auxiliary(AUX));
            fixture.delegate(&[SPARE]);
            let parameters = RecParams::default();
            (fixture, RecCreate { rd: RD, rec: REC, page: PARAMETERS, parameters })
        },
        |fixture, arguments| {
            fixture.write_rec(PARAMETERS, &arguments.parameters);
            (function::REC_CREATE, vec![arguments.rd, arguments.rec, arguments.page])
        },
        &[
            input("parameters unaligned", |_, call| call.page = PARAMETERS + 0x100),
            input("parameters in a device", |_, call| call.page = DEVICE),
            input("parameters in the REC", |_, call| call.page = call.rec),
            input("parameters taken away", |_, call| call.page = TAKEN_AWAY),
            input("17 auxiliary granules", |_, call| call.parameters.num_aux = 17),
            input("2^63 auxiliary granules", |_, call| call.parameters.num_aux = 1 << 63),
            input("an auxiliary granule unaligned", |_, call| call.parameters.aux[0] = AUX + 8),
            input("an auxiliary granule the host's", |_, call| call.parameters.aux[0] = HOSTS),
            input("an auxiliary granule the REC", |_, call| call.parameters.aux[0] = call.rec),
            input("an auxiliary granule the RD", |_, call| call.parameters.aux[0] = call.rd),
            input("an auxiliary granule a root table", |_, call| call.parameters.aux[0] = ROOT),
            input("an auxiliary granule twice", |_, call| {
                call.parameters.aux[1] = call.parameters.aux[0];
            }),
            input("the REC unaligned", |_, call| call.rec = REC + 0x400),
            input("the REC the RD", |_, call| call.rec = call.rd),
            input("the REC the host's", |_, call| call.rec = HOSTS),
            input("the REC a root table", |_, call| call.rec = ROOT + 0x1000),
            input("the REC nowhere", |_, call| call.rec = 0),
            input("the RD unaligned", |_, call| call.rd = RD + 1),
            input("the RD Delegated", |_, call| call.rd = SPARE),
            input("the RD a root table", |_, call| call.rd = OTHER_ROOT),
            fault("all RECs there are", ERROR_REALM, |fixture, _| {
                fixture.with_realm(RD, |realm| realm.next_rec = 511);
            }),
            fault("ACTIVE", ERROR_REALM, |fixture, _| {
                fixture.with_realm(RD, |realm| {
                    realm.set_state(RealmState::Active, fixture.system.rmm.granules().epochs())
                });
            }),
            fault("SYSTEM_OFF", ERROR_REALM, |fixture, _| {
                fixture.with_realm(RD, |realm| {
                    realm.set_state(RealmState::SystemOff, fixture.system.rmm.granules().epochs())
                });
            }),
            input("a reserved bit of the MPIDR", |_, call| call.parameters.mpidr = 0x10),
            input("a bit above the MPIDR", |_, call| call.parameters.mpidr = 1 << 32),
            input("not the next MPIDR", |_, call| call.parameters.mpidr = 1),
            input("no auxiliary granule", |_, call| call.parameters.num_aux = 0),
            input("one auxiliary granule too few", |_, call| {
                call.parameters.num_aux = AUXILIARY as u64 - 1;
            }),
            input("one auxiliary granule too many", |_, call| {
                call.parameters.aux[AUXILIARY] = SECOND_AUX;
                call.parameters.num_aux = AUXILIARY as u64 + 1;
            }),
        ],
    );
}

/// A fixture with an ACTIVE Realm of two RECs, and a REC of another Realm.
fn with_recs() -> RealmFixture {
    let fixture = RealmFixture::new();
    fixture.realm(RD, ROOT, 1);
    fixture.rec(RD, REC, AUX, 0);
    fixture.rec(RD, SECOND_REC, SECOND_AUX, 1);
    assert_eq!(fixture.call(function::REALM_ACTIVATE, &[RD]), SUCCESS);
    fixture
}

/// Marks a REC as running, for good.
fn make_running(fixture: &RealmFixture, rec: u64) {
    let cpu = System::cpu(1);
    let locked = fixture.system.rmm.granules().lock::<Rec>(cpu.index, granule(rec)).expect("a REC");
    locked.get(1).expect("it does not run");
}

#[test]
fn rec_destroy() {
    check(
        || (with_recs(), REC),
        |_, rec| (function::REC_DESTROY, vec![*rec]),
        &[
            fault("unaligned", ERROR_INPUT, |_, rec| *rec = REC + 0xfff),
            fault("an auxiliary granule", ERROR_INPUT, |_, rec| *rec = AUX),
            fault("nowhere", ERROR_INPUT, |_, rec| *rec = u64::MAX),
            fault("the RD", ERROR_INPUT, |_, rec| *rec = RD),
            fault("running", ERROR_REC, |fixture, _| make_running(fixture, REC)),
        ],
    );
}

#[test]
fn rec_enter() {
    // In the order of the RMM's checks.
    type Commit = fn(&RealmFixture, &mut [u64; 2]);
    let faults: [(&str, u64, Commit); 15] = [
        ("the run page unaligned", ERROR_INPUT, |_, call| call[1] = HOSTS + 8),
        ("the run page nowhere", ERROR_INPUT, |_, call| call[1] = DEVICE),
        ("the run page Delegated", ERROR_INPUT, |_, call| call[1] = call[0]),
        ("the REC unaligned", ERROR_INPUT, |_, call| call[0] = REC + 1),
        ("the REC an RD", ERROR_INPUT, |_, call| call[0] = RD),
        ("running", ERROR_REC, |fixture, _| make_running(fixture, REC)),
        ("the run page taken away", ERROR_INPUT, |_, call| call[1] = TAKEN_AWAY),
        ("NEW", ERROR_REALM, |fixture, _| {
            fixture.with_realm(RD, |realm| {
                realm.set_state(RealmState::New, fixture.system.rmm.granules().epochs())
            })
        }),
        ("SYSTEM_OFF", ERROR_REALM_OFF, |fixture, _| {
            fixture.with_realm(RD, |realm| {
                realm.set_state(RealmState::SystemOff, fixture.system.rmm.granules().epochs())
            });
        }),
        ("not runnable", ERROR_REC, |fixture, _| {
            fixture.with_rec(REC, |rec| rec.state.runnable = false);
        }),
        ("a PSCI call pending", ERROR_REC, |fixture, _| {
            let target = Mpidr::new(1).expect("no reserved bit");
            fixture
                .with_rec(REC, |rec| rec.state.pending = PendingRequest::AffinityInfo { target });
        }),
        ("ICH_HCR_EL2 the RMM's", ERROR_REC, |fixture, _| fixture.write(HOSTS, 0x300, 1)),
        ("a physical interrupt", ERROR_REC, |fixture, _| fixture.write(HOSTS, 0x308, 3 << 61)),
        ("no access to abort", ERROR_REC, |fixture, _| fixture.write(HOSTS, 0, 1 << 1)),
        ("no access to emulate", ERROR_REC, |fixture, _| fixture.write(HOSTS, 0, 1 << 0)),
    ];
    for (index, (what, status, commit)) in faults.iter().enumerate() {
        let others = faults.iter().skip(index + 1).map(Some);
        for other in std::iter::once(None).chain(others) {
            let (fixture, mut call) = (with_recs(), [REC, HOSTS]);
            if let Some((_, _, commit_other)) = other {
                commit_other(&fixture, &mut call);
            }
            let other = other.map(|(other, ..)| other);
            commit(&fixture, &mut call);
            fixture.refused(
                function::REC_ENTER,
                &call,
                *status,
                &format!("{what} (and {other:?})"),
            );
        }
    }
    assert_eq!(with_recs().call(function::REC_ENTER, &[REC, HOSTS]), SUCCESS);
}

const DENIED: u64 = 3_u64.wrapping_neg();

struct PsciComplete {
    calling: u64,
    target: u64,
    status: u64,
}

#[test]
fn psci_complete() {
    let input = |what, commit: fn(&RealmFixture, &mut PsciComplete)| -> Fault<PsciComplete> {
        fault(what, ERROR_INPUT, commit)
    };
    let prepare = || {
        let fixture = with_recs();
        let target = Mpidr::new(1).expect("no reserved bit");
        fixture.with_rec(REC, |rec| rec.state.pending = PendingRequest::AffinityInfo { target });
        (fixture, PsciComplete { calling: REC, target: SECOND_REC, status: 0 })
    };
    check(
        prepare,
        |_, call| (function::PSCI_COMPLETE, vec![call.calling, call.target, call.status]),
        &[
            input("the caller unaligned", |_, call| call.calling = REC + 8),
            input("the target unaligned", |_, call| call.target = SECOND_REC + 8),
            input("the same REC", |_, call| call.target = call.calling),
            input("the caller no REC", |_, call| call.calling = AUX),
            input("the target no REC", |_, call| call.target = RD),
            input("the caller running", |fixture, _| make_running(fixture, REC)),
            input("nothing pending", |fixture, _| {
                fixture.with_rec(REC, |rec| rec.state.pending = PendingRequest::None);
            }),
            input("another Realm's target", |fixture, _| {
                fixture.with_rec(SECOND_REC, |rec| rec.identity.realm = granule(OTHER_RD));
            }),
            input("not the target that is named", |fixture, _| {
                let target = Mpidr::new(2).expect("no reserved bit");
                fixture.with_rec(REC, |rec| {
                    rec.state.pending = PendingRequest::AffinityInfo { target }
                });
            }),
            input("DENIED", |_, call| call.status = DENIED),
            input("a status that is none", |_, call| call.status = 1),
        ],
    );
}

#[test]
fn parameters_taken_away_while_they_are_read_change_nothing_else() {
    for words in 0..19 {
        let fixture = RealmFixture::new();
        fixture.delegate(&[RD, ROOT, ROOT + 0x1000]);
        fixture.write_realm(PARAMETERS, &RealmParams::default());
        let before = fixture.see();
        fixture.system.machine.take_away_after(words);
        assert_eq!(
            fixture.call(function::REALM_CREATE, &[RD, PARAMETERS]),
            ERROR_INPUT,
            "after {words}"
        );
        let differing: Vec<_> = before
            .iter()
            .zip(fixture.see())
            .filter(|(before, after)| **before != *after)
            .map(|(before, _)| before.address)
            .collect();
        assert_eq!(differing, [PARAMETERS], "after {words}");
    }
    for words in 0..28 {
        let fixture = RealmFixture::new();
        fixture.realm(RD, ROOT, 1);
        fixture.delegate(&[REC, AUX]);
        fixture.write_rec(PARAMETERS, &RecParams::default());
        let before = fixture.see();
        fixture.system.machine.take_away_after(words);
        assert_eq!(
            fixture.call(function::REC_CREATE, &[RD, REC, PARAMETERS]),
            ERROR_INPUT,
            "after {words}"
        );
        let differing =
            before.iter().zip(fixture.see()).filter(|(before, after)| **before != *after).count();
        assert_eq!(differing, 1, "after {words}");
    }
}
