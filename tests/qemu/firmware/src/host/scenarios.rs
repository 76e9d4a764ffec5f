// SPDX-License-Identifier: BSD-3-Clause
//! The scenarios by name, one file per family. A scenario is a function that calls the RMM and
//! checks the results.

mod agreement;
mod attestation;
mod attestation_steps;
mod banks;
mod blocks;
mod boot;
mod calls;
mod calls_failures;
mod calls_levels;
mod calls_race;
mod calls_ripas;
mod calls_together;
mod commands;
mod costs_2_0;
mod cpus;
mod deaths;
mod faults;
mod granules;
mod holes;
mod instructions;
mod interrupts;
mod operations;
mod parallel;
mod pmu;
mod ranges;
mod realms;
mod running;
mod running_aborts;
mod running_costs;
mod running_debug;
mod running_interrupts;
mod running_leaks;
mod running_moves;
mod running_pmu;
mod running_serror;
mod running_simd;
mod session;
mod slots;
mod slots_race;
mod stress;
mod tables;
mod whole_life;
mod worst;

/// A named list of checks.
pub struct Scenario {
    /// The name on the command line.
    pub name: &'static str,
    /// Runs it.
    pub run: fn(),
}

/// Every scenario.
pub const ALL: &[Scenario] = &[
    Scenario { name: "session", run: session::session },
    Scenario { name: "boots", run: boot::boots },
    Scenario { name: "refused", run: boot::refused },
    Scenario { name: "boot-costs", run: boot::costs },
    Scenario { name: "token", run: attestation::token },
    Scenario { name: "token-interrupts", run: attestation::interrupted_everywhere },
    Scenario { name: "token-steps", run: attestation_steps::interrupted_at_each_step },
    Scenario { name: "token-abandoned", run: attestation::abandoned },
    Scenario { name: "token-timing", run: attestation::timing },
    Scenario { name: "token-timing-keys", run: attestation::timing_of_keys },
    Scenario { name: "token-by-el3", run: attestation::by_el3 },
    Scenario { name: "token-without-key", run: attestation::without_key },
    Scenario { name: "version", run: commands::version },
    Scenario { name: "features", run: commands::features },
    Scenario { name: "unknown", run: commands::unknown },
    Scenario { name: "sve-hint", run: commands::sve_hint },
    Scenario { name: "granules", run: granules::life },
    Scenario { name: "bad-addresses", run: granules::bad_addresses },
    Scenario { name: "banks-apart", run: banks::apart },
    Scenario { name: "host-access", run: granules::host_access },
    Scenario { name: "refused-by-el3", run: granules::refused_by_el3 },
    Scenario { name: "random-granules", run: granules::random_walk },
    Scenario { name: "ranges", run: ranges::ranges },
    Scenario { name: "blocks", run: blocks::blocks },
    Scenario { name: "bad-ranges", run: ranges::bad_ranges },
    Scenario { name: "configuration", run: slots::configuration },
    Scenario { name: "slot-contents", run: slots::contents },
    Scenario { name: "private-slots", run: slots::private },
    Scenario { name: "host-race", run: slots_race::race },
    Scenario { name: "psci", run: cpus::psci },
    Scenario { name: "warm-boots", run: cpus::warm_boots },
    Scenario { name: "surplus-cpu", run: cpus::surplus_cpu },
    Scenario { name: "warm-failure", run: cpus::warm_failure },
    Scenario { name: "access-from-another-cpu", run: cpus::access_from_another_cpu },
    Scenario { name: "contention", run: cpus::contention },
    Scenario { name: "pmu", run: pmu::pmu },
    Scenario { name: "in-parallel", run: parallel::in_parallel },
    Scenario { name: "power-cycles", run: parallel::power_cycles },
    Scenario { name: "stress", run: stress::stress },
    Scenario { name: "lock-waits", run: stress::lock_waits },
    Scenario { name: "fault", run: faults::fault },
    Scenario { name: "deaths", run: deaths::deaths },
    Scenario { name: "holes", run: holes::holes },
    Scenario { name: "no-fault", run: faults::no_fault },
    Scenario { name: "range-instructions", run: instructions::range_instructions },
    Scenario { name: "instructions", run: instructions::instructions },
    Scenario { name: "realm-life", run: realms::life },
    Scenario { name: "realm-shapes", run: realms::shapes },
    Scenario { name: "realm-instructions", run: realms::instructions },
    Scenario { name: "operations", run: operations::operations },
    Scenario { name: "costs-2.0", run: costs_2_0::instructions },
    Scenario { name: "realm-runs", run: running::life },
    Scenario { name: "realm-exits", run: running::exits },
    Scenario { name: "realm-aborts", run: running_aborts::aborts },
    Scenario { name: "realm-calls", run: calls::commands },
    Scenario { name: "realm-call-failures", run: calls_failures::failures },
    Scenario { name: "realm-power", run: calls::power },
    Scenario { name: "realm-moves", run: running_moves::moves },
    Scenario { name: "realm-registers", run: running_moves::registers },
    Scenario { name: "run-instructions", run: running_costs::instructions },
    Scenario { name: "whole-life", run: whole_life::life },
    Scenario { name: "realm-power-race", run: calls_race::race },
    Scenario { name: "realm-ripas", run: calls_ripas::ripas },
    Scenario { name: "realm-call-race", run: calls_together::race },
    Scenario { name: "realm-off-inside", run: calls_together::off },
    Scenario { name: "realm-ripas-levels", run: calls_levels::levels },
    Scenario { name: "realm-call-instructions", run: calls::instructions },
    Scenario { name: "realm-simd", run: running_simd::simd },
    Scenario { name: "realm-sve", run: running_simd::sve },
    Scenario { name: "hashing", run: running_simd::hashing },
    Scenario { name: "realm-pmu", run: running_pmu::pmu },
    Scenario { name: "realm-debug", run: running_debug::debug },
    Scenario { name: "realm-sessions", run: tables::sessions },
    Scenario { name: "realm-interrupts", run: running_interrupts::interrupts },
    Scenario { name: "realm-leaks", run: running_leaks::leaks },
    Scenario { name: "realm-serror", run: running_serror::serror },
    Scenario { name: "realm-storms", run: worst::storms },
    Scenario { name: "realm-random-instructions", run: worst::random_instructions },
    Scenario { name: "realm-register-writes", run: worst::register_writes },
    Scenario { name: "realm-changing-tables", run: worst::tables },
    Scenario { name: "interrupts", run: interrupts::interrupts },
    Scenario { name: "table-instructions", run: tables::instructions },
];
