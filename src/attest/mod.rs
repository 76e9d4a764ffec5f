// SPDX-License-Identifier: BSD-3-Clause
//! Attestation: the tokens by which a Realm proves what it is.
//!
//! A CCA token holds a platform token, which EL3 gives at boot, and a Realm token, which the RMM
//! signs with the Realm attestation key. The platform token's challenge is the digest of that key's
//! public half, so that the two belong together.

pub mod cbor;
pub mod claims;
pub mod key;
pub mod platform;
pub mod remote;
pub mod session;
pub mod token;
