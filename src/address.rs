// SPDX-License-Identifier: BSD-3-Clause
//! Physical, virtual and intermediate physical addresses, and the granule size.
//!
//! Each kind of address is a type, so that none can be taken for another, for a length or for a
//! register value. Arithmetic is checked: an address that would wrap is `None`.

use core::fmt;

/// log2 of [`GRANULE_SIZE`].
pub const GRANULE_SHIFT: u32 = 12;
/// Bytes in a granule: the unit of protection (GPT) and of translation used throughout, 4 KiB.
pub const GRANULE_SIZE: u64 = 1 << GRANULE_SHIFT;

static_assertions::const_assert_eq!(size_of::<usize>(), size_of::<u64>());

/// A 64-bit value as `usize`. Both have 64 bits on every machine this builds for.
#[allow(clippy::cast_possible_truncation, reason = "asserted above: both have 64 bits")]
pub const fn native(value: u64) -> usize {
    value as usize
}

macro_rules! address {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        #[repr(transparent)]
        pub struct $name(u64);

        impl $name {
            /// Wraps a raw 64-bit address.
            pub const fn new(raw: u64) -> Self {
                Self(raw)
            }

            /// The raw 64-bit address.
            pub const fn get(self) -> u64 {
                self.0
            }

            /// This address plus `bytes`; `None` when that passes 2^64 - 1.
            pub const fn checked_add(self, bytes: u64) -> Option<Self> {
                match self.0.checked_add(bytes) {
                    Some(raw) => Some(Self(raw)),
                    None => None,
                }
            }

            /// Bytes from `base` up to this address; `None` when it lies below `base`.
            pub const fn checked_sub(self, base: Self) -> Option<u64> {
                self.0.checked_sub(base.0)
            }

            /// Whether the address is a multiple of `alignment`, a power of two in bytes.
            pub const fn is_aligned(self, alignment: u64) -> bool {
                debug_assert!(alignment.is_power_of_two());
                self.0 & (alignment - 1) == 0
            }

            /// The address rounded down to a multiple of `alignment`, a power of two in bytes.
            pub const fn align_down(self, alignment: u64) -> Self {
                debug_assert!(alignment.is_power_of_two());
                Self(self.0 & !(alignment - 1))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:#x})"), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#018x}", self.0)
            }
        }
    };
}

address! {
    /// A physical address, without its physical address space (Realm, Non-secure).
    PhysAddr
}
address! {
    /// A virtual address of a stage-1 translation regime.
    VirtAddr
}
address! {
    /// An intermediate physical address: the output of a Realm's stage 1, the input of stage 2.
    Ipa
}

/// Bits of a physical address, by the code of ID_AA64MMFR0_EL1.PARange, TCR_EL2.IPS and
/// VTCR_EL2.PS. A code of more than 52 bits, or a reserved one, gives 52.
pub const fn physical_address_bits(code: u64) -> u8 {
    match code {
        0 => 32,
        1 => 36,
        2 => 40,
        3 => 42,
        4 => 44,
        5 => 48,
        _ => 52,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_never_wraps() {
        assert_eq!(PhysAddr::new(u64::MAX).checked_add(1), None);
        assert_eq!(PhysAddr::new(u64::MAX - 1).checked_add(1), Some(PhysAddr::new(u64::MAX)));
        assert_eq!(PhysAddr::new(1).checked_sub(PhysAddr::new(2)), None);
        assert_eq!(PhysAddr::new(3).checked_sub(PhysAddr::new(2)), Some(1));
    }

    #[test]
    fn alignment_is_by_power_of_two() {
        let address = VirtAddr::new(0xffff_ffff_ffe0_1234);
        assert!(!address.is_aligned(GRANULE_SIZE));
        assert_eq!(address.align_down(GRANULE_SIZE), VirtAddr::new(0xffff_ffff_ffe0_1000));
        assert!(address.align_down(GRANULE_SIZE).is_aligned(GRANULE_SIZE));
    }

    #[test]
    fn debug_and_display_name_the_kind_and_show_hexadecimal() {
        assert_eq!(format!("{:?}", PhysAddr::new(0x40)), "PhysAddr(0x40)");
        assert_eq!(format!("{}", PhysAddr::new(0x40)), "0x0000000000000040");
    }
}
