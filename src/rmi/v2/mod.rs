// SPDX-License-Identifier: BSD-3-Clause
//! RMI 2.0, without its commands on Realms.

mod configuration;
mod granule;
mod tracking;

use super::call;
use super::{features, version};
use crate::address::PhysAddr;
use crate::command::commands;

commands! {
    call(rmm, cpu):
    VERSION(requested: u64) -> [lower, higher] = version::version;
    FEATURES(index: u64) -> [value] = features::features;
    RMM_CONFIG_SET(config: PhysAddr) = configuration::set;
    RMM_CONFIG_GET(config: PhysAddr) = configuration::get;
    RMM_ACTIVATE() = configuration::activate;
    GRANULE_TRACKING_GET(base: PhysAddr, top: PhysAddr) -> [category, state, out_top]
        = tracking::get;
    GRANULE_RANGE_DELEGATE(base: PhysAddr, top: PhysAddr) -> [out_top] = granule::range_delegate;
    GRANULE_RANGE_UNDELEGATE(base: PhysAddr, top: PhysAddr) -> [out_top]
        = granule::range_undelegate;
}
