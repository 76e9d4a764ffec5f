// SPDX-License-Identifier: BSD-3-Clause
//! The RIPAS of a Realm in state NEW. RMI 2.0 does not measure it.

use crate::granule::GranuleAddress;
use crate::granule::state::Rd;
use crate::percpu::Cpu;
use crate::realm::rd::{RealmDescriptor, RealmState};
use crate::realm::stage2::Walk;
use crate::rmi::call::{Outcome, Status};
use crate::rmi::state::Rmm;

/// RMI_RTT_INIT_RIPAS. `out_top` is the first IPA not reached.
pub(super) fn init_ripas(
    rmm: &Rmm<'_>,
    cpu: &mut Cpu,
    rd: GranuleAddress,
    base: u64,
    top: u64,
) -> Outcome<1> {
    let rd = rmm.granules.lock::<Rd>(cpu.index, rd)?;
    let mapping = cpu.slots.rd.map(&rd);
    let realm: &RealmDescriptor = mapping.get();
    let (stage2, state) = (realm.stage2, realm.state());
    drop(mapping);
    let (base, top) = stage2.protected_range(base, top)?;
    if state != RealmState::New {
        return Err(Status::realm(0).into());
    }
    let walk = Walk::new(&rmm.granules, cpu.index, &stage2, base);
    drop(rd);
    let reached = walk.init_ripas_unmeasured(&mut cpu.slots.rtt, top)?;
    Ok([reached.get()])
}
