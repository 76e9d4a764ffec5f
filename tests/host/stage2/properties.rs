// SPDX-License-Identifier: BSD-3-Clause
//! Random sequences of all commands with Realms of every shape, each command checked against the
//! model: by one host, by several hosts at once with Realms of their own, and by several hosts that
//! build one Realm together, each in its part of the IPA space.

use std::collections::BTreeMap;
use std::sync::Arc;

use kit::system::System;
use rmm::granule::state::Rtt;
use rmm::realm::measurement::InitialMeasurement;
use rmm::rmi::function;

use crate::granule;
use crate::random_session::{Counts, Parked, Session};
use kit::seed;
use kit::stage2::host::{Host, SHAPES, Shape, boot, root_count};
use kit::stage2::model::{
    ERROR_INPUT, ERROR_REALM, ERROR_REC, GRANULE, Realm, Rec, SUCCESS, error_rtt, size,
};
use kit::stage2::sharing::{Order, Part};

/// Commands of one host in all.
const COMMANDS: usize = 300_000;
/// Commands of a host before everything is destroyed and new shapes are chosen.
const ROUND: usize = 15_000;

/// Hosts at once, all their commands with Realms of their own, and the commands of each on a shared
/// Realm of each shape.
const THREADS: u64 = 4;
const COMMANDS_AT_ONCE: usize = 120_000;
const COMMANDS_ON_ONE: usize = 3_000;

/// Asserts that each command has given each of these answers.
fn is_thorough(counts: &Counts) {
    for ((function, answer), count) in &counts.seen {
        println!("{function:#x} was answered with {answer:#x} {count} times");
    }
    println!(
        "{} commands, {} blocks folded, {} unfolded",
        counts.commands, counts.folded, counts.unfolded
    );
    assert!(counts.folded > 0 && counts.unfolded > 0, "no block was ever folded, or unfolded");
    for function in [
        function::DATA_CREATE,
        function::DATA_CREATE_UNKNOWN,
        function::DATA_DESTROY,
        function::RTT_CREATE,
        function::RTT_DESTROY,
        function::RTT_MAP_UNPROTECTED,
        function::RTT_UNMAP_UNPROTECTED,
        function::RTT_FOLD,
        function::RTT_INIT_RIPAS,
        function::RTT_SET_RIPAS,
    ] {
        for answer in [SUCCESS, ERROR_INPUT, error_rtt(1), error_rtt(2)] {
            assert!(
                counts.seen.contains_key(&(function, answer)),
                "{function:#x} is never answered with {answer:#x}"
            );
        }
    }
    for answer in [(function::RTT_DESTROY, error_rtt(3)), (function::RTT_FOLD, error_rtt(3))] {
        assert!(counts.seen.contains_key(&answer), "never: {answer:x?}");
    }
}

#[test]
fn random_commands_do_what_the_model_does() {
    let mut random = seed::generator("commands on tables");
    let mut counts = Counts::default();
    while counts.commands < seed::cases(COMMANDS) {
        let mut session = Session::new(Host::boot(), random.fork(), 1);
        while session.counts.commands < ROUND {
            session.step();
        }
        session.take_down();
        counts.add(session.counts);
    }
    is_thorough(&counts);
    for answer in [
        (function::DATA_CREATE, ERROR_REALM),
        (function::RTT_INIT_RIPAS, ERROR_REALM),
        (function::RTT_SET_RIPAS, ERROR_REC),
        (function::GRANULE_DELEGATE, SUCCESS),
        (function::GRANULE_DELEGATE, ERROR_INPUT),
        (function::GRANULE_UNDELEGATE, SUCCESS),
        (function::GRANULE_UNDELEGATE, ERROR_INPUT),
        (function::REALM_CREATE, SUCCESS),
        (function::REALM_CREATE, ERROR_INPUT),
        (function::REALM_ACTIVATE, SUCCESS),
        (function::REALM_ACTIVATE, ERROR_INPUT),
        (function::REALM_ACTIVATE, ERROR_REALM),
        (function::REALM_DESTROY, SUCCESS),
        (function::REALM_DESTROY, ERROR_INPUT),
        (function::REALM_DESTROY, ERROR_REALM),
        (function::REC_AUX_COUNT, SUCCESS),
        (function::REC_AUX_COUNT, ERROR_INPUT),
        (function::REC_CREATE, SUCCESS),
        (function::REC_CREATE, ERROR_INPUT),
        (function::REC_CREATE, ERROR_REALM),
        (function::REC_DESTROY, SUCCESS),
        (function::REC_DESTROY, ERROR_INPUT),
        (function::REC_ENTER, ERROR_INPUT),
        (function::REC_ENTER, ERROR_REALM),
        (function::REC_ENTER, ERROR_REC),
        (function::PSCI_COMPLETE, ERROR_INPUT),
    ] {
        assert!(counts.seen.contains_key(&answer), "never: {answer:x?}");
    }
}

/// Runs a session on each of several CPUs at once, and gives the sessions back.
fn at_once(
    system: &Arc<System<'static>>,
    random: &mut fastrand::Rng,
    commands: usize,
    session: impl Fn(Host, u64, fastrand::Rng) -> Session + Sync,
) -> Vec<Session> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|index| {
                let (system, random, session) = (Arc::clone(system), random.fork(), &session);
                scope.spawn(move || {
                    let mut session = session(Host::on(system, index), index, random);
                    while session.counts.commands < commands {
                        session.step();
                    }
                    session.park()
                })
            })
            .collect();
        let parked = threads
            .into_iter()
            .map(|thread| thread.join().expect("the CPU does what its model does"));
        parked.map(Parked::resume).collect()
    })
}

#[test]
fn hosts_at_once_with_realms_of_their_own_each_see_what_their_models_do() {
    let mut random = seed::generator("hosts with Realms of their own");
    let mut counts = Counts::default();
    while counts.commands < seed::cases(COMMANDS_AT_ONCE) {
        let sessions = at_once(&boot(), &mut random, ROUND, |host, index, random| {
            Session::new(host, random, u16::try_from(1 + 2 * index).expect("small"))
        });
        for mut session in sessions {
            session.host.take_thread();
            session.host.check_everything();
            session.take_down();
            counts.add(session.counts);
        }
    }
    is_thorough(&counts);
}

/// A Realm that several hosts build together. Each has some root entries in each half. Its last
/// entry always holds a table, so commands on the entries before it do not look beyond it.
struct Common {
    rd: u64,
    shape: Shape,
    /// The root entries of each host in each half.
    entries: u64,
    realm: Realm,
    /// The REC of each host.
    recs: BTreeMap<u64, Rec>,
    order: Arc<Order>,
}

impl Common {
    /// The Realm and the host that has created it, if the root of this shape has enough entries.
    fn new(system: &Arc<System<'static>>, shape: Shape) -> Option<(Host, Self)> {
        let (s2sz, start, _) = shape;
        let entries = ((1 << (s2sz - 1)) / size(start) / THREADS).min(8);
        if entries < 2 {
            return None;
        }
        let mut host = Host::on(Arc::clone(system), THREADS);
        let (root, rd) = (host.base + 0x10_0000, host.base + 0x12_0000);
        for index in 0..root_count(shape) {
            host.delegate(root + index * GRANULE);
        }
        for index in 0..0x60 {
            host.delegate(rd + index * GRANULE);
        }
        host.create_realm(rd, root, shape, 0x101);
        let realm = host.model.realms[&rd].clone();
        let mut common =
            Self { rd, shape, entries, realm, recs: BTreeMap::new(), order: Order::new(rd) };
        for index in 0..THREADS {
            host.create_rec(rd, common.rec(index));
        }
        for (table, ipa) in (rd + 0x50 * GRANULE..).step_by(0x1000).zip(common.bounds()) {
            let arguments = [rd, table, ipa, (start + 1).cast_unsigned(), 0];
            assert_eq!(host.call(function::RTT_CREATE, arguments), SUCCESS, "{ipa:#x}");
        }
        (common.realm, common.recs) =
            (host.model.realms[&rd].clone(), std::mem::take(&mut host.model.recs));
        Some((host, common))
    }

    fn rec(&self, index: u64) -> u64 {
        self.rd + (2 + 0x10 * index) * GRANULE
    }

    /// The part of host `index`, without the last entry of each half.
    fn part(&self, index: u64) -> Part {
        let (size, half) = (size(self.shape.1), 1 << (self.shape.0 - 1));
        let (first, last) = (index * self.entries * size, ((index + 1) * self.entries - 1) * size);
        Part { protected: first..last, unprotected: half + first..half + last }
    }

    /// The first IPAs of all last entries.
    fn bounds(&self) -> Vec<u64> {
        (0..THREADS)
            .map(|index| self.part(index))
            .flat_map(|part| [part.protected.end, part.unprotected.end])
            .collect()
    }

    /// Makes a host join the Realm.
    fn join(&self, mut host: Host, index: u64, random: fastrand::Rng) -> Session {
        let rec = self.rec(index);
        host.join(self.rd, self.realm.clone(), self.part(index), Arc::clone(&self.order));
        host.adopt(rec, self.recs[&rec].clone());
        Session::in_part_of(host, random, self.rd, rec)
    }

    /// Checks that each root table has as many references as all models together have live entries.
    fn check_roots(&self, system: &System<'_>, sessions: &[Session]) {
        let realm = &self.realm;
        let mut live = vec![0; realm.roots.len()];
        for ipa in self.bounds() {
            live[self.root_of(ipa)] += 1;
        }
        for session in sessions {
            let part = session.host.part(self.rd);
            let root = &session.host.model.realms[&self.rd].tables[&(realm.start, 0)];
            for (ipa, entry) in
                (0..).step_by(usize::try_from(size(realm.start)).expect("64 bits")).zip(root.iter())
            {
                live[self.root_of(ipa)] += usize::from(part.contains(ipa) && entry.is_live());
            }
        }
        let cpu = System::cpu(usize::try_from(THREADS).expect("small"));
        for (root, live) in realm.roots.iter().zip(live) {
            let locked = system.rmm.granules().lock::<Rtt>(cpu.index, granule(*root));
            assert_eq!(
                usize::from(locked.expect("a root table").references()),
                live,
                "root table {root:#x}"
            );
        }
    }

    /// Checks the RIM `measured` against the models of all hosts, in the order in which their
    /// commands held the RD.
    fn check_measurement(&self, measured: InitialMeasurement, sessions: &mut [Session]) {
        let mut expected = self.realm.measurement;
        for host in self.order.hosts() {
            let host = &mut sessions[usize::try_from(host).expect("small")].host;
            for one in host.measured.pop_front().expect("the host had the RD as often") {
                one.extend(&mut expected);
            }
        }
        assert!(sessions.iter().all(|session| session.host.measured.is_empty()), "nor more often");
        assert_eq!(measured, expected, "the RIM");
    }

    /// The index of the root table for an IPA.
    fn root_of(&self, ipa: u64) -> usize {
        usize::try_from(ipa / size(self.shape.1) / 512).expect("small")
    }

    /// Destroys what all hosts have left, which is what they began with.
    fn take_down(&self, mut host: Host) {
        host.take_thread();
        for ipa in self.bounds() {
            let arguments = [self.rd, ipa, (self.shape.1 + 1).cast_unsigned(), 0, 0];
            assert_eq!(host.call(function::RTT_DESTROY, arguments), SUCCESS, "{ipa:#x}");
        }
        assert!(host.destroy_realm(self.rd), "nothing of the Realm is left");
    }
}

#[test]
fn hosts_at_once_that_build_one_realm_each_see_what_their_models_do() {
    let mut random = seed::generator("hosts with one Realm");
    let (mut counts, mut realms) = (Counts::default(), 0);
    for shape in SHAPES {
        let system = boot();
        let Some((mut creator, common)) = Common::new(&system, shape) else { continue };
        let mut sessions =
            at_once(&system, &mut random, seed::cases(COMMANDS_ON_ONE), |host, index, random| {
                common.join(host, index, random)
            });
        common.check_roots(&system, &sessions);
        common.check_measurement(creator.measurement(common.rd), &mut sessions);
        for mut session in sessions {
            session.host.take_thread();
            session.host.check_everything();
            session.take_down();
            counts.add(session.counts);
        }
        common.take_down(creator);
        realms += 1;
    }
    println!("{realms} Realms, each by {THREADS} hosts");
    is_thorough(&counts);
}
