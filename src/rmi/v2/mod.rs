// SPDX-License-Identifier: BSD-3-Clause
//! RMI 2.0 (beta).

mod configuration;
mod gpt;
mod granule;
mod list;
mod map;
mod operation;
mod range;
mod realm;
mod rec;
mod rtt;
mod tracking;
mod unmap;

use super::call::{self, Status};
use super::{Rmm, version};
use crate::abi::rmi::function;
use crate::abi::rmi_v1::DataFlags;
use crate::address::PhysAddr;
use crate::arch::smc::Registers;
use crate::command::commands;
use crate::granule::GranuleAddress;
use crate::percpu::Cpu;
use crate::xlat::Level;

commands! {
    call(rmm, cpu):
    VERSION(requested: u64) -> [lower, higher] = version::version;
    FEATURES(index: u64) -> [value] = version::features;
    RMM_CONFIG_SET(config: PhysAddr) = configuration::set;
    RMM_CONFIG_GET(config: PhysAddr) = configuration::get;
    RMM_ACTIVATE() = configuration::activate;
    RMM_DEACTIVATE() = configuration::deactivate;
    GRANULE_TRACKING_GET(base: PhysAddr, top: PhysAddr) -> [category, state, out_top]
        = tracking::get;
    GPT_L1_CREATE(base: PhysAddr) = gpt::l1_create;
    GPT_INFO(base: PhysAddr, top: PhysAddr) -> [out_top, state] = gpt::info;
    GRANULE_RANGE_DELEGATE(base: PhysAddr, top: PhysAddr) -> [out_top] = granule::range_delegate;
    GRANULE_RANGE_UNDELEGATE(base: PhysAddr, top: PhysAddr) -> [out_top]
        = granule::range_undelegate;
    REALM_CREATE(rd: GranuleAddress, params: PhysAddr) = realm::create;
    REALM_ACTIVATE(rd: GranuleAddress) = super::realm::activate;
    REALM_TERMINATE(rd: GranuleAddress) = realm::terminate;
    REALM_DESTROY(rd: GranuleAddress) = realm::destroy;
    REC_CREATE(rd: GranuleAddress, rec: GranuleAddress, params: PhysAddr) -> [handle, donate]
        = rec::create;
    REC_DESTROY(rec: GranuleAddress) -> [handle, donate] = rec::destroy;
    REC_ENTER(rec: GranuleAddress, run: PhysAddr) = rec::enter, with no_live_sve;
    PSCI_COMPLETE(calling: GranuleAddress, target_or_status: u64, status: u64)
        = rec::psci_complete;
    RTT_CREATE(rd: GranuleAddress, rtt: GranuleAddress, ipa: u64, level: Level)
        = super::rtt::create;
    RTT_DESTROY(rd: GranuleAddress, ipa: u64, level: Level) -> [rtt, top] = super::rtt::destroy;
    RTT_FOLD(rd: GranuleAddress, ipa: u64, level: Level) -> [rtt] = super::rtt::fold;
    RTT_READ_ENTRY(rd: GranuleAddress, ipa: u64, level: Level)
        -> [walk_level, state, descriptor, ripas] = super::rtt::read_entry;
    RTT_INIT_RIPAS(rd: GranuleAddress, base: u64, top: u64) -> [out_top] = rtt::init_ripas;
    RTT_SET_RIPAS(rd: GranuleAddress, rec: GranuleAddress, base: u64, top: u64) -> [out_top]
        = super::rtt::set_ripas;
    RTT_DATA_MAP_INIT(
        rd: GranuleAddress, data: GranuleAddress, ipa: u64, source: PhysAddr, flags: DataFlags
    ) = super::data::create;
    RTT_DATA_MAP(rd: GranuleAddress, base: u64, top: u64, flags: u64, addresses: u64) -> [out_top]
        = map::data_map;
    RTT_DATA_UNMAP(rd: GranuleAddress, base: u64, top: u64, flags: u64, addresses: u64)
        -> [out_top, range, count] = unmap::data_unmap;
    RTT_UNPROT_MAP(rd: GranuleAddress, base: u64, top: u64, flags: u64, addresses: u64)
        -> [out_top] = map::unprot_map;
    RTT_UNPROT_UNMAP(rd: GranuleAddress, base: u64, top: u64, flags: u64, addresses: u64)
        -> [out_top, range, count] = unmap::unprot_unmap;
    OP_CONTINUE(handle: u64, flags: u64) -> [x1, x2, x3] = operation::op_continue;
    OP_CANCEL(handle: u64, flags: u64) = operation::op_cancel;
    OP_MEM_DONATE(handle: u64, list: PhysAddr, count: u64) -> [consumed, donate]
        = operation::op_mem_donate;
    OP_MEM_RECLAIM(handle: u64, list: PhysAddr, capacity: u64) -> [written]
        = operation::op_mem_reclaim;
}

/// Whether a function is served before the RMM is active.
pub(super) const fn is_served_in_init(function: u32) -> bool {
    matches!(
        function,
        function::VERSION
            | function::FEATURES
            | function::RMM_CONFIG_SET
            | function::RMM_CONFIG_GET
            | function::RMM_ACTIVATE
            | function::GRANULE_TRACKING_GET
    )
}

/// Serves every other function until then.
pub(super) fn refuse_in_init(_: &Rmm<'_>, _: &mut Cpu, registers: &mut Registers) {
    call::answer::<0>(registers, || Err(Status::GLOBAL.into()));
}
