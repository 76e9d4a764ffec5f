// SPDX-License-Identifier: BSD-3-Clause
//! A virtio entropy device with memory-mapped registers (Virtio 1.3, 4.2 and 5.4). Its entropy is
//! the letter Z, so a guest can check what it gets through shared memory.

use rmm_test_firmware::options::GRANULE;

use crate::give_up;
use crate::memory::Memory;

/// Its address in the protected half.
pub const BASE: u64 = 0x0a00_0000;
/// The size of its registers.
pub const SIZE: u64 = 0x200;
/// Its interrupt.
pub const INTID: usize = 34;

/// The byte that it delivers.
const BYTE: u8 = b'Z';
/// The most descriptors of its queue.
const QUEUE_SIZE: u32 = 64;

/// Registers.
mod register {
    pub const MAGIC: u64 = 0x0;
    pub const VERSION: u64 = 0x4;
    pub const DEVICE: u64 = 0x8;
    pub const DEVICE_FEATURES: u64 = 0x10;
    pub const DEVICE_FEATURES_SELECT: u64 = 0x14;
    pub const QUEUE_SIZE_MAX: u64 = 0x34;
    pub const QUEUE_SIZE: u64 = 0x38;
    pub const QUEUE_READY: u64 = 0x44;
    pub const QUEUE_NOTIFY: u64 = 0x50;
    pub const INTERRUPT_STATUS: u64 = 0x60;
    pub const INTERRUPT_ACKNOWLEDGE: u64 = 0x64;
    pub const STATUS: u64 = 0x70;
    /// Descriptors, available ring and used ring: two words each.
    pub const QUEUE_ADDRESSES: u64 = 0x80;
}

/// The device.
pub struct Virtio {
    select: u32,
    status: u32,
    interrupt: u32,
    size: u32,
    ready: u32,
    addresses: [u64; 3],
    /// Buffers used since its reset.
    used: u16,
}

impl Virtio {
    /// A device after reset.
    pub const fn new() -> Self {
        Self { select: 0, status: 0, interrupt: 0, size: 0, ready: 0, addresses: [0; 3], used: 0 }
    }

    /// The level of its interrupt line.
    pub fn line(&self) -> bool {
        self.interrupt != 0
    }

    /// A read of a register.
    pub fn read(&self, offset: u64) -> u32 {
        const ENTROPY: u32 = 4;
        /// In bits 63:32: VERSION_1 and ACCESS_PLATFORM, which makes the guest share buffers.
        const FEATURES: u32 = 0b11;
        match offset {
            register::MAGIC => 0x7472_6976,
            register::VERSION => 2,
            register::DEVICE => ENTROPY,
            register::DEVICE_FEATURES => u32::from(self.select == 1) * FEATURES,
            register::QUEUE_SIZE_MAX => QUEUE_SIZE,
            register::QUEUE_READY => self.ready,
            register::INTERRUPT_STATUS => self.interrupt,
            register::STATUS => self.status,
            _ => 0,
        }
    }

    /// A write to a register.
    pub fn write(&mut self, offset: u64, value: u32, memory: &mut Memory) {
        match offset {
            register::DEVICE_FEATURES_SELECT => self.select = value,
            register::QUEUE_SIZE => self.size = value.clamp(1, QUEUE_SIZE),
            register::QUEUE_READY => self.ready = value & 1,
            register::QUEUE_NOTIFY if self.ready != 0 => self.serve(memory),
            register::INTERRUPT_ACKNOWLEDGE => self.interrupt &= !value,
            register::STATUS if value == 0 => *self = Self::new(),
            register::STATUS => self.status = value,
            register::QUEUE_ADDRESSES.. if offset < register::QUEUE_ADDRESSES + 0x30 => {
                let address = &mut self.addresses[(offset as usize - 0x80) / 0x10];
                *address = match offset % 0x10 {
                    0 => *address & !0xffff_ffff | u64::from(value),
                    4 => *address & 0xffff_ffff | u64::from(value) << 32,
                    _ => *address,
                };
            }
            _ => {}
        }
    }

    /// Fills all buffers in the available ring.
    fn serve(&mut self, memory: &mut Memory) {
        let [descriptors, available, used] = self.addresses;
        let size = self.size as u16;
        while read::<u16>(memory, available + 2) != self.used {
            let entry = u64::from(self.used % size);
            let head = read::<u16>(memory, available + 4 + 2 * entry);
            let mut length = 0;
            let mut next = Some(head);
            for _ in 0..size {
                let Some(descriptor) = next else { break };
                const NEXT: u16 = 1;
                const WRITE: u16 = 2;
                let at = descriptors + 16 * u64::from(descriptor % size);
                let buffer = read::<u64>(memory, at);
                let bytes = read::<u32>(memory, at + 8);
                let flags = read::<u16>(memory, at + 12);
                if flags & WRITE != 0 {
                    fill(memory, buffer, bytes.into());
                    length += bytes;
                }
                next = (flags & NEXT != 0).then(|| read::<u16>(memory, at + 14));
            }
            write::<u32>(memory, used + 4 + 8 * entry, head.into());
            write::<u32>(memory, used + 8 + 8 * entry, length);
            self.used = self.used.wrapping_add(1);
            // SAFETY: a barrier, so that the guest sees the entry before the index.
            unsafe { core::arch::asm!("dmb ish", options(nostack, preserves_flags)) };
            write::<u16>(memory, used + 2, self.used);
        }
        self.interrupt |= 1;
    }
}

fn pointer<T>(memory: &mut Memory, ipa: u64) -> *mut T {
    if !ipa.is_multiple_of(size_of::<T>() as u64) {
        give_up(format_args!("the guest's queue is not aligned: {ipa:#x}"));
    }
    core::ptr::with_exposed_provenance_mut(memory.shared_address(ipa) as usize)
}

fn read<T: Copy>(memory: &mut Memory, ipa: u64) -> T {
    // SAFETY: aligned memory of the pool that a Realm shares and Rust does not own. The types read
    // have no invalid values.
    unsafe { pointer::<T>(memory, ipa).read_volatile() }
}

fn write<T>(memory: &mut Memory, ipa: u64, value: T) {
    // SAFETY: as in `read`.
    unsafe { pointer::<T>(memory, ipa).write_volatile(value) };
}

fn fill(memory: &mut Memory, ipa: u64, length: u64) {
    let mut done = 0;
    while done < length {
        let at = ipa + done;
        let bytes = (GRANULE - at % GRANULE).min(length - done);
        let start = pointer::<u8>(memory, at);
        for index in 0..bytes as usize {
            // SAFETY: as in `read`; all in one page.
            unsafe { start.add(index).write_volatile(BYTE) };
        }
        done += bytes;
    }
}
