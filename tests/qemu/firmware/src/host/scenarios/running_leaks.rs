// SPDX-License-Identifier: BSD-3-Clause
//! A host and a Realm both fill every register they can, at several vector lengths, with interrupts
//! at random moments. Each finds its own values, so nothing of the other's. Meanwhile timers of
//! both fire and counters of both count.

use core::cell::UnsafeCell;

use rmm_abi::rmi_v1::{RealmAttributes, RealmFlags};
use rmm_test_firmware::realm_protocol::{command, program};
use rmm_test_firmware::simd::{Shown, fill, show};
use rmm_test_firmware::{read_register, say, write_register};

use crate::canaries::Canaries;
use crate::check::{self, Every};
use crate::gic;
use crate::guest::{Guest, field, reason};
use crate::random::Random;
use crate::realm;
use crate::rmi::Status;
use crate::scenarios::running_simd::set_mode;

/// Rounds at each vector length of the Realm, and the Realm's checks of its registers in one.
const ROUNDS: u64 = 12;
const LOOKS: u64 = 3;

struct Buffers(UnsafeCell<[Shown; 2]>);

// SAFETY: only CPU 0 uses them.
unsafe impl Sync for Buffers {}

static BUFFERS: Buffers = Buffers(UnsafeCell::new([Shown::NOTHING; 2]));

/// The most instructions and cycles that the host may count around an entry, which are its own.
/// More than it needs, and less than one check by the Realm takes.
const MOST: u64 = 3_000;
/// Iterations in which the host lets time pass between two runs of the Realm.
const PAUSE: u64 = 5_000;

/// The host's EL1 timers, which may fire at any moment.
struct HostTimers([[u64; 2]; 2]);

impl HostTimers {
    /// ENABLE and IMASK, which only software changes.
    const CONTROLS: u64 = 3;

    /// Sets them: about to fire, fired or far away; on, masked or off.
    fn set(random: &mut Random) -> Self {
        let mut timer = || {
            let most = 1 << (4 + random.below(10));
            let due = match random.below(4) {
                0 => random.word(),
                1 => gic::now() - random.below(most),
                _ => gic::now() + random.below(most),
            };
            [random.below(Self::CONTROLS + 1), due]
        };
        let (physical, virtual_) = (timer(), timer());
        // SAFETY: the host masks all interrupts.
        unsafe {
            write_register!("cntp_cval_el0", physical[1]);
            write_register!("cntp_ctl_el0", physical[0]);
            write_register!("cntv_cval_el0", virtual_[1]);
            write_register!("cntv_ctl_el0", virtual_[0]);
            core::arch::asm!("isb", options(nostack, preserves_flags));
        }
        Self([physical, virtual_])
    }

    /// The first timer that is not as it was set. Turns both off.
    fn lost(&self) -> Option<&'static str> {
        let now = [
            [read_register!("cntp_ctl_el0") & Self::CONTROLS, read_register!("cntp_cval_el0")],
            [read_register!("cntv_ctl_el0") & Self::CONTROLS, read_register!("cntv_cval_el0")],
        ];
        // SAFETY: the host masks all interrupts.
        unsafe {
            write_register!("cntp_ctl_el0", 0);
            write_register!("cntv_ctl_el0", 0);
        }
        let names = ["physical timer", "virtual timer"];
        names
            .into_iter()
            .zip(self.0.iter().zip(now))
            .find(|(_, (set, now))| *set != now)
            .map(|(name, _)| name)
    }
}

/// Counters, whose value may increase by a few while they count.
const COUNTERS: [&str; 4] = ["pmccntr_el0", "pmevcntr0_el0", "pmevcntr1_el0", "pmevcntr5_el0"];
/// PMCR_EL0: on, and the cycle counter has 64 bits.
const COUNTING: u64 = 1 << 6 | 1;

/// Lists registers of the PMU, of debug, and of features that a Realm does not have.
macro_rules! others {
    ($($name:literal & $mask:literal),* $(,)?) => {
        const NAMES: &[&str] = &[$($name),*];

        #[derive(Clone, Copy)]
        struct Others([u64; [$($name),*].len()]);

        impl Others {
            /// Fills them. Counters then count if `control` enables them.
            fn fill(random: &mut Random, control: u64) -> Self {
                // SAFETY: the host uses none of them. It masks all interrupts, and EL2 takes no
                // debug exceptions.
                unsafe {
                    write_register!("pmcr_el0", 0);
                    write_register!("pmcntenclr_el0", 0xffff_ffff);
                    write_register!("pmintenclr_el1", 0xffff_ffff);
                    write_register!("pmovsclr_el0", 0xffff_ffff);
                    $(write_register!($name, random.word() & $mask);)*
                    write_register!("pmcr_el0", control);
                    core::arch::asm!("isb", options(nostack, preserves_flags));
                }
                Self::read()
            }

            fn read() -> Self {
                Self([$(read_register!($name)),*])
            }
        }
    };
}

others! {
        "pmcntenset_el0" & 0x8000_003f,
    "pmintenset_el1" & 0x8000_003f,
    "pmovsset_el0" & 0x8000_003f,
    "pmselr_el0" & 0x3,
    "pmuserenr_el0" & 0xf,
    "pmccntr_el0" & 0xffff_ffff_ffff_ffff,
    "pmccfiltr_el0" & 0xf800_0000,
    "pmevcntr0_el0" & 0xffff_ffff,
    "pmevcntr1_el0" & 0xffff_ffff,
    "pmevcntr5_el0" & 0xffff_ffff,
    "pmevtyper0_el0" & 0xf800_003f,
    "pmevtyper1_el0" & 0xf800_003f,
    "pmevtyper5_el0" & 0xf800_003f,
    "dbgbvr0_el1" & 0x0000_ffff_ffff_fffc,
    "dbgbvr1_el1" & 0x0000_ffff_ffff_fffc,
    "dbgbvr5_el1" & 0x0000_ffff_ffff_fffc,
    "dbgbcr0_el1" & 0x1e7,
    "dbgbcr1_el1" & 0x1e7,
    "dbgbcr5_el1" & 0x1e7,
    "dbgwvr0_el1" & 0x0000_ffff_ffff_fff8,
    "dbgwvr3_el1" & 0x0000_ffff_ffff_fff8,
    "dbgwcr0_el1" & 0x1fff,
    "dbgwcr1_el1" & 0x1fff,
    "mdscr_el1" & 0xb000,
    "s3_3_c4_c4_0" & 0x07c0_0000,
    "s3_3_c4_c4_1" & 0x0800_009f,
    "s3_3_c13_c0_5" & 0xffff_ffff_ffff_ffff,
    "s3_3_c13_c0_7" & 0xffff_ffff_ffff_ffff,
    "s3_0_c13_c0_7" & 0xffff_ffff_ffff_ffff,
}

impl Others {
    /// The first register that no longer holds the host's value.
    fn lost(&self) -> Option<&'static str> {
        let now = Self::read();
        let mut all = NAMES.iter().zip(self.0.iter().zip(now.0));
        let is_lost = |name: &&str, before: u64, now: u64| {
            if COUNTERS.contains(name) { now.wrapping_sub(before) >= MOST } else { now != before }
        };
        all.find(|(name, (before, now))| is_lost(name, **before, *now)).map(|(name, _)| *name)
    }
}

/// Realms of several vector lengths.
pub fn leaks() {
    // SAFETY: CPTR_EL2 of this image, which otherwise uses no SIMD registers.
    unsafe { write_register!("cptr_el2", 0x2ff) };
    gic::enable_timer(0);
    gic::enable_timers_of_el1(true);
    let mut random = Random::new(0x6c65_616b);
    let (_, features) = crate::rmi::features(0);
    let greatest = features >> 10 & 0xf;
    let mut interrupted = 0;
    for length in [0, 1, 3, 7, 15].into_iter().filter(|length| *length <= greatest) {
        interrupted += at_length(length, &mut random);
    }
    set_mode(0, 0);
    gic::enable_timers_of_el1(false);
    // SAFETY: restores the former values.
    unsafe {
        write_register!("pmcr_el0", 0);
        write_register!("mdscr_el1", 1 << 12);
    }
    check::that("runs were interrupted", interrupted != 0);
    say!("host and Realm found their own, {interrupted} times after an interrupt");
}

/// A Realm with this largest vector length and a PMU. Gives how often it was interrupted.
fn at_length(length: u64, random: &mut Random) -> u64 {
    const CPACR: u32 = 0xd518_1041;
    const ZCR: u32 = 0xd518_1201;
    let guest = Guest::start_with(1, |attributes: &mut RealmAttributes| {
        attributes.flags |= (RealmFlags::SVE | RealmFlags::PMU).bits();
        attributes.sve_vl = u32::try_from(length).unwrap_or(u32::MAX);
        attributes.pmu_num_ctrs = 4;
    });
    guest.execute(0, CPACR, [0, 0x33 << 16, 0, 0]);
    guest.execute(0, ZCR, [0, 0xf, 0, 0]);
    let (rec, run) = (guest.rec(0), guest.run(0));
    let mut every = Every::new("host and Realm find their own registers");
    let mut interrupted = 0;
    for round in 0..ROUNDS {
        let seed = random.word();
        run.prepare(0, &[command::PROGRAM, program::HOLD, seed, LOOKS, round % 2]);
        for _ in 0..PAUSE {
            core::hint::spin_loop();
        }
        loop {
            let (streaming, hosts) = (random.below(2), random.below(16));
            set_mode(streaming, hosts);
            let (lost, why) = enter(rec, run.address(), streaming, random);
            every.equal(format_args!("of the host, round {round}"), lost, [None; 4]);
            every.equal("its vector length", read_register!("s3_4_c1_c2_0"), hosts);
            every.equal("its streaming one", read_register!("s3_4_c1_c2_6"), hosts);
            every.equal("and its mode", read_register!("s3_3_c4_c2_2"), streaming);
            set_mode(0, 0);
            if why != Status::SUCCESS || run.exit(field::REASON) != reason::IRQ {
                every.equal("entered", why, Status::SUCCESS);
                break;
            }
            interrupted += 1;
        }
        let came = [0, 1, 2, 3].map(|index| run.exit(field::GPRS + 8 * index));
        every.equal("of the Realm", came, [command::PROGRAM, 0, 0, 0]);
    }
    drop(every);
    guest.destroy();
    interrupted
}

/// Enters the REC with all registers of the host filled. Gives the first one that has changed.
fn enter(
    rec: u64,
    page: u64,
    streaming: u64,
    random: &mut Random,
) -> ([Option<&'static str>; 4], Status) {
    // SAFETY: only CPU 0 uses the buffers, and this function does not call itself.
    let [before, after] = unsafe { &mut *BUFFERS.0.get() };
    let seed = random.word();
    // SAFETY: the compiler keeps no values in SIMD registers, and the buffers are large enough.
    unsafe {
        fill(seed, streaming != 0);
        show(before, streaming != 0);
    }
    Canaries::fill(random);
    let timers = HostTimers::set(random);
    let canaries = Canaries::read();
    let control = if random.below(2) == 0 { 0 } else { COUNTING };
    let others = Others::fill(random, control);
    let control = read_register!("pmcr_el0");
    let most = 1 << (8 + random.below(11));
    gic::arm_timer(1 + random.below(most));
    let status = realm::rec_enter(rec, page);
    let stopped = (read_register!("pmcr_el0") != control).then_some("pmcr_el0");
    let lost = [others.lost().or(stopped), timers.lost(), canaries.lost()];
    gic::disarm_timer();
    // SAFETY: as above.
    unsafe { show(after, streaming != 0) };
    let same = before.vectors == after.vectors && before.predicates == after.predicates;
    let [others, timers, canaries] = lost;
    ([others, timers, canaries, if same { None } else { Some("vectors") }], status)
}
