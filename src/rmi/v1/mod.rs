// SPDX-License-Identifier: BSD-3-Clause
//! RMI 1.0 (RMM specification 1.0, DEN0137).

mod data;
mod realm;
mod rec;
mod rtt;

use super::call;
use super::{granule, version};
use crate::abi::rmi_v1::DataFlags;
use crate::address::PhysAddr;
use crate::command::commands;
use crate::granule::GranuleAddress;
use crate::xlat::Level;

commands! {
    call(rmm, cpu):
    VERSION(requested: u64) -> [lower, higher] = version::version;
    FEATURES(index: u64) -> [value] = version::features;
    GRANULE_DELEGATE(granule: GranuleAddress) = granule::delegate;
    GRANULE_UNDELEGATE(granule: GranuleAddress) = granule::undelegate;
    REALM_CREATE(rd: GranuleAddress, params: PhysAddr) = realm::create;
    REALM_ACTIVATE(rd: GranuleAddress) = super::realm::activate;
    REALM_DESTROY(rd: GranuleAddress) = realm::destroy;
    REC_AUX_COUNT(rd: GranuleAddress) -> [count] = realm::rec_aux_count;
    REC_CREATE(rd: GranuleAddress, rec: GranuleAddress, params: PhysAddr) = rec::create;
    REC_DESTROY(rec: GranuleAddress) = rec::destroy;
    REC_ENTER(rec: GranuleAddress, run: PhysAddr) = rec::enter, with no_live_sve;
    PSCI_COMPLETE(calling: GranuleAddress, target: GranuleAddress, status: u64)
        = rec::psci_complete;
    RTT_CREATE(rd: GranuleAddress, rtt: GranuleAddress, ipa: u64, level: Level) = super::rtt::create;
    RTT_DESTROY(rd: GranuleAddress, ipa: u64, level: Level) -> [rtt, top] = super::rtt::destroy;
    RTT_FOLD(rd: GranuleAddress, ipa: u64, level: Level) -> [rtt] = super::rtt::fold;
    RTT_READ_ENTRY(rd: GranuleAddress, ipa: u64, level: Level)
        -> [walk_level, state, descriptor, ripas] = super::rtt::read_entry;
    RTT_MAP_UNPROTECTED(rd: GranuleAddress, ipa: u64, level: Level, descriptor: u64)
        = rtt::map_unprotected;
    RTT_UNMAP_UNPROTECTED(rd: GranuleAddress, ipa: u64, level: Level) -> [top]
        = rtt::unmap_unprotected;
    RTT_INIT_RIPAS(rd: GranuleAddress, base: u64, top: u64) -> [out_top] = rtt::init_ripas;
    RTT_SET_RIPAS(rd: GranuleAddress, rec: GranuleAddress, base: u64, top: u64) -> [out_top]
        = super::rtt::set_ripas;
    DATA_CREATE(
        rd: GranuleAddress, data: GranuleAddress, ipa: u64, source: PhysAddr, flags: DataFlags
    ) = super::data::create;
    DATA_CREATE_UNKNOWN(rd: GranuleAddress, data: GranuleAddress, ipa: u64) = data::create_unknown;
    DATA_DESTROY(rd: GranuleAddress, ipa: u64) -> [data, top] = data::destroy;
}
