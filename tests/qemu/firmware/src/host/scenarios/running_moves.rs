// SPDX-License-Identifier: BSD-3-Clause
//! RECs move to another CPU at every exit, while timers of the host interrupt them at any moment.
//! Host and Realm find nothing of each other in a CPU's registers.

use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};

use rmm_test_firmware::realm_protocol::command;
use rmm_test_firmware::say;

use crate::canaries::Canaries;
use crate::check::{self, Every};
use crate::cpus;
use crate::gic;
use crate::guest::{Guest, field, reason};
use crate::random::Random;
use crate::rmi::Status;

/// More RECs than CPUs, so that each CPU finds a free one.
const RECS: usize = 6;
/// The number of instructions by each CPU.
const ROUNDS: u64 = 400;

/// Registers of a Realm that hold any value, by the encoding of `msr <register>, x0`.
const REGISTERS: [u32; 14] = [
    0xd518_4100, // sp_el0
    0xd51b_d040, // tpidr_el0
    0xd51b_d060, // tpidrro_el0
    0xd518_2000, // ttbr0_el1
    0xd518_2020, // ttbr1_el1
    0xd518_a200, // mair_el1
    0xd518_6000, // far_el1
    0xd518_d020, // contextidr_el1
    0xd51b_e240, // cntp_cval_el0
    0xd51b_e340, // cntv_cval_el0
    0xd518_2100, // apiakeylo_el1
    0xd518_2260, // apdbkeyhi_el1
    0xd518_2320, // apgakeyhi_el1
    0x9e67_0000, // fmov d0, x0
];
/// The difference from `msr` to `mrs`, and to `fmov x0, d0`.
const READ: u32 = 1 << 21;
const READ_D0: u32 = 0x9e66_0000;
/// The bits of each register that hold any value.
const fn mask(register: usize) -> u64 {
    match register {
        // TTBR0_EL1 and TTBR1_EL1: the table.
        3 | 4 => 0x0000_ffff_ffff_f000,
        // CONTEXTIDR_EL1.
        7 => 0xffff_ffff,
        _ => u64::MAX,
    }
}

/// What a REC does, as the CPU that enters it knows.
struct OfRec {
    taken: AtomicBool,
    /// Whether it was interrupted, so that it is entered again without a new command.
    busy: AtomicBool,
    /// The register that it reads or writes, and the value if it has been written.
    register: AtomicU64,
    reads: AtomicBool,
    written: [AtomicU64; REGISTERS.len()],
    is_written: [AtomicBool; REGISTERS.len()],
    cpu: AtomicU64,
}

static OF_RECS: [OfRec; RECS] = [const {
    OfRec {
        taken: AtomicBool::new(false),
        busy: AtomicBool::new(false),
        register: AtomicU64::new(0),
        reads: AtomicBool::new(false),
        written: [const { AtomicU64::new(0) }; REGISTERS.len()],
        is_written: [const { AtomicBool::new(false) }; REGISTERS.len()],
        cpu: AtomicU64::new(0),
    }
}; RECS];

static GUEST: AtomicPtr<Guest> = AtomicPtr::new(core::ptr::null_mut());
static MOVES: AtomicU64 = AtomicU64::new(0);
static INTERRUPTED: AtomicU64 = AtomicU64::new(0);

/// All CPUs of the machine enter RECs of one Realm.
pub fn moves() {
    let mut guest = Guest::start(RECS as u64);
    for rec in 0..RECS as u64 {
        // CPACR_EL1: floating point does not trap.
        guest.execute(rec, 0xd518_1040, [3 << 20, 0, 0, 0]);
    }
    GUEST.store(&raw mut guest, Ordering::Release);
    cpus::on_every_cpu(move_recs);
    for (rec, of_rec) in OF_RECS.iter().enumerate() {
        let mut every = Every::new("a REC that was interrupted comes back");
        every.may_be_empty();
        while of_rec.busy.swap(false, Ordering::AcqRel) {
            every.equal("entered", guest.enter(rec as u64), Status::SUCCESS);
            of_rec.busy.store(guest.run(rec as u64).reason() == reason::IRQ, Ordering::Release);
        }
    }
    let moves = MOVES.load(Ordering::Acquire);
    let interrupted = INTERRUPTED.load(Ordering::Acquire);
    check::that("runs were interrupted", interrupted != 0);
    check::that("RECs moved", moves != 0 || cpus::count() == 1);
    say!("RECs moved, and were interrupted");
    guest.destroy();
}

fn move_recs(cpu: u64) {
    // SAFETY: `moves` keeps it until all CPUs are off.
    let guest = unsafe { &*GUEST.load(Ordering::Acquire) };
    let mut random = Random::for_this_cpu(0x6d6f_7665);
    gic::enable_timer(cpu);
    let mut every = Every::new("a REC finds its registers on any CPU, and the host its own");
    let mut rounds = 0;
    while rounds < ROUNDS {
        let index = random.below(RECS as u64);
        let Some(of_rec) = OF_RECS.get(index as usize) else { break };
        if of_rec.taken.swap(true, Ordering::AcqRel) {
            continue;
        }
        rounds += 1;
        let was_on = of_rec.cpu.swap(cpu + 1, Ordering::Relaxed);
        if was_on != 0 && was_on != cpu + 1 {
            MOVES.fetch_add(1, Ordering::Relaxed);
        }
        if !of_rec.busy.load(Ordering::Acquire) {
            ask(guest, index, of_rec, &mut random);
        }
        let canaries = Canaries::fill(&mut random);
        let most = 1 << (4 + random.below(15));
        gic::arm_timer(1 + random.below(most));
        let entered = guest.enter(index);
        let lost = canaries.lost();
        gic::disarm_timer();
        every.equal("a register of the host", lost, None);
        every.equal("entered", entered, Status::SUCCESS);
        match guest.run(index).reason() {
            reason::IRQ => {
                of_rec.busy.store(true, Ordering::Release);
                INTERRUPTED.fetch_add(1, Ordering::Relaxed);
            }
            _ => answer(guest, index, of_rec, &canaries, &mut every),
        }
        of_rec.taken.store(false, Ordering::Release);
    }
}

/// Makes a waiting REC write or read a register.
fn ask(guest: &Guest, index: u64, of_rec: &OfRec, random: &mut Random) {
    let register = random.below(REGISTERS.len() as u64) as usize;
    let written = of_rec.is_written[register].load(Ordering::Relaxed);
    let reads = written && random.below(2) == 0;
    let value = random.word();
    let instruction = match (reads, REGISTERS[register]) {
        (false, write) => write,
        (true, 0x9e67_0000) => READ_D0,
        (true, write) => write | READ,
    };
    of_rec.register.store(register as u64, Ordering::Relaxed);
    of_rec.reads.store(reads, Ordering::Relaxed);
    if !reads {
        of_rec.written[register].store(value, Ordering::Relaxed);
    }
    let gprs = [command::EXECUTE, u64::from(instruction), value, 0, 0, 0];
    guest.run(index).prepare(0, &gprs);
}

/// Checks the result.
fn answer(guest: &Guest, index: u64, of_rec: &OfRec, canaries: &Canaries, every: &mut Every<'_>) {
    of_rec.busy.store(false, Ordering::Release);
    let register = of_rec.register.load(Ordering::Relaxed) as usize;
    let executed = guest.executed(index);
    every.equal("exceptions", executed.exceptions, 0);
    if of_rec.reads.load(Ordering::Relaxed) {
        let written = of_rec.written[register].load(Ordering::Relaxed);
        let case = format_args!("{:#x} of REC {index}", REGISTERS[register]);
        every.equal(case, executed.x[0] & mask(register), written & mask(register));
        every.equal("nothing of the host", canaries.contain(executed.x[0]), false);
    } else {
        of_rec.is_written[register].store(true, Ordering::Relaxed);
    }
}

/// The Realm reads every possible system register. It finds nothing of the host and always comes
/// back.
pub fn registers() {
    let guest = Guest::start(1);
    let mut random = Random::new(0x7265_6773);
    let run = guest.run(0);
    let (mut read, mut undefined, mut left) = (0, 0, 0);
    let mut every = Every::new("nothing of the host is in a register of the Realm");
    // `mrs x0, <register>` with Op0 2 and 3, and all values of Op1, CRn, CRm and Op2.
    for encoding in 0..1_u32 << 15 {
        let instruction = 0xd530_0000 | encoding << 5;
        let canaries = Canaries::fill(&mut random);
        let entered = guest.begin(0, instruction, [0; 4]);
        every.equal("a register of the host", canaries.lost(), None);
        every.equal(format_args!("{instruction:#x}"), entered, Status::SUCCESS);
        if run.reason() != reason::HOST_CALL {
            // The host emulates the interrupt controller.
            every.equal("an exit", (run.reason(), run.exit(field::ESR) >> 26), (0, 0x18));
            left += 1;
            run.prepare(0, &[0]);
            every.equal("again", guest.enter(0), Status::SUCCESS);
        }
        let executed = guest.executed(0);
        let leaks = canaries.contain(executed.x[0]);
        every.equal(format_args!("{instruction:#x}: {:#x}", executed.x[0]), leaks, false);
        if executed.exceptions == 0 { read += 1 } else { undefined += 1 }
    }
    drop(every);
    check::that("some can be read, and some not", read != 0 && undefined != 0);
    say!("registers: {read} read, {undefined} undefined, {left} left for the host");
    guest.destroy();
}
