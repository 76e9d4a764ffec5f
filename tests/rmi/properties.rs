// SPDX-License-Identifier: BSD-3-Clause
//! Random calls, valid, invalid and hostile, checked one by one against the model: what they answer, what they change, and what they leave alone.

use rmm::address::PhysAddr;
use rmm::granule::state::{Data, Delegated, Rd, Rec, RecAux, Rtt, Transition, Unused, Wiped};
use rmm::granule::{GranuleAddress, LockedGranule, State};
use rmm::host::el3::{El3, Pas, status};
use rmm::host::machine::Machine;
use rmm::host::memory::Memory;
use rmm::host::preset_register;
use rmm::host::system::System;
use rmm::mem::Cpu;
use rmm::rmi::{Dialect, function};

use crate::model::{Granule, Model};
use crate::seed;

/// Calls in each dialect.
const CALLS: usize = 500_000;
const CPUS: usize = 4;
const GRANULE: u64 = 0x1000;

/// Memory in three banks, two of them adjacent; a carve-out; EL3's and the Secure world's granules.
const BANKS: [(u64, u64); 3] = [(0x4000_0000, 0x8000), (0x4000_8000, 0x3000), (0x8_8000_0000, 0x5000)];
const CARVE_OUT: (u64, u64) = (0x4000_3000, 0x2000);
const NOT_THE_HOSTS: [(u64, Pas); 2] = [(0x4000_6000, Pas::Secure), (0x8_8000_2000, Pas::Root)];
/// What the identification register says: 40 bits.
const PHYSICAL_END: u64 = 1 << 40;

/// What the Realm world writes, and nobody else may ever read.
const SECRET: u64 = 0x5ec2_e75e_c2e7;

struct Test {
    system: System,
    model: Model,
    cpus: Vec<Cpu>,
    random: fastrand::Rng,
}

impl Test {
    fn new(dialect: Dialect, random: fastrand::Rng) -> Self {
        preset_register("ID_AA64MMFR0_EL1", 2);
        let el3 = El3::new(&BANKS.map(|(base, size)| (base, size, Pas::NonSecure)));
        let mut granules = std::collections::BTreeMap::new();
        for (base, size) in BANKS {
            for address in (base..base + size).step_by(0x1000) {
                let carved_out = (CARVE_OUT.0..CARVE_OUT.0 + CARVE_OUT.1).contains(&address);
                let pas = if carved_out { Pas::Realm } else { Pas::NonSecure };
                let pas =
                    NOT_THE_HOSTS.iter().find(|(other, _)| *other == address).map_or(pas, |(_, pas)| *pas);
                el3.set_pas(address, pas);
                let state = (!carved_out).then_some(State::Ns);
                granules.insert(address, Granule { state, pas, content: 0 });
            }
        }
        let range = |(base, size)| (PhysAddr::new(base), size);
        let machine = Machine::new(Memory::new(&BANKS), el3);
        let system = System::boot(machine, dialect, &BANKS.map(range), &[range(CARVE_OUT)])
            .expect("the layout is right");
        let model = Model {
            dialect,
            granules,
            active: false,
            el3_refuses: false,
            interrupt: false,
            refused_undelegates: 0,
            physical_end: PHYSICAL_END,
        };
        Self { system, model, cpus: (0..CPUS).map(System::cpu).collect(), random }
    }

    /// An address as a host might pass it.
    fn address(&mut self) -> u64 {
        let granule = self.granule();
        match self.random.u8(0..16) {
            0 => self.random.u64(..),
            1 => 1 << self.random.u32(0..64),
            2 => granule ^ (1 << self.random.u32(0..64)),
            3 => granule.wrapping_add(self.random.u64(0..GRANULE)),
            4 => {
                let (base, size) = BANKS[self.random.usize(0..BANKS.len())];
                [base - GRANULE, base + size][self.random.usize(0..2)]
            }
            5 => [0, u64::MAX, !0xfff, PHYSICAL_END, PHYSICAL_END - GRANULE][self.random.usize(0..5)],
            _ => granule,
        }
    }

    /// A granule of the model, tracked or not.
    fn granule(&mut self) -> u64 {
        let index = self.random.usize(0..self.model.granules.len());
        *self.model.granules.keys().nth(index).expect("the index is in the map")
    }

    /// x0 as a host might pass it.
    fn function(&mut self) -> u64 {
        const NUMBERS: [u32; 10] = [
            function::VERSION,
            function::FEATURES,
            function::GRANULE_DELEGATE,
            function::GRANULE_UNDELEGATE,
            function::RMM_CONFIG_SET,
            function::RMM_CONFIG_GET,
            function::GRANULE_TRACKING_GET,
            function::GRANULE_RANGE_DELEGATE,
            function::GRANULE_RANGE_UNDELEGATE,
            function::RMM_ACTIVATE,
        ];
        let known = 0xC400_0000 | u64::from(NUMBERS[self.random.usize(0..NUMBERS.len())]);
        match self.random.u8(0..64) {
            0 => self.random.u64(..),
            1 => 0xC400_0000 | self.random.u64(0x100..0x300),
            2 => known ^ 1 << self.random.u32(0..64),
            3..8 => known | 1 << 16,
            _ => known,
        }
    }

    /// The host, or EL3 for others, does something of its own.
    fn meddle(&mut self) {
        let address = self.granule();
        let granule = self.model.granules.get_mut(&address).expect("it is of the model");
        match (self.random.u8(0..4), granule.pas) {
            // The host writes to its memory.
            (0 | 1, Pas::NonSecure) => {
                granule.content = [0, self.random.u64(0..4)][self.random.usize(0..2)];
                self.system.machine.memory.fill_granule(address, granule.content);
            }
            // The Secure world takes it, or gives it back.
            (2, Pas::NonSecure) => granule.pas = Pas::Secure,
            (3, Pas::Secure) => granule.pas = Pas::NonSecure,
            _ => {}
        }
        self.system.machine.el3.set_pas(address, granule.pas);
    }

    /// Takes a delegated granule into use, or one that is used out of it, as the commands of later floors will.
    fn reuse(&mut self) {
        let address = self.granule();
        let which = self.random.usize(0..5);
        let cpu = &mut self.cpus[self.random.usize(0..CPUS)];
        let granule = self.model.granules.get_mut(&address).expect("it is of the model");
        let [rd, rec, rec_aux, data, rtt] =
            [take::<Rd>, take::<Rec>, take::<RecAux>, take::<Data>, take::<Rtt>];
        match granule.state {
            Some(State::Delegated) => {
                [rd, rec, rec_aux, data, rtt][which](&self.system, cpu, address);
                granule.state = Some([State::Rd, State::Rec, State::RecAux, State::Data, State::Rtt][which]);
                self.system.machine.memory.fill_granule(address, SECRET);
                granule.content = SECRET;
            }
            Some(State::Rd) => release::<Unused<Rd>>(&self.system, cpu, address),
            Some(State::Rec) => release::<Unused<Rec>>(&self.system, cpu, address),
            Some(State::RecAux) => release::<RecAux>(&self.system, cpu, address),
            Some(State::Data) => release::<Data>(&self.system, cpu, address),
            Some(State::Rtt) => release::<Unused<Rtt>>(&self.system, cpu, address),
            Some(State::Ns) | None => return,
        }
        if !matches!(self.system_state(address), Some(State::Delegated)) {
            return;
        }
        self.model.granules.get_mut(&address).expect("it is of the model").state = Some(State::Delegated);
    }

    fn system_state(&self, address: u64) -> Option<State> {
        self.system.rmm.granules().state(granule_address(address))
    }

    /// One call, on some CPU, and everything that must hold after it.
    fn step(&mut self) {
        self.model.el3_refuses = self.random.u8(0..32) == 0;
        self.model.interrupt = self.random.u8(0..4) == 0;
        let refusal = [status::BAD_PAS, status::BAD_ADDRESS, status::UNKNOWN, -6][self.random.usize(0..4)];
        self.system.machine.el3.refuse_transitions(if self.model.el3_refuses { refusal } else { status::OK });
        preset_register("ISR_EL1", u64::from(self.model.interrupt) << self.random.u32(6..9));

        let mut registers = [0; 8].map(|_: u64| self.random.u64(..));
        registers[0] = self.function();
        registers[1] = if self.random.bool() { self.model.dialect.version() } else { self.random.u64(0..6) };
        if self.random.u8(0..8) != 0 {
            registers[1] = self.address();
        }
        registers[2] = if self.random.bool() {
            registers[1].wrapping_add(self.random.u64(0..8) * GRANULE)
        } else {
            self.address()
        };

        let before = self.model.clone();
        let [x0, x1, x2, x3] = self.model.call(registers[0], registers[1], registers[2]);
        let cpu = self.random.usize(0..CPUS);
        let after = self.system.call(&mut self.cpus[cpu], registers);

        let [.., x4, x5, x6, x7] = registers;
        assert_eq!(after, [x0, x1, x2, x3, x4, x5, x6, x7], "the answer to {registers:x?}");
        assert!(self.cpus.iter().all(|cpu| cpu.slots.is_empty()), "a window is left open");
        assert_eq!(self.system.rmm.refused_undelegates(), self.model.refused_undelegates);
        for (&address, granule) in &self.model.granules {
            let what = || format!("{address:#x} after {registers:x?}");
            assert_eq!(self.system_state(address), granule.state, "state of {}", what());
            assert_eq!(self.system.machine.el3.pas(address), granule.pas, "PAS of {}", what());
            if x0 != 0 {
                // Failure changes nothing that anybody can see.
                let was = before.granules[&address];
                assert_eq!((granule.state, granule.pas), (was.state, was.pas), "{}", what());
                assert!(granule.pas == Pas::Realm || granule.content == was.content, "{}", what());
            }
            let changed = before.granules[&address] != *granule;
            if changed || self.random.u8(0..64) == 0 {
                assert!(
                    self.system.machine.memory.granule_is(address, granule.content),
                    "content of {}",
                    what()
                );
            }
            if granule.pas == Pas::NonSecure {
                assert_ne!(self.system.machine.ns_read(address), Ok(SECRET), "{} leaks", what());
            }
        }
    }
}

fn granule_address(address: u64) -> GranuleAddress {
    GranuleAddress::new(PhysAddr::new(address)).expect("aligned")
}

/// Takes a delegated granule into use; its former content is gone by then.
fn take<S: rmm::granule::state::GranuleState>(system: &System, cpu: &mut Cpu, address: u64)
where
    Wiped: Transition<S>,
{
    let locked = system
        .rmm
        .granules()
        .lock::<Delegated>(cpu.index, granule_address(address))
        .expect("it is Delegated");
    let used: LockedGranule<'_, S> = locked.wipe(&mut cpu.slots).transition();
    assert!(system.machine.memory.granule_is(address, 0), "the next owner sees what was there before");
    drop(used);
}

/// Takes a granule out of use.
fn release<S: rmm::granule::state::Lockable + Transition<Delegated>>(
    system: &System,
    cpu: &Cpu,
    address: u64,
) {
    let locked = system.rmm.granules().lock::<S>(cpu.index, granule_address(address)).expect("it is in use");
    drop(locked.transition::<Delegated>());
}

fn random_calls(dialect: Dialect, name: &str) {
    let mut test = Test::new(dialect, seed::generator(name));
    for _ in 0..CALLS {
        match test.random.u8(0..8) {
            0 => test.meddle(),
            1 => test.reuse(),
            _ => {}
        }
        test.step();
    }
}

#[test]
fn random_calls_of_rmi_1_0_do_what_the_model_does() {
    random_calls(Dialect::V1_0, "RMI 1.0");
}

#[test]
fn random_calls_of_rmi_2_0_do_what_the_model_does() {
    random_calls(Dialect::V2_0, "RMI 2.0");
}
