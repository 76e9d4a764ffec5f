// SPDX-License-Identifier: BSD-3-Clause
//! Tokens: known answers, and verification by independent software.

mod known_answers;
mod platform_token;
mod verified;

/// The Realm key that TF-A serves on QEMU and FVP.
const SAMPLE_KEY: [u8; 48] = hex(
    "2011c7f03cee4325176e524f033c0ce1e21a76e6c1a4f0b839aa1df61e0e8a5c8a05740f9b69efa7eb1a4185bd117f68",
);

/// Converts hexadecimal digits to bytes.
const fn hex<const N: usize>(digits: &str) -> [u8; N] {
    let digits = digits.as_bytes();
    assert!(digits.len() == 2 * N);
    let mut bytes = [0; N];
    let mut index = 0;
    while index < 2 * N {
        let digit = match digits[index] {
            digit @ b'0'..=b'9' => digit - b'0',
            digit @ b'a'..=b'f' => digit - b'a' + 10,
            _ => panic!("digits are hexadecimal"),
        };
        bytes[index / 2] = bytes[index / 2] << 4 | digit;
        index += 1;
    }
    bytes
}
