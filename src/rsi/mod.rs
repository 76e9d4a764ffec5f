// SPDX-License-Identifier: BSD-3-Clause
//! The Realm Services Interface 1.0: the functions that a Realm calls by SMC, PSCI included.
//!
//! An unknown function returns NOT_SUPPORTED (-1) in X0. Every value in every register has a
//! defined answer. A command accesses each word of the Realm's memory once: other RECs may change
//! it meanwhile.

mod attestation;
mod call;
mod config;
mod features;
mod host_call;
mod measurement;
mod memory;
mod ripas;

use crate::abi::smccc::NOT_SUPPORTED;
use crate::command::{self, Command, Dispatch, TRACES, Trace, commands};
use crate::mem::NsMapping;
use crate::psci;
use crate::realm::rec::exit::{Next, Report};
use crate::realm::rec::{RecState, Registers};
use crate::realm::running::{Caller, RunningRealm};

pub use call::Serve;
pub use host_call::complete_host_call;
pub use ripas::complete_ripas_change;

commands! {
    call(caller):
    VERSION(requested: u64) -> [lower, higher] = features::version;
    FEATURES(index: u64) -> [value] = features::features;
    MEASUREMENT_READ(index: u64) -> [v0, v1, v2, v3, v4, v5, v6, v7] = measurement::read;
    MEASUREMENT_EXTEND(
        index: u64, size: u64,
        v0: u64, v1: u64, v2: u64, v3: u64, v4: u64, v5: u64, v6: u64, v7: u64
    ) = measurement::extend;
    ATTESTATION_TOKEN_INIT(
        c0: u64, c1: u64, c2: u64, c3: u64, c4: u64, c5: u64, c6: u64, c7: u64
    ) -> [max_size] = attestation::init;
    ATTESTATION_TOKEN_CONTINUE(address: u64, offset: u64, size: u64) -> [written]
        = attestation::proceed;
    REALM_CONFIG(address: u64) = config::realm_config;
    IPA_STATE_SET(base: u64, top: u64, ripas: u64, flags: u64) -> [new_base, response]
        = ripas::set;
    IPA_STATE_GET(base: u64, top: u64) -> [out_top, ripas] = ripas::get;
    HOST_CALL(address: u64) = host_call::call;
}

static RSI: Dispatch<Serve, 0xC400_0190, 32> = Dispatch::new(COMMANDS);

/// Executes the call in the registers of a REC. `Some` if the REC exits. A host call writes its
/// general registers to the host's `page`.
pub fn call(
    state: &mut RecState,
    realm: &mut RunningRealm<'_, '_>,
    page: &NsMapping<'_>,
) -> Option<Report> {
    let RecState {
        registers: Registers { gprs: registers, .. }, pending, runnable, learned, ..
    } = state;
    let before = TRACES.then_some(*registers);
    let function = command::function(registers[0]);
    let serve = RSI.find(function).or_else(|| psci::find(function));
    let next = match serve {
        Some(serve) => serve(&mut Caller { pending, runnable, learned, realm, page }, registers),
        None => {
            let [r0, r1, r2, r3, ..] = registers;
            (*r0, *r1, *r2, *r3) = (NOT_SUPPORTED, 0, 0, 0);
            Next::Resume
        }
    };
    if let Some(before) = &before {
        let has = |table: &&[Command<Serve>]| table.iter().any(|row| row.function == function);
        let commands = [COMMANDS].into_iter().chain(psci::TABLES).find(has).unwrap_or_default();
        log::debug!("Realm: {}, {next:x?}", Trace { commands, before, after: registers });
    }
    let report = match next {
        Next::Resume => None,
        Next::Exit(report) => Some(report),
        Next::Replay(report) => return Some(report),
    };
    state.registers.skip_instruction();
    report
}
