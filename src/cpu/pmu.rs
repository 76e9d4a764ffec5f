// SPDX-License-Identifier: BSD-3-Clause
//! Saving and loading the registers of the PMU that a Realm can write.

use tock_registers::interfaces::{Readable, Writeable};

use crate::arch::barrier;
use crate::arch::sysreg::el1::*;

/// The greatest number of event counters.
pub const MAX_COUNTERS: usize = 31;

/// PMCR_EL0.E: the counters count.
const ENABLE: u64 = 1 << 0;
/// PMCR_EL0.DP and LC: the cycle counter has 64 bits, and stops where event counters do.
const AT_RESET: u64 = 1 << 5 | 1 << 6;
/// The bits of PMCR_EL0 that are state: E, D, X, DP, LC, LP, FZO. P and C only reset counters.
const KEPT: u64 = ENABLE | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 9;
/// PMCR_EL0.N, the lowest bit: the number of event counters.
const NUMBER: u32 = 11;
/// Mask of all counters: event counters in bits 30:0, the cycle counter in bit 31.
const ALL: u64 = 0xffff_ffff;

/// How many event counters this CPU has. It has a PMU.
pub fn event_counters() -> u8 {
    let [number, ..] = (PMCR_EL0.get() >> NUMBER & 0x1f).to_le_bytes();
    number
}

/// State of the PMU. All zero is its state after reset.
#[derive(Clone, Debug)]
#[repr(C)]
pub struct PmuRegisters {
    /// PMCR_EL0 XOR its value at reset.
    control: u64,
    enabled: u64,
    interrupting: u64,
    overflowed: u64,
    selected: u64,
    el0: u64,
    cycles: u64,
    cycle_filter: u64,
    counts: [u64; MAX_COUNTERS],
    events: [u64; MAX_COUNTERS],
}

impl PmuRegisters {
    /// A PMU after reset.
    pub const ZERO: Self = Self {
        control: 0,
        enabled: 0,
        interrupting: 0,
        overflowed: 0,
        selected: 0,
        el0: 0,
        cycles: 0,
        cycle_filter: 0,
        counts: [0; MAX_COUNTERS],
        events: [0; MAX_COUNTERS],
    };

    /// Whether the counters count.
    pub const fn is_counting(&self) -> bool {
        self.control & ENABLE != 0
    }

    /// Whether an overflow asserts the interrupt.
    pub const fn is_interrupting(&self) -> bool {
        self.is_counting() && self.overflowed & self.interrupting & self.enabled != 0
    }

    /// Stops the PMU and saves it, with the first `counters` event counters.
    pub fn save(&mut self, counters: u8) {
        let control = PMCR_EL0.get() & KEPT;
        PMCR_EL0.set(control & !ENABLE);
        barrier::isb();
        self.control = control ^ AT_RESET;
        self.enabled = PMCNTENSET_EL0.get() & ALL;
        self.interrupting = PMINTENSET_EL1.get() & ALL;
        self.overflowed = PMOVSSET_EL0.get() & ALL;
        self.selected = PMSELR_EL0.get();
        self.el0 = PMUSERENR_EL0.get();
        self.cycles = PMCCNTR_EL0.get();
        self.cycle_filter = PMCCFILTR_EL0.get();
        self.save_counters(counters);
    }

    /// Loads the PMU, with the first `counters` event counters. It counts if it did when saved.
    pub fn load(&self, counters: u8) {
        self.load_counters(counters);
        PMCCFILTR_EL0.set(self.cycle_filter);
        PMCCNTR_EL0.set(self.cycles);
        PMUSERENR_EL0.set(self.el0);
        PMSELR_EL0.set(self.selected);
        PMOVSSET_EL0.set(self.overflowed);
        PMOVSCLR_EL0.set(!self.overflowed & ALL);
        PMCNTENSET_EL0.set(self.enabled);
        PMCNTENCLR_EL0.set(!self.enabled & ALL);
        PMCR_EL0.set(self.control ^ AT_RESET);
        // Last: some models reevaluate the overflow interrupt only when these are written.
        PMINTENSET_EL1.set(self.interrupting);
        PMINTENCLR_EL1.set(!self.interrupting & ALL);
        barrier::isb();
    }
}

/// Defines how each event counter is saved and loaded.
macro_rules! event_counters {
    ($($number:literal: $counter:ident, $event:ident;)*) => {
        impl PmuRegisters {
            fn save_counters(&mut self, counters: u8) {
                $(if $number < counters {
                    self.counts[$number] = $counter.get();
                    self.events[$number] = $event.get();
                })*
            }

            fn load_counters(&self, counters: u8) {
                $(if $number < counters {
                    $counter.set(self.counts[$number]);
                    $event.set(self.events[$number]);
                })*
            }
        }
    };
}

event_counters! {
    0: PMEVCNTR0_EL0, PMEVTYPER0_EL0; 1: PMEVCNTR1_EL0, PMEVTYPER1_EL0;
    2: PMEVCNTR2_EL0, PMEVTYPER2_EL0; 3: PMEVCNTR3_EL0, PMEVTYPER3_EL0;
    4: PMEVCNTR4_EL0, PMEVTYPER4_EL0; 5: PMEVCNTR5_EL0, PMEVTYPER5_EL0;
    6: PMEVCNTR6_EL0, PMEVTYPER6_EL0; 7: PMEVCNTR7_EL0, PMEVTYPER7_EL0;
    8: PMEVCNTR8_EL0, PMEVTYPER8_EL0; 9: PMEVCNTR9_EL0, PMEVTYPER9_EL0;
    10: PMEVCNTR10_EL0, PMEVTYPER10_EL0; 11: PMEVCNTR11_EL0, PMEVTYPER11_EL0;
    12: PMEVCNTR12_EL0, PMEVTYPER12_EL0; 13: PMEVCNTR13_EL0, PMEVTYPER13_EL0;
    14: PMEVCNTR14_EL0, PMEVTYPER14_EL0; 15: PMEVCNTR15_EL0, PMEVTYPER15_EL0;
    16: PMEVCNTR16_EL0, PMEVTYPER16_EL0; 17: PMEVCNTR17_EL0, PMEVTYPER17_EL0;
    18: PMEVCNTR18_EL0, PMEVTYPER18_EL0; 19: PMEVCNTR19_EL0, PMEVTYPER19_EL0;
    20: PMEVCNTR20_EL0, PMEVTYPER20_EL0; 21: PMEVCNTR21_EL0, PMEVTYPER21_EL0;
    22: PMEVCNTR22_EL0, PMEVTYPER22_EL0; 23: PMEVCNTR23_EL0, PMEVTYPER23_EL0;
    24: PMEVCNTR24_EL0, PMEVTYPER24_EL0; 25: PMEVCNTR25_EL0, PMEVTYPER25_EL0;
    26: PMEVCNTR26_EL0, PMEVTYPER26_EL0; 27: PMEVCNTR27_EL0, PMEVTYPER27_EL0;
    28: PMEVCNTR28_EL0, PMEVTYPER28_EL0; 29: PMEVCNTR29_EL0, PMEVTYPER29_EL0;
    30: PMEVCNTR30_EL0, PMEVTYPER30_EL0;
}
