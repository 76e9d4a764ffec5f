// SPDX-License-Identifier: BSD-3-Clause
//! The linker's symbols as addresses: the image and its sections.

#[cfg(target_os = "none")]
use core::ops::Range;

use super::low_va::LowVaPart;
#[cfg(target_os = "none")]
use super::low_va::Sections;
#[cfg(target_os = "none")]
use crate::address::PhysAddr;

#[cfg(target_os = "none")]
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

/// Defines ranges of memory by the symbols at their ends, and lists those that are parts of the Low
/// VA map.
macro_rules! ranges {
    ($($(#[$doc:meta])* $visibility:vis $name:ident $(= $part:ident)?: $start:ident .. $end:ident;)*) => {
        $(
        $(#[$doc])*
        #[cfg(target_os = "none")]
        $visibility fn $name() -> Range<PhysAddr> {
            // Flat-mapped: an address of the image is its physical address.
            PhysAddr::new((&raw const $start).addr() as u64)..PhysAddr::new((&raw const $end).addr() as u64)
        }
        )*

        /// The parts of the image in the Low VA map, each with the symbols of `linker.lds` at its
        /// ends.
        pub const PARTS: &[(LowVaPart, &str, &str)] = &[$($((LowVaPart::$part, stringify!($start), stringify!($end)),)?)*];
    };
}

ranges! {
    /// The whole image, including zeroed memory that is not in the file.
    pub image: __text_start..__image_end;
    /// Memory that boot allocates from.
    pub pool: __pool_start..__pool_end;
    code = Code: __text_start..__text_end;
    read_only = ReadOnly: __rodata_start..__rodata_end;
    read_write = ReadWrite: __data_start..__rw_end;
    low_tables = LowTables: __low_tables_start..__low_tables_end;
}

/// The sections of the Low VA map. `guards` are pages of the data that stay unmapped.
#[cfg(target_os = "none")]
pub fn sections<const GUARDS: usize>(guards: [PhysAddr; GUARDS]) -> Sections<GUARDS> {
    Sections {
        code: code(),
        read_only: read_only(),
        read_write: read_write(),
        guards,
        low_tables: low_tables(),
    }
}
