// SPDX-License-Identifier: BSD-3-Clause
//! What a TLBI instruction of stage 1 invalidates, decoded from its name and operand.

use rmm::xlat::MaintenanceFeatures;

use super::walker::{RegimeKind, WalkConfig};

/// What a TLBI invalidates.
#[derive(Clone, Copy, Debug)]
pub(super) struct Invalidation {
    /// Only entries of the last level of a walk.
    pub(super) leaves_only: bool,
    /// Only leaves of this level, if it is given.
    pub(super) level: Option<i8>,
    /// Entries of every ASID.
    pub(super) any_asid: bool,
    pub(super) asid: u64,
    /// Offsets in the VA range, the last one included.
    pub(super) first: u64,
    pub(super) last: u64,
}

/// How the names of the TLBIs of a regime end, before the shareability domain.
pub(super) fn suffix(regime: RegimeKind) -> &'static str {
    match regime {
        RegimeKind::El1And0 => "e1",
        RegimeKind::El2 | RegimeKind::El2And0 => "e2",
        RegimeKind::El3 => "e3",
    }
}

impl Invalidation {
    /// Decodes a TLBI, its `name` without regime and shareability domain, for the tables of
    /// `config`, which run under several ASIDs if `several_asids`.
    ///
    /// `None` if the instruction may not reach these tables.
    pub(super) fn decode(
        config: &WalkConfig,
        features: MaintenanceFeatures,
        several_asids: bool,
        name: &str,
        operand: Option<u64>,
    ) -> Option<Self> {
        let (bits, ds) = (config.input_bits(), config.ds);
        let el1 = config.regime == RegimeKind::El1And0;
        let Some(operand) = operand else {
            let all = if el1 { "vmall" } else { "all" };
            let (first, last) = (0, (1 << bits) - 1);
            let every =
                Self { leaves_only: false, level: None, any_asid: true, asid: 0, first, last };
            return (name == all).then_some(every);
        };
        let (kind, range) = name.strip_prefix('r').map_or((name, false), |kind| (kind, true));
        let (leaves_only, any_asid) = match kind {
            "va" => (false, false),
            "val" => (true, false),
            "vaa" if el1 => (false, true),
            "vaal" if el1 => (true, true),
            _ => return None,
        };
        // A level of the 4 KiB granule, or none.
        let (level, va, size) = if range {
            let field = |low: u32, bits: u32| operand >> low & ((1 << bits) - 1);
            let (num, scale, granule) = (field(39, 5), field(44, 2), field(46, 2));
            let shift = if ds { 16 } else { 12 };
            let va = (field(0, 37) << 27) as i64 >> (27 - shift);
            if granule != 1 || !features.range {
                return None;
            }
            (field(37, 2), va, (num + 1) << (5 * scale + 1 + 12))
        } else {
            let hint = operand >> 44 & 0xf;
            if hint != 0 && hint >> 2 != 1 || hint == 4 {
                return None;
            }
            // VA[55:12], sign-extended.
            (hint & 3, (operand << 20) as i64 >> 8, 4096)
        };
        let first = (va as u64).wrapping_sub(config.first_va());
        let last = first.checked_add(size - 1)?;
        if any_asid != several_asids || last >> bits != 0 {
            return None;
        }
        let level = i8::try_from(level).ok().filter(|&level| level != 0);
        if level.is_some() && !(features.level_hint && leaves_only) {
            return None;
        }
        Some(Self { leaves_only, level, any_asid, asid: operand >> 48, first, last })
    }
}
