// SPDX-License-Identifier: BSD-3-Clause
//! Each RSI and PSCI call with all combinations of right and wrong arguments, compared with a model
//! of its answers.

use kit::calls::{assert_exit, call, registers, resume};
use kit::realm_fixture::*;
use kit::rmi::fixture::SUCCESS;
use kit::seed;
use rmm::abi::psci::{self, function as power};
use rmm::abi::rsi::{function as rsi, status};
use rmm::abi::smccc;
use rmm::realm::measurement::HashAlgorithm;
use rmm::realm::rec::PendingRequest;
use rmm::rmi::function;

use crate::measurement_reference::{bytes, hash};

const PROTECTED_END: u64 = 1 << 39;
const PAGE: u64 = 0x1000;
const BLOCK: u64 = 0x20_0000;
const GIB: u64 = 1 << 30;

/// Tables of levels 2 and 3, and memory.
const TABLES: [u64; 2] = [SPARE, SPARE + PAGE];
pub const MEMORY: [u64; 3] = [SPARE + 2 * PAGE, SPARE + 3 * PAGE, SPARE + 4 * PAGE];

/// One page of the Realm for each kind of entry.
pub const EMPTY: u64 = 0;
pub const RAM: u64 = PAGE;
pub const UNASSIGNED_RAM: u64 = 2 * PAGE;
const DESTROYED: u64 = 3 * PAGE;
const ASSIGNED_EMPTY: u64 = 4 * PAGE;
const ASSIGNED_DESTROYED: u64 = 5 * PAGE;
/// Blocks of 2 MiB and 1 GiB with RIPAS EMPTY, then with RIPAS RAM.
const EMPTY_BLOCK: u64 = BLOCK;
const RAM_BLOCK: u64 = 2 * BLOCK;
const EMPTY_GIB: u64 = GIB;
const RAM_GIB: u64 = 2 * GIB;

/// What a call finds at an IPA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Memory,
    Empty,
    /// The walk ends at this level.
    Missing(u64),
    NotProtected,
}

fn place(ipa: u64) -> Place {
    match ipa {
        PROTECTED_END.. => Place::NotProtected,
        _ if ipa / PAGE == RAM / PAGE => Place::Memory,
        _ if [UNASSIGNED_RAM, DESTROYED, ASSIGNED_DESTROYED].contains(&(ipa & !0xfff)) => {
            Place::Missing(3)
        }
        RAM_BLOCK..0x60_0000 => Place::Missing(2),
        RAM_GIB..0xc000_0000 => Place::Missing(1),
        _ => Place::Empty,
    }
}

/// The RIPAS of a protected IPA, and the end of the table at which a walk for it ends.
fn ripas(ipa: u64) -> (u64, u64) {
    let ripas = match place(ipa) {
        Place::Memory => 1,
        Place::Missing(3) if ipa & !0xfff != UNASSIGNED_RAM => 2,
        Place::Missing(_) => 1,
        Place::Empty | Place::NotProtected => 0,
    };
    let end = match ipa {
        0..BLOCK => BLOCK,
        BLOCK..GIB => GIB,
        _ => PROTECTED_END,
    };
    (ripas, end)
}

/// An ACTIVE Realm with two RECs and a page of each kind.
pub fn realm(algorithm: u8) -> RealmFixture {
    let fixture = RealmFixture::new();
    fixture.delegate(&[RD, ROOT, ROOT + PAGE]);
    let parameters = RealmParams { algorithm, rpv: 0x77, ..RealmParams::default() };
    assert_eq!(fixture.realm_create(RD, &parameters), SUCCESS);
    fixture.rec(RD, REC, AUX, 0);
    fixture.rec(RD, SECOND_REC, SECOND_AUX, 1);
    fixture.delegate(&TABLES);
    fixture.delegate(&MEMORY);
    let done = |function, arguments: &[u64]| {
        let mut registers = [0; 8];
        registers[0] = u64::from(function);
        registers[1..=arguments.len()].copy_from_slice(arguments);
        let answer = fixture.system.call(&mut kit::system::System::cpu(0), registers);
        assert_eq!(answer[0], SUCCESS, "{function:#x} {arguments:x?}");
    };
    done(function::RTT_CREATE, &[RD, TABLES[0], 0, 2]);
    done(function::RTT_CREATE, &[RD, TABLES[1], 0, 3]);
    for (base, size) in [(RAM, PAGE), (UNASSIGNED_RAM, 2 * PAGE), (ASSIGNED_DESTROYED, PAGE)]
        .into_iter()
        .chain([(RAM_BLOCK, BLOCK), (RAM_GIB, GIB)])
    {
        done(function::RTT_INIT_RIPAS, &[RD, base, base + size]);
    }
    done(function::DATA_CREATE_UNKNOWN, &[RD, MEMORY[0], RAM]);
    done(function::DATA_CREATE_UNKNOWN, &[RD, MEMORY[1], ASSIGNED_EMPTY]);
    for ipa in [DESTROYED, ASSIGNED_DESTROYED] {
        done(function::DATA_CREATE_UNKNOWN, &[RD, MEMORY[2], ipa]);
        done(function::DATA_DESTROY, &[RD, ipa]);
    }
    done(function::DATA_CREATE_UNKNOWN, &[RD, MEMORY[2], ASSIGNED_DESTROYED]);
    fixture.activate();
    fixture
}

/// Calls, and asserts `expected` in X0 and up, with all other registers preserved.
pub fn answers(fixture: &RealmFixture, x: &[u64], expected: &[u64]) {
    let mut after = registers(x);
    after[..expected.len()].copy_from_slice(expected);
    assert_eq!(call(fixture, REC, registers(x)), Some(after), "{x:x?}");
}

/// Calls, and asserts that the REC leaves with this record and with its registers preserved.
fn leaves(fixture: &RealmFixture, x: &[u64], record: &[(u64, u64)]) {
    assert_eq!(call(fixture, REC, registers(x)), None, "{x:x?}");
    assert_exit(fixture, &format!("{x:x?}"), record);
}

/// Enters the REC, and asserts that it goes on with `expected` in X0 and up.
fn goes_on(fixture: &RealmFixture, x: &[u64], expected: &[u64]) {
    let mut after = registers(x);
    after[..expected.len()].copy_from_slice(expected);
    assert_eq!(resume(fixture, REC).expect("it runs").gprs, after, "{x:x?}");
}

/// Calls, and asserts an exit with a data abort, after which the REC executes the SMC again.
pub fn aborts(fixture: &RealmFixture, x: &[u64], ipa: u64, level: u64) {
    let pc = fixture.with_rec(REC, |rec| rec.state.registers.pc);
    leaves(fixture, x, &[(0x100, 0x24 << 26 | 4 | level), (0x110, (ipa & !0xfff) >> 8)]);
    // The host can neither emulate the access nor inject an abort.
    for flags in [1, 2, 3] {
        fixture.write(HOSTS, 0, flags);
        fixture.refused(function::REC_ENTER, &[REC, HOSTS], ERROR_REC, "flags");
    }
    fixture.write(HOSTS, 0, 0);
    goes_on(fixture, x, &[]);
    assert_eq!(fixture.with_rec(REC, |rec| rec.state.registers.pc), pc, "the SMC again");
}

const INPUT: [u64; 4] = [status::ERROR_INPUT, 0, 0, 0];

/// Pages of each kind, and pages at the limits of ranges.
fn pages() -> impl Iterator<Item = u64> {
    [EMPTY, RAM, UNASSIGNED_RAM, DESTROYED, ASSIGNED_EMPTY, ASSIGNED_DESTROYED]
        .into_iter()
        .chain([EMPTY_BLOCK, EMPTY_BLOCK + PAGE, RAM_BLOCK, RAM_BLOCK + BLOCK - PAGE])
        .chain([EMPTY_GIB, RAM_GIB, RAM_GIB + GIB - PAGE, PROTECTED_END - PAGE])
        .chain([PROTECTED_END, PROTECTED_END * 2 - PAGE, PROTECTED_END * 2, 1 << 52, !0xfff])
}

#[test]
fn versions_and_features_are_those_of_rsi_1_0() {
    let fixture = realm(0);
    for requested in [0, 1, 0xffff, 0x1_0001, 0x2_0000, 1 << 63 | 0x1_0000, 1 << 32 | 0x1_0000, !0]
    {
        let x = [u64::from(rsi::VERSION), requested];
        answers(&fixture, &x, &[status::ERROR_INPUT, 0x1_0000, 0x1_0000, 0]);
    }
    for upper in [0, smccc::SVE_HINT, 1 << 32, !0 << 32] {
        let x = [u64::from(rsi::VERSION) | upper, 0x1_0000];
        answers(&fixture, &x, &[0, 0x1_0000, 0x1_0000, 0]);
    }
    for index in [0, 1, 4, 5, !0] {
        answers(&fixture, &[u64::from(rsi::FEATURES), index], &[0; 4]);
    }
}

#[test]
fn a_number_that_is_no_function_answers_minus_one_and_never_leaves() {
    let fixture = realm(0);
    let known: Vec<u32> = [rsi::ALL, power::ALL, smccc::function::ALL]
        .iter()
        .flat_map(|all| all.iter().map(|(_, number)| *number))
        .collect();
    let mut random = seed::generator("a_number_that_is_no_function");
    let ranges = [0x8000_0000, 0x8400_0000, 0xC400_0000, 0xC400_0140, 0xC400_01C0, 0xC400_0200]
        .into_iter()
        .flat_map(|base| base..base + 0x80_u32);
    let some = (0..2000).map(|_| random.u32(..)).collect::<Vec<_>>();
    for number in ranges.chain(some).filter(|number| !known.contains(&(number & !(1 << 16)))) {
        answers(&fixture, &[u64::from(number), 0x1_0000], &[!0, 0, 0, 0]);
    }
}

#[test]
fn measurements_are_read_and_extended_as_their_algorithm_says() {
    for (algorithm, kind, length) in
        [(0, HashAlgorithm::Sha256, 32), (1, HashAlgorithm::Sha512, 64)]
    {
        let fixture = realm(algorithm);
        let initial = fixture.with_realm(RD, |realm| *realm.initial_measurement.value());
        let mut model = [initial, [0; 8], [0; 8], [0; 8], [0; 8]];
        let read = |model: &[[u64; 8]; 5]| {
            for (index, expected) in (0..).zip(model) {
                let x = [u64::from(rsi::MEASUREMENT_READ), index];
                answers(&fixture, &x, &[&[0], &expected[..]].concat());
            }
        };
        for index in [5, 6, 1 << 32, 1 << 63, !0] {
            answers(&fixture, &[u64::from(rsi::MEASUREMENT_READ), index], &INPUT);
        }
        let value: [u64; 8] =
            core::array::from_fn(|word| 0x0102_0304_0506_0708 * (word as u64 + 1));
        let data: [u8; 64] = bytes(&value);
        for index in [0, 1, 2, 3, 4, 5, 1 << 32 | 1, !0] {
            for size in [0, 1, 31, 32, 33, 63, 64, 65, 1 << 32 | 1, !0] {
                let x = [&[u64::from(rsi::MEASUREMENT_EXTEND), index, size], &value[..]].concat();
                if !(1..5).contains(&index) || size > 64 {
                    answers(&fixture, &x, &INPUT);
                    continue;
                }
                answers(&fixture, &x, &[0; 4]);
                let (slot, size) = (index as usize, size as usize);
                let before: [u8; 64] = bytes(&model[slot]);
                let after = hash(kind, &[&before[..length], &data[..size]].concat());
                model[slot] = core::array::from_fn(|word| {
                    u64::from_le_bytes(after[8 * word..][..8].try_into().expect("eight"))
                });
            }
            read(&model);
        }
    }
}

#[test]
fn the_configuration_goes_to_protected_memory_alone_and_its_fields_alone() {
    for algorithm in [0, 1] {
        let fixture = realm(algorithm);
        for page in pages() {
            for offset in [0, 1, 8, 0x100, 0x800, 0xfff] {
                let ipa = page + offset;
                let x = [u64::from(rsi::REALM_CONFIG), ipa];
                fixture.system.machine.memory.fill_granule(MEMORY[0], 0x77);
                match place(ipa) {
                    _ if offset != 0 => answers(&fixture, &x, &INPUT),
                    Place::NotProtected | Place::Empty => answers(&fixture, &x, &INPUT),
                    Place::Missing(level) => aborts(&fixture, &x, ipa, level),
                    Place::Memory => {
                        answers(&fixture, &x, &[0; 4]);
                        for word in 0..512 {
                            let expected = match word {
                                0 => 40,
                                1 => u64::from(algorithm),
                                64..72 => 0x77 + word - 64,
                                _ => 0x77,
                            };
                            let at = MEMORY[0] + 8 * word;
                            let word = fixture.system.machine.memory.word(at).expect("memory");
                            let got = word.load(std::sync::atomic::Ordering::Relaxed);
                            assert_eq!(got, expected, "{at:#x}");
                        }
                        continue;
                    }
                }
                assert!(fixture.system.machine.memory.granule_is(MEMORY[0], 0x77));
            }
        }
    }
}

#[test]
fn a_host_call_is_answered_in_place_and_needs_protected_memory() {
    let fixture = realm(0);
    let memory = &fixture.system.machine.memory;
    for page in pages() {
        for offset in [0, 1, 8, 0x80, 0x100, 0x900, 0xf00, 0xf01, 0xfff] {
            let ipa = page + offset;
            let x = [u64::from(rsi::HOST_CALL), ipa];
            match place(ipa) {
                _ if offset % 0x100 != 0 => answers(&fixture, &x, &INPUT),
                Place::NotProtected | Place::Empty => answers(&fixture, &x, &INPUT),
                Place::Missing(level) => aborts(&fixture, &x, ipa, level),
                Place::Memory => {
                    memory.fill_granule(MEMORY[0], 0x1234_5678_9abc_def0);
                    let gprs = (0..31).map(|index| (0x200 + 8 * index, 0x1234_5678_9abc_def0));
                    let record: Vec<_> =
                        [(0, 5), (0x600, 0xdef0)].into_iter().chain(gprs).collect();
                    leaves(&fixture, &x, &record);
                    for index in 0..31 {
                        fixture.write(HOSTS, 0x200 + 8 * index, 0x100 + index);
                    }
                    goes_on(&fixture, &x, &[0]);
                    for index in 0..512 {
                        let at = offset / 8 + 1;
                        let expected = match index {
                            _ if index < at || index >= at + 31 => 0x1234_5678_9abc_def0,
                            _ => 0x100 + index - at,
                        };
                        let word = memory.word(MEMORY[0] + 8 * index).expect("memory");
                        let got = word.load(std::sync::atomic::Ordering::Relaxed);
                        assert_eq!(got, expected, "word {index} of a call at {offset:#x}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_host_call_pends_until_the_registers_of_the_host_are_read() {
    let x = [u64::from(rsi::HOST_CALL), RAM];
    // The page goes away at the flags, ICH_HCR_EL2, a list register or the exit half, then at
    // general registers.
    for words in [0, 1, 15, 30] {
        let fixture = realm(0);
        assert_eq!(call(&fixture, REC, registers(&x)), None);
        let before = fixture.with_rec(REC, |rec| (rec.state.registers, rec.state.pending));
        fixture.system.machine.take_away_after(1 + 1 + 1 + 256 + words);
        assert_eq!(fixture.call(function::REC_ENTER, &[REC, HOSTS]), 1, "{words} words");
        let after = fixture.with_rec(REC, |rec| (rec.state.registers, rec.state.pending));
        assert_eq!(after, before, "after {words} words");

        let other = HOSTS + PAGE;
        for offset in (0..PAGE).step_by(8) {
            let is_gpr = (0x200..0x2f8).contains(&offset);
            fixture.write(other, offset, if is_gpr { 0x77 } else { 0 });
        }
        assert_eq!(fixture.call(function::REC_ENTER, &[REC, other]), SUCCESS);
        assert_eq!(fixture.with_rec(REC, |rec| rec.state.registers.gprs[0]), 0);
        for index in 0..31 {
            let word = fixture.system.machine.memory.word(MEMORY[0] + 8 + 8 * index);
            let word = word.expect("memory").load(std::sync::atomic::Ordering::Relaxed);
            assert_eq!(word, 0x77, "{index}");
        }
    }
}

/// The checks of a range, in any order. Each gives RSI_ERROR_INPUT.
fn is_range(base: u64, top: u64) -> bool {
    base.is_multiple_of(PAGE) && top.is_multiple_of(PAGE) && base < top && top <= PROTECTED_END
}

fn edges() -> Vec<u64> {
    let off = [1, 8, 0xfff].map(|offset| RAM + offset);
    pages().chain(off).chain([PROTECTED_END + PAGE, !0]).collect()
}

#[test]
fn the_ripas_of_a_range_is_told_up_to_where_it_changes_or_the_table_ends() {
    let fixture = realm(0);
    for base in edges() {
        for top in edges() {
            let x = [u64::from(rsi::IPA_STATE_GET), base, top];
            if !is_range(base, top) {
                answers(&fixture, &x, &INPUT);
                continue;
            }
            let (expected, end) = ripas(base);
            let step = if base < BLOCK { PAGE } else { BLOCK };
            let mut out = base;
            while out < top && out < end && ripas(out).0 == expected {
                out = (out + step) & !(step - 1);
            }
            answers(&fixture, &x, &[0, out.min(top).min(end), expected, 0]);
        }
    }
}

#[test]
fn the_ripas_of_a_range_is_told_up_to_the_next_table() {
    let fixture = realm(0);
    let table = SPARE + 5 * PAGE;
    fixture.delegate(&[table]);
    let next = RAM_BLOCK + BLOCK;
    assert_eq!(fixture.call(function::RTT_CREATE, &[RD, table, next, 3]), SUCCESS);
    answers(&fixture, &[u64::from(rsi::IPA_STATE_GET), RAM_BLOCK, GIB], &[0, next, 1, 0]);
}

#[test]
fn a_change_of_ripas_leaves_with_its_range_if_that_is_one() {
    let fixture = realm(0);
    for base in edges() {
        for top in edges() {
            for ripas in [0, 1, 2, 3, 1 << 32, 1 << 32 | 1, !0] {
                for flags in [0, 1, 2, !0] {
                    let x = [u64::from(rsi::IPA_STATE_SET), base, top, ripas, flags];
                    if !is_range(base, top) || ripas > 1 {
                        answers(&fixture, &x, &INPUT);
                        continue;
                    }
                    let record = [(0, 4), (0x500, base), (0x508, top), (0x510, ripas)];
                    leaves(&fixture, &x, &record);
                    for flags in [1, 2] {
                        fixture.write(HOSTS, 0, flags);
                        assert_eq!(fixture.call(function::REC_ENTER, &[REC, HOSTS]), ERROR_REC);
                    }
                    // The host changes no RIPAS, with and without RMI_REJECT.
                    let reject = flags & 1;
                    fixture.write(HOSTS, 0, reject << 4);
                    goes_on(&fixture, &x, &[0, base, reject & ripas, 0]);
                    fixture.write(HOSTS, 0, 0);
                }
            }
        }
    }
}

#[test]
fn psci_is_answered_at_once_unless_it_needs_the_host() {
    let fixture = realm(0);
    answers(&fixture, &[u64::from(power::VERSION)], &[0x1_0001, 0, 0, 0]);
    answers(&fixture, &[0x8000_0000], &[0x1_0002, 0, 0, 0]);
    let known: Vec<u64> = power::ALL.iter().map(|(_, number)| u64::from(*number)).collect();
    for function in (0x8400_0000..0x8400_0020).chain(0xC400_0000..0xC400_0020).chain([0x8000_0000])
    {
        let is_known = known.contains(&function) && function != 0x8400_0000;
        let expected = if is_known || function == 0x8000_0000 { 0 } else { psci::NOT_SUPPORTED };
        answers(&fixture, &[u64::from(power::FEATURES), function], &[expected, 0, 0, 0]);
    }
    for function in [power::CPU_SUSPEND, power::CPU_SUSPEND_64].map(u64::from) {
        let x = [function, !0, !0, !0];
        leaves(&fixture, &x, &[(0, 3), (0x200, function)]);
        goes_on(&fixture, &x, &[0; 4]);
    }
}

/// Targets: the caller, the other REC, and MPIDRs of no REC.
const TARGETS: [u64; 10] =
    [0, 1, 2, 0x10, 0x100, 1 << 24, 1 << 31 | 1, 1 << 32, 1 << 40 | 1, 1 << 32 | 1];

#[test]
fn cpu_on_checks_its_entry_point_and_its_target_in_this_order() {
    let fixture = realm(0);
    for function in [power::CPU_ON, power::CPU_ON_64] {
        let is_32 = function == power::CPU_ON;
        for target in TARGETS {
            for entry in [0, 0x8003, PROTECTED_END - 4, PROTECTED_END, 1 << 52, !0] {
                let x = [u64::from(function), target, entry, 0xc0_ffee_0000_0077];
                let w = |value: u64| if is_32 { value & 0xffff_ffff } else { value };
                let error = match w(target) {
                    _ if w(entry) >= PROTECTED_END => psci::INVALID_ADDRESS,
                    0 => psci::ALREADY_ON,
                    1 => {
                        leaves(&fixture, &x, &[(0, 3), (0x200, x[0]), (0x208, 1)]);
                        fixture.with_rec(REC, |rec| {
                            let PendingRequest::CpuOn { target, entry: at, context } =
                                rec.state.pending
                            else {
                                panic!("it pends");
                            };
                            let given = (target.get(), at, context);
                            assert_eq!(given, (1, w(entry), w(0xc0_ffee_0000_0077)));
                        });
                        complete(&fixture, &x, psci::ALREADY_ON);
                        continue;
                    }
                    _ => psci::INVALID_PARAMETERS,
                };
                answers(&fixture, &x, &[error, 0, 0, 0]);
            }
        }
    }
}

/// The host completes a call on the second REC, which is on. Until then the caller cannot run.
fn complete(fixture: &RealmFixture, x: &[u64], result: u64) {
    fixture.refused(function::REC_ENTER, &[REC, HOSTS], ERROR_REC, "it pends");
    assert_eq!(fixture.call(function::PSCI_COMPLETE, &[REC, SECOND_REC, 0]), SUCCESS);
    goes_on(fixture, x, &[result, 0, 0, 0]);
}

#[test]
fn affinity_info_checks_its_level_and_its_target() {
    let fixture = realm(0);
    for function in [power::AFFINITY_INFO, power::AFFINITY_INFO_64] {
        let w = |value: u64| {
            if function == power::AFFINITY_INFO { value & 0xffff_ffff } else { value }
        };
        for target in TARGETS {
            for level in [0, 1, 3, 1 << 32, !0] {
                let x = [u64::from(function), target, level];
                let answer = match w(target) {
                    _ if w(level) != 0 => psci::INVALID_PARAMETERS,
                    0 => psci::AFFINITY_ON,
                    1 => {
                        leaves(&fixture, &x, &[(0, 3), (0x200, x[0]), (0x208, 1)]);
                        complete(&fixture, &x, psci::AFFINITY_ON);
                        continue;
                    }
                    _ => psci::INVALID_PARAMETERS,
                };
                answers(&fixture, &x, &[answer, 0, 0, 0]);
            }
        }
    }
}

#[test]
fn after_cpu_off_a_rec_and_after_system_off_a_realm_is_not_entered() {
    for function in [power::SYSTEM_OFF, power::SYSTEM_RESET] {
        let fixture = realm(0);
        let off = [u64::from(power::CPU_OFF)];
        leaves(&fixture, &off, &[(0, 3), (0x200, off[0])]);
        fixture.refused(function::REC_ENTER, &[REC, HOSTS], ERROR_REC, "it is off");
        let x = [u64::from(function)];
        assert_eq!(call(&fixture, SECOND_REC, registers(&x)), None);
        assert_exit(&fixture, "the Realm goes off", &[(0, 3), (0x200, x[0])]);
        for rec in [REC, SECOND_REC] {
            let entered = [rec, HOSTS];
            fixture.refused(function::REC_ENTER, &entered, ERROR_REALM_OFF, "the Realm is off");
        }
    }
}

#[test]
fn no_word_of_the_memory_of_a_realm_is_accessed_twice_by_a_call() {
    let fixture = realm(0);
    for (function, ipa) in [(rsi::HOST_CALL, RAM + 0x100), (rsi::REALM_CONFIG, RAM)] {
        let granule = fixture.system.machine.memory.granule(MEMORY[0]).expect("memory");
        let words = granule.as_ptr().addr()..granule.as_ptr().addr() + 4096;
        let (_, accesses) = rmm::host::atomic::record(|| {
            call(&fixture, REC, registers(&[u64::from(function), ipa]))
        });
        let mut accesses: Vec<_> = accesses
            .iter()
            .map(|access| access.address)
            .filter(|address| words.contains(address))
            .collect();
        let count = accesses.len();
        assert!(count >= 10, "{function:#x} accesses memory");
        accesses.sort_unstable();
        accesses.dedup();
        assert_eq!(accesses.len(), count, "{function:#x}");
        resume(&fixture, REC);
    }
}
