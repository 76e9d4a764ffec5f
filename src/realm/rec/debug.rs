// SPDX-License-Identifier: BSD-3-Clause
//! The debug registers of a REC, and the owner of the CPU's debug registers during a run.
//!
//! Every access of a Realm to them traps: it finds as many as its ID registers say, on every CPU,
//! and the values that it wrote. They are in the CPU only while they can have an effect: the OS
//! lock is open, and breakpoints and watchpoints, or software step, are on.

use tock_registers::interfaces::Writeable;

use crate::arch::sysreg::el1::MDSCR_EL1;
use crate::cpu::debug::{self, DebugPair, HostDebug, OF_REALM};

/// A debug register that a Realm has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DebugRegister {
    /// MDSCR_EL1.
    Control,
    /// OSLAR_EL1 when it is written, OSLSR_EL1 when it is read.
    OsLock,
    /// DBGBVR and DBGBCR, or DBGWVR and DBGWCR, with this number.
    Pair {
        /// Of a watchpoint.
        is_watchpoint: bool,
        /// DBGBCR or DBGWCR.
        is_control: bool,
        /// Its number, less than [`OF_REALM`].
        index: usize,
    },
}

/// MDSCR_EL1.TDCC: accesses of EL0 to the debug communications channel trap to EL1.
const TDCC: u64 = 1 << 12;
/// MDSCR_EL1.SS and MDE: software step, and breakpoints and watchpoints, are on.
const EFFECTIVE: u64 = 1 << 0 | 1 << 15;
/// The bits of MDSCR_EL1 that a Realm can write: these, and KDE (debug exceptions at EL1).
const CONTROL: u64 = EFFECTIVE | TDCC | 1 << 13;
/// Of DBGBCR: E, PMC, BAS, HMC, SSC, LBN, BT, SSCE.
const BREAKPOINT: u64 = 0x20ff_e1e7;
/// Of DBGWCR: E, PAC, LSC, BAS, HMC, SSC, LBN, WT, MASK, SSCE.
const WATCHPOINT: u64 = 0x3f1f_ffff;
/// OSLSR_EL1: there is an OS lock (OSLM), and it is locked (OSLK).
const LOCK_EXISTS: u64 = 1 << 3;
const LOCKED: u32 = 1;

/// The debug registers of a REC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct DebugRegisters {
    control: u64,
    breakpoints: [DebugPair; OF_REALM],
    watchpoints: [DebugPair; OF_REALM],
    is_locked: bool,
    is_effective: bool,
}

impl DebugRegisters {
    /// MDSCR_EL1 of the CPU while it has no effect.
    pub const CONTROL_AT_RESET: u64 = TDCC;
    /// Everything is off. The OS lock is open, although a cold reset of a CPU locks it: hypervisors
    /// start a guest so.
    pub const AT_RESET: Self = Self {
        control: Self::CONTROL_AT_RESET,
        breakpoints: [DebugPair::OFF; OF_REALM],
        watchpoints: [DebugPair::OFF; OF_REALM],
        is_locked: false,
        is_effective: false,
    };

    /// Whether they must be in the CPU.
    pub const fn is_effective(&self) -> bool {
        self.is_effective
    }

    fn pair(&mut self, is_watchpoint: bool, index: usize) -> Option<&mut DebugPair> {
        let pairs = if is_watchpoint { &mut self.watchpoints } else { &mut self.breakpoints };
        pairs.get_mut(index)
    }

    /// What the Realm reads.
    pub fn read(&mut self, register: DebugRegister) -> u64 {
        match register {
            DebugRegister::Control => self.control,
            DebugRegister::OsLock => LOCK_EXISTS | u64::from(self.is_locked) << LOCKED,
            DebugRegister::Pair { is_watchpoint, is_control, index } => self
                .pair(is_watchpoint, index)
                .map_or(0, |pair| if is_control { pair.control } else { pair.value }),
        }
    }

    /// What the Realm writes.
    pub fn write(&mut self, register: DebugRegister, value: u64) {
        match register {
            DebugRegister::Control => self.control = value & CONTROL,
            DebugRegister::OsLock => self.is_locked = value & 1 != 0,
            DebugRegister::Pair { is_watchpoint, is_control, index } => {
                if let Some(pair) = self.pair(is_watchpoint, index) {
                    let kept = if is_watchpoint { WATCHPOINT } else { BREAKPOINT };
                    if is_control {
                        pair.control = value & kept;
                    } else {
                        pair.value = value;
                    }
                }
            }
        }
        self.is_effective = !self.is_locked && self.control & EFFECTIVE != 0;
    }
}

/// The owner of the breakpoints and watchpoints of this CPU during a run.
#[derive(Debug)]
pub struct DebugOwner<'c> {
    host: &'c mut HostDebug,
    is_rec: bool,
}

impl<'c> DebugOwner<'c> {
    /// The host has them; `host` is where they are kept.
    pub fn host(host: &'c mut HostDebug) -> Self {
        Self { host, is_rec: false }
    }

    /// Loads those of the REC if they have an effect.
    pub fn update(&mut self, rec: &DebugRegisters) {
        if !rec.is_effective {
            MDSCR_EL1.set(DebugRegisters::CONTROL_AT_RESET);
            return;
        }
        if !self.is_rec {
            self.host.save();
            self.is_rec = true;
        }
        debug::load(&rec.breakpoints, &rec.watchpoints);
        MDSCR_EL1.set(rec.control);
    }

    /// Gives them back to the host. At EL2 none of them is hit.
    pub fn give_back(&mut self) {
        if self.is_rec {
            self.host.load();
            self.is_rec = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{preset_register, read_register};

    #[test]
    fn each_register_holds_what_it_has() {
        let mut registers = DebugRegisters::AT_RESET;
        assert_eq!(registers.read(DebugRegister::OsLock), 8);
        for (is_watchpoint, is_control, kept) in [
            (false, false, u64::MAX),
            (false, true, BREAKPOINT),
            (true, false, u64::MAX),
            (true, true, WATCHPOINT),
        ] {
            for index in 0..OF_REALM {
                let register = DebugRegister::Pair { is_watchpoint, is_control, index };
                assert_eq!(registers.read(register), 0);
                registers.write(register, u64::MAX);
                assert_eq!(registers.read(register), kept);
            }
        }
        registers.write(DebugRegister::Control, u64::MAX);
        assert_eq!(registers.read(DebugRegister::Control), 0xb001);
    }

    #[test]
    fn the_cpu_has_them_only_while_they_have_an_effect() {
        preset_register("ID_AA64DFR0_EL1", 1 << 12 | 1 << 20);
        preset_register("DBGBCR1_EL1", 0x77);
        let mut host = HostDebug::NONE;
        let mut owner = DebugOwner::host(&mut host);
        let mut rec = DebugRegisters::AT_RESET;
        let control = |index| DebugRegister::Pair { is_watchpoint: false, is_control: true, index };
        let mut after = |register, value, rec: &mut DebugRegisters| {
            rec.write(register, value);
            owner.update(rec);
            [read_register("DBGBCR1_EL1"), read_register("MDSCR_EL1")]
        };
        assert_eq!(after(control(1), 0x1e7, &mut rec), [0x77, TDCC]);
        assert_eq!(after(DebugRegister::OsLock, 1, &mut rec), [0x77, TDCC]);
        assert_eq!(after(DebugRegister::Control, 1 << 15, &mut rec), [0x77, TDCC]);
        assert_eq!(after(DebugRegister::OsLock, 0, &mut rec), [0x1e7, 1 << 15]);
        assert_eq!(after(control(1), 0, &mut rec), [0, 1 << 15]);
        // Software step alone.
        assert_eq!(after(DebugRegister::Control, 1, &mut rec), [0, 1]);
        assert_eq!(after(DebugRegister::Control, 0, &mut rec), [0, TDCC]);
        owner.give_back();
        assert_eq!(read_register("DBGBCR1_EL1"), 0x77);
    }
}
