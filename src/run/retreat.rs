// SPDX-License-Identifier: BSD-3-Clause
//! Abandoning a run: a call of the Realm waits for a lock whose holder, another CPU, has died.
//!
//! The wait ends in an exception, and the code on the stack never continues. But the Realm's
//! registers are in the CPU: the host's are restored before the host gets its answer.

use super::lent::{Lent, take_out};
use super::world::HostRegisters;
use crate::arch::{barrier, wait};
use crate::mem::high_va::STACK;
use crate::realm::rec::RecState;
use crate::realm::rec::gic::GicFeatures;

/// The arguments of [`take_out`], kept for an abandoned run. What they point to outlives this.
pub(super) struct Retreat {
    state: *mut RecState,
    lent: *mut Lent<'static, 'static>,
    host: *const HostRegisters<'static>,
}

/// The word of this CPU's stack that `entry.S` leaves free. It holds the address of a [`Retreat`],
/// valid while HCR_EL2 is a Realm's.
const PLACE: u64 = STACK.top - 8;

impl Retreat {
    /// From the arguments of [`take_out`].
    pub(super) fn new(
        state: &mut RecState,
        lent: &mut Lent<'_, '_>,
        host: &HostRegisters<'_>,
    ) -> Self {
        Self {
            state,
            lent: core::ptr::from_mut(lent).cast(),
            host: core::ptr::from_ref(host).cast(),
        }
    }

    /// Makes this the `Retreat` of the run that begins now.
    pub(super) fn prepare(&mut self) {
        barrier::expose(self);
        #[cfg(target_os = "none")]
        // SAFETY: the word is mapped, and nothing else uses it.
        unsafe {
            let place = core::ptr::with_exposed_provenance_mut(crate::address::native(PLACE));
            core::ptr::write_volatile(place, core::ptr::from_mut(self).expose_provenance());
        }
    }
}

/// PC and X0 of a CPU that abandons its call while a Realm's registers are loaded.
pub fn begin() -> [u64; 2] {
    let place = core::ptr::with_exposed_provenance::<u64>(crate::address::native(PLACE));
    // SAFETY: `prepare` has written the word before this CPU had any register of a Realm.
    let run = unsafe { place.read_volatile() };
    [(retreat as *const ()).expose_provenance() as u64, run]
}

/// Restores the host's registers, then gives up again, as a call without a Realm does.
extern "C" fn retreat(run: &mut Retreat) -> ! {
    // SAFETY: what they point to is on the stack below, or the REC's, which only this CPU uses.
    // The code that had references to it never runs again; it called `barrier::expose` before it
    // waited.
    let (state, lent, host) = unsafe { (&mut *run.state, &mut *run.lent, &*run.host) };
    take_out(state, GicFeatures::read(), lent, host);
    wait::give_up()
}
