// SPDX-License-Identifier: BSD-3-Clause
//! The page that the host passes to RMI_REC_ENTER: RmiRecRun of RMM specification 1.0, an entry
//! half that is only read and an exit half that is only written.
//!
//! Each word of the entry half is read at most once, and only if this entry needs it. The exit half
//! is zeroed when the entry has passed its checks, and written when the REC exits. Only the general
//! registers of a host call are written earlier, by the call itself.

use core::mem::offset_of;

use crate::abi::rmi_v1::{RecEnter, RecEnterFlags, RecExit, RmiRecRun};
use crate::address::{GRANULE_SIZE, native};
use crate::mem::{NsAccessError, NsMapping};
use crate::realm::rec::exit::{ExitReason, Report};
use crate::realm::rec::gic::{GicEntry, GicFeatures, GicOwner, GicState, USUAL_LISTS};
use crate::realm::rec::pmu::PmuStatus;
use crate::realm::rec::timer::Timers;

// The exit half is zeroed as what it is: the second half of the page.
static_assertions::const_assert_eq!(offset_of!(RmiRecRun, exit), native(GRANULE_SIZE) / 2);
static_assertions::const_assert_eq!(size_of::<RecExit>(), native(GRANULE_SIZE) / 2);

/// The byte offset of a field of the exit half in the page.
macro_rules! exit_offset {
    ($field:ident) => {
        (offset_of!(RmiRecRun, exit) + offset_of!(RecExit, $field)) as u64
    };
}

/// Reads the flags.
///
/// # Errors
///
/// [`NsAccessError`].
pub fn read_flags(page: &NsMapping<'_>) -> Result<RecEnterFlags, NsAccessError> {
    Ok(RecEnterFlags::from_bits_truncate(page.read_word(offset_of!(RecEnter, flags) as u64)?))
}

/// Reads the first general register.
///
/// # Errors
///
/// [`NsAccessError`].
pub fn read_gpr0(page: &NsMapping<'_>) -> Result<u64, NsAccessError> {
    page.read_word(offset_of!(RecEnter, gprs) as u64)
}

/// Reads gicv3_hcr and the elements of gicv3_lrs for which the CPU has list registers.
///
/// # Errors
///
/// [`NsAccessError`].
pub fn read_gic(
    page: &NsMapping<'_>,
    features: GicFeatures,
    entry: &mut GicEntry,
) -> Result<(), NsAccessError> {
    const GIC: u64 = offset_of!(RecEnter, gicv3_hcr) as u64;
    const USUAL: usize = 1 + USUAL_LISTS;
    match (features.list_registers(), entry.first_chunk_mut::<USUAL>()) {
        (USUAL_LISTS, Some(words)) => page.read_array(GIC, words),
        (lists, _) => page.read(GIC, entry.get_mut(..=lists).unwrap_or_default()),
    }
}

/// Zeroes the exit half.
///
/// # Errors
///
/// [`NsAccessError`]; some of it may have been zeroed.
pub fn zero_exit(page: &NsMapping<'_>) -> Result<(), NsAccessError> {
    page.zero_second_half()
}

/// Writes the fields of the exit half that are not zero, except the general registers of a host
/// call, which are written already.
///
/// # Errors
///
/// [`NsAccessError`]; some of it may have been written.
pub fn write_exit(
    page: &NsMapping<'_>,
    report: &Report,
    gic: &GicState,
    features: GicFeatures,
    timers: &Timers,
    pmu: PmuStatus,
) -> Result<(), NsAccessError> {
    // The word after the reason is reserved, and 0.
    let reason =
        |reason: ExitReason| page.write_pair(exit_offset!(exit_reason), [reason as u64, 0]);
    match report {
        Report::Exception(exit) => {
            reason(exit.reason)?;
            if exit.esr != 0 {
                page.write_array(exit_offset!(esr), &[exit.esr, exit.far, exit.hpfar])?;
                if exit.gpr0 != 0 {
                    page.write_array(exit_offset!(gprs), &[exit.gpr0])?;
                }
            }
        }
        Report::HostCall { immediate, written } => {
            (*written)?;
            reason(ExitReason::HostCall)?;
            page.write_pair(exit_offset!(imm), [u64::from(*immediate), 0])?;
        }
        Report::Psci(gprs) => {
            reason(ExitReason::Psci)?;
            page.write_array(exit_offset!(gprs), gprs)?;
        }
        Report::RipasChange { base, top, ripas } => {
            reason(ExitReason::RipasChange)?;
            page.write_array(exit_offset!(ripas_base), &[*base, *top, *ripas])?;
        }
    }
    if gic.owner == GicOwner::Rmm {
        write_gic(page, gic, features)?;
    }
    let (p, v) = (timers.physical, timers.virtual_);
    page.write_pair(exit_offset!(cntp_ctl), [p.ctl, p.cval])?;
    page.write_pair(exit_offset!(cntv_ctl), [v.ctl, v.cval])?;
    if pmu.has_overflowed {
        page.write_pair(exit_offset!(pmu_ovf_status), [1, 0])?;
    }
    Ok(())
}

/// Writes the fields of the exit record about virtual interrupts.
fn write_gic(
    page: &NsMapping<'_>,
    gic: &GicState,
    features: GicFeatures,
) -> Result<(), NsAccessError> {
    let [first, ..] = gic.list;
    page.write_pair(exit_offset!(gicv3_hcr), [gic.reported_hcr(), first])?;
    if gic.is_listed {
        let list = gic.list.get(..features.list_registers()).unwrap_or_default();
        page.write(exit_offset!(gicv3_lrs), list)?;
    }
    page.write_pair(exit_offset!(gicv3_misr), [gic.misr, gic.vmcr])
}
