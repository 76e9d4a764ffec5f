// SPDX-License-Identifier: BSD-3-Clause
//! The Realm Management Interface: what the host calls.
//!
//! [`handle`] is called by the assembly at the RMI entry, once for each call, with x0-x7 of the
//! host. Any value in any of them, on any number of CPUs at once, gives a defined answer; a call
//! that fails changes nothing.
//!
//! A command of more than a few instructions is a function that is not inlined, so that the
//! dispatch is a jump that needs no stack frame.

mod call;
mod configuration;
mod data;
mod features;
mod granule;
mod realm;
mod rec;
mod rtt;
mod state;
mod tracking;
mod version;

pub use call::Dialect;
use call::{Answered, Call};
pub use state::Rmm;

pub use crate::abi::rmi::function;
use crate::arch::smc::Registers;
use crate::percpu::Cpu;

/// Carries out the call in `registers`, x0-x7, and leaves the answer there: x0 the result word,
/// x1-x3 outputs or 0, x4-x7 as they were.
///
/// `dialect` is that of `rmm`; a caller that knows it for good spares the call to look.
pub fn handle(dialect: Dialect, rmm: &Rmm<'_>, cpu: &mut Cpu, registers: &mut Registers) {
    check_slots(cpu);
    let call = Call::new(registers);
    let Answered { .. } = match dialect {
        Dialect::V1_0 => dispatch_1_0(rmm, cpu, call),
        Dialect::V2_0 => dispatch_2_0(rmm, cpu, call),
    };
    check_slots(cpu);
}

/// In test builds: between commands no granule is mapped.
fn check_slots(cpu: &Cpu) {
    if cfg!(any(debug_assertions, feature = "self-test")) {
        assert!(cpu.slots.is_empty(), "a slot is mapped between commands");
    }
}

/// RMI 1.0.
fn dispatch_1_0(rmm: &Rmm<'_>, cpu: &mut Cpu, call: Call<'_>) -> Answered {
    match call.function() {
        function::VERSION => version::version(rmm, call),
        function::GRANULE_DELEGATE => granule::delegate(rmm, cpu, call),
        function::GRANULE_UNDELEGATE => granule::undelegate(rmm, cpu, call),
        function::DATA_CREATE => data::create(rmm, cpu, call),
        function::DATA_CREATE_UNKNOWN => data::create_unknown(rmm, cpu, call),
        function::DATA_DESTROY => data::destroy(rmm, cpu, call),
        function::REALM_ACTIVATE => realm::activate(rmm, cpu, call),
        function::REALM_CREATE => realm::create(rmm, cpu, call),
        function::REALM_DESTROY => realm::destroy(rmm, cpu, call),
        function::REC_CREATE => rec::create(rmm, cpu, call),
        function::REC_DESTROY => rec::destroy(rmm, cpu, call),
        function::REC_ENTER => rec::enter(rmm, cpu, call),
        function::RTT_CREATE => rtt::create(rmm, cpu, call),
        function::RTT_DESTROY => rtt::destroy(rmm, cpu, call),
        function::RTT_MAP_UNPROTECTED => rtt::map_unprotected(rmm, cpu, call),
        function::RTT_READ_ENTRY => rtt::read_entry(rmm, cpu, call),
        function::RTT_UNMAP_UNPROTECTED => rtt::unmap_unprotected(rmm, cpu, call),
        function::PSCI_COMPLETE => rec::psci_complete(rmm, cpu, call),
        function::FEATURES => features::features(rmm, call),
        function::REC_AUX_COUNT => realm::rec_aux_count(rmm, cpu, call),
        function::RTT_FOLD => rtt::fold(rmm, cpu, call),
        function::RTT_INIT_RIPAS => rtt::init_ripas(rmm, cpu, call),
        function::RTT_SET_RIPAS => rtt::set_ripas(rmm, cpu, call),
        _ => call.answer_unknown(),
    }
}

/// RMI 2.0.
fn dispatch_2_0(rmm: &Rmm<'_>, cpu: &mut Cpu, call: Call<'_>) -> Answered {
    match call.function() {
        function::VERSION => version::version(rmm, call),
        function::FEATURES => features::features(rmm, call),
        function::RMM_CONFIG_SET => configuration::set(rmm, cpu, call),
        function::GRANULE_TRACKING_GET => tracking::get(rmm, call),
        function::RMM_CONFIG_GET => configuration::get(rmm, cpu, call),
        function::GRANULE_RANGE_DELEGATE => granule::range_delegate(rmm, cpu, call),
        function::GRANULE_RANGE_UNDELEGATE => granule::range_undelegate(rmm, cpu, call),
        function::RMM_ACTIVATE => configuration::activate(rmm, call),
        _ => call.answer_unknown(),
    }
}
