// SPDX-License-Identifier: BSD-3-Clause
//! Memory with content from the host for a Realm in state NEW.

use super::call::{Failure, Outcome, Status};
use super::state::Rmm;
use crate::abi::rmi_v1::DataFlags;
use crate::address::PhysAddr;
use crate::granule::state::{Data, Delegated, Rd};
use crate::granule::{GranuleAddress, LockedGranule};
use crate::mem::SlotBuffer;
use crate::percpu::Cpu;
use crate::realm::rd::{RealmDescriptor, RealmState};
use crate::realm::stage2::{Ripas, Walk};

/// RMI_DATA_CREATE, which RMI 2.0 calls RMI_RTT_DATA_MAP_INIT. `source` is a Non-secure granule
/// with the content.
pub(super) fn create(
    rmm: &Rmm<'_>,
    cpu: &mut Cpu,
    rd: GranuleAddress,
    data: GranuleAddress,
    ipa: u64,
    source: PhysAddr,
    flags: DataFlags,
) -> Outcome {
    let source = rmm.granules.ns_granule(source).ok_or(Status::INPUT)?;
    let (rd, data) = rmm.granules.lock_pair::<Rd, Delegated>(cpu.index, rd, data)?;
    let slots = &mut cpu.slots;
    // The RD stays locked, because its measurement changes together with the entry.
    let mut mapping = slots.rd.map(&rd);
    let realm: &mut RealmDescriptor = mapping.get_mut();
    if realm.state() != RealmState::New {
        return Err(Status::realm(0).into());
    }
    let ipa = realm.stage2.protected_granule(ipa)?;
    realm.stage2.check_reach(data.address())?;
    let walk = Walk::new(&rmm.granules, cpu.index, &realm.stage2, ipa);
    let measurement = &mut realm.initial_measurement;
    walk.assign(&mut slots.rtt, Some(Ripas::Ram), || {
        let data: LockedGranule<'_, Data> = data.wipe(&mut slots.delegated)?.transition();
        let mut content = slots.realm_data.map(&data);
        if let Err(error) = slots.ns.copy_granule(source, &mut content) {
            // What was copied stays in the granule. Nobody can read it, and the granule is wiped
            // before it is used again.
            drop(content);
            drop(data.transition::<Delegated>());
            return Err(Failure::from(error));
        }
        let is_measured = flags.contains(DataFlags::MEASURE_CONTENT);
        let measured = is_measured.then(|| content.plain_words());
        measurement.extend_with_data(ipa.get(), flags.bits(), measured);
        drop(content);
        slots.realm_data.clean_for_fetches(&data);
        Ok(data)
    })?;
    Ok([])
}

/// Wipes a granule and assigns it to the page walked for. The RIPAS stays
/// (RMI_DATA_CREATE_UNKNOWN, RMI_RTT_DATA_MAP).
///
/// # Errors
///
/// [`Status::rtt`]: the granule stays Delegated. [`Status::INPUT`] if it cannot be wiped.
pub(super) fn assign_wiped<'g>(
    walk: Walk<'_, 'g>,
    slots: &mut SlotBuffer,
    data: LockedGranule<'g, Delegated>,
) -> Result<(), Status> {
    walk.assign(&mut slots.rtt, None, || {
        let data = data.wipe(&mut slots.delegated)?.transition();
        slots.realm_data.clean_for_fetches(&data);
        Ok(data)
    })
}
