// SPDX-License-Identifier: BSD-3-Clause
//! Attestation: the tokens by which a Realm proves what it is.
//!
//! A CCA token holds a platform token, which EL3 gives at boot, and a Realm token, which is signed
//! with the Realm attestation key. The challenge of the platform token is the digest of that key's
//! public half, which binds the two tokens together.

pub mod cbor;
pub mod claims;
pub mod key;
pub mod platform;
pub mod remote;
pub mod session;
pub mod token;
