// SPDX-License-Identifier: BSD-3-Clause
//! The breakpoints and watchpoints of a CPU: loading a Realm's, and saving the host's meanwhile.
//!
//! A Realm has two of each. Its first breakpoint is the first of the CPU, its second is the last of
//! the CPU, which is context-aware on every CPU. All others are off while a Realm uses its own:
//! those of the host would be hit in the Realm.

use crate::arch::sysreg::debug::{
    BreakpointControl, BreakpointValue, OSLAR_EL1, OSLSR_EL1, WatchpointControl, WatchpointValue,
};
use crate::cpu::CpuFeatures;
use tock_registers::interfaces::{Readable, Writeable};

/// Breakpoints, and watchpoints, of a Realm.
pub const OF_REALM: usize = 2;
/// The most that a CPU has.
const MOST: usize = 16;
/// OSLSR_EL1.OSLK and OSLAR_EL1.OSLK: the OS lock is locked, and debug exceptions are off.
const STATUS_LOCKED: u64 = 1 << 1;
const LOCK: u64 = 1;

/// A breakpoint or watchpoint: its registers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct DebugPair {
    /// What is compared.
    pub value: u64,
    /// Whether and how.
    pub control: u64,
}

impl DebugPair {
    /// Compares nothing.
    pub const OFF: Self = Self { value: 0, control: 0 };
}

/// How many breakpoints and watchpoints this CPU has.
fn counts() -> [usize; 2] {
    let features = CpuFeatures::read();
    [features.breakpoints(), features.watchpoints()].map(|last| usize::from(last) + 1)
}

/// The breakpoints of the CPU that a Realm uses.
const fn breakpoints_of_realm(count: usize) -> [usize; OF_REALM] {
    [0, count.saturating_sub(1)]
}

/// DBGBCR or DBGWCR for the CPU: LBN, which names a breakpoint of the Realm, is changed to the
/// breakpoint of the CPU that the Realm uses for it.
fn control_of_realm(control: u64, count: usize) -> u64 {
    const LBN: u32 = 16;
    const LBN_MASK: u64 = 0xf << LBN;
    let [first, last] = breakpoints_of_realm(count);
    let linked = if control >> LBN & 0xf == 1 { last } else { first };
    control & !LBN_MASK | (linked as u64) << LBN & LBN_MASK
}

/// Loads the breakpoints and watchpoints of a Realm. [`HostDebug::save`] has saved the host's.
pub fn load(breakpoints: &[DebugPair; OF_REALM], watchpoints: &[DebugPair; OF_REALM]) {
    let [count, _] = counts();
    for (index, pair) in breakpoints_of_realm(count).into_iter().zip(breakpoints) {
        BreakpointValue(index).set(pair.value);
        BreakpointControl(index).set(control_of_realm(pair.control, count));
    }
    for (index, pair) in watchpoints.iter().enumerate() {
        WatchpointValue(index).set(pair.value);
        WatchpointControl(index).set(control_of_realm(pair.control, count));
    }
}

/// The host's values of the registers that a Realm uses, or that must be off.
#[derive(Clone, Debug)]
pub struct HostDebug {
    breakpoint_controls: [u64; MOST],
    watchpoint_controls: [u64; MOST],
    breakpoint_values: [u64; OF_REALM],
    watchpoint_values: [u64; OF_REALM],
    is_locked: bool,
}

impl HostDebug {
    /// Nothing saved.
    pub const NONE: Self = Self {
        breakpoint_controls: [0; MOST],
        watchpoint_controls: [0; MOST],
        breakpoint_values: [0; OF_REALM],
        watchpoint_values: [0; OF_REALM],
        is_locked: false,
    };

    /// Saves the registers, and leaves all breakpoints and watchpoints off and the OS lock open.
    pub fn save(&mut self) {
        let [breakpoints, watchpoints] = counts();
        for (index, control) in self.breakpoint_controls.iter_mut().take(breakpoints).enumerate() {
            *control = BreakpointControl(index).get();
            BreakpointControl(index).set(0);
        }
        for (index, control) in self.watchpoint_controls.iter_mut().take(watchpoints).enumerate() {
            *control = WatchpointControl(index).get();
            WatchpointControl(index).set(0);
        }
        self.breakpoint_values =
            breakpoints_of_realm(breakpoints).map(|index| BreakpointValue(index).get());
        self.watchpoint_values = [0, 1].map(|index| WatchpointValue(index).get());
        self.is_locked = OSLSR_EL1.get() & STATUS_LOCKED != 0;
        OSLAR_EL1.set(0);
    }

    /// Restores them.
    pub fn load(&self) {
        let [breakpoints, watchpoints] = counts();
        let places = breakpoints_of_realm(breakpoints);
        for (index, value) in places.into_iter().zip(self.breakpoint_values) {
            BreakpointValue(index).set(value);
        }
        for (index, value) in self.watchpoint_values.into_iter().enumerate() {
            WatchpointValue(index).set(value);
        }
        for (index, control) in self.breakpoint_controls.iter().take(breakpoints).enumerate() {
            BreakpointControl(index).set(*control);
        }
        for (index, control) in self.watchpoint_controls.iter().take(watchpoints).enumerate() {
            WatchpointControl(index).set(*control);
        }
        OSLAR_EL1.set(if self.is_locked { LOCK } else { 0 });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{preset_register, read_register};

    #[test]
    fn a_linked_breakpoint_is_that_of_the_cpu_and_never_one_of_the_host() {
        let linked = |control| control_of_realm(control, 6) >> 16 & 0xf;
        assert_eq!(linked(1 << 16), 5);
        for other in (0..16).filter(|other| *other != 1) {
            assert_eq!(linked(other << 16), 0);
        }
        assert_eq!(control_of_realm(0x3f10_ffff, 6), 0x3f10_ffff);
        assert_eq!(control_of_realm(0x1_0001, 2), 0x1_0001);
    }

    #[test]
    fn the_host_finds_its_own_and_a_realm_has_nothing_of_it() {
        // 6 breakpoints, 4 watchpoints.
        preset_register("ID_AA64DFR0_EL1", 5 << 12 | 3 << 20);
        let names = ["DBGBVR0", "DBGBVR5", "DBGBCR0", "DBGBCR3", "DBGBCR5", "DBGWVR1", "DBGWCR3"];
        let names = names.map(|name| &*format!("{name}_EL1").leak());
        for (value, name) in (0x1001..).zip(names) {
            preset_register(name, value);
        }
        preset_register("OSLSR_EL1", 0xa);
        let mut host = HostDebug::NONE;
        host.save();
        let pair = |value| DebugPair { value, control: 0x1_0007 };
        load(&[pair(0x10), pair(0x20)], &[pair(0x30), pair(0x40)]);
        let now = names.map(read_register);
        assert_eq!(now, [0x10, 0x20, 0x5_0007, 0, 0x5_0007, 0x40, 0]);
        assert_eq!(read_register("OSLAR_EL1"), 0);
        host.load();
        assert_eq!(
            names.map(read_register),
            [0x1001, 0x1002, 0x1003, 0x1004, 0x1005, 0x1006, 0x1007]
        );
        assert_eq!(read_register("OSLAR_EL1"), 1);
    }
}
