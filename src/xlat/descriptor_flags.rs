// SPDX-License-Identifier: BSD-3-Clause
//! The single-bit fields of descriptors (Arm ARM (DDI 0487 L.a) D8.3).

use bitflags::bitflags;

bitflags! {
    /// The single-bit fields of descriptors.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct DescriptorFlags: u64 {
        /// The walker uses this descriptor.
        const VALID = 1 << 0;
        /// If valid: a table at levels -1 to 2, a page at level 3. Clear in a block.
        const TABLE_OR_PAGE = 1 << 1;
        /// Non-secure. With NSE of the EL3 regime: Realm.
        const NS = 1 << 5;
        /// AP\[1\]: EL0 may access. RES1 in regimes without EL0.
        const UNPRIVILEGED = 1 << 6;
        /// AP\[2\].
        const READ_ONLY = 1 << 7;
        /// AF.
        const ACCESS_FLAG = 1 << 10;
        /// nG, in regimes with ASIDs.
        const NON_GLOBAL = 1 << 11;
        /// NSE, in the EL3 regime.
        const NSE = 1 << 11;
        /// GP (FEAT_BTI).
        const GUARDED = 1 << 50;
        /// The Contiguous hint.
        const CONTIGUOUS = 1 << 52;
        /// PXN, in regimes with EL0.
        const PRIVILEGED_EXECUTE_NEVER = 1 << 53;
        /// UXN in regimes with EL0, XN in the others.
        const EXECUTE_NEVER = 1 << 54;
        /// Software bit: a page of a transient region, valid or not.
        const TRANSIENT = 1 << 55;
        /// Software bit, with VALID clear: the descriptor is this one with VALID set.
        const PARKED = 1 << 56;
    }
}

impl DescriptorFlags {
    /// These flags if `condition`, otherwise none.
    pub(super) fn when(self, condition: bool) -> Self {
        if condition { self } else { Self::empty() }
    }
}
