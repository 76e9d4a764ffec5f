// SPDX-License-Identifier: BSD-3-Clause
//! TLB maintenance (Arm ARM (DDI 0487 L.a) D8.17, C5.5). None of these waits: a DSB must follow.
//!
//! The operand of an invalidate by address holds VA\[55:12\] in bits 43:0, the ASID in bits 63:48
//! and TTL in bits 47:44. Build it with `xlat`, which masks the sign extension of a High VA out of
//! the TTL field. That of a range (`tlbi r...`, FEAT_TLBIRANGE) is in [`super::tlbi_range`].

use super::instruction::instructions;

instructions! {
    /// All EL2 (and, with E2H, EL2&0) translations, this CPU only.
    fn alle2() = "tlbi alle2";
    /// All EL2 (and, with E2H, EL2&0) translations, Inner Shareable domain.
    fn alle2is() = "tlbi alle2is";
    /// By address, EL2 or EL2&0 regime, this CPU only; global entries and those of the operand's
    /// ASID.
    fn vae2(operand: u64) = "tlbi vae2";
    /// By address, EL2 or EL2&0 regime, Inner Shareable domain; global entries and those of the
    /// operand's ASID.
    fn vae2is(operand: u64) = "tlbi vae2is";
    /// By address, last level only, EL2 or EL2&0 regime, this CPU only.
    fn vale2(operand: u64) = "tlbi vale2";
    /// By address, last level only, EL2 or EL2&0 regime, Inner Shareable domain.
    fn vale2is(operand: u64) = "tlbi vale2is";
    /// By address, EL1&0 regime of the current VMID, this CPU only; global entries and those of the
    /// operand's ASID.
    fn vae1(operand: u64) = "tlbi vae1";
    /// By address, EL1&0 regime of the current VMID, Inner Shareable domain; global entries and
    /// those of the operand's ASID.
    fn vae1is(operand: u64) = "tlbi vae1is";
    /// By address, last level only, EL1&0 regime of the current VMID, this CPU only.
    fn vale1(operand: u64) = "tlbi vale1";
    /// By address, last level only, EL1&0 regime of the current VMID, Inner Shareable domain.
    fn vale1is(operand: u64) = "tlbi vale1is";
    /// By address, EL1&0 regime of the current VMID, this CPU only; any ASID.
    fn vaae1(operand: u64) = "tlbi vaae1";
    /// By address, EL1&0 regime of the current VMID, Inner Shareable domain; any ASID.
    fn vaae1is(operand: u64) = "tlbi vaae1is";
    /// By address, last level only, EL1&0 regime of the current VMID, this CPU only; any ASID.
    fn vaale1(operand: u64) = "tlbi vaale1";
    /// By address, last level only, EL1&0 regime of the current VMID, Inner Shareable domain; any
    /// ASID.
    fn vaale1is(operand: u64) = "tlbi vaale1is";
    /// By IPA, stage 2 of the current VMID, any level, Inner Shareable domain. Entries that combine
    /// both stages may stay. The operand is the IPA without its lowest 12 bits.
    fn ipas2e1is(operand: u64) = "tlbi ipas2e1is";
    /// All of stage 1 and all that combine both stages, of the current VMID, Inner Shareable
    /// domain.
    fn vmalle1is() = "tlbi vmalle1is";
    /// All of both stages of the current VMID, Inner Shareable domain.
    fn vmalls12e1is() = "tlbi vmalls12e1is";
    /// By address, EL3 regime, this CPU only. At EL3 only.
    fn vae3(operand: u64) = "tlbi vae3";
    /// By address, EL3 regime, Inner Shareable domain. At EL3 only.
    fn vae3is(operand: u64) = "tlbi vae3is";
    /// By address, last level only, EL3 regime, this CPU only. At EL3 only.
    fn vale3(operand: u64) = "tlbi vale3";
    /// By address, last level only, EL3 regime, Inner Shareable domain. At EL3 only.
    fn vale3is(operand: u64) = "tlbi vale3is";
    /// By range, EL1&0 regime of the current VMID, this CPU only.
    fn rvae1(operand: u64) = "tlbi rvae1" of "tlb-rmi";
    /// By range, EL1&0 regime of the current VMID, Inner Shareable domain.
    fn rvae1is(operand: u64) = "tlbi rvae1is" of "tlb-rmi";
    /// By range, last level only, EL1&0 regime of the current VMID, this CPU only.
    fn rvale1(operand: u64) = "tlbi rvale1" of "tlb-rmi";
    /// By range, last level only, EL1&0 regime of the current VMID, Inner Shareable domain.
    fn rvale1is(operand: u64) = "tlbi rvale1is" of "tlb-rmi";
    /// By range, any ASID, EL1&0 regime of the current VMID, this CPU only.
    fn rvaae1(operand: u64) = "tlbi rvaae1" of "tlb-rmi";
    /// By range, any ASID, EL1&0 regime of the current VMID, Inner Shareable domain.
    fn rvaae1is(operand: u64) = "tlbi rvaae1is" of "tlb-rmi";
    /// By range, last level only, any ASID, EL1&0 regime of the current VMID, this CPU only.
    fn rvaale1(operand: u64) = "tlbi rvaale1" of "tlb-rmi";
    /// By range, last level only, any ASID, EL1&0 regime of the current VMID, Inner Shareable
    /// domain.
    fn rvaale1is(operand: u64) = "tlbi rvaale1is" of "tlb-rmi";
    /// By range, EL2 or EL2&0 regime, this CPU only.
    fn rvae2(operand: u64) = "tlbi rvae2" of "tlb-rmi";
    /// By range, EL2 or EL2&0 regime, Inner Shareable domain.
    fn rvae2is(operand: u64) = "tlbi rvae2is" of "tlb-rmi";
    /// By range, last level only, EL2 or EL2&0 regime, this CPU only.
    fn rvale2(operand: u64) = "tlbi rvale2" of "tlb-rmi";
    /// By range, last level only, EL2 or EL2&0 regime, Inner Shareable domain.
    fn rvale2is(operand: u64) = "tlbi rvale2is" of "tlb-rmi";
    /// By range, EL3 regime, this CPU only.
    fn rvae3(operand: u64) = "tlbi rvae3" of "tlb-rmi";
    /// By range, EL3 regime, Inner Shareable domain.
    fn rvae3is(operand: u64) = "tlbi rvae3is" of "tlb-rmi";
    /// By range, last level only, EL3 regime, this CPU only.
    fn rvale3(operand: u64) = "tlbi rvale3" of "tlb-rmi";
    /// By range, last level only, EL3 regime, Inner Shareable domain.
    fn rvale3is(operand: u64) = "tlbi rvale3is" of "tlb-rmi";
    /// All EL3 translations, this CPU only. At EL3 only.
    fn alle3() = "tlbi alle3";
    /// All EL3 translations, Inner Shareable domain. At EL3 only.
    fn alle3is() = "tlbi alle3is";
    /// All stage 1 of the current VMID, this CPU only.
    fn vmalle1() = "tlbi vmalle1";
}
