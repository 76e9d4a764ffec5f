// SPDX-License-Identifier: BSD-3-Clause
//! The states of a granule and the one table of its legal transitions.
//!
//! Each state is a value ([`State`], as the granule's word holds it) and a type, so that a guard can prove it. A transition that the table does
//! not list does not compile. What may sit in the content of a granule, and who wipes it when:
//!
//! - Delegated: anything, of the host or of a former user. Never mapped anywhere.
//! - Every later state begins with a granule that is [`Wiped`], zeroed under the same lock; so nothing of a former user reaches the next one.
//! - To Non-secure, too, only by way of [`Wiped`]; so nothing of the Realm world reaches the host.
//!
//! Hence content is zeroed once between two users, not when it is put aside.
//!
//! What the table does not list does not compile. Content that was not wiped cannot go back to the host:
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

/// What a granule is used for (RMM specification 1.0, granule states; numbers are ours). 7 to 15 are kept for later ABI versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum State {
    /// Not in Realm PAS by the RMM's doing: the host's, or EL3's, or the Secure world's. The specification calls it UNDELEGATED.
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

    /// Whether commands expect a granule in this state at an address that the host chooses; all others are found by way of those.
    pub const fn is_named_by_host(self) -> bool {
        matches!(self, Self::Ns | Self::Delegated | Self::Rd | Self::Rec)
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

/// A state in which a granule can be found: those that [`lock`](super::GranuleTable::lock) can expect.
pub trait Lockable: GranuleState {}

/// A state in which a granule is Realm memory that the RMM may map: not [`Ns`], and not [`Wiped`], which writing to it would end.
pub trait Mappable: GranuleState {
    /// The state that says what the content is: for [`Unused<S>`] it is `S`.
    type Content: GranuleState;
}

/// A state in which the content of a granule is nothing but words to the RMM.
pub trait Untyped: Mappable {}

/// That a granule known as `Self` may become one known as `To`.
pub trait Transition<To: GranuleState>: GranuleState {}

/// Defines the type of each state, with the references it may have.
macro_rules! states {
    ($($(#[$doc:meta])* $name:ident = $state:ident, at most $limit:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub enum $name {}
        impl sealed::Sealed for $name {}
        impl GranuleState for $name {
            const STATE: State = State::$state;
            const MAX_REFERENCES: u16 = $limit;
        }
    )*};
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

/// Lists the legal transitions.
macro_rules! transitions {
    ($($from:ty => $to:ty;)*) => {$(impl Transition<$to> for $from {})*};
}
transitions! {
    // RMI_GRANULE_DELEGATE: EL3 has made it Realm PAS. The content is the host's and stays until the granule is used.
    Ns => Delegated;
    // RMI_GRANULE_UNDELEGATE: EL3 has made it Non-secure PAS.
    Wiped => Ns;
    // Into use, by the create commands.
    Wiped => Rd;
    Wiped => Rec;
    Wiped => RecAux;
    Wiped => Data;
    Wiped => Rtt;
    // Out of use, by the destroy and fold commands: unreferenced, content left to whoever takes it next.
    Unused<Rd> => Delegated;
    Unused<Rec> => Delegated;
    RecAux => Delegated;
    Data => Delegated;
    Unused<Rtt> => Delegated;
}
