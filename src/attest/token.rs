// SPDX-License-Identifier: BSD-3-Clause
//! The Realm token, a COSE_Sign1 (RFC 9052 section 4.2), and the CCA token that holds it.

use sha2::{Digest, Sha384};

use super::cbor::{Encoder, NoRoom, bytes_head_size};
use super::claims::Claims;
use super::key::{DIGEST_SIZE, SIGNATURE_SIZE};

/// Room for a Realm token, and for the heads around it. The longest has 796 bytes.
pub const MAX_REALM_TOKEN: usize = 1024;

/// The protected header, {1: -35}: ES384.
const PROTECTED: [u8; 4] = [0xa1, 0x01, 0x38, 0x22];
/// The tag of a COSE_Sign1.
const SIGN1: u64 = 18;

/// A Realm token. Its signature is zero until it is set.
#[derive(Clone, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct RealmToken {
    bytes: [u8; MAX_REALM_TOKEN],
    used: u16,
    /// Where the payload is, its head included.
    payload: u16,
    payload_end: u16,
}

impl RealmToken {
    /// None: no bytes.
    pub const EMPTY: Self =
        Self { bytes: [0; MAX_REALM_TOKEN], used: 0, payload: 0, payload_end: 0 };

    /// Encodes a token with these claims.
    ///
    /// # Errors
    ///
    /// [`NoRoom`].
    pub fn build(&mut self, claims: &Claims<'_>) -> Result<(), NoRoom> {
        /// The head of a payload of 256 to 65,535 bytes, which all are.
        const PAYLOAD_HEAD: usize = 3;
        let mut cbor = Encoder::new(&mut self.bytes);
        cbor.tag(SIGN1)?.array(4)?.bytes(&PROTECTED)?.map(0)?;
        let payload = cbor.used();
        // The head comes before the claims, but holds their length: it is encoded last.
        cbor.encoded(&[0; PAYLOAD_HEAD])?;
        claims.encode(&mut cbor)?;
        let payload_end = cbor.used();
        cbor.bytes(&[0; SIGNATURE_SIZE])?;
        self.used = u16::try_from(cbor.used()).map_err(|_| NoRoom)?;
        self.payload = u16::try_from(payload).map_err(|_| NoRoom)?;
        self.payload_end = u16::try_from(payload_end).map_err(|_| NoRoom)?;
        let head = self.bytes.get_mut(payload..payload + PAYLOAD_HEAD).ok_or(NoRoom)?;
        let mut cbor = Encoder::new(head);
        cbor.bytes_head(payload_end - payload - PAYLOAD_HEAD)?;
        if cbor.used() != PAYLOAD_HEAD {
            return Err(NoRoom);
        }
        Ok(())
    }

    /// The digest that is signed: the SHA-384 of its Sig_structure (RFC 9052 section 4.4).
    pub fn digest(&self) -> [u8; DIGEST_SIZE] {
        /// Array of four, "Signature1", the protected header, no external data.
        const HEAD: [u8; 18] = *b"\x84\x6aSignature1\x44\xa1\x01\x38\x22\x40";
        let payload = usize::from(self.payload)..usize::from(self.payload_end);
        let mut digest = Sha384::new();
        digest.update(HEAD);
        digest.update(self.bytes.get(payload).unwrap_or_default());
        digest.finalize().into()
    }

    /// Sets its signature.
    pub fn set_signature(&mut self, signature: &[u8; SIGNATURE_SIZE]) {
        let used = usize::from(self.used);
        let place = used.saturating_sub(SIGNATURE_SIZE)..used;
        if let Some(place) = self.bytes.get_mut(place) {
            place.copy_from_slice(signature);
        }
    }

    /// The token.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.used)).unwrap_or_default()
    }
}

/// How the CCA token holds its two tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Tag 399: byte strings.
    Tag399,
    /// Tag 907: pairs of a content format and a byte string.
    Tag907,
}

/// Bytes of the longest head of the CCA token or of one of its entries.
const MAX_HEAD: usize = 16;

/// A CCA token as its four pieces: it is never in memory as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CcaToken<'a> {
    /// The platform token.
    pub platform: &'a [u8],
    /// The Realm token.
    pub realm: &'a [u8],
    /// How it holds them.
    pub format: Format,
}

impl CcaToken<'_> {
    /// Passes the token from byte `offset` on to `take`, at most `room` bytes, piece by piece, each
    /// with its distance from `offset`. Returns the number of bytes.
    pub fn read(&self, offset: usize, room: usize, mut take: impl FnMut(usize, &[u8])) -> usize {
        const PLATFORM: i64 = 44234;
        const REALM: i64 = 44241;
        let mut heads = [[0; MAX_HEAD]; 2];
        let [first, second] = &mut heads;
        // A head always fits.
        let first = self.head(first, true, PLATFORM, self.platform).unwrap_or_default();
        let second = self.head(second, false, REALM, self.realm).unwrap_or_default();
        let mut skipped = offset;
        let mut done = 0;
        for piece in [first, self.platform, second, self.realm] {
            let rest = piece.get(skipped..).unwrap_or_default();
            skipped = skipped.saturating_sub(piece.len());
            let (now, _) = rest.split_at(rest.len().min(room - done));
            take(done, now);
            done += now.len();
        }
        done
    }

    /// Bytes of the token.
    pub fn size(&self) -> usize {
        /// Tag, head of the map, two keys; and content formats.
        const FIXED_399: usize = 3 + 1 + 2 * 3;
        const FIXED_907: usize = FIXED_399 + 2 * (1 + 3);
        let fixed = match self.format {
            Format::Tag399 => FIXED_399,
            Format::Tag907 => FIXED_907,
        };
        [self.platform, self.realm]
            .iter()
            .fold(fixed, |size, token| size + bytes_head_size(token.len()) + token.len())
    }

    fn head<'h>(
        &self,
        buffer: &'h mut [u8; MAX_HEAD],
        begins: bool,
        key: i64,
        token: &[u8],
    ) -> Option<&'h [u8]> {
        let mut cbor = Encoder::new(buffer);
        self.encode_head(&mut cbor, begins, key, token).ok()?;
        let used = cbor.used();
        buffer.get(..used)
    }

    fn encode_head(
        &self,
        cbor: &mut Encoder<'_>,
        begins: bool,
        key: i64,
        token: &[u8],
    ) -> Result<(), NoRoom> {
        /// The CoAP content format of an EAT that is a CWT.
        const EAT_CWT: i64 = 263;
        let tag = match self.format {
            Format::Tag399 => 399,
            Format::Tag907 => 907,
        };
        if begins {
            cbor.tag(tag)?.map(2)?;
        }
        cbor.int(key)?;
        if self.format == Format::Tag907 {
            cbor.array(2)?.int(EAT_CWT)?;
        }
        cbor.bytes_head(token.len())?;
        Ok(())
    }
}
