// SPDX-License-Identifier: BSD-3-Clause
//! The states of a granule and the one table of its legal transitions.
//!
//! Each state is a value ([`State`], as the granule's word holds it) and a type, so that a guard
//! can prove it. What a granule may contain:
//!
//! - Delegated: anything, of the host or of a former user. It is never mapped for a Realm.
//!   Its memory has answered before: see [`Unproven`].
//! - Every later state begins with a granule that is [`Wiped`], zeroed under the same lock; so
//!   nothing of a former user reaches the next one.
//! - A granule goes back to the host only if it is [`Wiped`]; so nothing of the Realm world reaches
//!   the host.
//!
//! Hence a granule is zeroed once between two users, when the next one takes it. One that cannot be
//! zeroed, since its memory does not answer any more, is [`Lost`].
//!
//! A transition that the table does not list does not compile. Content that was not wiped cannot go
//! back to the host:
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
//! A granule cannot be locked as one that is wiped already:
//!
//! ```compile_fail,E0277
//! # use rmm::{cpu::CpuIndex, granule::{GranuleAddress, GranuleTable, state::Wiped}};
//! fn assume(table: &GranuleTable<'_>, cpu: CpuIndex, granule: GranuleAddress) {
//!     let _wiped = table.lock::<Wiped>(cpu, granule);
//! }
//! ```
//!
//! A transition consumes the guard, so that nothing acts on the old state:
//!
//! ```compile_fail,E0382
//! # use rmm::granule::{LockedGranule, state::{Data, Delegated}};
//! fn twice(granule: LockedGranule<'_, Data>) {
//!     let delegated: LockedGranule<'_, Delegated> = granule.transition();
//!     let again: LockedGranule<'_, Delegated> = granule.transition();
//! }
//! ```

use super::lock::MAX_COUNT;
use super::lock_order::Rank;

/// What a granule is used for (RMM spec 1.0 (DEN0137), granule states; the numbers are ours).
///
/// 8 is [`Ns`](Self::Ns) as well: see [`from_number`](Self::from_number). 10 to 15 are free for
/// later versions of the ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum State {
    /// Not delegated: memory of the host, of EL3 or of the Secure world. The specification calls it
    /// UNDELEGATED.
    Ns = 0,
    /// In Realm PAS, not in use.
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
    /// Granule of a REC that is not created or destroyed yet (RMI 2.0). Nobody maps it.
    Partial = 7,
    /// In Realm PAS for good: its memory has stopped answering. No command takes it.
    Lost = 9,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 9] = [
        Self::Ns,
        Self::Delegated,
        Self::Rd,
        Self::Rec,
        Self::RecAux,
        Self::Data,
        Self::Rtt,
        Self::Partial,
        Self::Lost,
    ];

    /// The place of granules in this state in the lock order.
    pub const fn rank(self) -> Rank {
        match self {
            Self::Ns | Self::Delegated | Self::Rd | Self::Rec | Self::Partial | Self::Lost => {
                Rank::External
            }
            Self::RecAux | Self::Data | Self::Rtt => Rank::Internal,
        }
    }

    /// The state with this number in a granule's word; `None` if there is none.
    ///
    /// Two numbers are [`Ns`](Self::Ns): 0 while the granule's memory has yet to answer
    /// ([`Unproven`]), and 8 from then on.
    pub fn from_number(number: u16) -> Option<Self> {
        if number == u16::from(Ns::NUMBER) {
            return Some(Self::Ns);
        }
        Self::ALL.into_iter().find(|state| *state as u16 == number)
    }
}

mod sealed {
    pub trait Sealed {}
}

/// A state as a type: what a guard proves of its granule.
pub trait GranuleState: sealed::Sealed {
    /// The state in the granule's word.
    const STATE: State;
    /// Its number in the granule's word.
    const NUMBER: u8 = Self::STATE as u8;
    /// The most references that a granule known by this type may have.
    const MAX_REFERENCES: u16;
}

/// A state that [`lock`](super::GranuleTable::lock) can expect of a granule.
pub trait Lockable: GranuleState {}

/// A state in which the RMM may map the granule.
///
/// Not [`Ns`], which is not Realm memory, and not [`Wiped`], which a write would make untrue.
pub trait Mappable: GranuleState {
    /// The state that determines the content: `S` for [`Unused<S>`].
    type ContentState: GranuleState;
}

/// A state in which the content of a granule is only words to the RMM.
pub trait Untyped: Mappable {}

/// The transition of a granule from `Self` to `To` is legal.
pub trait Transition<To: GranuleState>: GranuleState {}

/// A type of state as a value, for tests and pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateType {
    /// The name of the type.
    pub name: &'static str,
    /// [`GranuleState::STATE`].
    pub state: State,
    /// [`GranuleState::MAX_REFERENCES`].
    pub max_references: u16,
}

impl StateType {
    const fn new<S: GranuleState>(name: &'static str) -> Self {
        Self { name, state: S::STATE, max_references: S::MAX_REFERENCES }
    }
}

/// A row of the table of transitions as a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransitionRow {
    /// The type before.
    pub from: StateType,
    /// The type afterwards.
    pub to: StateType,
    /// The commands that make the transition.
    pub by: &'static [&'static str],
}

/// Defines the type of each state, with the most references that it allows.
macro_rules! states {
    ($($(#[$doc:meta])* $name:ident = $state:ident $(as $number:literal)?, at most $limit:expr;)*) => {
        /// Every type defined here.
        pub const TYPES: &[StateType] = &[$(StateType::new::<$name>(stringify!($name))),*];
        $(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub enum $name {}
        impl sealed::Sealed for $name {}
        impl GranuleState for $name {
            const STATE: State = State::$state;
            $(const NUMBER: u8 = $number;)?
            const MAX_REFERENCES: u16 = $limit;
        }
        )*
    };
}

states! {
    /// [`State::Ns`], and its memory is not known to answer: nobody has delegated it yet.
    Unproven = Ns, at most 0;
    /// [`State::Ns`], and its memory has answered.
    Ns = Ns as 8, at most 0;
    /// [`State::Delegated`], with unknown content.
    Delegated = Delegated, at most 0;
    /// [`State::Delegated`], zeroed since it was locked.
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
    /// [`State::Partial`].
    Partial = Partial, at most 0;
    /// [`State::Lost`].
    Lost = Lost, at most 0;
}

/// State `S` without references: the granule may be taken out of use.
#[derive(Clone, Copy, Debug)]
pub struct Unused<S>(core::marker::PhantomData<S>);
impl<S> sealed::Sealed for Unused<S> {}
impl<S: GranuleState> GranuleState for Unused<S> {
    const STATE: State = S::STATE;
    const NUMBER: u8 = S::NUMBER;
    const MAX_REFERENCES: u16 = 0;
}

/// Lists the types that can be expected of a granule about to be locked.
macro_rules! lockable {
    ($($name:ty),*) => {$(impl Lockable for $name {})*};
}
// Not `Wiped`, which only the holder of the lock knows; `lock_ns` locks a Non-secure granule,
// proven or not, and nothing a `Lost` one.
lockable!(Unproven, Delegated, Rd, Rec, RecAux, Data, Rtt, Partial);
impl<S: Lockable> Lockable for Unused<S> {}

/// Lists the states in which granules may be mapped, and those whose content is words.
macro_rules! mappable {
    ($($name:ty),*; words: $($words:ty),*) => {
        $(impl Mappable for $name {
            type ContentState = Self;
        })*
        $(impl Untyped for $words {})*
    };
}
mappable!(Delegated, Rd, Rec, Data, Rtt; words: Data);
impl<S: Mappable> Mappable for Unused<S> {
    type ContentState = S::ContentState;
}

/// Lists the legal transitions, and the RMI commands that make each.
macro_rules! transitions {
    ($($from:ty => $to:ty, by $($command:literal)*;)*) => {
        /// Every legal transition.
        pub const TRANSITIONS: &[TransitionRow] = &[$(TransitionRow {
            from: StateType::new::<$from>(stringify!($from)),
            to: StateType::new::<$to>(stringify!($to)),
            by: &[$($command),*],
        }),*];
        $(
            #[doc = concat!("By", $(" RMI_", $command),*, ".")]
            impl Transition<$to> for $from {}
        )*
    };
}
transitions! {
    // Its memory has answered.
    Unproven => Ns, by "GRANULE_DELEGATE" "GRANULE_RANGE_DELEGATE";
    // EL3 has moved it to Realm PAS. The host's content stays until the granule is used.
    Ns => Delegated, by "GRANULE_DELEGATE" "GRANULE_RANGE_DELEGATE";
    // EL3 has moved it to Non-secure PAS.
    Wiped => Ns, by "GRANULE_UNDELEGATE" "GRANULE_RANGE_UNDELEGATE";
    // Its memory did not answer when it was to be wiped.
    Delegated => Lost, by "GRANULE_UNDELEGATE" "GRANULE_RANGE_UNDELEGATE" "REALM_CREATE"
        "REC_CREATE" "REC_DESTROY" "RTT_CREATE" "DATA_CREATE" "DATA_CREATE_UNKNOWN"
        "RTT_DATA_MAP_INIT" "RTT_DATA_MAP" "OP_MEM_DONATE" "OP_CONTINUE";
    // Into use.
    Wiped => Rd, by "REALM_CREATE";
    Wiped => Rec, by "REC_CREATE";
    Wiped => RecAux, by "REC_CREATE" "OP_MEM_DONATE";
    Wiped => Data, by "DATA_CREATE" "DATA_CREATE_UNKNOWN" "RTT_DATA_MAP_INIT" "RTT_DATA_MAP";
    Wiped => Rtt, by "REALM_CREATE" "RTT_CREATE";
    // A REC in the making (RMI 2.0). It is wiped when it becomes a REC.
    Delegated => Partial, by "REC_CREATE";
    Wiped => Partial, by "REC_DESTROY";
    Partial => Delegated, by "OP_CONTINUE" "OP_CANCEL";
    // Out of use: without references. REC and REC aux are wiped at once, and an RD is rid of what
    // the host has not chosen; the others are wiped at the next use.
    Unused<Rd> => Delegated, by "REALM_DESTROY";
    Unused<Rec> => Delegated, by "REC_DESTROY";
    RecAux => Delegated, by "REC_DESTROY" "OP_MEM_RECLAIM";
    Data => Delegated, by "DATA_DESTROY" "RTT_DATA_UNMAP";
    Unused<Rtt> => Delegated, by "REALM_DESTROY" "RTT_DESTROY" "RTT_FOLD";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_a_new_owner_but_a_wiped_granule() {
        for TransitionRow { from, to, .. } in TRANSITIONS {
            // Neither is mapped for anyone.
            let unseen = ["Delegated", "Partial", "Lost"].contains(&to.name);
            // It stays the host's.
            let stays = from.name == "Unproven" && to.name == "Ns";
            assert!(from.name == "Wiped" || unseen || stays, "{} to {}", from.name, to.name);
        }
    }

    #[test]
    fn nothing_is_delegated_but_what_has_answered() {
        let into = |name| TRANSITIONS.iter().filter(move |row| row.to.name == name);
        assert!(into("Unproven").next().is_none());
        assert!(
            into("Delegated").all(|row| row.from.name == "Ns" || row.from.state != State::Ns),
            "memory that has not answered"
        );
    }

    #[test]
    fn numbers_and_states_belong_together() {
        for number in 0..16 {
            let state = State::from_number(number);
            assert_eq!(state == Some(State::Ns), number & 7 == 0, "{number}");
            assert!(state.is_none_or(|state| state == State::Ns || state as u16 == number));
        }
    }

    #[test]
    fn every_state_but_lost_can_be_entered_and_left_and_is_left_without_references() {
        assert!(TRANSITIONS.iter().all(|row| row.from.state != State::Lost));
        for state in State::ALL.into_iter().filter(|state| *state != State::Lost) {
            assert!(TRANSITIONS.iter().any(|row| row.to.state == state), "into {state:?}");
            let mut ways_out = TRANSITIONS.iter().filter(|row| row.from.state == state).peekable();
            assert!(ways_out.peek().is_some(), "out of {state:?}");
            assert!(
                ways_out.all(|row| row.from.max_references == 0),
                "{state:?} while it is referred to"
            );
        }
    }
}
