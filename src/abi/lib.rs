// SPDX-License-Identifier: BSD-3-Clause
//! Numbers and structures of every interface of the RMM. No logic.
//!
//! The firmware, the test firmware and the fuzz targets share it. Each layout is checked when it is
//! compiled. Structures are those of the RMM specification 1.0 (DEN0137), B4.
#![no_std]
#![deny(missing_docs)]

/// Checks the size of a structure and the offsets of its fields.
macro_rules! layout {
    ($type:ident: $size:literal { $($field:ident: $offset:literal),* $(,)? }) => {
        const _: () = {
            assert!(size_of::<$type>() == $size);
            $(assert!(core::mem::offset_of!($type, $field) == $offset);)*
        };
    };
}

/// Defines function identifiers, and lists them by name.
macro_rules! functions {
    ($($(#[$about:meta])* $name:ident = $number:literal;)*) => {
        $($(#[$about])* pub const $name: u32 = $number;)*

        /// Every function: its name without the prefix of its interface, and its identifier.
        pub const ALL: &[(&str, u32)] = &[$((stringify!($name), $number)),*];
    };
}

pub mod el3;
pub mod psci;
pub mod rmi;
pub mod rmi_v1;
pub mod rmi_v2;
pub mod rsi;
pub mod smccc;
