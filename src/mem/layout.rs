// SPDX-License-Identifier: BSD-3-Clause
//! Where the image and its sections are: the linker's symbols, as addresses.

use core::ops::Range;

use crate::address::PhysAddr;

unsafe extern "C" {
    static __text_start: [u8; 0];
    static __text_end: [u8; 0];
    static __rodata_start: [u8; 0];
    static __rodata_end: [u8; 0];
    static __data_start: [u8; 0];
    static __rw_end: [u8; 0];
    static __low_tables_start: [u8; 0];
    static __low_tables_end: [u8; 0];
    static __image_end: [u8; 0];
}

macro_rules! range {
    ($(#[$doc:meta])* $name:ident: $start:ident .. $end:ident) => {
        $(#[$doc])*
        pub fn $name() -> Range<PhysAddr> {
            // Flat-mapped: an address of the image is its physical address.
            PhysAddr::new((&raw const $start).addr() as u64)..PhysAddr::new((&raw const $end).addr() as u64)
        }
    };
}

range! {
    /// All of it, with what the file does not hold.
    image: __text_start..__image_end
}
range! {
    /// Code.
    code: __text_start..__text_end
}
range! {
    /// Read-only data and what relocation wrote.
    read_only: __rodata_start..__rodata_end
}
range! {
    /// Data, zeroed memory, stacks, per-CPU tables.
    read_write: __data_start..__rw_end
}
range! {
    /// Tables of the Low VA map.
    low_tables: __low_tables_start..__low_tables_end
}
