// SPDX-License-Identifier: BSD-3-Clause
//! The action for each exception, compared with a second table over every encoding of ESR_EL2 that
//! matters: classes, fault status, fields of an access, and all system registers.

use rmm::address::Ipa;
use rmm::realm::rec::Registers;
use rmm::realm::rec::debug::DebugRegister;
use rmm::realm::rec::exit::{Exit, ExitReason};
use rmm::realm::rec::syndrome::{Syndrome, Vector};
use rmm::run::decide::{Action, Injected, View, decide};

const IPA_END: u64 = 1 << 40;
pub const PROTECTED_END: u64 = 1 << 39;
/// HPFAR_EL2 of a protected page, an unprotected one, and one beyond the IPA space.
const PAGES: [u64; 3] = [0x1_2340, PROTECTED_END >> 8 | 0x50, IPA_END >> 8];
const FAR: u64 = 0xffff_1234_5678_9abc;

/// The value of X<n>. All differ, so a wrong register or size is found.
pub fn value(register: u64) -> u64 {
    if register == 31 { 0 } else { 0x8182_8384_8586_8788_u64.wrapping_add(register) }
}

fn registers(pstate: u64) -> Registers {
    let mut registers = Registers::at_reset(0x8000, &[]);
    registers.gprs = std::array::from_fn(|index| value(index as u64));
    registers.pstate = pstate;
    registers
}

fn view(registers: &Registers, has_sve: bool, has_closed_pmu: bool) -> View<'_> {
    View { registers, ipa_end: IPA_END, protected_end: PROTECTED_END, has_sve, has_closed_pmu }
}

pub fn bits(word: u64, high: u32, low: u32) -> u64 {
    word >> low & ((1 << (high - low + 1)) - 1)
}

/// The bits of `word` in these fields.
fn keep(word: u64, fields: &[(u32, u32)]) -> u64 {
    fields.iter().fold(0, |kept, (high, low)| kept | bits(word, *high, *low) << low)
}

fn exit(esr: u64, far: u64, hpfar: u64, gpr0: u64) -> Exit {
    Exit { reason: ExitReason::Sync, esr, far, hpfar, gpr0 }
}

/// The ESR_EL2 fields of an abort that the host may see: EC, SET, FnV, EA, FSC.
const TOLD: [(u32, u32); 5] = [(31, 26), (12, 11), (10, 10), (9, 9), (5, 0)];

/// The expected action for an abort.
pub fn expected_abort(syndrome: &Syndrome, is_aarch32: bool) -> Action {
    let Syndrome { esr, far, hpfar } = *syndrome;
    let is_data = bits(esr, 31, 26) == 0x24;
    let aborted = Injected::ExternalAbort(*syndrome);
    let told = keep(esr, &TOLD);
    if [0x10, 0x13, 0x14, 0x15, 0x16, 0x17].contains(&bits(esr, 5, 0)) {
        let exit = exit(told, 0, 0, 0);
        return match bits(esr, 12, 11) {
            3 => Action::Exit(exit),
            _ => Action::InjectAndExit(aborted, exit),
        };
    }
    let page = bits(hpfar, 43, 4) << 12;
    let told_hpfar = keep(hpfar, &[(43, 4)]);
    let is_translation = [4, 5, 6, 7, 0x2b].contains(&bits(esr, 5, 0));
    if !is_data {
        return if page >= PROTECTED_END || !is_translation {
            Action::Inject(aborted)
        } else {
            Action::CheckRipas(Ipa::new(page), exit(told, 0, told_hpfar, 0))
        };
    }
    if page >= IPA_END {
        return Action::Inject(aborted);
    }
    if page < PROTECTED_END {
        return Action::CheckRipas(Ipa::new(page), exit(told, 0, told_hpfar, 0));
    }
    if bits(esr, 24, 24) == 0 || is_aarch32 {
        return Action::Exit(exit(told, 0, told_hpfar, 0));
    }
    // Also ISV, SAS, SF, WnR, but never SRT and SSE.
    let told = told | keep(esr, &[(24, 24), (23, 22), (15, 15), (6, 6)]);
    let gpr0 = match (bits(esr, 6, 6), bits(esr, 23, 22)) {
        (0, _) => 0,
        (_, size) => value(bits(esr, 20, 16)) & [0xff, 0xffff, 0xffff_ffff, !0][size as usize],
    };
    Action::Exit(exit(told, bits(far, 11, 0), told_hpfar, gpr0))
}

#[test]
fn aborts_are_decided_as_the_table_says() {
    let worlds = [(0x3c5, false), (0x0, false), (0x10, true)].map(|(p, a)| (registers(p), a));
    let mut tried = 0_u64;
    for class in [0x20_u64, 0x24] {
        for status in 0..64 {
            // WnR, S1PTW, CM, EA, FnV, SET, IL, and the fields of an access with ISV.
            for fields in 0..1 << 7_u64 {
                for access in 0..1 << 6_u64 {
                    let low = status | bits(fields, 6, 0) << 6;
                    let esr = class << 26
                        | low
                        | bits(access, 0, 0) << 15
                        | [0, 9, 30, 31][bits(access, 2, 1) as usize] << 16
                        | bits(access, 3, 3) << 21
                        | bits(access, 5, 4) << 22;
                    for isv in [0, 1 << 24, 1 << 25 | 1 << 24] {
                        for hpfar in PAGES {
                            let syndrome = Syndrome { esr: esr | isv, far: FAR, hpfar };
                            let world = &worlds[(tried % 3) as usize];
                            let decided = decide(
                                Vector::Synchronous,
                                &syndrome,
                                &view(&world.0, false, false),
                            );
                            assert_eq!(
                                decided,
                                expected_abort(&syndrome, world.1),
                                "{syndrome:x?}"
                            );
                            tried += 1;
                        }
                    }
                }
            }
        }
    }
}

/// Encodings of system registers: ranges of Op0, Op1, CRn, CRm and Op2.
type Block = [(u64, u64); 5];

/// The registers of the PMU that MDCR_EL2.TPM traps.
const PMU: [Block; 3] = [
    [(3, 3), (3, 3), (9, 9), (12, 14), (0, 7)],
    [(3, 3), (3, 3), (14, 14), (8, 15), (0, 7)],
    [(3, 3), (0, 0), (9, 9), (14, 14), (0, 7)],
];
/// The branch record buffer, MPAM, and S2POR_EL1.
const HIDDEN: [Block; 3] = [
    [(2, 2), (1, 1), (8, 9), (0, 15), (0, 7)],
    [(3, 3), (0, 0), (10, 10), (4, 5), (0, 7)],
    [(3, 3), (0, 0), (10, 10), (2, 2), (5, 5)],
];
/// The GIC's registers, and ICC_PMR_EL1.
const GIC: [Block; 2] =
    [[(3, 3), (0, 0), (12, 12), (8, 15), (0, 7)], [(3, 3), (0, 0), (4, 4), (6, 6), (0, 0)]];

/// The emulated debug registers, each with Op0 2 and its Op1, CRn, CRm and Op2.
const DEBUG: [([u64; 4], DebugRegister); 9] = [
    ([0, 0, 2, 2], DebugRegister::Control),
    ([0, 0, 0, 4], pair(false, false, 0)),
    ([0, 0, 1, 4], pair(false, false, 1)),
    ([0, 0, 0, 5], pair(false, true, 0)),
    ([0, 0, 1, 5], pair(false, true, 1)),
    ([0, 0, 0, 6], pair(true, false, 0)),
    ([0, 0, 1, 6], pair(true, false, 1)),
    ([0, 0, 0, 7], pair(true, true, 0)),
    ([0, 0, 1, 7], pair(true, true, 1)),
];
/// The OS lock: OSLAR_EL1 (written) and OSLSR_EL1 (read).
const OS_LOCK: [([u64; 5], u64); 2] = [([2, 0, 1, 0, 4], 0), ([2, 0, 1, 1, 4], 1)];

const fn pair(is_watchpoint: bool, is_control: bool, index: usize) -> DebugRegister {
    DebugRegister::Pair { is_watchpoint, is_control, index }
}

fn debug_register(register: [u64; 5], read: u64) -> Option<DebugRegister> {
    let [op0, rest @ ..] = register;
    let found = DEBUG.iter().find(|(encoding, _)| op0 == 2 && *encoding == rest);
    let is_lock = OS_LOCK.contains(&(register, read));
    found.map(|(_, debug)| *debug).or(is_lock.then_some(DebugRegister::OsLock))
}

fn is_in(blocks: &[Block], register: [u64; 5]) -> bool {
    let within = |block: &Block| {
        block.iter().zip(register).all(|((from, to), field)| (*from..=*to).contains(&field))
    };
    blocks.iter().any(within)
}

#[test]
fn system_registers_are_decided_as_the_table_says() {
    let registers = registers(0x3c5);
    for encoding in 0..1 << 16_u64 {
        let register = [
            bits(encoding, 15, 14),
            bits(encoding, 13, 11),
            bits(encoding, 10, 7),
            bits(encoding, 6, 3),
            bits(encoding, 2, 0),
        ];
        let [op0, op1, crn, crm, op2] = register;
        let iss = op0 << 20 | op2 << 17 | op1 << 14 | crn << 10 | crm << 1;
        for (rt, read, pmu) in
            [(0, 0, false), (7, 1, false), (31, 0, true), (31, 1, true), (12, 0, true)]
        {
            let esr = 0x18 << 26 | 1 << 25 | iss | rt << 5 | read;
            let syndrome = Syndrome { esr, far: FAR, hpfar: PAGES[0] };
            let expected = if [op0, op1, crn] == [3, 0, 0] {
                match read {
                    1 => Action::ReadId { crm, op2, register: rt as usize },
                    _ => Action::Inject(Injected::Undefined),
                }
            } else if pmu && is_in(&PMU, register) {
                Action::Pmu
            } else if is_in(&HIDDEN, register) {
                Action::Inject(Injected::Undefined)
            } else if is_in(&GIC, register) {
                let gpr0 = if read == 1 { 0 } else { value(rt) };
                Action::ExitPast(exit(esr & !(31 << 5), 0, 0, gpr0))
            } else if let Some(debug) = debug_register(register, read) {
                match read {
                    1 => Action::ReadDebug { debug, register: rt as usize },
                    _ => Action::WriteDebug { debug, value: value(rt) },
                }
            } else if read == 1 {
                Action::ReadZero(rt as usize)
            } else {
                Action::IgnoreWrite
            };
            let decided = decide(Vector::Synchronous, &syndrome, &view(&registers, false, pmu));
            assert_eq!(decided, expected, "{register:?} Rt {rt} read {read}");
        }
    }
}

#[test]
fn other_classes_are_decided_as_the_table_says() {
    let registers = registers(0x3c5);
    for class in (0..64_u64).filter(|class| ![0x18, 0x20, 0x24].contains(class)) {
        for low in (0..1 << 16_u64).map(|low| low | low << 10) {
            let esr = class << 26 | low & 0x3ff_ffff;
            let syndrome = Syndrome { esr, far: FAR, hpfar: PAGES[1] };
            for has_sve in [false, true] {
                let expected = match class {
                    0x01 => Action::ExitPast(exit(0x01 << 26 | esr & 1, 0, 0, 0)),
                    0x07 => Action::Simd,
                    0x19 if has_sve => Action::Simd,
                    0x17 => Action::Call,
                    _ => Action::Inject(Injected::Undefined),
                };
                let view = view(&registers, has_sve, true);
                let decided = decide(Vector::Synchronous, &syndrome, &view);
                assert_eq!(decided, expected, "{esr:#x}");
            }
        }
    }
}

#[test]
fn interrupts_and_serrors_are_decided_as_the_table_says() {
    let registers = registers(0x3c5);
    let view = view(&registers, false, false);
    for low in 0..1 << 16_u64 {
        // DFSC, EA, AET and IDS. FnV and the other bits are random.
        let esr = 0x2f << 26 | bits(low, 12, 0) | bits(low, 13, 13) << 24 | bits(low, 15, 14) << 14;
        let syndrome = Syndrome { esr, far: FAR, hpfar: PAGES[0] };
        for (vector, reason) in [(Vector::Irq, ExitReason::Irq), (Vector::Fiq, ExitReason::Fiq)] {
            let expected = Action::Exit(Exit { reason, ..exit(0, 0, 0, 0) });
            assert_eq!(decide(vector, &syndrome, &view), expected);
        }
        let told = keep(esr, &[(31, 26), (24, 24), (12, 10), (9, 9), (5, 0)]);
        let exit = Exit { reason: ExitReason::SError, ..exit(told, 0, 0, 0) };
        let is_harmless = bits(esr, 24, 24) == 0
            && bits(esr, 5, 0) == 0x11
            && [2, 6].contains(&bits(esr, 12, 10));
        let expected = if is_harmless { Action::Exit(exit) } else { Action::PendSError(exit) };
        assert_eq!(decide(Vector::SError, &syndrome, &view), expected, "{esr:#x}");
    }
}
