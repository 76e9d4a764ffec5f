// SPDX-License-Identifier: BSD-3-Clause
//! What a machine is in, as the ABI has it.

use rmm::realm::rd::RealmState;
use rmm::realm::rec::syndrome::{ISV, class};

use super::*;
use crate::machine::{Machine, Page, index_of};
use crate::state::{rd, rec, references, state_of};

/// An entry of a table at `level` for the protected or the other half.
fn entry(raw: u64, level: i64, protected: bool) -> Entry {
    const OUTPUT: u64 = 0x0000_ffff_ffff_f000;
    let ripas = raw >> 4 & 3;
    match (raw & 1 != 0, protected) {
        (true, _) if level < 3 && raw & 2 != 0 => Entry::Table(raw & OUTPUT),
        (true, true) => Entry::Assigned(RAM, raw & OUTPUT),
        (true, false) => Entry::AssignedNs(raw & (OUTPUT | 0xdc)),
        (false, true) if raw & 4 != 0 => Entry::Assigned(ripas, raw & OUTPUT),
        (false, true) => Entry::Unassigned(ripas),
        (false, false) => Entry::UnassignedNs,
    }
}

/// A Realm as it was before a call, and the granules that the call has changed, a bit each.
type Before<'a> = (&'a model::Realm, u64);

fn read_tables(
    machine: &Machine,
    realm: &mut model::Realm,
    root: u64,
    before: Option<Before<'_>>,
) -> Result<(), String> {
    let mut waiting = vec![(realm.start, 0, root)];
    while let Some((level, base, table)) = waiting.pop() {
        let index = index_of(table, machine.granules()).ok_or("a table is nowhere")?;
        if state_of(machine.word(index)) != State::Rtt {
            return Err(format!("a table entry leads to granule {index}, which is no RTT"));
        }
        if let Some((known, changed)) = before {
            let granule = if level == known.start {
                known.roots.first()
            } else {
                known.table_granules.get(&(level, base))
            };
            if granule == Some(&table) && changed >> index & 1 == 0 {
                realm.tables.insert((level, base), Arc::clone(&known.tables[&(level, base)]));
                let end = base + 512 * model::size(level);
                let below = known.table_granules.range((level + 1, base)..(level + 1, end));
                for ((level, ipa), child) in below {
                    waiting.push((*level, *ipa, *child));
                    realm.table_granules.insert((*level, *ipa), *child);
                }
                continue;
            }
        }
        let page: &Page = machine.world.page(index);
        let mut entries = Vec::with_capacity(GRANULE_WORDS);
        for (raw, number) in page.0.iter().zip(0..) {
            let ipa = base + number * model::size(level);
            let entry = entry(*raw, level, ipa < 1 << (realm.s2sz - 1));
            if let Entry::Table(child) = entry {
                waiting.push((level + 1, ipa, child));
                realm.table_granules.insert((level + 1, ipa), child);
            }
            entries.push(entry);
        }
        if realm.tables.insert((level, base), Arc::new(entries)).is_some()
            || realm.tables.len() > 64
        {
            return Err("tables without end".into());
        }
    }
    Ok(())
}

impl Spec {
    /// What a machine is in.
    ///
    /// # Errors
    ///
    /// What no machine may be in.
    pub fn read(machine: &Machine) -> Result<Self, String> {
        Self::read_after(machine, None)
    }

    /// What a machine is in that was in a state `before`, after a call that has changed these
    /// granules, a bit each.
    ///
    /// # Errors
    ///
    /// What no machine may be in.
    pub fn read_after(machine: &Machine, before: Option<(&Self, u64)>) -> Result<Self, String> {
        let mut spec = Self {
            model: Model::default(),
            off: BTreeSet::new(),
            recs: BTreeMap::new(),
            zombies: BTreeSet::new(),
            operations: stateful::read(machine),
            reclaimed: Vec::new(),
            dialect: machine.rmm.dialect(),
        };
        spec.model.is_2_0 = spec.dialect == Dialect::V2_0;
        for index in 0..machine.granules() {
            let (state, page) = (state_of(machine.word(index)), machine.world.page(index));
            let tracked = machine.world.pas(index) != kit::el3::Pas::Secure;
            spec.model.granules.insert(address(index), state);
            if !tracked {
                // EL3 refuses it whatever the RMM thinks.
                spec.model.granules.remove(&address(index));
            }
            spec.model.contents.insert(address(index), page.0[0]);
            match state {
                State::Rd => spec.read_realm(machine, address(index), page, before)?,
                State::Rec => spec.read_rec(address(index), page, references(machine.word(index))),
                _ => {}
            }
        }
        Ok(spec)
    }

    fn read_realm(
        &mut self,
        machine: &Machine,
        at: u64,
        page: &Page,
        before: Option<(&Self, u64)>,
    ) -> Result<(), String> {
        let descriptor = rd(page);
        let stage2 = &descriptor.stage2;
        let root = stage2.root.get().get();
        let mut realm = model::Realm {
            s2sz: stage2.ipa_bits.into(),
            start: stage2.start_level.number().into(),
            lpa2: stage2.lpa2,
            roots: vec![root],
            vmid: stage2.vmid.get(),
            new: descriptor.state() == RealmState::New,
            next_rec: descriptor.next_rec.into(),
            measurement: descriptor.initial_measurement,
            tables: BTreeMap::new(),
            table_granules: BTreeMap::new(),
        };
        let before = before.and_then(|(spec, changed)| {
            spec.model.realms.get(&at).filter(|known| known.s2sz == realm.s2sz).zip(Some(changed))
        });
        read_tables(machine, &mut realm, root, before)?;
        match descriptor.state() {
            RealmState::SystemOff => _ = self.off.insert(at),
            RealmState::Zombie => _ = self.zombies.insert(at),
            RealmState::New | RealmState::Active => {}
        }
        self.model.realms.insert(at, realm);
        Ok(())
    }

    fn read_rec(&mut self, at: u64, page: &Page, references: u16) {
        let content = rec(page);
        let (identity, state) = (&content.identity, &content.state);
        let last = &state.last_exit;
        let is_abort = last.class() == class::DATA_ABORT;
        let protected_end = identity.stage2.protected_end();
        let may_complete =
            [is_abort && last.esr & ISV != 0, is_abort && last.ipa().get() >= protected_end];
        let call_page = match state.pending {
            PendingRequest::HostCall => state.registers.x(1),
            _ => 0,
        };
        let (index, pending, serror) =
            (u64::from(identity.mpidr.index()), state.pending, state.serror);
        self.recs.insert(at, RecState { index, pending, call_page, may_complete, serror });
        self.model.recs.insert(
            at,
            model::Rec {
                realm: identity.realm.get().get(),
                runnable: state.runnable,
                running: references != 0,
                pending: asked_ripas(pending),
                aux: identity.auxiliary.iter().map(|granule| granule.get().get()).collect(),
            },
        );
    }
}
