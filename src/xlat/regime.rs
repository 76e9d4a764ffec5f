// SPDX-License-Identifier: BSD-3-Clause
//! Translation regimes as types: what differs between them in a descriptor and in TLB maintenance
//! (Arm ARM D8.1, D8.3).
//!
//! The security state is Realm, and Root for EL3: those for which an RMM has reason to build
//! tables.

use core::fmt::Debug;

use super::attributes::PhysicalAddressSpace;
use super::descriptor::{NS, NSE};
use crate::arch::tlbi;

mod sealed {
    pub trait Sealed {}
}

/// A stage-1 translation regime.
pub trait Regime: sealed::Sealed + Copy + Debug {
    /// Its name in the Arm ARM.
    const NAME: &'static str;
    /// Whether it has an EL0: then it has two VA ranges and ASIDs, and descriptors have UXN, PXN,
    /// AP\[1\] and nG.
    const UNPRIVILEGED: bool;
    /// The only physical address space that instructions are fetched from (Arm ARM D9.3: all others
    /// are execute-never).
    const OWN_PAS: PhysicalAddressSpace;
    /// The descriptor bits that select `pas`; `None` when it cannot be reached.
    #[doc(hidden)]
    const PAS_BITS: PasBits;

    /// Invalidates, on this CPU, what is cached from the last level for the operand's page.
    fn invalidate_leaf_local(operand: u64);
    /// Invalidates, in the Inner Shareable domain, what is cached from the last level for the
    /// operand's page.
    fn invalidate_leaf_shared(operand: u64);
    /// Invalidates, on this CPU, what is cached from any level for the operand's page.
    fn invalidate_walk_local(operand: u64);
    /// Invalidates, in the Inner Shareable domain, what is cached from any level for the operand's
    /// page.
    fn invalidate_walk_shared(operand: u64);
}

/// Descriptor bits by physical address space.
#[derive(Clone, Copy, Debug)]
#[doc(hidden)]
pub struct PasBits {
    secure: Option<u64>,
    non_secure: Option<u64>,
    root: Option<u64>,
    realm: Option<u64>,
}

impl PasBits {
    pub(super) const fn get(self, pas: PhysicalAddressSpace) -> Option<u64> {
        match pas {
            PhysicalAddressSpace::Secure => self.secure,
            PhysicalAddressSpace::NonSecure => self.non_secure,
            PhysicalAddressSpace::Root => self.root,
            PhysicalAddressSpace::Realm => self.realm,
        }
    }
}

macro_rules! regimes {
    ($(
        $(#[$doc:meta])*
        $name:ident: $text:literal, unprivileged $unprivileged:literal, own $own:ident,
        pas { secure $secure:expr, non_secure $non_secure:expr, root $root:expr, realm $realm:expr },
        leaf $leaf_local:ident $leaf_shared:ident, walk $walk_local:ident $walk_shared:ident;
    )*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum $name {}

        impl sealed::Sealed for $name {}

        impl Regime for $name {
            const NAME: &'static str = $text;
            const UNPRIVILEGED: bool = $unprivileged;
            const OWN_PAS: PhysicalAddressSpace = PhysicalAddressSpace::$own;
            const PAS_BITS: PasBits =
                PasBits { secure: $secure, non_secure: $non_secure, root: $root, realm: $realm };

            fn invalidate_leaf_local(operand: u64) {
                tlbi::$leaf_local(operand);
            }

            fn invalidate_leaf_shared(operand: u64) {
                tlbi::$leaf_shared(operand);
            }

            fn invalidate_walk_local(operand: u64) {
                tlbi::$walk_local(operand);
            }

            fn invalidate_walk_shared(operand: u64) {
                tlbi::$walk_shared(operand);
            }
        }
    )*};
}

regimes! {
    /// EL1&0 of the Realm state. Stage 1 selects no PAS there (stage 2 does). TLB maintenance from
    /// EL2 is for the current VMID.
    El1And0: "EL1&0", unprivileged true, own Realm,
        pas { secure None, non_secure None, root None, realm Some(0) },
        leaf vale1 vale1is, walk vae1 vae1is;
    /// EL2 without VHE (HCR_EL2.E2H = 0), Realm state.
    El2: "EL2", unprivileged false, own Realm,
        pas { secure None, non_secure Some(NS), root None, realm Some(0) },
        leaf vale2 vale2is, walk vae2 vae2is;
    /// EL2&0 (HCR_EL2.E2H = 1), Realm state: the RMM's own.
    El2And0: "EL2&0", unprivileged true, own Realm,
        pas { secure None, non_secure Some(NS), root None, realm Some(0) },
        leaf vale2 vale2is, walk vae2 vae2is;
    /// EL3, Root state. Its TLB instructions exist at EL3 only: elsewhere keep its contexts at
    /// `Maintenance::None`.
    El3: "EL3", unprivileged false, own Root,
        pas { secure Some(0), non_secure Some(NS), root Some(NSE), realm Some(NSE | NS) },
        leaf vale3 vale3is, walk vae3 vae3is;
}
