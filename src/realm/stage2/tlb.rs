// SPDX-License-Identifier: BSD-3-Clause
//! TLB maintenance for the stage 2 of a Realm (Arm ARM (DDI 0487 L.a) D8.17).
//!
//! Break-before-make: the caller holds the table's lock and has stored an invalid descriptor. It
//! stores a valid one, or releases what the old one pointed to, only after this returns.
//!
//! TLBI takes the VMID from VTTBR_EL2, as wide as VTCR_EL2.VS says. Both registers hold the Realm's
//! values meanwhile; no access at EL2 uses them. HCR_EL2.TGE is 0 in the RMM, or TLBI would act on
//! another regime.

use tock_registers::interfaces::{Readable, Writeable};

use crate::address::{GRANULE_SHIFT, Ipa};
use crate::arch::sysreg::{VTCR_EL2, VTTBR_EL2};
use crate::arch::{barrier, tlbi};
use crate::cpu::errata::repeats_invalidations;
use crate::realm::stage2::Stage2;

/// Invalidates the TLB entries of the one table entry for `ipa`: a block, a page, or a TABLE
/// without mappings below it.
pub fn invalidate_entry(stage2: &Stage2, ipa: Ipa) {
    let stage_2 = || {
        tlbi::ipas2e1is(ipa.get() >> GRANULE_SHIFT);
        // Stage 2 first: a walk of stage 1 could combine with it again (Arm ARM (DDI 0487 L.a)
        // D8.17.5).
        barrier::dsb_ish();
    };
    with_vmid(stage2, stage_2, tlbi::vmalle1is);
}

/// Invalidates all TLB entries of the Realm.
pub fn invalidate_realm(stage2: &Stage2) {
    with_vmid(stage2, || {}, tlbi::vmalls12e1is);
}

/// Runs `first` and the TLBI `last` with the Realm's VMID, between the barriers that they need.
fn with_vmid(stage2: &Stage2, first: impl FnOnce(), last: impl Fn()) {
    let (vtcr, vttbr) = (VTCR_EL2.get(), VTTBR_EL2.get());
    VTCR_EL2.set(stage2.vtcr());
    VTTBR_EL2.set(stage2.vttbr());
    barrier::isb();
    // All walkers see the invalid descriptor before anything is invalidated.
    barrier::dsb_ishst();
    first();
    last();
    barrier::dsb_ish();
    if repeats_invalidations() {
        last();
        barrier::dsb_ish();
    }
    VTCR_EL2.set(vtcr);
    VTTBR_EL2.set(vttbr);
    barrier::isb();
}
