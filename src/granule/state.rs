// SPDX-License-Identifier: BSD-3-Clause
//! The states of a granule and the one table of its legal transitions.
//!
//! Each state is a value ([`State`], as the granule's word holds it) and a type, so that a guard
//! can prove it. A transition that the table does not list does not compile. What may sit in the
//! content of a granule, and who wipes it when:
//!
//! - Delegated: anything, of the host or of a former user. Never mapped anywhere.
//! - Every later state begins with a granule that is [`Wiped`], zeroed under the same lock; so
//!   nothing of a former user reaches the next one.
//! - To Non-secure, too, only by way of [`Wiped`]; so nothing of the Realm world reaches the host.
//!
//! Hence content is zeroed once between two users, not when it is put aside.
//!
//! What the table does not list does not compile. Content that was not wiped cannot go back to the
//! host:
//!
//! ```compile_fail,E0277
//! # use rmm::granule::{LockedGranule, state::{Delegated, Ns}};
//! fn leak(granule: LockedGranule<'_, Delegated>) -> LockedGranule<'_, Ns> {
//!     granule.transition()
//! }
//! ```
//!
//! A granule cannot go from one use to another, nor out of use while it may be referred to:
//!
//! ```compile_fail,E0277
//! # use rmm::granule::{LockedGranule, state::{Data, Rtt}};
//! fn reuse(granule: LockedGranule<'_, Data>) -> LockedGranule<'_, Rtt> {
//!     granule.transition()
//! }
//! ```
//!
//! ```compile_fail,E0277
//! # use rmm::granule::{LockedGranule, state::{Delegated, Rd}};
//! fn destroy(granule: LockedGranule<'_, Rd>) -> LockedGranule<'_, Delegated> {
//!     granule.transition()
//! }
//! ```
//!
//! That a granule is wiped cannot be assumed when it is locked, and no state can be made up:
//!
//! ```compile_fail,E0277
//! # use rmm::{cpu::CpuIndex, granule::{GranuleAddress, GranuleTable, state::Wiped}};
//! fn assume(table: &GranuleTable<'_>, cpu: CpuIndex, granule: GranuleAddress) {
//!     let _wiped = table.lock::<Wiped>(cpu, granule);
//! }
//! ```
//!
//! A guard is used up by its transition, so that no one acts on the state that was:
//!
//! ```compile_fail,E0382
//! # use rmm::granule::{LockedGranule, state::{Data, Delegated}};
//! fn twice(granule: LockedGranule<'_, Data>) {
//!     let delegated: LockedGranule<'_, Delegated> = granule.transition();
//!     let again: LockedGranule<'_, Delegated> = granule.transition();
//! }
//! ```

use super::lock::MAX_COUNT;
use crate::granule::lock_order::Rank;

/// What a granule is used for (RMM specification 1.0, granule states; numbers are ours). 7 to 15
/// are kept for later ABI versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum State {
    /// Not in Realm PAS by the RMM's doing: the host's, or EL3's, or the Secure world's. The
    /// specification calls it UNDELEGATED.
    Ns = 0,
    /// In Realm PAS, not used.
    Delegated = 1,
    /// Realm Descriptor.
    Rd = 2,
    /// Realm Execution Context.
    Rec = 3,
    /// Auxiliary storage of a REC.
    RecAux = 4,
    /// Memory of a Realm.
    Data = 5,
    /// Realm Translation Table.
    Rtt = 6,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 7] =
        [Self::Ns, Self::Delegated, Self::Rd, Self::Rec, Self::RecAux, Self::Data, Self::Rtt];

    /// Where the locks of granules in this state come in the order of locks.
    pub const fn rank(self) -> Rank {
        match self {
            Self::Ns | Self::Delegated | Self::Rd | Self::Rec => Rank::Named,
            Self::RecAux | Self::Data | Self::Rtt => Rank::Found,
        }
    }

    /// The state with this number; `None` for those not in use.
    pub(super) fn from_number(number: u16) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

mod sealed {
    pub trait Sealed {}
}

/// A state as a type: what the holder of a guard knows of its granule.
pub trait GranuleState: sealed::Sealed {
    /// The state in the granule's word.
    const STATE: State;
    /// The most references that a granule in this state, as known by this type, may have.
    const MAX_REFERENCES: u16;
}

/// A state in which a granule can be found: those that [`lock`](super::GranuleTable::lock) can
/// expect.
pub trait Lockable: GranuleState {}

/// A state in which a granule is Realm memory that the RMM may map: not [`Ns`], and not [`Wiped`],
/// which writing to it would end.
pub trait Mappable: GranuleState {
    /// The state that says what the content is: for [`Unused<S>`] it is `S`.
    type Content: GranuleState;
}

/// A state in which the content of a granule is nothing but words to the RMM.
pub trait Untyped: Mappable {}

/// That a granule known as `Self` may become one known as `To`.
pub trait Transition<To: GranuleState>: GranuleState {}

/// One of the types, as a value: for those who look at all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// The name of the type.
    pub name: &'static str,
    /// [`GranuleState::STATE`].
    pub state: State,
    /// [`GranuleState::MAX_REFERENCES`].
    pub max_references: u16,
}

impl Known {
    const fn new<S: GranuleState>(name: &'static str) -> Self {
        Self { name, state: S::STATE, max_references: S::MAX_REFERENCES }
    }
}

/// A line of the table of transitions, as a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// What the granule is known as before.
    pub from: Known,
    /// What it is known as afterwards.
    pub to: Known,
    /// The commands that do it.
    pub by: &'static [&'static str],
}

/// Defines the type of each state, with the references it may have.
macro_rules! states {
    ($($(#[$doc:meta])* $name:ident = $state:ident, at most $limit:expr;)*) => {
        /// Every type that is defined here.
        pub const TYPES: &[Known] = &[$(Known::new::<$name>(stringify!($name))),*];
        $(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub enum $name {}
        impl sealed::Sealed for $name {}
        impl GranuleState for $name {
            const STATE: State = State::$state;
            const MAX_REFERENCES: u16 = $limit;
        }
        )*
    };
}

states! {
    /// [`State::Ns`].
    Ns = Ns, at most 0;
    /// [`State::Delegated`], with unknown content.
    Delegated = Delegated, at most 0;
    /// [`State::Delegated`], and zeroed since it was locked.
    Wiped = Delegated, at most 0;
    /// [`State::Rd`]; referred to by the RECs of its Realm.
    Rd = Rd, at most MAX_COUNT;
    /// [`State::Rec`]; referred to while it runs.
    Rec = Rec, at most 1;
    /// [`State::RecAux`].
    RecAux = RecAux, at most 0;
    /// [`State::Data`].
    Data = Data, at most 0;
    /// [`State::Rtt`]; one reference for each live entry.
    Rtt = Rtt, at most 512;
}

/// State `S` without references: what may be taken out of use.
#[derive(Clone, Copy, Debug)]
pub struct Unused<S>(core::marker::PhantomData<S>);
impl<S> sealed::Sealed for Unused<S> {}
impl<S: GranuleState> GranuleState for Unused<S> {
    const STATE: State = S::STATE;
    const MAX_REFERENCES: u16 = 0;
}

/// Lists which types can be expected of a granule that is about to be locked.
macro_rules! lockable {
    ($($name:ty),*) => {$(impl Lockable for $name {})*};
}
// Not `Wiped`: that is known only of a granule wiped under the lock that still holds it.
lockable!(Ns, Delegated, Rd, Rec, RecAux, Data, Rtt);
impl<S: Lockable> Lockable for Unused<S> {}

/// Lists which granules may be mapped, and which of them are words.
macro_rules! mappable {
    ($($name:ty),*; words: $($words:ty),*) => {
        $(impl Mappable for $name {
            type Content = Self;
        })*
        $(impl Untyped for $words {})*
    };
}
mappable!(Delegated, Rd, Rec, RecAux, Data, Rtt; words: RecAux, Data);
impl<S: Mappable> Mappable for Unused<S> {
    type Content = S::Content;
}

/// Lists the legal transitions, and the RMI commands that make each.
macro_rules! transitions {
    ($($from:ty => $to:ty, by $($command:literal)*;)*) => {
        /// Every legal transition.
        pub const TRANSITIONS: &[Step] = &[$(Step {
            from: Known::new::<$from>(stringify!($from)),
            to: Known::new::<$to>(stringify!($to)),
            by: &[$($command),*],
        }),*];
        $(
            #[doc = concat!("By", $(" RMI_", $command),*, ".")]
            impl Transition<$to> for $from {}
        )*
    };
}
transitions! {
    // EL3 has made it Realm PAS. The content is the host's and stays until the granule is used.
    Ns => Delegated, by "GRANULE_DELEGATE" "GRANULE_RANGE_DELEGATE";
    // EL3 has made it Non-secure PAS.
    Wiped => Ns, by "GRANULE_UNDELEGATE" "GRANULE_RANGE_UNDELEGATE";
    // Into use.
    Wiped => Rd, by "REALM_CREATE";
    Wiped => Rec, by "REC_CREATE";
    Wiped => RecAux, by "REC_CREATE";
    Wiped => Data, by "DATA_CREATE" "DATA_CREATE_UNKNOWN";
    Wiped => Rtt, by "REALM_CREATE" "RTT_CREATE";
    // Out of use: unreferenced, content left to whoever takes it next.
    Unused<Rd> => Delegated, by "REALM_DESTROY";
    Unused<Rec> => Delegated, by "REC_DESTROY";
    RecAux => Delegated, by "REC_DESTROY";
    Data => Delegated, by "DATA_DESTROY";
    Unused<Rtt> => Delegated, by "REALM_DESTROY" "RTT_DESTROY" "RTT_FOLD";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_a_new_owner_but_a_wiped_granule() {
        for Step { from, to, .. } in TRANSITIONS {
            assert!(from.name == "Wiped" || to.name == "Delegated", "{} to {}", from.name, to.name);
        }
    }

    #[test]
    fn every_state_can_be_entered_and_left_and_is_left_without_references() {
        for state in State::ALL {
            assert!(TRANSITIONS.iter().any(|step| step.to.state == state), "into {state:?}");
            let mut ways_out =
                TRANSITIONS.iter().filter(|step| step.from.state == state).peekable();
            assert!(ways_out.peek().is_some(), "out of {state:?}");
            assert!(
                ways_out.all(|step| step.from.max_references == 0),
                "{state:?} while it is referred to"
            );
        }
    }
}
