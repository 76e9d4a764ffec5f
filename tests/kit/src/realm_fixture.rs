// SPDX-License-Identifier: BSD-3-Clause
//! A host on a model machine: it delegates granules, writes parameters and calls the RMM. Tests can
//! also read the whole machine's state.

use std::sync::atomic::Ordering;

use crate::el3::Pas;
use crate::system::System;
use rmm::granule::State;
use rmm::granule::state::{Data, Delegated, Lockable, Partial, Rd, Rec, RecAux, Rtt};
use rmm::host::preset_register;
use rmm::mem::AUXILIARY;
use rmm::realm::rd::RealmDescriptor;
use rmm::realm::rec::Rec as RecContent;
use rmm::rmi::{Dialect, function};

use crate::rmi::fixture::{FIRST, SECOND, SUCCESS, boot, boot_active, call, granule, state};

pub const ERROR_REALM: u64 = 2;
pub const ERROR_REALM_OFF: u64 = 0x102;
pub const ERROR_REC: u64 = 3;
/// RMI_INCOMPLETE (RMI 2.0), in bits 7:0 of the result.
pub const INCOMPLETE: u64 = 13;

/// The usual addresses. The granules of a command are in different orders, so that locks are taken
/// in both.
pub const PARAMETERS: u64 = FIRST.0 + 0x3_8000;
pub const RD: u64 = FIRST.0 + 0x2_8000;
pub const ROOT: u64 = FIRST.0 + 0x2_0000;
pub const REC: u64 = FIRST.0 + 0x2_9000;
pub const SECOND_REC: u64 = FIRST.0 + 0x2_6000;
pub const AUX: u64 = FIRST.0 + 0x2_a000;
pub const SECOND_AUX: u64 = FIRST.0 + 0x2_7000;
/// Room for the largest number of root tables, aligned to its size.
pub const ROOTS: u64 = FIRST.0;
/// A second Realm.
pub const OTHER_RD: u64 = SECOND.0;
pub const OTHER_ROOT: u64 = SECOND.0 + 0x2000;
/// A granule of the host, and one that is Delegated and unused.
pub const HOSTS: u64 = FIRST.0 + 0x3_9000;
pub const SPARE: u64 = SECOND.0 + 0x8000;

/// RmiRealmParams, field by field.
#[derive(Clone, Debug)]
pub struct RealmParams {
    pub flags: u64,
    pub s2sz: u32,
    pub sve_vl: u32,
    pub num_bps: u32,
    pub num_wps: u32,
    pub pmu_num_ctrs: u32,
    pub algorithm: u8,
    pub rpv: u64,
    pub vmid: u16,
    pub rtt_base: u64,
    pub rtt_level_start: i64,
    pub rtt_num_start: u32,
}

impl Default for RealmParams {
    fn default() -> Self {
        Self {
            flags: 0,
            s2sz: 40,
            sve_vl: 0,
            num_bps: 1,
            num_wps: 1,
            pmu_num_ctrs: 0,
            algorithm: 0,
            rpv: 0,
            vmid: 1,
            rtt_base: ROOT,
            rtt_level_start: 1,
            rtt_num_start: 2,
        }
    }
}

/// RmiRecParams, field by field.
#[derive(Clone, Debug)]
pub struct RecParams {
    pub flags: u64,
    pub mpidr: u64,
    pub pc: u64,
    pub gprs: [u64; 8],
    pub num_aux: u64,
    pub aux: [u64; 16],
}

impl Default for RecParams {
    fn default() -> Self {
        Self {
            flags: 1,
            mpidr: 0,
            pc: 0x8000,
            gprs: [1, 2, 3, 4, 5, 6, 7, 8],
            num_aux: 0,
            aux: [0; 16],
        }
        .with_auxiliary(AUX)
    }
}

impl RecParams {
    /// The same parameters, with the auxiliary granules that [`auxiliary`] lists for `first`.
    pub fn with_auxiliary(mut self, first: u64) -> Self {
        let granules = auxiliary(first);
        self.num_aux = granules.len() as u64;
        for (place, granule) in self.aux.iter_mut().zip(granules) {
            *place = granule;
        }
        self
    }
}

/// The auxiliary granules of a REC. The first is [`AUX`] or [`SECOND_AUX`]; the others lie
/// elsewhere.
pub fn auxiliary(first: u64) -> [u64; AUXILIARY] {
    let others = FIRST.0 + if first == AUX { 0x4_0000 } else { 0x5_0000 };
    std::array::from_fn(|index| if index == 0 { first } else { others + 0x1000 * index as u64 })
}

/// One granule with everything that a command could change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub address: u64,
    pub state: Option<State>,
    pub references: u16,
    pub pas: Pas,
    pub words: Vec<u64>,
}

pub struct RealmFixture {
    pub system: System<'static>,
}

impl Default for RealmFixture {
    fn default() -> Self {
        Self::new()
    }
}

impl RealmFixture {
    /// A machine with 52-bit physical addresses, LPA2, 16 breakpoints and watchpoints and 16-bit
    /// VMIDs.
    pub fn new() -> Self {
        Self::with_registers(3 << 40 | 6, 2 << 4)
    }

    /// A machine with these ID_AA64MMFR0_EL1 and ID_AA64MMFR1_EL1.
    pub fn with_registers(mmfr0: u64, mmfr1: u64) -> Self {
        preset_register("ID_AA64MMFR0_EL1", mmfr0);
        preset_register("ID_AA64MMFR1_EL1", mmfr1);
        preset_register("ID_AA64DFR0_EL1", 15 << 20 | 15 << 12);
        Self { system: boot(Dialect::V1_0) }
    }

    /// The usual machine, with an active RMM of this dialect.
    pub fn in_dialect(dialect: Dialect) -> Self {
        let Self { .. } = Self::new();
        Self { system: boot_active(dialect) }
    }

    fn is_2_0(&self) -> bool {
        self.system.rmm.dialect() == Dialect::V2_0
    }

    /// Calls the RMM, with a mark in every register that is not an argument. Gives x0.
    pub fn call(&self, function: u32, arguments: &[u64]) -> u64 {
        let (x0, outputs) = call(&self.system, function, arguments);
        assert_eq!(outputs, [0; 3], "nothing but the result is in x1-x3");
        x0
    }

    pub fn delegate(&self, granules: &[u64]) {
        for granule in granules {
            if self.is_2_0() {
                let range = [*granule, granule + 0x1000];
                let (x0, _) = call(&self.system, function::GRANULE_RANGE_DELEGATE, &range);
                assert_eq!(x0, SUCCESS, "{granule:#x}");
                continue;
            }
            assert_eq!(self.call(function::GRANULE_DELEGATE, &[*granule]), SUCCESS, "{granule:#x}");
        }
    }

    pub fn undelegate(&self, granules: &[u64]) {
        for granule in granules {
            let range = [*granule, granule + 0x1000];
            let x0 = if self.is_2_0() {
                call(&self.system, function::GRANULE_RANGE_UNDELEGATE, &range).0
            } else {
                self.call(function::GRANULE_UNDELEGATE, &[*granule])
            };
            assert_eq!(x0, SUCCESS, "{granule:#x}");
            assert!(self.system.machine.memory.granule_is(*granule, 0));
        }
    }

    pub fn write(&self, page: u64, offset: u64, word: u64) {
        self.system.machine.ns_write(page + offset, word).expect("the host writes its own memory");
    }

    pub fn write_realm(&self, page: u64, parameters: &RealmParams) {
        // Reserved words hold marks, which the RMM must ignore.
        for offset in (0..0x1000).step_by(8) {
            self.write(page, offset, 0xdead_0000_0000_0000 | offset);
        }
        if self.is_2_0() {
            for field in [0x38, 0x440, 0x820] {
                self.write(page, field, 0);
            }
        }
        let high = 0xdead_beef << 32;
        self.write(page, 0x0, parameters.flags);
        self.write(page, 0x8, high | u64::from(parameters.s2sz));
        self.write(page, 0x10, high | u64::from(parameters.sve_vl));
        self.write(page, 0x18, high | u64::from(parameters.num_bps));
        self.write(page, 0x20, high | u64::from(parameters.num_wps));
        self.write(page, 0x28, high | u64::from(parameters.pmu_num_ctrs));
        self.write(page, 0x30, !0xff | u64::from(parameters.algorithm));
        for index in 0..8 {
            self.write(page, 0x400 + 8 * index, parameters.rpv.wrapping_add(index));
        }
        self.write(page, 0x800, !0xffff | u64::from(parameters.vmid));
        self.write(page, 0x808, parameters.rtt_base);
        self.write(page, 0x810, parameters.rtt_level_start.cast_unsigned());
        self.write(page, 0x818, high | u64::from(parameters.rtt_num_start));
    }

    pub fn write_rec(&self, page: u64, parameters: &RecParams) {
        for offset in (0..0x1000).step_by(8) {
            self.write(page, offset, 0xdead_0000_0000_0000 | offset);
        }
        self.write(page, 0x0, parameters.flags);
        self.write(page, 0x100, parameters.mpidr);
        self.write(page, 0x200, parameters.pc);
        for (offset, word) in (0x300..).step_by(8).zip(parameters.gprs) {
            self.write(page, offset, word);
        }
        self.write(page, 0x800, parameters.num_aux);
        for (offset, word) in (0x808..).step_by(8).zip(parameters.aux) {
            self.write(page, offset, word);
        }
    }

    pub fn realm_create(&self, rd: u64, parameters: &RealmParams) -> u64 {
        self.write_realm(PARAMETERS, parameters);
        self.call(function::REALM_CREATE, &[rd, PARAMETERS])
    }

    pub fn rec_create(&self, rd: u64, rec: u64, parameters: &RecParams) -> u64 {
        self.write_rec(PARAMETERS, parameters);
        if self.is_2_0() {
            return self.rec_operation(rd, rec, parameters);
        }
        self.call(function::REC_CREATE, &[rd, rec, PARAMETERS])
    }

    /// RMI_REC_CREATE of RMI 2.0. Donates all auxiliary granules at once.
    fn rec_operation(&self, rd: u64, rec: u64, parameters: &RecParams) -> u64 {
        let count = parameters.num_aux;
        let (x0, [handle, ..]) = call(&self.system, function::REC_CREATE, &[rd, rec, PARAMETERS]);
        if x0 & 0xff != INCOMPLETE {
            return x0;
        }
        for (index, granule) in (0..count).zip(parameters.aux) {
            self.write(PARAMETERS, 0xe00 + 8 * index, granule | 1 << 2);
        }
        let donate = [handle, PARAMETERS + 0xe00, count];
        let (x0, [consumed, ..]) = call(&self.system, function::OP_MEM_DONATE, &donate);
        assert_eq!((x0 & 0xff, consumed), (INCOMPLETE, count));
        call(&self.system, function::OP_CONTINUE, &[handle, 0]).0
    }

    /// Delegates an RD and two root tables, and creates a Realm from them.
    pub fn realm(&self, rd: u64, root: u64, vmid: u16) {
        self.delegate(&[rd, root, root + 0x1000]);
        let parameters = RealmParams { rtt_base: root, vmid, ..RealmParams::default() };
        assert_eq!(self.realm_create(rd, &parameters), SUCCESS);
    }

    /// Delegates a REC and its auxiliary granules, and creates the next REC of a Realm from them.
    pub fn rec(&self, rd: u64, rec: u64, aux: u64, mpidr: u64) {
        self.delegate(&[rec]);
        self.delegate(&auxiliary(aux));
        let parameters = RecParams { mpidr, ..RecParams::default() }.with_auxiliary(aux);
        assert_eq!(self.rec_create(rd, rec, &parameters), SUCCESS);
    }

    pub fn state(&self, address: u64) -> Option<State> {
        state(&self.system, address)
    }

    fn references<S: Lockable>(&self, address: u64) -> u16 {
        let cpu = System::cpu(0);
        let granules = self.system.rmm.granules();
        granules.lock::<S>(cpu.index, granule(address)).expect("it is in this state").references()
    }

    /// Activates the Realm at [`RD`], and clears the run page at [`HOSTS`].
    pub fn activate(&self) {
        assert_eq!(self.call(function::REALM_ACTIVATE, &[RD]), SUCCESS);
        for offset in (0..0x1000).step_by(8) {
            self.write(HOSTS, offset, 0);
        }
    }

    /// Every granule with its content.
    pub fn see(&self) -> Vec<Seen> {
        let banks = [FIRST, SECOND];
        let addresses = banks.iter().flat_map(|&(base, size)| (base..base + size).step_by(0x1000));
        let see = |address| {
            let state = self.state(address);
            let references = state.map_or(0, |state| match state {
                // These states hold no references.
                State::Ns | State::Lost => 0,
                State::Delegated => self.references::<Delegated>(address),
                State::Rd => self.references::<Rd>(address),
                State::Rec => self.references::<Rec>(address),
                State::RecAux => self.references::<RecAux>(address),
                State::Data => self.references::<Data>(address),
                State::Rtt => self.references::<Rtt>(address),
                State::Partial => self.references::<Partial>(address),
            });
            let words = self.system.machine.memory.granule(address).expect("there is memory");
            Seen {
                address,
                state,
                references,
                pas: self.system.machine.el3.pas(address),
                words: words.iter().map(|word| word.load(Ordering::Relaxed)).collect(),
            }
        };
        addresses.map(see).collect()
    }

    /// Calls the RMM, expects `status`, and asserts that nothing has changed.
    pub fn refused(&self, function: u32, arguments: &[u64], status: u64, what: &str) {
        let before = self.see();
        assert_eq!(self.call(function, arguments), status, "{what}");
        let after = self.see();
        for (before, after) in before.iter().zip(&after) {
            assert_eq!(before, after, "{what} changed {:#x}", before.address);
        }
    }

    /// Gives `body` a Realm's RD, to read it or to change it without a command.
    pub fn with_realm<R>(&self, rd: u64, body: impl FnOnce(&mut RealmDescriptor) -> R) -> R {
        let mut cpu = System::cpu(0);
        let rd = self.system.rmm.granules().lock::<Rd>(cpu.index, granule(rd)).expect("an RD");
        body(cpu.slots.rd.map(&rd).get_mut())
    }

    /// Gives `body` a REC's content, to read it or to change it without a command.
    pub fn with_rec<R>(&self, rec: u64, body: impl FnOnce(&mut RecContent) -> R) -> R {
        let mut cpu = System::cpu(0);
        let rec = self.system.rmm.granules().lock::<Rec>(cpu.index, granule(rec)).expect("a REC");
        body(cpu.slots.rec.map(&rec).get_mut())
    }
}
