// SPDX-License-Identifier: BSD-3-Clause
//! Realm Management Interface: what RMI 1.0 and RMI 2.0 have in common.

/// Version words: major in bits 30:16, minor in bits 15:0.
pub mod version {
    /// RMI 1.0.
    pub const V1_0: u64 = 0x1_0000;
    /// RMI 2.0.
    pub const V2_0: u64 = 0x2_0000;
}

/// Status codes: bits 7:0 of the result word in x0. Bits 15:8 are an index.
pub mod status {
    /// RMI_SUCCESS.
    pub const SUCCESS: u8 = 0;
    /// RMI_ERROR_INPUT.
    pub const ERROR_INPUT: u8 = 1;
    /// RMI_ERROR_REALM.
    pub const ERROR_REALM: u8 = 2;
    /// RMI_ERROR_REC.
    pub const ERROR_REC: u8 = 3;
    /// RMI_ERROR_RTT. The index is a level, as a signed byte.
    pub const ERROR_RTT: u8 = 4;
    /// RMI_ERROR_GLOBAL (2.0).
    pub const ERROR_GLOBAL: u8 = 11;
    /// RMI_BUSY (2.0).
    pub const BUSY: u8 = 10;
    /// RMI_INCOMPLETE (2.0). Bits 9:8 are a request for memory, bit 10 says that the operation can
    /// be cancelled.
    pub const INCOMPLETE: u8 = 13;
    /// RMI_BLOCKED (2.0).
    pub const BLOCKED: u8 = 14;
    /// RMI_ERROR_GPT (2.0).
    pub const ERROR_GPT: u8 = 15;
}

/// Function identifiers, without the SVE hint. A command is of both dialects unless one is named.
pub mod function {
    functions! {
        /// RMI_VERSION.
        VERSION = 0xC400_0150;
        /// RMI_GRANULE_DELEGATE (1.0).
        GRANULE_DELEGATE = 0xC400_0151;
        /// RMI_GRANULE_UNDELEGATE (1.0).
        GRANULE_UNDELEGATE = 0xC400_0152;
        /// RMI_DATA_CREATE (1.0).
        DATA_CREATE = 0xC400_0153;
        /// RMI_RTT_DATA_MAP_INIT (2.0): RMI_DATA_CREATE by another name.
        RTT_DATA_MAP_INIT = 0xC400_0153;
        /// RMI_DATA_CREATE_UNKNOWN (1.0).
        DATA_CREATE_UNKNOWN = 0xC400_0154;
        /// RMI_DATA_DESTROY (1.0).
        DATA_DESTROY = 0xC400_0155;
        /// RMI_REALM_ACTIVATE.
        REALM_ACTIVATE = 0xC400_0157;
        /// RMI_REALM_CREATE.
        REALM_CREATE = 0xC400_0158;
        /// RMI_REALM_DESTROY.
        REALM_DESTROY = 0xC400_0159;
        /// RMI_REC_CREATE.
        REC_CREATE = 0xC400_015A;
        /// RMI_REC_DESTROY.
        REC_DESTROY = 0xC400_015B;
        /// RMI_REC_ENTER.
        REC_ENTER = 0xC400_015C;
        /// RMI_RTT_CREATE.
        RTT_CREATE = 0xC400_015D;
        /// RMI_RTT_DESTROY.
        RTT_DESTROY = 0xC400_015E;
        /// RMI_RTT_MAP_UNPROTECTED (1.0).
        RTT_MAP_UNPROTECTED = 0xC400_015F;
        /// RMI_RTT_READ_ENTRY.
        RTT_READ_ENTRY = 0xC400_0161;
        /// RMI_RTT_UNMAP_UNPROTECTED (1.0).
        RTT_UNMAP_UNPROTECTED = 0xC400_0162;
        /// RMI_PSCI_COMPLETE.
        PSCI_COMPLETE = 0xC400_0164;
        /// RMI_FEATURES.
        FEATURES = 0xC400_0165;
        /// RMI_RTT_FOLD.
        RTT_FOLD = 0xC400_0166;
        /// RMI_REC_AUX_COUNT (1.0).
        REC_AUX_COUNT = 0xC400_0167;
        /// RMI_RTT_INIT_RIPAS.
        RTT_INIT_RIPAS = 0xC400_0168;
        /// RMI_RTT_SET_RIPAS.
        RTT_SET_RIPAS = 0xC400_0169;
        /// RMI_RMM_CONFIG_SET (2.0).
        RMM_CONFIG_SET = 0xC400_016E;
        /// RMI_GRANULE_TRACKING_GET (2.0).
        GRANULE_TRACKING_GET = 0xC400_01E1;
        /// RMI_RMM_CONFIG_GET (2.0).
        RMM_CONFIG_GET = 0xC400_01EC;
        /// RMI_GRANULE_RANGE_DELEGATE (2.0).
        GRANULE_RANGE_DELEGATE = 0xC400_01F1;
        /// RMI_GRANULE_RANGE_UNDELEGATE (2.0).
        GRANULE_RANGE_UNDELEGATE = 0xC400_01F2;
        /// RMI_GPT_L1_CREATE (2.0).
        GPT_L1_CREATE = 0xC400_01F3;
        /// RMI_RTT_DATA_MAP (2.0).
        RTT_DATA_MAP = 0xC400_01F5;
        /// RMI_RTT_DATA_UNMAP (2.0).
        RTT_DATA_UNMAP = 0xC400_01F6;
        /// RMI_RTT_UNPROT_MAP (2.0).
        RTT_UNPROT_MAP = 0xC400_01FB;
        /// RMI_RTT_UNPROT_UNMAP (2.0).
        RTT_UNPROT_UNMAP = 0xC400_01FC;
        /// RMI_REALM_TERMINATE (2.0).
        REALM_TERMINATE = 0xC400_0201;
        /// RMI_RMM_ACTIVATE (2.0).
        RMM_ACTIVATE = 0xC400_0202;
        /// RMI_OP_CONTINUE (2.0).
        OP_CONTINUE = 0xC400_0203;
        /// RMI_OP_MEM_DONATE (2.0).
        OP_MEM_DONATE = 0xC400_0208;
        /// RMI_OP_MEM_RECLAIM (2.0).
        OP_MEM_RECLAIM = 0xC400_0209;
        /// RMI_OP_CANCEL (2.0).
        OP_CANCEL = 0xC400_020A;
        /// RMI_RMM_DEACTIVATE (2.0).
        RMM_DEACTIVATE = 0xC400_020F;
        /// RMI_GPT_INFO (2.0).
        GPT_INFO = 0xC400_0211;
    }
}
