// SPDX-License-Identifier: BSD-3-Clause
//! The two timers of EL1, physical and virtual. The host and a REC use the CPU's pair in turn.

use tock_registers::interfaces::{Readable, Writeable};

use crate::arch::sysreg::el1::{
    CNTP_CTL_EL02, CNTP_CVAL_EL02, CNTPCT_EL0, CNTV_CTL_EL02, CNTV_CVAL_EL02,
};

/// CNTx_CTL: ENABLE (0), IMASK (1), ISTATUS (2). The output is asserted when the timer is enabled,
/// not masked, and its condition met.
const ASSERTED_BITS: u64 = 7;
const ASSERTED: u64 = 1 << 2 | 1 << 0;

/// One timer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Timer {
    /// CNTx_CTL.
    pub ctl: u64,
    /// CNTx_CVAL.
    pub cval: u64,
}

impl Timer {
    /// Sets ISTATUS to what it is when the counter has this value.
    const fn update(&mut self, counter: u64) {
        const ENABLE: u64 = 1 << 0;
        const ISTATUS: u64 = 1 << 2;
        if self.ctl & ENABLE != 0 && counter >= self.cval {
            self.ctl |= ISTATUS;
        } else {
            self.ctl &= !ISTATUS;
        }
    }

    /// Whether the timer's output is asserted.
    pub const fn is_asserted(self) -> bool {
        self.ctl & ASSERTED_BITS == ASSERTED
    }
}

/// Both timers, in the order of the exit record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Timers {
    /// The physical timer.
    pub physical: Timer,
    /// The virtual timer.
    pub virtual_: Timer,
}

impl Timers {
    /// Reads the timers of this CPU.
    pub fn save() -> Self {
        Self {
            physical: Timer { ctl: CNTP_CTL_EL02.get(), cval: CNTP_CVAL_EL02.get() },
            virtual_: Timer { ctl: CNTV_CTL_EL02.get(), cval: CNTV_CVAL_EL02.get() },
        }
    }

    /// Writes the timers of this CPU. The compare values come first, so that no timer fires for a
    /// value that was never its own. An ISB must follow before CNTx_CTL is read.
    pub fn restore(&self) {
        CNTP_CVAL_EL02.set(self.physical.cval);
        CNTP_CTL_EL02.set(self.physical.ctl);
        CNTV_CVAL_EL02.set(self.virtual_.cval);
        CNTV_CTL_EL02.set(self.virtual_.ctl);
    }

    /// Updates the status of timers that are not loaded. Neither counter has an offset.
    pub fn update(&mut self) {
        let counter = CNTPCT_EL0.get();
        self.physical.update(counter);
        self.virtual_.update(counter);
    }

    /// Which outputs are asserted: physical, virtual.
    pub const fn asserted(&self) -> [bool; 2] {
        [self.physical.is_asserted(), self.virtual_.is_asserted()]
    }
}
