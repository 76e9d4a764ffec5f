// SPDX-License-Identifier: BSD-3-Clause
//! Where the image and its sections are: the linker's symbols, as addresses.

use core::ops::Range;

use super::low_va::Sections;
use crate::address::PhysAddr;

unsafe extern "C" {
    static __text_start: [u8; 0];
    static __text_end: [u8; 0];
    static __rodata_start: [u8; 0];
    static __rodata_end: [u8; 0];
    static __data_start: [u8; 0];
    static __pool_start: [u8; 0];
    static __pool_end: [u8; 0];
    static __rw_end: [u8; 0];
    static __low_tables_start: [u8; 0];
    static __low_tables_end: [u8; 0];
    static __image_end: [u8; 0];
}

macro_rules! range {
    ($(#[$doc:meta])* $visibility:vis $name:ident: $start:ident .. $end:ident) => {
        $(#[$doc])*
        $visibility fn $name() -> Range<PhysAddr> {
            // Flat-mapped: an address of the image is its physical address.
            PhysAddr::new((&raw const $start).addr() as u64)..PhysAddr::new((&raw const $end).addr() as u64)
        }
    };
}

range! {
    /// All of it, with what the file does not hold.
    pub image: __text_start..__image_end
}
range! {
    /// Memory to be given out at boot.
    pub pool: __pool_start..__pool_end
}
range! {
    code: __text_start..__text_end
}
range! {
    read_only: __rodata_start..__rodata_end
}
range! {
    read_write: __data_start..__rw_end
}
range! {
    low_tables: __low_tables_start..__low_tables_end
}

/// The sections as the Low VA map has them. `guards` are pages of the data that are left out.
pub fn sections<const GUARDS: usize>(guards: [PhysAddr; GUARDS]) -> Sections<GUARDS> {
    Sections {
        code: code(),
        read_only: read_only(),
        read_write: read_write(),
        guards,
        low_tables: low_tables(),
    }
}
