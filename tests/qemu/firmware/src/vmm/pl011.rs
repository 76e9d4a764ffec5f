// SPDX-License-Identifier: BSD-3-Clause
//! A Realm's PL011. Sent bytes are gone at once; received bytes wait.

use rmm_test_firmware::say;

use crate::{counts, machine};

/// Its address in the protected half.
pub const BASE: u64 = 0x0900_0000;
/// The size of its registers.
pub const SIZE: u64 = 0x1000;
/// Its interrupt.
pub const INTID: usize = 33;

const RECEIVE: u32 = 1 << 4;
const TRANSMIT: u32 = 1 << 5;

/// The identification registers at 0xfe0.
const IDENTIFICATION: [u32; 8] = [0x11, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1];

/// A PL011.
pub struct Pl011 {
    /// Output goes to the machine's PL011 for the first Realm, for others to the log line by line.
    realm: usize,
    line: [u8; 160],
    length: usize,
    input: [u8; 4096],
    first: usize,
    count: usize,
    raw: u32,
    mask: u32,
    /// IBRD, FBRD, LCR_H, CR, IFLS.
    settings: [u32; 5],
}

impl Pl011 {
    /// A PL011 after reset.
    pub const fn new(realm: usize) -> Self {
        Self {
            realm,
            line: [0; 160],
            length: 0,
            input: [0; 4096],
            first: 0,
            count: 0,
            raw: 0,
            mask: 0,
            settings: [0, 0, 0, 0x300, 0x12],
        }
    }

    /// The level of its interrupt line.
    pub fn line(&self) -> bool {
        self.interrupts() & self.mask != 0
    }

    fn interrupts(&self) -> u32 {
        self.raw | if self.count == 0 { 0 } else { RECEIVE }
    }

    /// Receives a byte. It is lost if the FIFO is full.
    pub fn receive(&mut self, byte: u8) {
        if self.count < self.input.len() {
            self.input[(self.first + self.count) % self.input.len()] = byte;
            self.count += 1;
        }
    }

    /// A read of a register.
    pub fn read(&mut self, offset: u64) -> u32 {
        const RECEIVE_EMPTY: u32 = 1 << 4;
        const TRANSMIT_EMPTY: u32 = 1 << 7;
        match offset {
            0x0 => self.take(),
            0x18 => TRANSMIT_EMPTY | if self.count == 0 { RECEIVE_EMPTY } else { 0 },
            0x24..=0x34 => self.settings[(offset as usize - 0x24) / 4],
            0x38 => self.mask,
            0x3c => self.interrupts(),
            0x40 => self.interrupts() & self.mask,
            0xfe0..=0xffc => IDENTIFICATION[(offset as usize - 0xfe0) / 4],
            _ => 0,
        }
    }

    /// A write to a register.
    pub fn write(&mut self, offset: u64, value: u32) {
        match offset {
            0x0 => {
                self.send((value & 0xff) as u8);
                self.raw |= TRANSMIT;
            }
            0x24..=0x34 => self.settings[(offset as usize - 0x24) / 4] = value,
            0x38 => self.mask = value,
            0x44 => self.raw &= !value,
            _ => {}
        }
    }

    fn take(&mut self) -> u32 {
        if self.count == 0 {
            return 0;
        }
        let byte = self.input[self.first];
        self.first = (self.first + 1) % self.input.len();
        self.count -= 1;
        byte.into()
    }

    fn send(&mut self, byte: u8) {
        counts::note_output();
        if self.realm == 0 {
            machine::put(byte);
            return;
        }
        if byte != b'\n' && byte != b'\r' {
            self.line[self.length] = byte;
            self.length += 1;
        }
        if byte == b'\n' || self.length == self.line.len() {
            let text = core::str::from_utf8(&self.line[..self.length]).unwrap_or("(not text)");
            say!("Realm {}: {text}", self.realm);
            self.length = 0;
        }
    }
}
