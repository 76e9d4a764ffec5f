// SPDX-License-Identifier: BSD-3-Clause
//! Translation regimes as types: their descriptor bits and TLB instructions.
//!
//! The Security state is Realm, or Root for EL3.

use core::fmt::Debug;

use super::attributes::PhysicalAddressSpace;
use super::descriptor_flags::DescriptorFlags;
use crate::arch::tlbi;

/// Which TLB entries are invalidated, with the operand of the TLBI.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Invalidation {
    /// Those of the last level for a page.
    Leaf(u64),
    /// Those of every level for a page.
    Walk(u64),
    /// Those of the last level for a page, of every ASID.
    LeafAnyAsid(u64),
    /// Those of every level for a page, of every ASID.
    WalkAnyAsid(u64),
}

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
        leaf $leaf_local:ident $leaf_shared:ident, walk $walk_local:ident $walk_shared:ident,
        any_asid $any_asid:literal
            leaf $any_leaf_local:ident $any_leaf_shared:ident
            walk $any_walk_local:ident $any_walk_shared:ident;
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
                    (Invalidation::Leaf(operand), false) => tlbi::$leaf_local(operand),
                    (Invalidation::Leaf(operand), true) => tlbi::$leaf_shared(operand),
                    (Invalidation::Walk(operand), false) => tlbi::$walk_local(operand),
                    (Invalidation::Walk(operand), true) => tlbi::$walk_shared(operand),
                    (Invalidation::LeafAnyAsid(operand), false) => tlbi::$any_leaf_local(operand),
                    (Invalidation::LeafAnyAsid(operand), true) => tlbi::$any_leaf_shared(operand),
                    (Invalidation::WalkAnyAsid(operand), false) => tlbi::$any_walk_local(operand),
                    (Invalidation::WalkAnyAsid(operand), true) => tlbi::$any_walk_shared(operand),
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
        leaf vale1 vale1is, walk vae1 vae1is,
        any_asid true leaf vaale1 vaale1is walk vaae1 vaae1is;
    /// EL2 without VHE (HCR_EL2.E2H = 0), Realm state.
    El2: "EL2", unprivileged false, own Realm,
        pas { Realm: DescriptorFlags::empty(), NonSecure: DescriptorFlags::NS },
        leaf vale2 vale2is, walk vae2 vae2is,
        any_asid false leaf vale2 vale2is walk vae2 vae2is;
    /// EL2&0 (HCR_EL2.E2H = 1), Realm state: the RMM's own regime.
    El2And0: "EL2&0", unprivileged true, own Realm,
        pas { Realm: DescriptorFlags::empty(), NonSecure: DescriptorFlags::NS },
        leaf vale2 vale2is, walk vae2 vae2is,
        any_asid false leaf vale2 vale2is walk vae2 vae2is;
    /// EL3, Root state. Its TLB instructions exist at EL3 only: elsewhere keep its contexts at
    /// `Maintenance::None`.
    El3: "EL3", unprivileged false, own Root,
        pas {
            Secure: DescriptorFlags::empty(), NonSecure: DescriptorFlags::NS,
            Root: DescriptorFlags::NSE, Realm: DescriptorFlags::NSE | DescriptorFlags::NS
        },
        leaf vale3 vale3is, walk vae3 vae3is,
        any_asid false leaf vale3 vale3is walk vae3 vae3is;
}
