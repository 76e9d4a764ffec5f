// SPDX-License-Identifier: BSD-3-Clause
//! The page that the host passes to RMI_REC_ENTER: RmiRecRun of RMM specification 1.0, an entry half
//! that is only read and an exit half that is only written.
//!
//! Of the entry half each word is read at most once, and only what this entry needs. The exit half
//! is zeroed and written as a whole when the REC has run.

use core::mem::offset_of;

use crate::abi::rmi_v1::{GPRS, MAX_LRS, RecEnter, RecEnterFlags, RecExit, RmiRecRun};

use crate::mem::{NsAccessError, NsMapping};
use crate::realm::rec::exit::{ExitReason, Report};
use crate::realm::rec::gic::{GicEntry, GicFeatures, GicOwner, GicState};
use crate::realm::rec::pmu::PmuStatus;
use crate::realm::rec::timer::Timers;

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
    let mut flags = [0];
    page.read(offset_of!(RecEnter, flags) as u64, &mut flags)?;
    let [flags] = flags;
    Ok(RecEnterFlags::from_bits_truncate(flags))
}

/// Reads the first `gprs.len()` general registers.
///
/// # Errors
///
/// [`NsAccessError`].
pub fn read_gprs(page: &NsMapping<'_>, gprs: &mut [u64]) -> Result<(), NsAccessError> {
    page.read(offset_of!(RecEnter, gprs) as u64, gprs)
}

/// Reads what the host says of virtual interrupts, as far as there are list registers.
///
/// # Errors
///
/// [`NsAccessError`].
pub fn read_gic(page: &NsMapping<'_>, features: &GicFeatures) -> Result<GicEntry, NsAccessError> {
    let mut words = [0; 1 + MAX_LRS];
    page.read(
        offset_of!(RecEnter, gicv3_hcr) as u64,
        words.get_mut(..=features.list_registers).unwrap_or_default(),
    )?;
    let [hcr, list @ ..] = words;
    Ok(GicEntry { owner: GicOwner::Rmm, hcr, list })
}

/// Writes the exit half; `gprs` are those of a host call.
///
/// # Errors
///
/// [`NsAccessError`]; some of it may have been written.
pub fn write_exit(
    page: &NsMapping<'_>,
    report: &Report,
    gprs: &[u64; GPRS],
    gic: &GicState,
    features: &GicFeatures,
    timers: &Timers,
    pmu: PmuStatus,
) -> Result<(), NsAccessError> {
    page.zero(exit_offset!(exit_reason), size_of::<RecExit>() as u64)?;
    let reason = |reason: ExitReason| page.write(exit_offset!(exit_reason), &[reason as u64]);
    match report {
        Report::Exception(exit) => {
            reason(exit.reason)?;
            if exit.esr != 0 {
                page.write(exit_offset!(esr), &[exit.esr, exit.far, exit.hpfar])?;
            }
            if exit.gpr0 != 0 {
                page.write(exit_offset!(gprs), &[exit.gpr0])?;
            }
        }
        Report::HostCall { immediate } => {
            reason(ExitReason::HostCall)?;
            page.write(exit_offset!(imm), &[u64::from(*immediate)])?;
            page.write(exit_offset!(gprs), gprs)?;
        }
        Report::Psci(gprs) => {
            reason(ExitReason::Psci)?;
            page.write(exit_offset!(gprs), gprs)?;
        }
        Report::RipasChange { base, top, ripas } => {
            reason(ExitReason::RipasChange)?;
            page.write(exit_offset!(ripas_base), &[*base, *top, *ripas])?;
        }
    }
    if gic.owner == GicOwner::Rmm {
        write_gic(page, gic, features)?;
    }
    let (p, v) = (timers.physical, timers.virtual_);
    page.write(exit_offset!(cntp_ctl), &[p.ctl, p.cval, v.ctl, v.cval])?;
    if pmu.has_overflowed {
        page.write(exit_offset!(pmu_ovf_status), &[1])?;
    }
    Ok(())
}

/// Writes what the host is told of virtual interrupts.
fn write_gic(
    page: &NsMapping<'_>,
    gic: &GicState,
    features: &GicFeatures,
) -> Result<(), NsAccessError> {
    let mut words = [0; 1 + MAX_LRS];
    let [hcr, list @ ..] = &mut words;
    *hcr = gic.reported_hcr();
    *list = gic.list;
    page.write(exit_offset!(gicv3_hcr), words.get(..=features.list_registers).unwrap_or_default())?;
    page.write(exit_offset!(gicv3_misr), &[gic.misr, gic.vmcr])
}
