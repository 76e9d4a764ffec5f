// SPDX-License-Identifier: BSD-3-Clause
//! RMM-EL3 communication interface: services of EL3, and their status in x0.

/// RMM_RMI_REQ_COMPLETE: x1 and up are the answer to the host. Returns with the host's next call.
pub const REQ_COMPLETE: u64 = 0xC400_018F;
/// RMM_GTSI_DELEGATE.
pub const GRANULE_DELEGATE: u64 = 0xC400_01B0;
/// RMM_GTSI_UNDELEGATE.
pub const GRANULE_UNDELEGATE: u64 = 0xC400_01B1;
/// RMM_ATTEST_GET_REALM_KEY.
pub const ATTEST_GET_REALM_KEY: u64 = 0xC400_01B2;
/// RMM_ATTEST_GET_PLAT_TOKEN.
pub const ATTEST_GET_PLAT_TOKEN: u64 = 0xC400_01B3;
/// RMM_EL3_FEATURES.
pub const EL3_FEATURES: u64 = 0xC400_01B4;
/// RMM_EL3_TOKEN_SIGN: x1 is an operation code of [`token_sign`].
pub const EL3_TOKEN_SIGN: u64 = 0xC400_01B5;
/// RMM_RESERVE_MEMORY.
pub const RESERVE_MEMORY: u64 = 0xC400_01BB;
/// RMM_BOOT_COMPLETE: x1 the status of this CPU's boot, x2 the token for its next boot.
pub const BOOT_COMPLETE: u64 = 0xC400_01CF;

/// Tokens of Realms that EL3 signs.
pub mod token_sign {
    use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

    /// Feature register 0: EL3 implements RMM_EL3_TOKEN_SIGN.
    pub const FEATURE: u64 = 1 << 0;
    /// Operation code: EL3 takes a [`Request`] from the page shared with it.
    pub const PUSH: u64 = 1;
    /// Operation code: EL3 writes a [`Response`] to the page.
    pub const PULL: u64 = 2;
    /// Operation code: EL3 writes the public half of the Realm attestation key to the page, as an
    /// uncompressed point: the byte 4, x and y.
    pub const PUBLIC_KEY: u64 = 3;
    /// The curve P-384.
    pub const P384: u32 = 0;
    /// The hash algorithm SHA-384.
    pub const SHA384: u32 = 1;

    /// A digest to sign.
    #[repr(C)]
    #[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
    pub struct Request {
        /// The algorithm of the key.
        pub curve: u32,
        #[doc(hidden)]
        pub reserved_4: u32,
        /// Identifies the requester. EL3 copies it into the response.
        pub cookie: u64,
        /// Identifies the request. EL3 copies it into the response.
        pub ticket: u64,
        /// The algorithm of the digest.
        pub hash: u32,
        #[doc(hidden)]
        pub reserved_1c: u32,
        /// The digest, in the first bytes.
        pub digest: [u8; 64],
    }

    /// A signature.
    #[repr(C)]
    #[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
    pub struct Response {
        /// [`Request::cookie`].
        pub cookie: u64,
        /// [`Request::ticket`].
        pub ticket: u64,
        /// Bytes of the signature.
        pub size: u16,
        /// r and s, big-endian, in the first bytes.
        pub signature: [u8; 512],
        #[doc(hidden)]
        pub reserved_212: [u8; 6],
    }

    const _: () = assert!(
        core::mem::offset_of!(Request, digest) == 0x20
            && size_of::<Request>() == 0x60
            && core::mem::offset_of!(Response, size) == 0x10
            && core::mem::offset_of!(Response, signature) == 0x12
            && size_of::<Response>() == 0x218
    );
}

/// Status of a service.
pub mod status {
    /// Done.
    pub const OK: i64 = 0;
    /// No such service.
    pub const UNKNOWN: i64 = -1;
    /// EL3 does not manage this address.
    pub const BAD_ADDRESS: i64 = -2;
    /// The granule is not in the Physical Address Space that the service starts from.
    pub const BAD_PAS: i64 = -3;
    /// No memory.
    pub const NO_MEMORY: i64 = -4;
    /// An argument is wrong.
    pub const INVALID: i64 = -5;
    /// EL3 is busy: repeat the same call.
    pub const AGAIN: i64 = -6;
}
