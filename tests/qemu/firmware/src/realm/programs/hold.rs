// SPDX-License-Identifier: BSD-3-Clause
//! Every register that a Realm can fill, filled and looked at again and again.

use core::cell::UnsafeCell;

use rmm_test_firmware::simd::{Shown, fill, show};
use rmm_test_firmware::{read_register, write_register};

use super::random::Random;
use super::{WORDS, results};

/// Lists registers that can hold any value, or of which some bits can.
macro_rules! held {
    ($($name:literal & $mask:literal),* $(,)?) => {
        const COUNT: usize = [$($name),*].len();

        fn write_all(random: &mut Random) -> [u64; COUNT] {
            // SAFETY: registers that the payload does not use.
            unsafe { $(write_register!($name, random.next() & $mask);)* }
            read_all()
        }

        fn read_all() -> [u64; COUNT] {
            [$(read_register!($name)),*]
        }
    };
}

held! {
    "sp_el0" & 0xffff_ffff_ffff_ffff,
    "tpidr_el0" & 0xffff_ffff_ffff_ffff,
    "tpidrro_el0" & 0xffff_ffff_ffff_ffff,
    "csselr_el1" & 0x3,
    "ttbr0_el1" & 0xffff_ffff_ffff_fffe,
    "ttbr1_el1" & 0xffff_ffff_ffff_fffe,
    "far_el1" & 0xffff_ffff_ffff_ffff,
    "mair_el1" & 0xffff_ffff_ffff_ffff,
    "contextidr_el1" & 0xffff_ffff,
    "cntkctl_el1" & 0x3ff,
    "cntp_cval_el0" & 0xffff_ffff_ffff_ffff,
    "cntv_cval_el0" & 0xffff_ffff_ffff_ffff,
    "s3_0_c2_c1_0" & 0xffff_ffff_ffff_ffff,
    "s3_0_c2_c1_1" & 0xffff_ffff_ffff_ffff,
    "s3_0_c2_c1_2" & 0xffff_ffff_ffff_ffff,
    "s3_0_c2_c1_3" & 0xffff_ffff_ffff_ffff,
    "s3_0_c2_c2_0" & 0xffff_ffff_ffff_ffff,
    "s3_0_c2_c2_1" & 0xffff_ffff_ffff_ffff,
    "s3_0_c2_c2_2" & 0xffff_ffff_ffff_ffff,
    "s3_0_c2_c2_3" & 0xffff_ffff_ffff_ffff,
    "s3_0_c2_c3_0" & 0xffff_ffff_ffff_ffff,
    "s3_0_c2_c3_1" & 0xffff_ffff_ffff_ffff,
    "s3_3_c4_c4_0" & 0x07c0_0000,
    "s3_3_c4_c4_1" & 0x0800_009f,
    "pmcntenset_el0" & 0xf,
    "pmselr_el0" & 0x3,
    "pmuserenr_el0" & 0xf,
    "pmccntr_el0" & 0xffff_ffff_ffff_ffff,
    "pmevcntr0_el0" & 0xffff_ffff,
    "pmevcntr1_el0" & 0xffff_ffff,
    "pmevtyper0_el0" & 0x3f,
}

/// What it left in the registers.
struct Held {
    registers: [u64; COUNT],
    vectors: u64,
    is_filled: bool,
    buffer: Shown,
}

struct Shared(UnsafeCell<Held>);

// SAFETY: the host has one REC at a time run this program.
unsafe impl Sync for Shared {}

static HELD: Shared = Shared(UnsafeCell::new(Held {
    registers: [0; COUNT],
    vectors: 0,
    is_filled: false,
    buffer: Shown::NOTHING,
}));

impl Held {
    /// How many registers do not hold what they did, with the vectors as one.
    fn lost(&mut self) -> u64 {
        let registers = read_all();
        let lost = registers.iter().zip(&self.registers).filter(|(is, was)| is != was).count();
        lost as u64 + u64::from(self.vectors() != self.vectors)
    }

    fn vectors(&mut self) -> u64 {
        // SAFETY: the host has had the REC open them, and nothing is kept in them.
        unsafe { show(&mut self.buffer, false) };
        self.buffer.sum()
    }
}

/// Looks for what the last run left, fills all with what follows from a seed, and looks at it as
/// often as the second argument says. Registers that were lost since the last run, and in this one.
pub fn run(arguments: &[u64]) -> [u64; WORDS] {
    let [seed, times, ..] = *arguments else { return [!0; WORDS] };
    // SAFETY: as for `Sync`.
    let held = unsafe { &mut *HELD.0.get() };
    let before = if held.is_filled { held.lost() } else { 0 };
    let mut random = Random::new(seed);
    // SAFETY: as in `vectors`; counters do not count.
    unsafe {
        write_register!("pmcntenclr_el0", 0xffff_ffff);
        fill(seed, false);
    }
    held.registers = write_all(&mut random);
    held.vectors = held.vectors();
    held.is_filled = true;
    let lost = (0..times).map(|_| held.lost()).sum();
    results([0, before, lost, held.vectors])
}
