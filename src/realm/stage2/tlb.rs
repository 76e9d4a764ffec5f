// SPDX-License-Identifier: BSD-3-Clause
//! TLB maintenance for the stage 2 of a Realm (Arm ARM D8.17).
//!
//! The caller has stored an invalid descriptor where one was that TLBs may hold, still holds the
//! table's lock, and stores a valid one there, or lets go of what the old one led to, only when
//! this has returned: break-before-make.
//!
//! TLBI takes the VMID from VTTBR_EL2, as wide as VTCR_EL2.VS says. Both are lent to the Realm
//! while its translations are invalidated and given back after; at EL2 no access is made by the
//! EL1&0 regime, so that nothing is translated by them meanwhile. HCR_EL2.TGE is 0 in the RMM, or
//! the instructions would be for another regime.

use tock_registers::interfaces::{Readable, Writeable};

use crate::address::{GRANULE_SHIFT, Ipa};
use crate::arch::sysreg::{VTCR_EL2, VTTBR_EL2};
use crate::arch::{barrier, tlbi};
use crate::realm::stage2::Stage2;

/// Invalidates what any TLB holds of the one entry that maps `ipa`: a block, a page, or a table of
/// which nothing below is held.
pub fn invalidate_entry(stage2: &Stage2, ipa: Ipa) {
    with_vmid(stage2, || {
        tlbi::ipas2e1is(ipa.get() >> GRANULE_SHIFT);
        // Stage 2 is gone before stage 1, or a walk of stage 1 could combine with it again (Arm ARM
        // D8.17.5).
        barrier::dsb_ish();
        tlbi::vmalle1is();
    });
}

/// Invalidates what any TLB holds of the Realm: for a table whose entries were mapped each by
/// itself.
pub fn invalidate_realm(stage2: &Stage2) {
    with_vmid(stage2, tlbi::vmalls12e1is);
}

/// Runs `invalidate`, which says what, between the barriers that it needs and with the VMID of the
/// Realm in force; returns when it has taken effect.
fn with_vmid(stage2: &Stage2, invalidate: impl FnOnce()) {
    let (vtcr, vttbr) = (VTCR_EL2.get(), VTTBR_EL2.get());
    VTCR_EL2.set(stage2.vtcr());
    VTTBR_EL2.set(stage2.vttbr());
    barrier::isb();
    // The invalid descriptor is seen by all walkers before anything is invalidated.
    barrier::dsb_ishst();
    invalidate();
    barrier::dsb_ish();
    VTCR_EL2.set(vtcr);
    VTTBR_EL2.set(vttbr);
    barrier::isb();
}
