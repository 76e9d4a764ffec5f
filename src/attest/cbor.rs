// SPDX-License-Identifier: BSD-3-Clause
//! An encoder for the kinds of CBOR items that tokens have (RFC 8949).
//!
//! Every length is definite, and every head has its shortest form.

/// There is no room for an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom;

/// Bytes of the longest head.
const MAX_HEAD: usize = 9;

/// Major types.
#[derive(Clone, Copy)]
enum Major {
    Unsigned = 0,
    Negative = 1,
    Bytes = 2,
    Text = 3,
    Array = 4,
    Map = 5,
    Tag = 6,
}

/// Encodes items one after the other.
#[derive(Debug)]
pub struct Encoder<'a> {
    buffer: &'a mut [u8],
    used: usize,
}

impl<'a> Encoder<'a> {
    /// Encodes to the beginning of `buffer`.
    pub fn new(buffer: &'a mut [u8]) -> Self {
        Self { buffer, used: 0 }
    }

    /// Bytes encoded so far.
    pub fn used(&self) -> usize {
        self.used
    }

    /// Adds items that are encoded already.
    ///
    /// # Errors
    ///
    /// [`NoRoom`], as for every item.
    pub fn encoded(&mut self, items: &[u8]) -> Result<&mut Self, NoRoom> {
        let end = self.used.checked_add(items.len()).ok_or(NoRoom)?;
        self.buffer.get_mut(self.used..end).ok_or(NoRoom)?.copy_from_slice(items);
        self.used = end;
        Ok(self)
    }

    fn head(&mut self, major: Major, value: u64) -> Result<&mut Self, NoRoom> {
        let major = (major as u8) << 5;
        let bytes = value.to_be_bytes();
        let [.., b4, b5, b6, b7] = bytes;
        match value {
            0..=23 => self.encoded(&[major | b7]),
            24..=0xff => self.encoded(&[major | 24, b7]),
            0x100..=0xffff => self.encoded(&[major | 25, b6, b7]),
            0x1_0000..=0xffff_ffff => self.encoded(&[major | 26, b4, b5, b6, b7]),
            _ => self.encoded(&[major | 27])?.encoded(&bytes),
        }
    }

    /// Adds an integer.
    pub fn int(&mut self, value: i64) -> Result<&mut Self, NoRoom> {
        match u64::try_from(value) {
            Ok(value) => self.head(Major::Unsigned, value),
            Err(_) => self.head(Major::Negative, (!value).cast_unsigned()),
        }
    }

    /// Adds a byte string.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<&mut Self, NoRoom> {
        self.bytes_head(bytes.len())?.encoded(bytes)
    }

    /// Adds the head of a byte string. Its bytes must be added next, by [`encoded`](Self::encoded).
    pub fn bytes_head(&mut self, length: usize) -> Result<&mut Self, NoRoom> {
        self.head(Major::Bytes, length as u64)
    }

    /// Adds a text string.
    pub fn text(&mut self, text: &str) -> Result<&mut Self, NoRoom> {
        self.head(Major::Text, text.len() as u64)?.encoded(text.as_bytes())
    }

    /// Begins an array: its items follow.
    pub fn array(&mut self, items: u64) -> Result<&mut Self, NoRoom> {
        self.head(Major::Array, items)
    }

    /// Begins a map: a key and a value follow for each entry.
    pub fn map(&mut self, entries: u64) -> Result<&mut Self, NoRoom> {
        self.head(Major::Map, entries)
    }

    /// Adds the tag of the item that follows.
    pub fn tag(&mut self, tag: u64) -> Result<&mut Self, NoRoom> {
        self.head(Major::Tag, tag)
    }
}

/// Bytes of the head of a byte string of this length.
pub fn bytes_head_size(length: usize) -> usize {
    let mut head = [0; MAX_HEAD];
    let mut encoder = Encoder::new(&mut head);
    // A head always fits.
    let _ = encoder.bytes_head(length);
    encoder.used()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(encode: impl FnOnce(&mut Encoder<'_>) -> Result<(), NoRoom>) -> Vec<u8> {
        let mut buffer = [0xee; 64];
        let mut encoder = Encoder::new(&mut buffer);
        encode(&mut encoder).unwrap();
        let used = encoder.used();
        buffer[..used].to_vec()
    }

    #[test]
    fn integers_are_encoded_as_in_appendix_a_of_rfc_8949() {
        for (value, expected) in [
            (0, &[0x00][..]),
            (23, &[0x17]),
            (24, &[0x18, 0x18]),
            (255, &[0x18, 0xff]),
            (256, &[0x19, 0x01, 0x00]),
            (1000, &[0x19, 0x03, 0xe8]),
            (1_000_000, &[0x1a, 0x00, 0x0f, 0x42, 0x40]),
            (1_000_000_000_000, &[0x1b, 0x00, 0x00, 0x00, 0xe8, 0xd4, 0xa5, 0x10, 0x00]),
            (-1, &[0x20]),
            (-35, &[0x38, 0x22]),
            (-1000, &[0x39, 0x03, 0xe7]),
        ] {
            assert_eq!(encode(|cbor| cbor.int(value).map(drop)), expected, "{value}");
        }
    }

    #[test]
    fn the_other_items_are_encoded_as_in_appendix_a_of_rfc_8949() {
        assert_eq!(encode(|cbor| cbor.bytes(&[1, 2, 3, 4]).map(drop)), [0x44, 1, 2, 3, 4]);
        assert_eq!(encode(|cbor| cbor.text("IETF").map(drop)), *b"\x64IETF");
        assert_eq!(encode(|cbor| cbor.array(2)?.int(1)?.int(2).map(drop)), [0x82, 1, 2]);
        assert_eq!(encode(|cbor| cbor.map(1)?.int(1)?.int(2).map(drop)), [0xa1, 1, 2]);
        assert_eq!(encode(|cbor| cbor.tag(399)?.int(1).map(drop)), [0xd9, 0x01, 0x8f, 1]);
    }

    #[test]
    fn what_does_not_fit_is_refused_and_nothing_is_written_beyond() {
        let mut buffer = [0; 4];
        let mut encoder = Encoder::new(&mut buffer[..3]);
        assert_eq!(encoder.bytes(&[7; 3]).map(drop), Err(NoRoom));
        assert_eq!(buffer[3], 0);
        for (length, size) in [(0, 1), (23, 1), (24, 2), (255, 2), (256, 3), (0x1_0000, 5)] {
            assert_eq!(bytes_head_size(length), size);
        }
    }
}
