// SPDX-License-Identifier: BSD-3-Clause
//! The Realm Descriptor: the RMM's data about a Realm, in a granule in state RD.
//!
//! It is read and written under the lock of that granule. The granule's references count the RECs.

use sha2::{Digest, Sha256};
use tock_registers::interfaces::Readable;
use zerocopy::IntoBytes;

use super::epoch;
use super::features::RealmFeatures;
use super::measurement::{InitialMeasurement, MEASUREMENT_SLOTS, Measurement, extend};
use super::parameters::RealmParameters;
use super::stage2::Stage2;
use crate::address::{GRANULE_SHIFT, PhysAddr};
use crate::arch::random::random;
use crate::arch::speculation::bounded;
use crate::arch::sysreg::el1::CNTPCT_EL0;
use crate::granule::state::Rd;
use crate::granule::{Epochs, GranuleAddress, LockedGranule};
use crate::mem::{Content, Slot};

/// RECs that a Realm may have: 2^[`MAX_RECS_ORDER`] - 1.
pub const MAX_RECS: u16 = (1 << MAX_RECS_ORDER) - 1;
/// MAX_RECS_ORDER of feature register 0, in RMI 2.0 of register 1. Each REC has a reference to its
/// RD. References are counted in ten bits, and commands in progress have some, too.
pub const MAX_RECS_ORDER: u32 = 9;

/// The state of a Realm (RMM specification 1.0, Realm life cycle).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum RealmState {
    /// Being built and measured. It cannot run.
    New = 0,
    /// It can run.
    Active = 1,
    /// The Realm has switched itself off. It never runs again.
    SystemOff = 2,
    /// The host terminated it (RMI 2.0). It never runs again.
    Zombie = 3,
}

/// The address of a granule without its low bits, which are 0: 40 bits for 52 bits of address.
type PageNumber = [u8; 5];
static_assertions::const_assert!(size_of::<RealmDescriptor>() <= 4096);

/// A Realm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RealmDescriptor {
    state: RealmState,
    /// The index of the next REC: how many have been created, destroyed ones included.
    pub next_rec: u16,
    /// The granules at which RECs were created, by index.
    recs: [PageNumber; MAX_RECS as usize],
    /// The Realm Initial Measurement.
    pub initial_measurement: InitialMeasurement,
    /// The Realm Extensible Measurements.
    pub extensible_measurements: [Measurement; MEASUREMENT_SLOTS - 1],
    /// Its stage-2 translation.
    pub stage2: Stage2,
    /// The Realm Personalization Value.
    pub personalization: [u64; 8],
    /// The optional features that its RECs have.
    pub features: RealmFeatures,
    /// The instance identity, unique to this Realm; zero until its first use.
    instance: [u8; 32],
}

// SAFETY: zero is a value of each field; no other type is the content of an RD.
unsafe impl Content for RealmDescriptor {
    type State = Rd;
}

impl RealmDescriptor {
    /// The stage 2 of the Realm whose RD is locked.
    #[inline(always)]
    pub fn stage2_of(slot: &mut Slot, rd: &LockedGranule<'_, Rd>) -> Stage2 {
        slot.with(rd, |descriptor: &Self| descriptor.stage2)
    }

    /// The instance identity, unique to this Realm, computed at its first use. It is a hash of
    /// random numbers if the CPU has FEAT_RNG, of the counter, and of values that differ from those
    /// of every other Realm that exists now.
    pub fn instance(&mut self) -> [u8; 32] {
        if self.instance == [0; 32] {
            let random = core::array::from_fn::<_, 4, _>(|_| random().unwrap_or(0));
            let digest = Sha256::new()
                .chain_update(random.as_bytes())
                .chain_update(CNTPCT_EL0.get().to_le_bytes())
                .chain_update(self.stage2.vttbr().to_le_bytes())
                .chain_update(self.initial_measurement.value().as_bytes());
            self.instance = digest.finalize().into();
        }
        self.instance
    }

    /// Initializes a descriptor that is zero for a new Realm with these parameters.
    pub fn init(&mut self, parameters: &RealmParameters) {
        self.initial_measurement = InitialMeasurement::new(&parameters.measured);
        self.stage2 = parameters.stage2;
        self.personalization = parameters.personalization;
        self.features = parameters.features;
    }

    /// Adds a REC, which is at this granule.
    pub fn add_rec(&mut self, rec: GranuleAddress) {
        if let Some(place) = self.recs.get_mut(usize::from(self.next_rec)) {
            let [n0, n1, n2, n3, n4, ..] = (rec.get().get() >> GRANULE_SHIFT).to_le_bytes();
            *place = [n0, n1, n2, n3, n4];
        }
        self.next_rec += 1;
    }

    /// The granule at which the REC with this index was created. The REC may be destroyed since.
    pub fn rec(&self, index: u32) -> Option<GranuleAddress> {
        // Bounded in speculation too: the Realm chooses the index.
        let index = bounded(usize::try_from(index).ok()?, self.next_rec.into());
        let [n0, n1, n2, n3, n4] = *self.recs.get(index)?;
        let number = u64::from_le_bytes([n0, n1, n2, n3, n4, 0, 0, 0]);
        GranuleAddress::new(PhysAddr::new(number << GRANULE_SHIFT))
    }

    /// The measurement with this index: 0 the initial one, from 1 on those that the Realm extends.
    pub fn measurement(&self, index: usize) -> Option<&Measurement> {
        match index.checked_sub(1) {
            None => Some(self.initial_measurement.value()),
            Some(index) => self.extensible_measurements.get(index),
        }
    }

    /// Extends a measurement by `value` (RSI_MEASUREMENT_EXTEND); `None` if there is none with this
    /// index that a Realm extends.
    pub fn extend_measurement(&mut self, index: usize, value: &[u8]) -> Option<()> {
        let measurement = self.extensible_measurements.get_mut(index.checked_sub(1)?)?;
        extend(self.initial_measurement.algorithm(), measurement, value);
        Some(())
    }

    /// Erases measurements and instance identity, before the granule is given up. Everything else
    /// in it was chosen by the host.
    pub fn forget(&mut self) {
        self.initial_measurement.forget();
        self.extensible_measurements = Default::default();
        self.personalization = Default::default();
        self.instance = Default::default();
    }

    /// Its state.
    pub const fn state(&self) -> RealmState {
        self.state
    }

    /// Changes its state. RECs of a Realm that is switched off are not entered again.
    pub fn set_state(&mut self, state: RealmState, epochs: &Epochs) {
        self.state = state;
        if state != RealmState::Active {
            epoch::end(epochs, self.stage2.vmid);
        }
    }
}
