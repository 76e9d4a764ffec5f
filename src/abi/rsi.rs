// SPDX-License-Identifier: BSD-3-Clause
//! Realm Services Interface 1.0: functions, status codes, and structures in the Realm's memory.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// RSI 1.0: major in bits 30:16, minor in bits 15:0.
pub const VERSION_1_0: u64 = 0x1_0000;

/// Measurements that a Realm can read: the initial one and four that it extends.
pub const MEASUREMENTS: u64 = 5;

/// RsiCommandReturnCode.
pub mod status {
    /// RSI_SUCCESS.
    pub const SUCCESS: u64 = 0;
    /// RSI_ERROR_INPUT.
    pub const ERROR_INPUT: u64 = 1;
    /// RSI_ERROR_STATE.
    pub const ERROR_STATE: u64 = 2;
    /// RSI_INCOMPLETE.
    pub const INCOMPLETE: u64 = 3;
    /// RSI_ERROR_UNKNOWN.
    pub const ERROR_UNKNOWN: u64 = 4;
}

/// Function identifiers, without the SVE hint.
pub mod function {
    functions! {
        /// RSI_VERSION.
        VERSION = 0xC400_0190;
        /// RSI_FEATURES.
        FEATURES = 0xC400_0191;
        /// RSI_MEASUREMENT_READ.
        MEASUREMENT_READ = 0xC400_0192;
        /// RSI_MEASUREMENT_EXTEND.
        MEASUREMENT_EXTEND = 0xC400_0193;
        /// RSI_ATTESTATION_TOKEN_INIT.
        ATTESTATION_TOKEN_INIT = 0xC400_0194;
        /// RSI_ATTESTATION_TOKEN_CONTINUE.
        ATTESTATION_TOKEN_CONTINUE = 0xC400_0195;
        /// RSI_REALM_CONFIG.
        REALM_CONFIG = 0xC400_0196;
        /// RSI_IPA_STATE_SET.
        IPA_STATE_SET = 0xC400_0197;
        /// RSI_IPA_STATE_GET.
        IPA_STATE_GET = 0xC400_0198;
        /// RSI_HOST_CALL.
        HOST_CALL = 0xC400_0199;
    }
}

/// Flags of RSI_IPA_STATE_SET: memory with RIPAS DESTROYED may change, too.
pub const CHANGE_DESTROYED: u64 = 1 << 0;

/// RsiResponse of RSI_IPA_STATE_SET.
pub mod response {
    /// RSI_ACCEPT.
    pub const ACCEPT: u64 = 0;
    /// RSI_REJECT.
    pub const REJECT: u64 = 1;
}

/// RsiRealmConfig.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C, align(4096))]
pub struct RsiRealmConfig {
    /// Bits of an IPA.
    pub ipa_width: u64,
    /// RsiHashAlgorithm (8 bits).
    pub hash_algo: u64,
    _reserved0: [u8; 0x200 - 0x10],
    /// The Realm Personalization Value.
    pub rpv: [u64; 8],
    _reserved1: [u8; 0x1000 - 0x240],
}

layout!(RsiRealmConfig: 0x1000 { ipa_width: 0x0, hash_algo: 0x8, rpv: 0x200 });

/// RsiHostCall.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C, align(256))]
pub struct RsiHostCall {
    /// Immediate (16 bits).
    pub imm: u64,
    /// X0 to X30, for the host and from it.
    pub gprs: [u64; 31],
}

layout!(RsiHostCall: 0x100 { imm: 0x0, gprs: 0x8 });
