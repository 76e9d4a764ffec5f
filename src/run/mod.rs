// SPDX-License-Identifier: BSD-3-Clause
//! Runs a REC: the checks of RMI_REC_ENTER, the world switch, and the handling of each exception.
//!
//! `docs/design/run.md` describes how the parts work together. Invariants:
//!
//! - A REC runs on at most one CPU. Only that CPU holds its [`RunningRec`] and touches its state.
//! - A refused entry leaves pending requests as they were.
//! - No register of one world is readable in the other: each is switched, trapped, or reported in
//!   the exit record.

pub mod controls;
pub mod decide;
pub mod id_registers;
pub mod inject;
mod lent;
pub mod record;
pub mod retreat;
pub mod switch;
mod world;

use core::hint::cold_path;

use crate::abi::rmi_v1::RecEnterFlags;
use tock_registers::interfaces::{Readable, Writeable};

use self::decide::{Action, Injected, View, decide};
use self::inject::{PstateFeatures, inject};
use self::lent::{Lent, take_out};
use self::retreat::Retreat;
use self::world::HostRegisters;
use crate::address::PhysAddr;
use crate::arch::el1::El1Registers;
use crate::arch::sysreg::HCR_EL2;
use crate::arch::sysreg::el1::ID_AA64PFR1_EL1;
use crate::arch::sysreg::el1::VSESR_EL2;
use crate::arch::{barrier, interrupt};
use crate::attest::platform::Platform;
use crate::cpu::CpuIndex;
use crate::granule::state::{self, Rd};
use crate::granule::{GranuleAddress, GranuleTable, LockError};
use crate::mem::{
    NsAccessError, NsMapping, RunMapping, RunningRec, Slot, SlotBuffer, with_run_mapping,
};
use crate::percpu::Cpu;
use crate::realm::epoch::{self, CallPage, Learned};
use crate::realm::rd::{RealmDescriptor, RealmState};
use crate::realm::rec::debug::DebugOwner;
use crate::realm::rec::exit::{Exit, ExitReason, Report};
use crate::realm::rec::gic::{self, GicFeatures, GicOwner, ValidEntry};
use crate::realm::rec::pmu::PmuOwner;
use crate::realm::rec::simd::SimdOwner;
use crate::realm::rec::syndrome::{ISV, Syndrome, class};
use crate::realm::rec::{PendingRequest, Rec, RecIdentity, RecState};
use crate::realm::running::RunningRealm;
use crate::realm::stage2::{Ripas, Stage2};
use crate::rsi;

/// Why an entry failed: it was refused, or the exit record could not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnterError {
    /// An address is invalid, or the run page is no longer the host's.
    Input,
    /// The Realm is NEW.
    RealmNew,
    /// The Realm is SYSTEM_OFF.
    RealmOff,
    /// The REC is running or not runnable, or the entry record is not valid for it.
    Rec,
}

impl From<LockError> for EnterError {
    fn from(_: LockError) -> Self {
        cold_path();
        Self::Input
    }
}

impl From<NsAccessError> for EnterError {
    fn from(_: NsAccessError) -> Self {
        cold_path();
        Self::Input
    }
}

/// Runs the REC at `rec` until it exits, and writes the exit record to the page at `run`.
///
/// With `no_live_sve` the host needs no SIMD registers but V0 to V31 preserved. Attestation tokens
/// are made with `attestation`. `gic_owner` says where the virtual interrupts are kept.
///
/// # Errors
///
/// [`EnterError`]. Nothing has changed, unless the run page went away in between.
pub fn enter(
    granules: &GranuleTable<'_>,
    attestation: Option<&'static Platform>,
    cpu: &mut Cpu,
    rec: GranuleAddress,
    run: PhysAddr,
    no_live_sve: bool,
    gic_owner: GicOwner,
) -> Result<(), EnterError> {
    let Some(page) = granules.ns_granule(run) else {
        cold_path();
        return Err(EnterError::Input);
    };
    let locked = granules.lock::<state::Rec>(cpu.index, rec)?;
    let Ok(mut running) = RunningRec::new(&locked) else {
        cold_path();
        return Err(EnterError::Rec);
    };
    locked.unlock();
    let Cpu { index, slots, host_el1, host_simd, host_pmu, host_debug, gic_entry } = cpu;
    let index = *index;
    let SlotBuffer { ns, rec, second_rec, rec_aux, rd, rtt, realm_data, .. } = slots;
    with_run_mapping(rec, &mut running, ns, page, |mapping: RunMapping<'_, Rec>| {
        let RunMapping { identity, state, auxiliary, page } = mapping;
        let flags = record::read_flags(page)?;
        // Only RMI_REALM_TERMINATE looks for announcements, and RMI 1.0 does not have it.
        let vmid = identity.stage2.vmid;
        let announce = || epoch::announce(granules.epochs(), index, vmid);
        let _announced = (gic_owner == GicOwner::Host).then(announce);
        let news = learn(granules, index, rd, identity, &state.learned)?;
        if !state.runnable || state.pending.is_psci() {
            cold_path();
            return Err(EnterError::Rec);
        }
        let features = GicFeatures::read();
        match gic_owner {
            GicOwner::Rmm => record::read_gic(page, features, gic_entry)?,
            GicOwner::Host => gic::read_entry(gic_entry, features),
        }
        let Some(gic_entry) = ValidEntry::new(gic_entry, features, gic_owner) else {
            cold_path();
            return Err(EnterError::Rec);
        };
        if !may_complete(flags, state, &identity.stage2) {
            cold_path();
            return Err(EnterError::Rec);
        }
        let gpr0 = match state.last_exit.class() {
            class::DATA_ABORT | class::SYSTEM_REGISTER => record::read_gpr0(page)?,
            _ => 0,
        };
        record::zero_exit(page)?;
        // From here on an entry fails only if the page goes away while the general registers of a
        // host call are read. The call then stays pending, and the next entry overwrites what has
        // changed here.
        if let Some(learned) = news {
            state.learned = learned;
        }
        state.gic.accept(gic_entry, features, gic_owner);
        let mut lent = Lent {
            realm: RunningRealm::new(
                granules,
                index,
                identity,
                [rd, rtt, realm_data],
                (gic_owner == GicOwner::Host).then_some(second_rec),
                rec_aux.running(auxiliary),
                attestation,
            ),
            simd: SimdOwner::host(host_simd, no_live_sve),
            pmu: PmuOwner::host(host_pmu),
            debug: DebugOwner::host(host_debug),
            features: identity.features,
        };
        let report = match complete(flags, gpr0, page, state, &mut lent.realm)? {
            Some(report) => {
                state.gic.leave_unrun();
                report
            }
            None => run_until_exit(flags, state, features, host_el1, &mut lent, page),
        };
        Ok(record::write_exit(page, &report, &state.gic, features, &state.timers, state.pmu)?)
    })
}

/// Returns what the REC has to learn anew because the Realm's epoch ended since `learned`. `None`
/// if it did not end; then the RD is not locked.
///
/// # Errors
///
/// [`EnterError::RealmNew`], [`EnterError::RealmOff`].
fn learn(
    granules: &GranuleTable<'_>,
    index: CpuIndex,
    rd: &mut Slot,
    identity: &RecIdentity,
    learned: &Learned,
) -> Result<Option<Learned>, EnterError> {
    let epoch = epoch::now(granules.epochs(), identity.stage2.vmid);
    if learned.epoch == epoch {
        return Ok(None);
    }
    cold_path();
    let locked = granules.lock::<Rd>(index, identity.realm)?;
    let realm = rd.map(&locked).get::<RealmDescriptor>().state();
    match realm {
        RealmState::New => Err(EnterError::RealmNew),
        RealmState::SystemOff | RealmState::Zombie => Err(EnterError::RealmOff),
        RealmState::Active => {
            let (vtcr, vttbr) = (identity.stage2.vtcr(), identity.stage2.vttbr());
            let vmpidr = controls::vmpidr(identity.mpidr.get());
            Ok(Some(Learned { epoch, call_page: CallPage::None, vtcr, vttbr, vmpidr }))
        }
    }
}

/// Whether the last exit can be completed in the way that `flags` request.
fn may_complete(flags: RecEnterFlags, state: &RecState, stage2: &Stage2) -> bool {
    let last = &state.last_exit;
    let is_data_abort = last.class() == class::DATA_ABORT;
    if flags.contains(RecEnterFlags::INJECT_SEA) {
        is_data_abort && !stage2.is_protected(last.ipa())
    } else if flags.contains(RecEnterFlags::EMUL_MMIO) {
        is_data_abort && last.esr & ISV != 0
    } else {
        true
    }
}

/// Completes the last exit in the REC's saved registers. `Some` if the REC exits again without
/// having run.
///
/// # Errors
///
/// [`NsAccessError`]: the host call stays pending.
fn complete(
    flags: RecEnterFlags,
    gpr0: u64,
    page: &NsMapping<'_>,
    state: &mut RecState,
    realm: &mut RunningRealm<'_, '_>,
) -> Result<Option<Report>, NsAccessError> {
    let last = &state.last_exit;
    if flags.contains(RecEnterFlags::INJECT_SEA) {
        let features = PstateFeatures::new(ID_AA64PFR1_EL1.get());
        inject(Injected::ExternalAbort(*last), &mut state.registers, features);
    } else if flags.contains(RecEnterFlags::EMUL_MMIO) {
        let access = last.access();
        if !access.is_write {
            state.registers.set_x(access.register(), access.loaded(gpr0));
        }
        state.registers.skip_instruction();
    } else if last.class() == class::SYSTEM_REGISTER && last.system_register().is_read() {
        state.registers.set_x(last.system_register().register(), gpr0);
    }
    state.last_exit = Syndrome::default();
    match state.pending {
        PendingRequest::HostCall => {
            if let Err(report) = rsi::complete_host_call(page, state, realm)? {
                return Ok(Some(report));
            }
        }
        PendingRequest::Ripas { .. } => {
            rsi::complete_ripas_change(state, flags.contains(RecEnterFlags::RIPAS_RESPONSE));
        }
        PendingRequest::None
        | PendingRequest::CpuOn { .. }
        | PendingRequest::AffinityInfo { .. } => {}
    }
    Ok(None)
}

/// Loads the REC's registers, runs it until it exits, and restores the host's.
fn run_until_exit(
    flags: RecEnterFlags,
    state: &mut RecState,
    features: GicFeatures,
    host_el1: &mut El1Registers,
    lent: &mut Lent<'_, '_>,
    page: &NsMapping<'_>,
) -> Report {
    if world::timers_to_report(state) {
        state.gic.leave_unrun();
        return Report::Exception(Exit::new(ExitReason::Irq));
    }
    let host = HostRegisters::save(host_el1, lent.features.has_pmu);
    world::load(state, features);
    if lent.simd.is_needed_at_once(lent.features) {
        lent.open_simd(state);
    }
    if state.pmu.is_counting {
        lent.open_pmu();
    }
    if state.registers.debug.is_effective() {
        lent.debug.update(&state.registers.debug);
    }
    let mut retreat = Retreat::new(state, lent, &host);
    retreat.prepare();
    let report = run(flags, state, lent, page);
    take_out(state, features, lent, &host);
    report
}

/// Runs the REC until it exits. Its registers are in the CPU.
fn run(
    flags: RecEnterFlags,
    state: &mut RecState,
    lent: &mut Lent<'_, '_>,
    page: &NsMapping<'_>,
) -> Report {
    let inputs = controls::HcrInputs {
        trap_wfi: flags.contains(RecEnterFlags::TRAP_WFI),
        trap_wfe: flags.contains(RecEnterFlags::TRAP_WFE),
        serror: false,
    };
    loop {
        if state.serror {
            VSESR_EL2.set(state.vsesr);
        }
        HCR_EL2.set(controls::hcr(controls::HcrInputs { serror: state.serror, ..inputs }));
        let vector = switch::enter(&mut state.registers);
        let syndrome = Syndrome::read();
        if state.serror {
            // The CPU clears VSE when the Realm takes the SError.
            state.serror = HCR_EL2.is_set(aarch64_cpu::registers::HCR_EL2::VSE);
        }
        let view = View {
            registers: &state.registers,
            ipa_end: lent.realm.stage2().ipa_end(),
            protected_end: lent.realm.stage2().protected_end(),
            has_sve: lent.features.has_sve,
            has_closed_pmu: lent.features.has_pmu && !lent.pmu.is_rec(),
        };
        let action = decide(vector, &syndrome, &view);
        if let Some(report) = act(action, &syndrome, state, lent, page) {
            return report;
        }
        // A Realm that does nothing but take exceptions must not keep the host's interrupt waiting.
        if interrupt::is_pending() || world::timers_changed(state.timers_reported) {
            return Report::Exception(Exit::new(ExitReason::Irq));
        }
    }
}

/// Must be called before a lock is taken: if this CPU abandons its wait, [`retreat`] reads both
/// arguments from memory.
fn may_wait(state: &mut RecState, lent: &mut Lent<'_, '_>) {
    barrier::expose(state);
    barrier::expose(lent);
}

/// Carries out `action`. `Some` if the REC exits.
fn act(
    action: Action,
    syndrome: &Syndrome,
    state: &mut RecState,
    lent: &mut Lent<'_, '_>,
    page: &NsMapping<'_>,
) -> Option<Report> {
    match action {
        Action::ReadZero(register) => {
            state.registers.set_x(register, 0);
            state.registers.skip_instruction();
            None
        }
        Action::IgnoreWrite => {
            state.registers.skip_instruction();
            None
        }
        Action::ReadId { crm, op2, register } => {
            state.registers.set_x(register, id_registers::read(crm, op2, lent.features));
            state.registers.skip_instruction();
            None
        }
        Action::Inject(exception) => {
            inject_live(exception, state);
            None
        }
        Action::InjectAndExit(exception, exit) => {
            inject_live(exception, state);
            leave(exit, syndrome, state)
        }
        Action::Call => {
            may_wait(state, lent);
            rsi::call(state, &mut lent.realm, page)
        }
        Action::Simd => {
            if lent.simd.is_rec() {
                // The registers are open already, so the instruction would trap again.
                inject_live(Injected::Undefined, state);
            } else {
                lent.open_simd(state);
            }
            None
        }
        Action::Pmu => {
            lent.open_pmu();
            None
        }
        Action::ReadDebug { debug, register } => {
            let value = state.registers.debug.read(debug);
            state.registers.set_x(register, value);
            state.registers.skip_instruction();
            None
        }
        Action::WriteDebug { debug, value } => {
            state.registers.debug.write(debug, value);
            lent.debug.update(&state.registers.debug);
            state.registers.skip_instruction();
            None
        }
        Action::CheckRipas(ipa, exit) => {
            may_wait(state, lent);
            if lent.realm.memory.ripas(ipa) == Some(Ripas::Empty) {
                inject_live(Injected::ExternalAbort(*syndrome), state);
                return None;
            }
            leave(exit, syndrome, state)
        }
        Action::Exit(exit) => leave(exit, syndrome, state),
        Action::ExitPast(exit) => {
            state.registers.skip_instruction();
            leave(exit, syndrome, state)
        }
        Action::PendSError(exit) => {
            /// ISS: what the Realm sees of the error.
            const ISS: u64 = 0x1ff_ffff;
            state.serror = true;
            state.vsesr = syndrome.esr & ISS;
            leave(exit, syndrome, state)
        }
    }
}

/// Exits with `exit`. Keeps the syndrome as the host sees it: the next entry completes that.
fn leave(exit: Exit, syndrome: &Syndrome, state: &mut RecState) -> Option<Report> {
    state.last_exit = match exit.reason {
        ExitReason::Sync => {
            let told = if exit.esr & ISV == 0 { !ISV } else { u64::MAX };
            let told = if syndrome.class() == class::SYSTEM_REGISTER { u64::MAX } else { told };
            // After an External abort HPFAR_EL2 holds the address of an earlier fault.
            Syndrome { esr: syndrome.esr & told, hpfar: exit.hpfar, ..*syndrome }
        }
        _ => Syndrome::default(),
    };
    Some(Report::Exception(exit))
}

/// Injects into a Realm whose EL1 registers are in the CPU.
fn inject_live(exception: Injected, state: &mut RecState) {
    state.registers.el1.save();
    inject(exception, &mut state.registers, PstateFeatures::new(ID_AA64PFR1_EL1.get()));
    state.registers.el1.restore();
}
