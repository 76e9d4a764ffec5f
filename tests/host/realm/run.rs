// SPDX-License-Identifier: BSD-3-Clause
//! RECs that run: a model Realm behind the host seam's switch, and the host before and after it.

use std::cell::RefCell;
use std::rc::Rc;

use kit::realm_fixture::*;
use kit::rmi::fixture::SUCCESS;
use rmm::arch::el1::El1Registers;
use rmm::host::{preset_register, read_register, set_realm};
use rmm::realm::rec::Registers;
use rmm::rmi::function;

/// Vectors.
const SYNCHRONOUS: u64 = 0;
const IRQ: u64 = 1;
const FIQ: u64 = 2;
const SERROR: u64 = 3;

/// HPFAR_EL2 for an unprotected IPA of a 40-bit Realm, and for a protected one.
const UNPROTECTED: u64 = 1 << (39 - 8) | 0x50;
const PROTECTED: u64 = 0x50;

const DATA_ABORT: u64 = 0x24 << 26 | 1 << 25;
const ISV: u64 = 1 << 24;

const EXIT: u64 = 0x800;
const TIMERS: std::ops::Range<u64> = 0x400..0x420;

/// An ACTIVE Realm with a REC.
fn realm() -> RealmFixture {
    let fixture = RealmFixture::new();
    fixture.realm(RD, ROOT, 1);
    fixture.rec(RD, REC, AUX, 0);
    fixture.activate();
    fixture
}

fn enter(fixture: &RealmFixture) -> u64 {
    for offset in (EXIT..0x1000).step_by(8) {
        fixture.write(HOSTS, offset, 0xdead_beef_dead_beef);
    }
    fixture.call(function::REC_ENTER, &[REC, HOSTS])
}

fn exit(fixture: &RealmFixture, offset: u64) -> u64 {
    fixture.system.machine.ns_read(HOSTS + EXIT + offset).expect("the host's own memory")
}

/// Asserts every word of the exit half except the timers.
fn assert_exit(fixture: &RealmFixture, what: &str, words: &[(u64, u64)]) {
    for offset in (0..0x800).step_by(8).filter(|offset| !TIMERS.contains(offset)) {
        let expected = words.iter().find(|(at, _)| *at == offset).map_or(0, |(_, word)| *word);
        assert_eq!(exit(fixture, offset), expected, "{what}: {offset:#x}");
    }
}

/// Makes the Realm do `act` and then take this exception, which ends its run.
fn take(vector: u64, esr: u64, far: u64, hpfar: u64, act: impl Fn(&mut Registers) + 'static) {
    set_realm(move |registers| {
        act(registers);
        preset_register("ESR_EL2", esr);
        preset_register("FAR_EL2", far);
        preset_register("HPFAR_EL2", hpfar);
        vector
    });
}

/// Makes the Realm take these exceptions one after the other. Gives its registers at each entry.
fn take_all(exceptions: &[(u64, u64)]) -> Rc<RefCell<Vec<Registers>>> {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let (exceptions, log) = (exceptions.to_vec(), Rc::clone(&seen));
    set_realm(move |registers| {
        let (vector, esr) = exceptions[log.borrow().len()];
        log.borrow_mut().push(*registers);
        preset_register("ESR_EL2", esr);
        vector
    });
    seen
}

#[test]
fn an_interrupt_leaves_the_realm_and_says_nothing_else() {
    for (vector, reason) in [(IRQ, 1), (FIQ, 2)] {
        let fixture = realm();
        take(vector, u64::MAX, u64::MAX, u64::MAX, |registers| registers.gprs = [77; 31]);
        assert_eq!(enter(&fixture), SUCCESS);
        assert_exit(&fixture, "an interrupt", &[(0, reason)]);
        fixture.with_rec(REC, |rec| assert_eq!(rec.state.registers.gprs, [77; 31]));
        fixture.write(HOSTS, 0, 1);
        assert_eq!(enter(&fixture), ERROR_REC, "there is nothing to emulate");
    }
}

#[test]
fn no_register_of_el1_is_shared_and_all_come_back() {
    let fixture = realm();
    // This also finds registers that change although nothing writes them.
    let of_host = |index: usize| 0x1000 + index as u64;
    let of_realm = |index: usize| 0x2000 + index as u64;
    let names = || El1Registers::NAMES.iter().enumerate();
    let others = [
        ("CNTP_CVAL_EL02", 0x3001),
        ("CNTV_CVAL_EL02", 0x3002),
        ("PMCR_EL0", 0x3003),
        ("PMUSERENR_EL0", 0x3004),
    ];
    for run in 0..3 {
        for (index, name) in names() {
            preset_register(name, of_host(index));
        }
        for (name, value) in others {
            preset_register(name, value);
        }
        take(IRQ, 0, 0, 0, move |_| {
            for (index, name) in names() {
                let seen = read_register(name);
                let at_reset = ["SCTLR_EL12", "MDSCR_EL1"].contains(name);
                let expected = if run == 0 { 0 } else { of_realm(index) };
                assert!(seen == expected || run == 0 && at_reset, "{name} is {seen:#x}");
                preset_register(name, of_realm(index));
            }
            for (name, value) in others {
                assert_ne!(read_register(name), value, "{name} of the host");
            }
            preset_register("CNTP_CVAL_EL02", 5);
        });
        assert_eq!(enter(&fixture), SUCCESS);
        for (index, name) in names() {
            assert_eq!(read_register(name), of_host(index), "{name} of the host");
        }
        for (name, value) in others {
            assert_eq!(read_register(name), value, "{name} of the host");
        }
        assert_eq!(exit(&fixture, 0x408), 5, "the compare value of the Realm's timer");
    }
}

#[test]
fn an_access_to_unprotected_memory_is_for_the_host_to_emulate() {
    let fixture = realm();
    // A store of two bytes of X3, then a load of a signed byte into X5 as 64 bits.
    let store = DATA_ABORT | ISV | 1 << 22 | 3 << 16 | 1 << 6 | 0b111;
    take(SYNCHRONOUS, store, 0xabc_d123, UNPROTECTED, |registers| {
        registers.gprs[3] = 0x1234_5678_9abc_def0;
    });
    assert_eq!(enter(&fixture), SUCCESS);
    let esr = 0x24 << 26 | ISV | 1 << 22 | 1 << 6 | 0b111;
    assert_exit(
        &fixture,
        "a store",
        &[(0x100, esr), (0x108, 0x123), (0x110, UNPROTECTED), (0x200, 0xdef0)],
    );
    let load = DATA_ABORT | ISV | 1 << 21 | 5 << 16 | 1 << 15 | 0b111;
    fixture.write(HOSTS, 0, 1);
    take(SYNCHRONOUS, load, 0x124, UNPROTECTED, |registers| assert_eq!(registers.pc, 0x8004));
    assert_eq!(enter(&fixture), SUCCESS);
    let esr = 0x24 << 26 | ISV | 1 << 15 | 0b111;
    assert_exit(&fixture, "a load", &[(0x100, esr), (0x108, 0x124), (0x110, UNPROTECTED)]);
    fixture.write(HOSTS, 0x200, 0xff80);
    take(IRQ, 0, 0, 0, |registers| {
        assert_eq!((registers.pc, registers.gprs[5]), (0x8008, 0x80_u8 as i8 as u64));
    });
    assert_eq!(enter(&fixture), SUCCESS);
    assert_eq!(enter(&fixture), ERROR_REC, "an access is emulated once");
}

#[test]
fn an_instruction_that_is_answered_leaves_no_branch_type_and_no_step() {
    let fixture = realm();
    // MRS of a debug register to X0.
    const TRAPPED: u64 = 0x18 << 26 | 1 << 25 | 2 << 20 | 1 << 1 | 1;
    const BTYPE_AND_SS: u64 = 3 << 10 | 1 << 21;
    let seen = take_all(&[(SYNCHRONOUS, TRAPPED), (IRQ, 0)]);
    fixture.with_rec(REC, |rec| rec.state.registers.pstate |= BTYPE_AND_SS);
    assert_eq!(enter(&fixture), SUCCESS);
    let [before, after] = [0, 1].map(|run| (seen.borrow()[run].pc, seen.borrow()[run].pstate));
    assert_eq!(before, (0x8000, 0x3c5 | BTYPE_AND_SS));
    assert_eq!(after, (0x8004, 0x3c5));
}

#[test]
fn an_access_that_the_host_does_not_want_is_aborted() {
    let fixture = realm();
    fixture.with_rec(REC, |rec| rec.state.registers.el1.vbar = 0x10_0000);
    // Without ISV the host can inject an abort but cannot emulate the access.
    take(SYNCHRONOUS, DATA_ABORT | 0b111, 0x77, UNPROTECTED, |_| {});
    assert_eq!(enter(&fixture), SUCCESS);
    let esr = 0x24 << 26 | 0b111;
    assert_exit(&fixture, "an access", &[(0x100, esr), (0x110, UNPROTECTED)]);
    fixture.write(HOSTS, 0, 1);
    assert_eq!(enter(&fixture), ERROR_REC, "without ISV");
    // A refused entry leaves what is pending.
    fixture.write(HOSTS, 0, 1 << 1 | 1);
    take(IRQ, 0, 0, 0, |registers| {
        assert_eq!((registers.pc, registers.el1.elr), (0x10_0200, 0x8000));
        assert_eq!(registers.el1.esr, 0x25 << 26 | 1 << 25 | 1 << 9 | 0x10);
        assert_eq!(read_register("FAR_EL12"), 0x77);
    });
    assert_eq!(enter(&fixture), SUCCESS);
}

#[test]
fn an_external_abort_is_told_to_the_realm_once_whatever_the_host_wants() {
    let fixture = realm();
    fixture.with_rec(REC, |rec| rec.state.registers.el1.vbar = 0x10_0000);
    // HPFAR_EL2 is stale, of another abort. With SET 3 the Realm executes the access again.
    for (set, pc) in [(0, 0x10_0200), (3 << 11, 0x8000)] {
        fixture.with_rec(REC, |rec| rec.state.registers.pc = 0x8000);
        take(SYNCHRONOUS, DATA_ABORT | ISV | set | 0x10, 0x77, UNPROTECTED, |_| {});
        assert_eq!(enter(&fixture), SUCCESS);
        assert_exit(&fixture, "an External abort", &[(0x100, 0x24 << 26 | set | 0x10)]);
        take(IRQ, 0, 0, 0, move |registers| assert_eq!(registers.pc, pc));
        for flags in [1, 2, 3] {
            fixture.write(HOSTS, 0, flags);
            assert_eq!(enter(&fixture), ERROR_REC, "{flags}");
        }
        fixture.write(HOSTS, 0, 0);
        assert_eq!(enter(&fixture), SUCCESS);
    }
}

#[test]
fn memory_with_ripas_empty_is_aborted_and_never_leaves() {
    let fixture = realm();
    let seen = take_all(&[(SYNCHRONOUS, DATA_ABORT | ISV | 0b111), (IRQ, 0)]);
    preset_register("HPFAR_EL2", PROTECTED);
    assert_eq!(enter(&fixture), SUCCESS);
    assert_exit(&fixture, "an interrupt", &[(0, 1)]);
    assert_eq!(seen.borrow()[1].pc, 0x200);
    assert_eq!(seen.borrow()[1].el1.elr, 0x8000);
}

#[test]
fn what_has_no_better_answer_is_undefined_in_the_realm() {
    let known = [0x01, 0x07, 0x16, 0x17, 0x18, 0x20, 0x24];
    for class in (0..64).filter(|class| !known.contains(class)) {
        let fixture = realm();
        let seen = take_all(&[(SYNCHRONOUS, class << 26 | 0x1ff_ffff), (IRQ, 0)]);
        assert_eq!(enter(&fixture), SUCCESS, "{class:#x}");
        assert_exit(&fixture, "an interrupt", &[(0, 1)]);
        assert_eq!(seen.borrow()[1].el1.esr, 1 << 25, "{class:#x}");
    }
}

#[test]
fn a_trapped_register_reads_as_zero_and_one_of_a_hidden_feature_is_undefined() {
    let read = |op0: u64, op1: u64, crn: u64, crm: u64, op2: u64| {
        let encoding = op0 << 20 | op2 << 17 | op1 << 14 | crn << 10 | crm << 1;
        0x18 << 26 | 1 << 25 | encoding | 7 << 5 | 1
    };
    preset_register("ID_AA64PFR0_EL1", 0x1100_0001_1111_1112);
    let fixture = realm();
    // DBGBVR0_EL1, ID_AA64PFR0_EL1, MPAM0_EL1.
    let seen = take_all(&[
        (SYNCHRONOUS, read(2, 0, 0, 0, 4)),
        (SYNCHRONOUS, read(3, 0, 0, 4, 0)),
        (SYNCHRONOUS, read(3, 0, 10, 5, 1)),
        (IRQ, 0),
    ]);
    fixture.with_rec(REC, |rec| rec.state.registers.gprs[7] = 9);
    assert_eq!(enter(&fixture), SUCCESS);
    let seen = seen.borrow();
    assert_eq!((seen[1].pc, seen[1].gprs[7]), (0x8004, 0));
    assert_eq!(seen[2].pc, 0x8008);
    assert_eq!(seen[2].gprs[7] & 0xf, 1, "EL0 is AArch64 only");
    assert_eq!((seen[3].pc, seen[3].el1.elr), (0x200, 0x8008));
}

#[test]
fn the_interrupt_controller_is_the_hosts_to_emulate() {
    let fixture = realm();
    // ICC_SGI1R_EL1 = X2, and a read of ICC_CTLR_EL1 into X2.
    let sgi1r = 0x18 << 26 | 1 << 25 | 3 << 20 | 5 << 17 | 12 << 10 | 11 << 1 | 2 << 5;
    take(SYNCHRONOUS, sgi1r, 0, 0, |registers| registers.gprs[2] = 0x1_0004);
    assert_eq!(enter(&fixture), SUCCESS);
    assert_exit(&fixture, "a write", &[(0x100, sgi1r & !(31 << 5)), (0x200, 0x1_0004)]);
    let ctlr = 0x18 << 26 | 1 << 25 | 3 << 20 | 4 << 17 | 12 << 10 | 12 << 1 | 2 << 5 | 1;
    take(SYNCHRONOUS, ctlr, 0, 0, |registers| assert_eq!(registers.pc, 0x8004));
    assert_eq!(enter(&fixture), SUCCESS);
    assert_exit(&fixture, "a read", &[(0x100, ctlr & !(31 << 5))]);
    fixture.write(HOSTS, 0x200, 0x1234);
    take(IRQ, 0, 0, 0, |registers| {
        assert_eq!((registers.pc, registers.gprs[2]), (0x8008, 0x1234));
    });
    assert_eq!(enter(&fixture), SUCCESS);
}

#[test]
fn list_registers_go_in_and_out_and_the_virtual_interface_is_off_after_it() {
    preset_register("ICH_VTR_EL2", 3 | 4 << 29 | 4 << 26);
    let fixture = realm();
    fixture.write(HOSTS, 0x300, 1 << 1);
    fixture.write(HOSTS, 0x308, 1 << 62 | 1 << 60 | 0xa0 << 48 | 33);
    fixture.write(HOSTS, 0x308 + 8 * 4, 3 << 61);
    take(IRQ, 0, 0, 0, |_| {
        assert_eq!(read_register("ICH_LR0_EL2"), 1 << 62 | 1 << 60 | 0xa0 << 48 | 33);
        assert_eq!(read_register("ICH_HCR_EL2"), 1 << 1 | 1 | 1 << 8 | 1 << 15);
        preset_register("ICH_LR0_EL2", 2 << 62 | 33);
        preset_register("ICH_VMCR_EL2", 0xf800_0002);
        preset_register("ICH_MISR_EL2", 2);
        preset_register("ICH_AP1R0_EL2", 8);
    });
    assert_eq!(enter(&fixture), SUCCESS);
    let words = [(0, 1), (0x300, 2), (0x308, 2 << 62 | 33), (0x388, 2), (0x390, 0xf800_0002)];
    assert_exit(&fixture, "list registers", &words);
    for name in ["ICH_HCR_EL2", "ICH_LR0_EL2", "ICH_AP1R0_EL2"] {
        assert_eq!(read_register(name), 0, "{name}");
    }
    take(IRQ, 0, 0, 0, |_| assert_eq!(read_register("ICH_AP1R0_EL2"), 8));
    assert_eq!(enter(&fixture), SUCCESS);
}

#[test]
fn a_change_of_a_timers_output_leaves_the_realm_once_and_masks_it() {
    let fixture = realm();
    take(SYNCHRONOUS, 0x17 << 26, 0, 0, |registers| {
        preset_register("CNTV_CTL_EL02", 5);
        registers.gprs[0] = 0x8000_0000;
    });
    assert_eq!(enter(&fixture), SUCCESS);
    assert_exit(&fixture, "the timer", &[(0, 1)]);
    assert_eq!(exit(&fixture, 0x410), 5);
    take(IRQ, 0, 0, 0, |registers| {
        assert_eq!(registers.gprs[0], 0x1_0002, "SMCCC_VERSION");
        assert_eq!(read_register("CNTHCTL_EL2"), 0xc00 | 1 << 18);
        preset_register("CNTV_CTL_EL02", 0);
    });
    assert_eq!(enter(&fixture), SUCCESS);
    assert_eq!(exit(&fixture, 0x410), 0);
    take(IRQ, 0, 0, 0, |_| assert_eq!(read_register("CNTHCTL_EL2"), 0xc00));
    assert_eq!(enter(&fixture), SUCCESS);
    // The timer fires while the REC does not run.
    fixture.with_rec(REC, |rec| rec.state.timers.physical.ctl = 5);
    take(IRQ, 0, 0, 0, |_| panic!("the REC leaves before it runs"));
    assert_eq!(enter(&fixture), SUCCESS);
    assert_exit(&fixture, "the other timer", &[(0, 1)]);
    take(IRQ, 0, 0, 0, |_| assert_eq!(read_register("CNTHCTL_EL2"), 0xc00 | 1 << 19));
    assert_eq!(enter(&fixture), SUCCESS);
}

#[test]
fn an_serror_stays_pending_until_the_realm_takes_it() {
    let fixture = realm();
    const VSE: u64 = 1 << 8;
    let esr = 0x2f << 26 | 1 << 25 | 3 << 10 | 0x11;
    take(SERROR, esr, 0, 0, |_| assert_eq!(read_register("HCR_EL2") & VSE, 0));
    assert_eq!(enter(&fixture), SUCCESS);
    assert_exit(&fixture, "an SError", &[(0, 6), (0x100, 0x2f << 26 | 3 << 10 | 0x11)]);
    for taken in [false, false, true] {
        take(IRQ, 0, 0, 0, move |_| {
            assert_eq!(read_register("HCR_EL2") & VSE, VSE);
            assert_eq!(read_register("VSESR_EL2"), esr & 0x1ff_ffff);
            if taken {
                preset_register("HCR_EL2", read_register("HCR_EL2") & !VSE);
            }
        });
        assert_eq!(enter(&fixture), SUCCESS);
        assert_eq!(read_register("HCR_EL2") & VSE, 0, "not for the host");
        assert_eq!(read_register("VSESR_EL2"), 0);
    }
    take(IRQ, 0, 0, 0, |_| assert_eq!(read_register("HCR_EL2") & VSE, 0));
    assert_eq!(enter(&fixture), SUCCESS);
}

#[test]
fn wfi_and_wfe_leave_only_when_the_host_asks() {
    let fixture = realm();
    for (flags, traps) in [(0, 0), (1 << 2, 1 << 13), (1 << 3, 1 << 14), (3 << 2, 3 << 13)] {
        fixture.write(HOSTS, 0, flags);
        take(IRQ, 0, 0, 0, move |_| {
            assert_eq!(read_register("HCR_EL2") & 3 << 13, traps);
        });
        assert_eq!(enter(&fixture), SUCCESS);
    }
    let pc = fixture.with_rec(REC, |rec| rec.state.registers.pc);
    take(SYNCHRONOUS, 0x01 << 26 | 1 << 25 | 0xffff, 0, 0, |_| {});
    assert_eq!(enter(&fixture), SUCCESS);
    assert_exit(&fixture, "WFE", &[(0x100, 0x01 << 26 | 1)]);
    fixture.with_rec(REC, |rec| assert_eq!(rec.state.registers.pc, pc + 4));
}

#[test]
fn a_change_of_ripas_is_the_hosts_to_carry_out() {
    let fixture = realm();
    // X0 of the call, then X0 to X2 after it.
    let call = |base: u64, top: u64, ripas: u64| {
        take(SYNCHRONOUS, 0x17 << 26, 0, 0, move |registers| {
            registers.gprs[..5].copy_from_slice(&[0xC400_0197, base, top, ripas, 1]);
        });
    };
    call(0x10_0000, 0x20_0000, 1);
    assert_eq!(enter(&fixture), SUCCESS);
    assert_exit(
        &fixture,
        "a change of RIPAS",
        &[(0, 4), (0x500, 0x10_0000), (0x508, 0x20_0000), (0x510, 1)],
    );
    // The host changes no RIPAS and rejects the request.
    fixture.write(HOSTS, 0, 1 << 4);
    take(IRQ, 0, 0, 0, |registers| assert_eq!(registers.gprs[..4], [0, 0x10_0000, 1, 0]));
    assert_eq!(enter(&fixture), SUCCESS);
    fixture.write(HOSTS, 0, 0);
    for (base, top, ripas) in
        [(1, 0x1000, 0), (0x1000, 0x1000, 0), (0, 0x1000, 2), (0, 1 << 39 | 0x1000, 1)]
    {
        let seen = Rc::new(RefCell::new(0));
        let calls = Rc::clone(&seen);
        set_realm(move |registers| {
            *calls.borrow_mut() += 1;
            if *calls.borrow() == 2 {
                assert_eq!(registers.gprs[0], 1, "{base:#x} {top:#x} {ripas}");
                return IRQ;
            }
            registers.gprs[..5].copy_from_slice(&[0xC400_0197, base, top, ripas, 1]);
            preset_register("ESR_EL2", 0x17 << 26);
            SYNCHRONOUS
        });
        assert_eq!(enter(&fixture), SUCCESS);
    }
}

#[test]
fn a_host_call_without_memory_is_a_data_abort_of_the_realm() {
    let fixture = realm();
    let seen = take_all(&[(SYNCHRONOUS, 0x17 << 26), (IRQ, 0)]);
    fixture.with_rec(REC, |rec| {
        rec.state.registers.gprs[..2].copy_from_slice(&[0xC400_0199, 0x5100]);
    });
    assert_eq!(enter(&fixture), SUCCESS);
    // RIPAS is EMPTY: the call gives an error.
    assert_eq!(seen.borrow()[1].gprs[0], 1);
}

#[test]
fn nothing_of_a_realm_but_what_the_record_names_is_in_the_answer() {
    let fixture = realm();
    take(IRQ, 0, 0, 0, |registers| {
        registers.gprs = [0x5ec_2e7; 31];
        registers.keys = [0x5ec_2e7; 10];
        registers.sp_el0 = 0x5ec_2e7;
    });
    assert_eq!(enter(&fixture), SUCCESS);
    assert_exit(&fixture, "an interrupt", &[(0, 1)]);
}

/// The words of the host's page that are accessed before the REC runs: flags, ICH_HCR_EL2, the one
/// list register of the model machine, and the exit half.
const BEFORE_THE_RUN: u64 = 1 + 1 + 1 + 256;

#[test]
fn a_page_that_goes_away_before_the_rec_runs_refuses_the_entry() {
    for words in [0, 1, 2, 3, 4, 100, BEFORE_THE_RUN - 1] {
        let fixture = realm();
        let before = fixture.with_rec(REC, |rec| rec.state.registers);
        take(IRQ, 0, 0, 0, |_| panic!("the entry is refused"));
        fixture.system.machine.take_away_after(words);
        assert_eq!(fixture.call(function::REC_ENTER, &[REC, HOSTS]), 1, "after {words} words");
        assert_eq!(fixture.with_rec(REC, |rec| rec.state.registers), before);
        take(IRQ, 0, 0, 0, |_| {});
        assert_eq!(fixture.call(function::REC_ENTER, &[REC, HOSTS + 0x1000]), SUCCESS);
    }
}

#[test]
fn a_page_that_goes_away_while_the_rec_runs_is_an_input_error_and_the_rec_goes_on() {
    let fixture = realm();
    take(IRQ, 0, 0, 0, |registers| registers.gprs[0] = 0x77);
    // Taken away right after the last access before the run.
    fixture.system.machine.take_away_after(BEFORE_THE_RUN);
    assert_eq!(fixture.call(function::REC_ENTER, &[REC, HOSTS]), 1);
    fixture.with_rec(REC, |rec| assert_eq!(rec.state.registers.gprs[0], 0x77));
    take(IRQ, 0, 0, 0, |registers| assert_eq!(registers.gprs[0], 0x77));
    let other = HOSTS + 0x1000;
    assert_eq!(fixture.call(function::REC_ENTER, &[REC, other]), SUCCESS);
}
