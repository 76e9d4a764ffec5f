// SPDX-License-Identifier: BSD-3-Clause
//! Valid, invalid and hostile calls, each compared with the model: the answer, what it changes, and
//! what it must not change.
//!
//! The caller supplies the choices: random numbers, or a fuzzer's bytes.

use crate::el3::{El3, Pas, status};
use crate::machine::Machine;
use crate::memory::Memory;
use crate::system::{Storage, System};
use rmm::address::PhysAddr;
use rmm::granule::state::{
    Data, Delegated, GranuleState, Lockable, Partial, Rd, Rec, RecAux, Rtt, Transition, Unused,
    Wiped,
};
use rmm::granule::{GranuleAddress, LockedGranule, State};
use rmm::host::preset_register;
use rmm::percpu::Cpu;
use rmm::rmi::{Dialect, function};

use crate::rmi::model::{Granule, Model};

const CPUS: [usize; 4] = [0, 1, 2, 3];
const GRANULE: u64 = 0x1000;

/// Three banks, two of them adjacent, with a carve-out and granules of EL3 and the Secure world.
const BANKS: [(u64, u64); 3] =
    [(0x4000_0000, 0x8000), (0x4000_8000, 0x3000), (0x8_8000_0000, 0x5000)];
const CARVE_OUT: (u64, u64) = (0x4000_3000, 0x2000);
const NOT_THE_HOSTS: [(u64, Pas); 2] = [(0x4000_6000, Pas::Secure), (0x8_8000_2000, Pas::Root)];
/// The first address that PARange (40 bits) excludes.
const PHYSICAL_END: u64 = 1 << 40;

/// What the Realm world writes. The host must never read it.
const SECRET: u64 = 0x5ec2_e75e_c2e7;

/// The source of a test's choices.
pub trait Choices {
    /// Any number.
    fn any(&mut self) -> u64;

    /// A number below `bound`.
    fn below(&mut self, bound: u64) -> u64 {
        self.any() % bound
    }

    /// One of `values`.
    fn one_of<T: Copy>(&mut self, values: &[T]) -> T {
        let count = u64::try_from(values.len()).expect("a list is short");
        values[usize::try_from(self.below(count)).expect("below the length")]
    }
}

impl Choices for fastrand::Rng {
    fn any(&mut self) -> u64 {
        self.u64(..)
    }
}

/// A system, its model, and the choices made for both.
pub struct Harness<'a, C> {
    system: System<'a>,
    model: Model,
    cpus: Vec<Cpu>,
    pub choices: C,
}

impl<'a, C: Choices> Harness<'a, C> {
    /// Boots the system.
    pub fn new(storage: &'a mut Storage, dialect: Dialect, choices: C) -> Self {
        preset_register("ID_AA64MMFR0_EL1", 2);
        let el3 = El3::new(&BANKS.map(|(base, size)| (base, size, Pas::NonSecure)));
        let mut granules = std::collections::BTreeMap::new();
        for (base, size) in BANKS {
            for address in (base..base + size).step_by(0x1000) {
                let carved_out = (CARVE_OUT.0..CARVE_OUT.0 + CARVE_OUT.1).contains(&address);
                let pas = if carved_out { Pas::Realm } else { Pas::NonSecure };
                let pas = NOT_THE_HOSTS
                    .iter()
                    .find(|(other, _)| *other == address)
                    .map_or(pas, |(_, pas)| *pas);
                el3.set_pas(address, pas);
                let state = (!carved_out).then_some(State::Ns);
                let granule = Granule { state, pas, content: 0, answers: true, proven: false };
                granules.insert(address, granule);
            }
        }
        let range = |(base, size)| (PhysAddr::new(base), size);
        let machine = Machine::new(Memory::new(&BANKS), el3);
        let system =
            System::boot(storage, machine, dialect, &BANKS.map(range), &[range(CARVE_OUT)])
                .expect("the layout is right");
        let model = Model {
            dialect,
            granules,
            active: dialect == Dialect::V1_0,
            el3_refuses: false,
            interrupt: false,
            refused_undelegates: 0,
            lost: 0,
            physical_end: PHYSICAL_END,
        };
        Self { system, model, cpus: CPUS.into_iter().map(System::cpu).collect(), choices }
    }

    /// An address as a host might pass it.
    fn address(&mut self) -> u64 {
        let granule = self.granule();
        match self.choices.below(16) {
            0 => self.choices.any(),
            1 => 1 << self.choices.below(64),
            2 => granule ^ 1 << self.choices.below(64),
            3 => granule.wrapping_add(self.choices.below(GRANULE)),
            4 => {
                let (base, size) = self.choices.one_of(&BANKS);
                self.choices.one_of(&[base - GRANULE, base + size])
            }
            5 => self.choices.one_of(&[0, u64::MAX, !0xfff, PHYSICAL_END, PHYSICAL_END - GRANULE]),
            _ => granule,
        }
    }

    /// A granule of the model, tracked or not.
    fn granule(&mut self) -> u64 {
        let (base, size) = self.choices.one_of(&BANKS);
        base + self.choices.below(size / GRANULE) * GRANULE
    }

    /// x0 as a host might pass it.
    fn function(&mut self) -> u64 {
        const NUMBERS: [u32; 13] = [
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
            function::RMM_DEACTIVATE,
            function::GPT_L1_CREATE,
            function::GPT_INFO,
        ];
        let known = u64::from(self.choices.one_of(&NUMBERS));
        let function = match self.choices.below(64) {
            0 => self.choices.any(),
            1 => 0xC400_0100 | self.choices.below(0x200),
            2 => known ^ 1 << self.choices.below(64),
            3..8 => known | 1 << 16,
            _ => known,
        };
        // This harness puts marks into RDs, RECs and RTTs, which the commands on Realms would read.
        if self.model.is_realm_command(function) { known } else { function }
    }

    /// The next step: a call, and sometimes a change by the host or EL3 before it.
    pub fn step(&mut self) {
        match self.choices.below(8) {
            0 if self.choices.below(64) == 0 => self.break_memory(),
            0 => self.meddle(),
            1 => self.reuse(),
            _ => {}
        }
        self.call();
    }

    /// The host, or EL3 for another world, changes a granule without a call.
    fn meddle(&mut self) {
        let address = self.granule();
        let (act, content) = (self.choices.below(4), self.choices.one_of(&[0, 0, 1, 2]));
        let granule = self.model.granules.get_mut(&address).expect("it is of the model");
        match (act, granule.pas) {
            // The host writes to its memory.
            (0 | 1, Pas::NonSecure) if granule.answers => {
                granule.content = content;
                self.system.machine.memory.fill_granule(address, content);
            }
            // The Secure world takes it, or gives it back.
            (2, Pas::NonSecure) => granule.pas = Pas::Secure,
            (3, Pas::Secure) => granule.pas = Pas::NonSecure,
            _ => {}
        }
        self.system.machine.el3.set_pas(address, granule.pas);
    }

    /// Makes a granule of state Ns or Delegated stop answering. Rare, or in the end no granule
    /// would answer.
    fn break_memory(&mut self) {
        let address = self.granule();
        let granule = self.model.granules.get_mut(&address).expect("it is of the model");
        if matches!(granule.state, Some(State::Ns | State::Delegated)) {
            granule.answers = false;
            self.system.machine.memory.stop_answering(address);
        }
    }

    /// Takes a delegated granule into use, or one out of use, as the commands on Realms do.
    fn reuse(&mut self) {
        let address = self.granule();
        let into = self.choices.one_of(&State::ALL[2..8]);
        let cpu = &mut self.cpus[self.choices.one_of(&CPUS)];
        let system = &self.system;
        let granule = self.model.granules.get_mut(&address).expect("it is of the model");
        if !granule.answers {
            return;
        }
        match (granule.state, into) {
            (Some(State::Delegated), State::Rd) => take::<Rd>(system, cpu, address),
            (Some(State::Delegated), State::Rec) => take::<Rec>(system, cpu, address),
            (Some(State::Delegated), State::RecAux) => take::<RecAux>(system, cpu, address),
            (Some(State::Delegated), State::Data) => take::<Data>(system, cpu, address),
            (Some(State::Delegated), State::Partial) => reserve(system, cpu, address),
            (Some(State::Delegated), _) => take::<Rtt>(system, cpu, address),
            (Some(State::Rd), _) => release::<Unused<Rd>>(system, cpu, address),
            (Some(State::Rec), _) => release::<Unused<Rec>>(system, cpu, address),
            (Some(State::RecAux), _) => release::<RecAux>(system, cpu, address),
            (Some(State::Data), _) => release::<Data>(system, cpu, address),
            (Some(State::Rtt), _) => release::<Unused<Rtt>>(system, cpu, address),
            (Some(State::Partial), _) => release::<Partial>(system, cpu, address),
            (Some(State::Ns | State::Lost) | None, _) => return,
        }
        if granule.state == Some(State::Delegated) {
            granule.state = Some(into);
            granule.content = SECRET;
            system.machine.memory.fill_granule(address, SECRET);
        } else {
            granule.state = Some(State::Delegated);
        }
    }

    fn system_state(&self, address: u64) -> Option<State> {
        self.system.rmm.granules().state(granule_address(address))
    }

    /// One call on some CPU, and the checks of everything that must hold after it.
    fn call(&mut self) {
        let refusal =
            self.choices.one_of(&[status::BAD_PAS, status::BAD_ADDRESS, status::UNKNOWN, -6]);
        self.model.el3_refuses = self.choices.below(32) == 0;
        self.system.machine.el3.refuse_transitions(if self.model.el3_refuses {
            refusal
        } else {
            status::OK
        });
        self.model.interrupt = self.choices.below(4) == 0;
        preset_register("ISR_EL1", u64::from(self.model.interrupt) << (6 + self.choices.below(3)));

        let noise = self.choices.any();
        let mut registers =
            [0, 1, 2, 3, 4, 5, 6, 7].map(|index| noise.rotate_left(index * 8) ^ u64::from(index));
        registers[0] = self.function();
        registers[1] = match self.choices.below(16) {
            0 => self.model.dialect.version(),
            1 => self.choices.below(6),
            _ => self.address(),
        };
        registers[2] = match self.choices.below(2) {
            0 => registers[1].wrapping_add(self.choices.below(8) * GRANULE),
            _ => self.address(),
        };

        let before = self.model.clone();
        let [x0, x1, x2, x3] = self.model.call(registers[0], registers[1], registers[2]);
        let cpu = self.choices.one_of(&CPUS);
        let after = self.system.call(&mut self.cpus[cpu], registers);

        let [.., x4, x5, x6, x7] = registers;
        assert_eq!(after, [x0, x1, x2, x3, x4, x5, x6, x7], "the answer to {registers:x?}");
        assert!(self.cpus.iter().all(|cpu| cpu.slots.is_empty()), "a window is left open");
        assert_eq!(self.system.rmm.refused_undelegates(), self.model.refused_undelegates);
        assert_eq!(self.system.rmm.granules().lost(), self.model.lost);
        let looked_at = self.granule();
        for (&address, granule) in &self.model.granules {
            let what = || format!("{address:#x} after {registers:x?}");
            assert_eq!(self.system_state(address), granule.state, "state of {}", what());
            assert_eq!(self.system.machine.el3.pas(address), granule.pas, "PAS of {}", what());
            if x0 != 0 {
                // A call that fails changes nothing that can be observed.
                let was = before.granules[&address];
                let is_lost =
                    (was.state, granule.state) == (Some(State::Delegated), Some(State::Lost));
                assert!(granule.state == was.state || is_lost && !was.answers, "{}", what());
                assert_eq!(granule.pas, was.pas, "{}", what());
                assert!(granule.pas == Pas::Realm || granule.content == was.content, "{}", what());
            }
            // Comparing all content after every call would dominate the run time.
            let changed = before.granules[&address] != *granule;
            if changed || address == looked_at {
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

/// Takes a delegated granule into use. It is wiped first.
fn take<S: GranuleState>(system: &System<'_>, cpu: &mut Cpu, address: u64)
where
    Wiped: Transition<S>,
{
    let locked = system
        .rmm
        .granules()
        .lock::<Delegated>(cpu.index, granule_address(address))
        .expect("it is Delegated");
    let used: LockedGranule<'_, S> =
        locked.wipe(&mut cpu.slots.delegated).expect("memory answers").transition();
    assert!(
        system.machine.memory.granule_is(address, 0),
        "the next owner sees what was there before"
    );
    drop(used);
}

/// Reserves a delegated granule for a REC, whatever is in it.
fn reserve(system: &System<'_>, cpu: &Cpu, address: u64) {
    let locked = system.rmm.granules().lock::<Delegated>(cpu.index, granule_address(address));
    drop(locked.expect("it is Delegated").transition::<Partial>());
}

/// Takes a granule out of use.
fn release<S: Lockable + Transition<Delegated>>(system: &System<'_>, cpu: &Cpu, address: u64) {
    let locked =
        system.rmm.granules().lock::<S>(cpu.index, granule_address(address)).expect("it is in use");
    drop(locked.transition::<Delegated>());
}
