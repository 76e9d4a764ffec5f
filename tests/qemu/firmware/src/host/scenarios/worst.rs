// SPDX-License-Identifier: BSD-3-Clause
//! Hostile Realms: the RMM continues, and no interrupt of the host waits long.
//!
//! The host's timer fires at random moments. If instructions count as time, the host's delay is a
//! count that repeats.

use rmm_abi::rmi_v1::{RealmAttributes, RealmFlags};
use rmm_test_firmware::options::GRANULE;
use rmm_test_firmware::realm_protocol::{BASE, BLOCK, PAGES, TOKEN_PAGE, command, program};
use rmm_test_firmware::{read_register, say};

use crate::check::{self, Every};
use crate::gic;
use crate::guest::{Guest, field, flag, reason};
use crate::random::Random;
use crate::realm;
use crate::rmi::Status;

/// The most instructions from a pending interrupt until the host continues: those of the RMM, of
/// EL3, and of the host around the call.
const BOUND: u64 = 10_000;

/// The first unprotected IPA, a protected IPA with RIPAS EMPTY, and one beyond the IPA space.
const UNPROTECTED: u64 = 1 << 39;
const EMPTY: u64 = BASE + PAGES * GRANULE;
const BEYOND: u64 = 1 << 41;
/// The value with which the host emulates a read.
const EMULATED: u64 = 0x5eed;

/// A Realm with all features.
fn with_all(attributes: &mut RealmAttributes) {
    attributes.flags |= (RealmFlags::SVE | RealmFlags::PMU).bits();
    attributes.sve_vl = 1;
    attributes.pmu_num_ctrs = 4;
}

/// A host that serves a Realm of which it expects anything.
struct Host<'a> {
    guest: Guest,
    random: Random,
    every: Every<'a>,
    /// The bound for the delay of an interrupt.
    bound: u64,
    /// The longest delay so far.
    latest: u64,
    /// Exits by reason, those of RMI 1.0.
    exits: [u64; 7],
    /// The number of Realms built again.
    rebuilt: u64,
}

impl<'a> Host<'a> {
    fn new(stream: u64, what: &'a str, bound: u64) -> Self {
        gic::enable_timer(0);
        Self {
            guest: Guest::start_with(1, with_all),
            random: Random::new(stream),
            every: Every::new(what),
            bound,
            latest: 0,
            exits: [0; 7],
            rebuilt: 0,
        }
    }

    /// Enters the REC with its page as it is, and a timer that fires at a random moment.
    fn enter(&mut self) -> u64 {
        let (rec, run) = (self.guest.rec(0), self.guest.run(0));
        let most = 1 << (6 + self.random.below(13));
        let deadline = gic::arm_timer(1 + self.random.below(most));
        let status = realm::rec_enter(rec, run.address());
        let late = gic::now().saturating_sub(deadline);
        gic::disarm_timer();
        self.every.equal("entered", status, Status::SUCCESS);
        let why = run.reason();
        if late > self.bound {
            self.every.equal(format_args!("an interrupt waits, exit {why}"), late, self.bound);
        }
        self.latest = self.latest.max(late);
        if let Some(count) = self.exits.get_mut(why as usize) {
            *count += 1;
        }
        why
    }

    /// Serves the REC until it has carried out its command. Gives false if that takes more than
    /// `patience` ticks.
    fn serve(&mut self, patience: u64) -> bool {
        let run = self.guest.run(0);
        let end = gic::now() + patience;
        while gic::now() < end {
            match self.enter() {
                reason::HOST_CALL => return true,
                reason::SYNC => {
                    let is_abort = run.exit(field::ESR) >> 26 == 0x24;
                    let is_emulated = is_abort && run.exit(field::ESR) >> 24 & 1 != 0;
                    let is_unprotected = run.exit(field::HPFAR) << 8 >= UNPROTECTED;
                    let flags = match self.random.below(4) {
                        0 => 0,
                        1 if is_abort && is_unprotected => flag::INJECT_SEA,
                        _ if is_emulated => flag::EMULATED_MMIO,
                        _ if is_abort && is_unprotected => flag::INJECT_SEA,
                        _ => 0,
                    };
                    run.prepare(flags, &[EMULATED]);
                }
                reason::PSCI => {
                    // A target that does not exist, or none at all.
                    let rec = self.guest.rec(0);
                    let _ = realm::psci_complete(rec, rec, 0);
                    run.prepare(0, &[]);
                }
                reason::RIPAS_CHANGE => run.prepare(self.random.below(2) << 4, &[]),
                _ => run.prepare(0, &[]),
            }
        }
        false
    }

    /// Destroys the Realm, whatever it is doing, and builds another one.
    fn rebuild(self) -> Self {
        let Self { guest, rebuilt, .. } = self;
        guest.destroy();
        Self { guest: Guest::start_with(1, with_all), rebuilt: rebuilt + 1, ..self }
    }

    /// A result word of the Realm's last command.
    fn result(&self, index: u64) -> u64 {
        self.guest.run(0).exit(field::GPRS + 8 * index)
    }

    fn end(self, what: &str) {
        let Self { guest, every, bound, latest, exits, rebuilt, .. } = self;
        drop(every);
        let [sync, irq, _, psci, ripas, calls, _] = exits;
        say!(
            "   {sync} exits by exceptions, {irq} by interrupts, {psci} by PSCI, {ripas} by RIPAS"
        );
        say!("   {calls} by host calls; {rebuilt} Realms lost themselves and were built again");
        if bound != u64::MAX {
            say!("{what}: the host had its CPU back within {latest} instructions");
        }
        guest.destroy();
    }
}

/// An instruction with its X0 to X3.
type Storm = (&'static str, u32, [u64; 4]);

const SMC: u32 = 0xd400_0003;
/// `msr cpacr_el1, x1`, `msr vbar_el1, x1`
const CPACR: u32 = 0xd518_1041;
const VBAR: u32 = 0xd518_c001;
const BRK: u32 = 0xd420_0000;
const WFI: u32 = 0xd503_207f;

/// What a Realm does endlessly.
const STORMS: [Storm; 38] = [
    ("nothing", 0xd503_201f, [0; 4]),
    ("an instruction that there is not", 0, [0; 4]),
    ("BRK", BRK, [0; 4]),
    ("SVC", 0xd400_0001, [0; 4]),
    ("HVC", 0xd400_0002, [0; 4]),
    ("WFI", WFI, [0; 4]),
    ("WFE", 0xd503_205f, [0; 4]),
    ("ERET to nowhere", 0xd69f_03e0, [0; 4]),
    ("RSI_VERSION", SMC, [0xc400_0190, 0x1_0000, 0, 0]),
    ("an unknown call", SMC, [0xc400_01ff, 0, 0, 0]),
    ("a call of the RMI", SMC, [0xc400_0150, 0, 0, 0]),
    ("RSI_FEATURES", SMC, [0xc400_0191, 0, 0, 0]),
    ("RSI_MEASUREMENT_READ", SMC, [0xc400_0192, 0, 0, 0]),
    ("RSI_MEASUREMENT_EXTEND", SMC, [0xc400_0193, 1, 64, !0]),
    ("RSI_ATTESTATION_TOKEN_INIT", SMC, [0xc400_0194, 1, 2, 3]),
    ("RSI_ATTESTATION_TOKEN_CONTINUE", SMC, [0xc400_0195, TOKEN_PAGE, 0, 4096]),
    ("RSI_REALM_CONFIG", SMC, [0xc400_0196, TOKEN_PAGE, 0, 0]),
    ("RSI_REALM_CONFIG of what is not there", SMC, [0xc400_0196, EMPTY, 0, 0]),
    ("RSI_IPA_STATE_SET", SMC, [0xc400_0197, EMPTY, UNPROTECTED, 1]),
    ("RSI_IPA_STATE_GET", SMC, [0xc400_0198, 0, UNPROTECTED, 0]),
    ("RSI_IPA_STATE_GET of nothing", SMC, [0xc400_0198, EMPTY, EMPTY, 0]),
    ("RSI_HOST_CALL of what is not there", SMC, [0xc400_0199, EMPTY, 0, 0]),
    ("PSCI_VERSION", SMC, [0x8400_0000, 0, 0, 0]),
    ("PSCI_CPU_SUSPEND", SMC, [0xc400_0001, 0, 0, 0]),
    ("PSCI_AFFINITY_INFO", SMC, [0xc400_0004, 0, 0, 0]),
    ("PSCI_CPU_ON", SMC, [0xc400_0003, 1, BASE, 0]),
    ("an ID register", 0xd538_0400, [0; 4]),
    ("a debug register", 0xd510_0080, [0; 4]),
    ("an SGI", 0xd518_cba1, [0, 0x2_0003, 0, 0]),
    ("the PMU", 0xd53b_9c00, [0; 4]),
    ("a load from RIPAS EMPTY", 0xf940_0001, [EMPTY, 0, 0, 0]),
    ("a load from beyond", 0xf940_0001, [BEYOND, 0, 0, 0]),
    ("a load that is emulated", 0xf940_0001, [UNPROTECTED, 0, 0, 0]),
    ("a store that is emulated", 0xf900_0001, [UNPROTECTED | 8, 0, 0, 0]),
    ("a load that is not", 0xa940_0801, [UNPROTECTED, 0, 0, 0]),
    ("a fetch from RIPAS EMPTY", 0xd61f_0000, [EMPTY, 0, 0, 0]),
    ("floating point", 0x4e08_0c3f, [0; 4]),
    ("SMSTART", 0xd503_477f, [0; 4]),
];

/// Vectors that lead to another exception, endlessly.
const VECTORS: [(&str, u64); 4] = [
    ("RIPAS EMPTY", EMPTY),
    ("unprotected memory", UNPROTECTED),
    ("beyond the IPA space", BEYOND),
    ("memory without instructions", TOKEN_PAGE),
];

/// A Realm does all of this repeatedly.
pub fn storms() {
    const TIMES: u64 = 400;
    const PATIENCE: u64 = 100_000_000;
    let mut host = Host::new(0x7374_6f72, "a storm", BOUND);
    for (what, instruction, [x0, x1, x2, x3]) in STORMS {
        let gprs = [command::EXECUTE, CPACR.into(), 0, 0x333 << 16];
        host.guest.run(0).prepare(0, &gprs);
        let opened = host.serve(PATIENCE);
        host.every.equal("CPACR_EL1", opened, true);
        let before = core::mem::take(&mut host.latest);
        for flags in [0, flag::TRAP_WFI] {
            let gprs = [command::STORM, instruction.into(), x0, x1, x2, x3, TIMES];
            host.guest.run(0).prepare(flags, &gprs);
            let over = host.serve(PATIENCE);
            host.every.equal(what, (over, host.result(0)), (true, command::STORM));
        }
        say!("   {what}: {} instructions", host.latest);
        host.latest = host.latest.max(before);
    }
    for (what, vectors) in VECTORS {
        let gprs = [command::EXECUTE, VBAR.into(), 0, vectors];
        host.guest.run(0).prepare(0, &gprs);
        let moved = host.serve(PATIENCE);
        host.every.equal("VBAR_EL1", moved, true);
        host.guest.run(0).prepare(0, &[command::EXECUTE, BRK.into()]);
        let before = core::mem::take(&mut host.latest);
        let comes_back = host.serve(2_000_000);
        host.every.equal(format_args!("vectors in {what} lead back"), comes_back, false);
        say!("   exceptions in exceptions, vectors in {what}: {} instructions", host.latest);
        host.latest = host.latest.max(before);
        host = host.rebuild();
    }
    host.end("storms");
}

/// A million random instructions.
pub fn random_instructions() {
    const INSTRUCTIONS: u64 = 1_000_000;
    const BLOCKS: u64 = 100;
    // Time, not instructions: a Realm may direct its exceptions to an address where no instruction
    // can be fetched. A Realm that is given up too early is only built again.
    let patience = read_register!("cntfrq_el0") / 4;
    let mut host = Host::new(0x7261_6e64, "random instructions", u64::MAX);
    let (mut generated, mut exceptions) = (0, 0);
    open(&host);
    while generated < INSTRUCTIONS {
        let seed = host.random.word();
        let gprs = [command::PROGRAM, program::RANDOM, seed, BLOCKS];
        host.guest.run(0).prepare(0, &gprs);
        if host.serve(patience) && host.result(0) == command::PROGRAM {
            exceptions += host.result(2);
            generated += BLOCKS * BLOCK;
        } else {
            say!("   lost itself: seed {seed:#x}");
            host = host.rebuild();
            open(&host);
        }
    }
    host.every.equal("many of them are exceptions", exceptions > generated / 4, true);
    say!("{generated} random instructions, {exceptions} exceptions in the Realm");
    host.end("random instructions");
}

fn open(host: &Host<'_>) {
    host.guest.execute(0, CPACR, [0, 0x333 << 16, 0, 0]);
}

/// A Realm writes random values to every system register.
pub fn register_writes() {
    const ENCODINGS: u64 = 1 << 15;
    const TURNS: u64 = 3;
    // Time, not instructions. A Realm that is given up too early is only built again.
    let patience = read_register!("cntfrq_el0") / 2;
    let mut host = Host::new(0x7772_6974, "writes to system registers", u64::MAX);
    let mut exceptions = 0;
    for turn in 0..TURNS {
        let (mut first, mut count) = (0, 256);
        while first < ENCODINGS {
            let gprs =
                [command::PROGRAM, program::WRITE_REGISTERS, turn << 32 | first, first, count];
            host.guest.run(0).prepare(0, &gprs);
            let over = host.serve(patience) && host.result(0) == command::PROGRAM;
            if over {
                exceptions += host.result(2);
            } else {
                host = host.rebuild();
            }
            // If a Realm does not come back, the write responsible is found by single writes.
            match (over, count) {
                (false, 1) => say!("   lost itself: msr of encoding {first:#x}"),
                (false, _) => {
                    count /= 4;
                    continue;
                }
                _ => {}
            }
            first += count;
            count = if first % 256 == 0 { 256 } else { count };
        }
    }
    host.every.equal("some are undefined", exceptions > ENCODINGS, true);
    say!("{} writes to system registers, {exceptions} exceptions", TURNS * ENCODINGS);
    host.end("writes");
}

/// A Realm changes its tables while it uses them.
pub fn tables() {
    const ROUNDS: u64 = 64;
    const TIMES: u64 = 400;
    const PATIENCE: u64 = 50_000_000;
    let mut host = Host::new(0x7461_626c, "tables that change", BOUND);
    let mut exceptions = 0;
    for round in 0..ROUNDS {
        let seed = host.random.word() & !2 | (round & 1) << 1;
        host.guest.run(0).prepare(0, &[command::PROGRAM, program::TABLES, seed, TIMES]);
        if host.serve(PATIENCE) && host.result(0) == command::PROGRAM {
            exceptions += host.result(2);
        } else {
            say!("   lost itself: seed {seed:#x}");
            host = host.rebuild();
        }
    }
    host.every.equal("accesses fail", exceptions > ROUNDS, true);
    say!("{} accesses by tables that change, {exceptions} exceptions", ROUNDS * TIMES);
    host.end("tables");
    check::equal("the host's timer is off", read_register!("cnthp_ctl_el2") & 1, 0);
}
