// SPDX-License-Identifier: BSD-3-Clause
//! What must hold in every state.

use std::collections::BTreeSet;

use kit::el3::Pas;
use kit::stage2::host::expected_leaf;
use kit::stage2::model::{self, Entry};
use kit::stage2::tlb::Tlb;
use kit::stage2::walker::Walker;
use rmm::arch::smc::Registers;
use rmm::granule::State;
use rmm::rmi::{Dialect, function};

use crate::letters::Letter;
use crate::machine::{Machine, address, index_of};
use crate::spec::{Expected, Spec};
use crate::state::{rd, references, state_of};

/// That the answer of a call is the expected one, and no other register has changed.
///
/// # Errors
///
/// What is wrong.
pub fn answer(
    letter: &Letter,
    before: &Registers,
    answer: &Registers,
    expected: &Expected,
) -> Result<(), String> {
    let mut wanted = *before;
    wanted[..4].copy_from_slice(&expected.answer[..4]);
    if letter.function == function::RTT_READ_ENTRY && expected.answer[0] == 0 {
        wanted[4] = expected.answer[4];
    }
    if *answer == wanted {
        return Ok(());
    }
    Err(format!("the answer is {answer:x?}, and should be {wanted:x?}"))
}

/// The hardware's view of each Realm, with its VMID.
pub fn walkers(machine: &Machine) -> Vec<(u16, u64, Walker)> {
    let granules = 0..machine.granules();
    let realms = granules.filter(|index| state_of(machine.word(*index)) == State::Rd);
    realms
        .map(|index| {
            let stage2 = &rd(machine.world.page(index)).stage2;
            let walker = Walker::new(stage2.vtcr(), stage2.vttbr());
            (stage2.vmid.get(), address(index), walker)
        })
        .collect()
}

/// Checks a state that is between two calls.
///
/// # Errors
///
/// What does not hold.
pub fn state(machine: &Machine, spec: &Spec, places: &[u64], vmids: &[u16]) -> Result<(), String> {
    for index in 0..machine.granules() {
        let word = machine.word(index);
        if word >> 14 != 0 {
            return Err(format!("granule {index} is locked between calls"));
        }
        let is_realm = machine.world.pas(index) == Pas::Realm;
        if is_realm != (state_of(word) != State::Ns) {
            let (state, pas) = (state_of(word), machine.world.pas(index));
            return Err(format!("granule {index} is {state:?}, and EL3 has it as {pas:?}"));
        }
    }
    ownership(machine, spec)?;
    counts(machine, spec)?;
    for realm in spec.model.realms.values() {
        if realm.next_rec > 511 {
            return Err("more RECs than there can be".into());
        }
    }
    let used: BTreeSet<u16> = spec.model.realms.values().map(|realm| realm.vmid).collect();
    if used.len() != spec.model.realms.len() {
        return Err("two Realms have one VMID".into());
    }
    let taken: BTreeSet<u16> =
        vmids.iter().copied().filter(|vmid| machine.has_vmid(*vmid)).collect();
    if taken != used {
        return Err(format!("VMIDs {taken:?} are taken, and {used:?} are used"));
    }
    for (_, at, walker) in walkers(machine) {
        let realm = &spec.model.realms[&at];
        for ipa in places.iter().filter(|ipa| **ipa < 1 << realm.s2sz) {
            let (_, leaf) = walker.walk(&machine.world.memory, *ipa);
            if leaf != expected_leaf(realm, *ipa) {
                return Err(format!("the hardware finds {leaf:x?} at {ipa:#x}"));
            }
        }
    }
    Ok(())
}

/// Each granule belongs to at most one thing, and is what that thing needs.
fn ownership(machine: &Machine, spec: &Spec) -> Result<(), String> {
    let mut owned = BTreeSet::new();
    let mut own = |granule: u64, wanted: State| {
        let state =
            index_of(granule, machine.granules()).map(|index| state_of(machine.word(index)));
        if state != Some(wanted) {
            return Err(format!("{granule:#x} is {state:?} and should be {wanted:?}"));
        }
        if owned.insert(granule) { Ok(()) } else { Err(format!("{granule:#x} belongs to two")) }
    };
    for (at, realm) in &spec.model.realms {
        own(*at, State::Rd)?;
        for root in &realm.roots {
            own(*root, State::Rtt)?;
        }
        for table in realm.table_granules.values() {
            own(*table, State::Rtt)?;
        }
        for ((level, _), entries) in &realm.tables {
            for entry in entries.iter() {
                let Entry::Assigned(_, memory) = entry else { continue };
                for page in (*memory..memory + model::size(*level)).step_by(0x1000) {
                    own(page, State::Data)?;
                }
            }
        }
    }
    for (at, rec) in &spec.model.recs {
        own(*at, State::Rec)?;
        for aux in &rec.aux {
            own(*aux, State::RecAux)?;
        }
        if !spec.model.realms.contains_key(&rec.realm) {
            return Err(format!("the REC at {at:#x} has outlived its Realm"));
        }
    }
    for operation in spec.operations.values() {
        if let Some(partial) = &operation.partial {
            own(*partial, State::Partial)?;
        }
        for aux in &operation.held {
            own(*aux, State::RecAux)?;
            let index = index_of(*aux, machine.granules()).ok_or("a granule is nowhere")?;
            if machine.world.page(index).0 != [0; 512] {
                return Err(format!("{aux:#x} is held by an operation, and not wiped"));
            }
        }
    }
    for index in 0..machine.granules() {
        let state = state_of(machine.word(index));
        let is_idle = matches!(state, State::Ns | State::Delegated);
        if !is_idle && !owned.contains(&address(index)) {
            return Err(format!("granule {index} is {state:?} and belongs to nothing"));
        }
    }
    Ok(())
}

/// Every count of references is that of what refers.
fn counts(machine: &Machine, spec: &Spec) -> Result<(), String> {
    let check = |granule: u64, wanted: usize| {
        let index = index_of(granule, machine.granules()).ok_or("a granule is nowhere")?;
        let counted = usize::from(references(machine.word(index)));
        if counted == wanted {
            return Ok(());
        }
        Err(format!("granule {index} has {counted} references and is referred to {wanted} times"))
    };
    for (at, realm) in &spec.model.realms {
        check(*at, spec.model.recs.values().filter(|rec| rec.realm == *at).count())?;
        check(realm.roots[0], realm.live((realm.start, 0)))?;
        for (key, table) in &realm.table_granules {
            check(*table, realm.live(*key))?;
        }
    }
    let counted = |state| matches!(state, State::Rd | State::Rtt);
    for index in 0..machine.granules() {
        let word = machine.word(index);
        if !counted(state_of(word)) && references(word) != 0 {
            return Err(format!("granule {index} is referred to"));
        }
    }
    Ok(())
}

/// What TLBs may hold in a state: all that could be walked.
pub fn fill(tlb: &mut Tlb, machine: &Machine, places: &[u64]) {
    tlb.clear();
    for (vmid, _, walker) in walkers(machine) {
        for ipa in places {
            let (steps, leaf) = walker.walk(&machine.world.memory, *ipa);
            tlb.hold(vmid, steps, leaf);
        }
    }
}

/// What TLBs still hold is what tables say.
///
/// # Errors
///
/// What they hold and should not.
pub fn tlb(tlb: &Tlb, machine: &Machine) -> Result<(), String> {
    if !tlb.is_settled() {
        return Err("an entry was changed and not invalidated".into());
    }
    let walkers = walkers(machine);
    let of = |vmid| walkers.iter().find(|walker| walker.0 == vmid).map(|walker| &walker.2);
    if let Some(vmid) = tlb.stage1().iter().find(|vmid| of(**vmid).is_none()) {
        return Err(format!("TLBs hold stage 1 of VMID {vmid}, which no Realm has any more"));
    }
    for (vmid, step) in tlb.steps_by_vmid() {
        let walked = of(vmid).map(|walker| walker.walk(&machine.world.memory, step.1).0);
        if !walked.is_some_and(|steps| steps.contains(&step)) {
            return Err(format!("TLBs hold the way to a table, {step:x?}, of VMID {vmid}"));
        }
    }
    for (vmid, leaf) in tlb.leaves_by_vmid() {
        let walked = of(vmid).and_then(|walker| walker.walk(&machine.world.memory, leaf.ipa).1);
        if walked != Some(leaf) {
            return Err(format!("TLBs hold {leaf:x?} of VMID {vmid}, which is gone"));
        }
    }
    Ok(())
}

/// The calls by which a host takes everything down and gets every granule back.
pub fn taking_down(spec: &Spec) -> Vec<Letter> {
    let mut letters = Vec::new();
    let is_2_0 = spec.dialect() == Dialect::V2_0;
    let mut call = |function, arguments: &[u64]| letters.push(Letter::call(function, arguments));
    for rec in spec.model.recs.keys() {
        call(function::REC_DESTROY, &[*rec]);
    }
    for (at, realm) in &spec.model.realms {
        for ((level, base), entries) in &realm.tables {
            for (entry, index) in entries.iter().zip(0..) {
                let ipa = base + index * model::size(*level);
                let range = [*at, ipa, ipa + model::size(*level)];
                match (entry, is_2_0) {
                    (Entry::Assigned(..), false) => call(function::DATA_DESTROY, &[*at, ipa]),
                    (Entry::Assigned(..), true) => call(function::RTT_DATA_UNMAP, &range),
                    (Entry::AssignedNs(_), false) => {
                        let arguments = [*at, ipa, level.cast_unsigned()];
                        call(function::RTT_UNMAP_UNPROTECTED, &arguments);
                    }
                    (Entry::AssignedNs(_), true) => call(function::RTT_UNPROT_UNMAP, &range),
                    _ => {}
                }
            }
        }
        for (level, ipa) in realm.table_granules.keys().rev() {
            call(function::RTT_DESTROY, &[*at, *ipa, level.cast_unsigned()]);
        }
        if is_2_0 {
            call(function::REALM_TERMINATE, &[*at]);
        }
        call(function::REALM_DESTROY, &[*at]);
    }
    for (granule, state) in &spec.model.granules {
        match (*state != State::Ns, is_2_0) {
            (true, false) => call(function::GRANULE_UNDELEGATE, &[*granule]),
            (true, true) => {
                call(function::GRANULE_RANGE_UNDELEGATE, &[*granule, granule + 0x1000]);
            }
            (false, _) => {}
        }
    }
    letters
}
