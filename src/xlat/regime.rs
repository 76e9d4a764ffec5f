// SPDX-License-Identifier: BSD-3-Clause
//! Translation regimes as types: their descriptor bits and TLB instructions.
//!
//! The Security state is Realm, or Root for EL3.

use core::fmt::Debug;

use super::attributes::PhysicalAddressSpace;
use super::descriptor_flags::DescriptorFlags;
use super::invalidation::Invalidation;
use crate::arch::tlbi;

mod sealed {
    pub trait Sealed {}
}

/// A stage 1 translation regime.
pub trait Regime: sealed::Sealed + Copy + Debug {
    /// Its name in the Arm ARM.
    const NAME: &'static str;
    /// Whether it has an EL0. If so, it has two VA ranges, ASIDs, and UXN, PXN, AP\[1\] and nG in
    /// descriptors.
    const UNPRIVILEGED: bool;
    /// Whether TLB entries of a page can be invalidated for every ASID at once.
    const ANY_ASID: bool;
    /// The only physical address space that instructions are fetched from.
    const OWN_PAS: PhysicalAddressSpace;

    /// The descriptor bits that select `pas`; `None` if the regime cannot access it.
    #[doc(hidden)]
    fn pas_flags(pas: PhysicalAddressSpace) -> Option<DescriptorFlags>;

    /// Invalidates TLB entries on this CPU, or in the Inner Shareable domain if `shared`.
    #[doc(hidden)]
    fn invalidate(invalidation: Invalidation, shared: bool);
}

macro_rules! regimes {
    ($(
        $(#[$doc:meta])*
        $name:ident: $text:literal, unprivileged $unprivileged:literal, own $own:ident,
        pas { $($pas:ident: $flags:expr),* },
        any_asid $any_asid:literal,
        invalidate { $($which:ident $local:ident $shared:ident),* },
        all $all_local:ident $all_shared:ident;
    )*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum $name {}

        impl sealed::Sealed for $name {}

        impl Regime for $name {
            const NAME: &'static str = $text;
            const UNPRIVILEGED: bool = $unprivileged;
            const ANY_ASID: bool = $any_asid;
            const OWN_PAS: PhysicalAddressSpace = PhysicalAddressSpace::$own;

            fn pas_flags(pas: PhysicalAddressSpace) -> Option<DescriptorFlags> {
                match pas {
                    $(PhysicalAddressSpace::$pas => Some($flags),)*
                    #[allow(unreachable_patterns, reason = "EL3 accesses all four")]
                    _ => None,
                }
            }

            fn invalidate(invalidation: Invalidation, shared: bool) {
                match (invalidation, shared) {
                    $((Invalidation::$which(operand), false) => tlbi::$local(operand),
                    (Invalidation::$which(operand), true) => tlbi::$shared(operand),)*
                    (Invalidation::All, false) => tlbi::$all_local(),
                    (Invalidation::All, true) => tlbi::$all_shared(),
                }
            }
        }
    )*};
}

regimes! {
    /// EL1&0, Realm state. Stage 2 selects the PAS, stage 1 does not. TLB maintenance from EL2
    /// applies to the current VMID.
    El1And0: "EL1&0", unprivileged true, own Realm,
        pas { Realm: DescriptorFlags::empty() },
        any_asid true,
        invalidate {
            Leaf vale1 vale1is, Walk vae1 vae1is,
            LeafAnyAsid vaale1 vaale1is, WalkAnyAsid vaae1 vaae1is,
            LeafRange rvale1 rvale1is, WalkRange rvae1 rvae1is,
            LeafRangeAnyAsid rvaale1 rvaale1is, WalkRangeAnyAsid rvaae1 rvaae1is
        },
        all vmalle1 vmalle1is;
    /// EL2 without VHE (HCR_EL2.E2H = 0), Realm state.
    El2: "EL2", unprivileged false, own Realm,
        pas { Realm: DescriptorFlags::empty(), NonSecure: DescriptorFlags::NS },
        any_asid false,
        invalidate {
            Leaf vale2 vale2is, Walk vae2 vae2is,
            LeafAnyAsid vale2 vale2is, WalkAnyAsid vae2 vae2is,
            LeafRange rvale2 rvale2is, WalkRange rvae2 rvae2is,
            LeafRangeAnyAsid rvale2 rvale2is, WalkRangeAnyAsid rvae2 rvae2is
        },
        all alle2 alle2is;
    /// EL2&0 (HCR_EL2.E2H = 1), Realm state: the RMM's own regime.
    El2And0: "EL2&0", unprivileged true, own Realm,
        pas { Realm: DescriptorFlags::empty(), NonSecure: DescriptorFlags::NS },
        any_asid false,
        invalidate {
            Leaf vale2 vale2is, Walk vae2 vae2is,
            LeafAnyAsid vale2 vale2is, WalkAnyAsid vae2 vae2is,
            LeafRange rvale2 rvale2is, WalkRange rvae2 rvae2is,
            LeafRangeAnyAsid rvale2 rvale2is, WalkRangeAnyAsid rvae2 rvae2is
        },
        all alle2 alle2is;
    /// EL3, Root state. Its TLB instructions exist at EL3 only: elsewhere keep its contexts at
    /// `Maintenance::None`.
    El3: "EL3", unprivileged false, own Root,
        pas {
            Secure: DescriptorFlags::empty(), NonSecure: DescriptorFlags::NS,
            Root: DescriptorFlags::NSE, Realm: DescriptorFlags::NSE | DescriptorFlags::NS
        },
        any_asid false,
        invalidate {
            Leaf vale3 vale3is, Walk vae3 vae3is,
            LeafAnyAsid vale3 vale3is, WalkAnyAsid vae3 vae3is,
            LeafRange rvale3 rvale3is, WalkRange rvae3 rvae3is,
            LeafRangeAnyAsid rvale3 rvale3is, WalkRangeAnyAsid rvae3 rvae3is
        },
        all alle3 alle3is;
}
