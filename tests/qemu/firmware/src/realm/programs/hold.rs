// SPDX-License-Identifier: BSD-3-Clause
//! Fills every register that a Realm can fill and checks them repeatedly, while the Realm's timers
//! fire and its counters count.

use core::cell::UnsafeCell;

use rmm_test_firmware::simd::{Shown, fill, show};
use rmm_test_firmware::{read_register, unused_registers, write_register};

use super::random::Random;
use super::{WORDS, results};

/// Lists registers that can hold any value, and registers that can hold some bits.
macro_rules! held {
    ($($name:literal & $mask:literal),* $(,)?) => {
        const COUNT: usize = [$($name),*].len();

        fn write_all(random: &mut Random) -> [u64; COUNT] {
            // SAFETY: the payload does not use these registers.
            unsafe { $(write_register!($name, random.next() & $mask);)* }
            read_all()
        }

        fn read_all() -> [u64; COUNT] {
            [$(read_register!($name)),*]
        }
    };
}

unused_registers!(held {
    "s3_3_c4_c4_0" & 0x07c0_0000,
    "s3_3_c4_c4_1" & 0x0800_009f,
    "pmcntenset_el0" & 0x8000_000f,
    "pmselr_el0" & 0x3,
    "pmuserenr_el0" & 0xf,
    "pmevtyper0_el0" & 0x3f,
    "dbgbvr0_el1" & 0xffff_ffff_ffff_fffc,
    "dbgbcr0_el1" & 0x1e7,
    "dbgbvr1_el1" & 0xffff_ffff_ffff_fffc,
    "dbgbcr1_el1" & 0x1e7,
    "dbgwvr0_el1" & 0xffff_ffff_ffff_fff8,
    "dbgwcr0_el1" & 0x1fff,
    "dbgwvr1_el1" & 0xffff_ffff_ffff_fff8,
    "dbgwcr1_el1" & 0x1fff,
    "mdscr_el1" & 0xb000,
});

/// ENABLE and IMASK of a timer, which only software changes.
const TIMER_CONTROLS: u64 = 3;
/// PMCR_EL0: on, and the cycle counter has 64 bits.
const COUNTING: u64 = 1 << 6 | 1;
/// Counters: PMCCNTR_EL0 and two of events.
const COUNTERS: usize = 3;
/// The most that counters may count between two runs of the program, on the path to the host call
/// and back. The host lets more time pass.
const MOST: u64 = 3_000;

/// Sets both timers: about to fire, at a random time, or not changed.
fn set_timers(random: &mut Random) -> [u64; 2] {
    let control = random.next();
    // SAFETY: interrupts are masked, and the timers' interrupts are not enabled here.
    unsafe {
        if control & 0x10 != 0 {
            write_register!("cntp_cval_el0", read_register!("cntpct_el0") + (control >> 48));
        }
        if control & 0x20 != 0 {
            write_register!("cntv_cval_el0", read_register!("cntvct_el0") + (control >> 48));
        }
        write_register!("cntp_ctl_el0", control & TIMER_CONTROLS);
        write_register!("cntv_ctl_el0", control >> 2 & TIMER_CONTROLS);
    }
    timers()
}

fn timers() -> [u64; 2] {
    let controls = [read_register!("cntp_ctl_el0"), read_register!("cntv_ctl_el0")];
    controls.map(|control| control & TIMER_CONTROLS)
}

fn counters() -> [u64; COUNTERS] {
    [
        read_register!("pmccntr_el0"),
        read_register!("pmevcntr0_el0"),
        read_register!("pmevcntr1_el0"),
    ]
}

/// The values that the program has left in the registers.
struct Held {
    registers: [u64; COUNT],
    timers: [u64; 2],
    counters: [u64; COUNTERS],
    is_counting: bool,
    vectors: u64,
    is_filled: bool,
    buffer: Shown,
}

struct Shared(UnsafeCell<Held>);

// SAFETY: the host lets one REC at a time run this program.
unsafe impl Sync for Shared {}

static HELD: Shared = Shared(UnsafeCell::new(Held {
    registers: [0; COUNT],
    timers: [0; 2],
    counters: [0; COUNTERS],
    is_counting: false,
    vectors: 0,
    is_filled: false,
    buffer: Shown::NOTHING,
}));

impl Held {
    /// The number of registers that have changed. All vectors count as one.
    fn lost(&mut self) -> u64 {
        let registers = read_all();
        let lost = registers.iter().zip(&self.registers).filter(|(is, was)| is != was).count();
        lost as u64 + u64::from(timers() != self.timers) + u64::from(self.vectors() != self.vectors)
    }

    /// The number of counters that have gone back, or have counted more than `most`.
    fn lost_counters(&mut self, most: u64) -> u64 {
        let now = counters();
        let most = if self.is_counting { most } else { 0 };
        let lost = now.iter().zip(&self.counters).filter(|(is, was)| is.wrapping_sub(**was) > most);
        lost.count() as u64
    }

    fn vectors(&mut self) -> u64 {
        // SAFETY: the host has made the REC enable access, and no values are kept in them.
        unsafe { show(&mut self.buffer, false) };
        self.buffer.sum()
    }
}

/// Checks the registers since the last run, fills them from a seed, and checks them as often as the
/// second argument says. Gives the registers lost since the last run, and those lost in this one.
/// Counters count if the third argument is not 0.
pub fn run(arguments: &[u64]) -> [u64; WORDS] {
    let [seed, times, counts, ..] = *arguments else { return [!0; WORDS] };
    // SAFETY: as for `Sync`.
    let held = unsafe { &mut *HELD.0.get() };
    let before = if held.is_filled { held.lost_counters(MOST) + held.lost() } else { 0 };
    let mut random = Random::new(seed);
    held.is_counting = counts != 0;
    // SAFETY: as in `vectors`; nothing else uses the counters.
    unsafe {
        write_register!("pmcr_el0", 1 << 6);
        write_register!("pmcntenclr_el0", 0xffff_ffff);
        write_register!("pmccntr_el0", random.next() >> 1);
        write_register!("pmevcntr0_el0", random.next() >> 33);
        write_register!("pmevcntr1_el0", random.next() >> 33);
        write_register!("pmevtyper1_el0", 0x8);
        fill(seed, false);
    }
    write_all(&mut random);
    held.timers = set_timers(&mut random);
    held.registers = read_all();
    held.vectors = held.vectors();
    held.is_filled = true;
    held.counters = counters();
    // SAFETY: as above.
    unsafe {
        if held.is_counting {
            write_register!("pmcr_el0", COUNTING);
        }
        core::arch::asm!("isb");
    }
    let mut lost = 0;
    for _ in 0..times {
        lost += held.lost() + held.lost_counters(u64::MAX >> 1);
    }
    held.counters = counters();
    results([0, before, lost, held.vectors])
}
