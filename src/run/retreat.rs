// SPDX-License-Identifier: BSD-3-Clause
//! How a CPU leaves a REC whose call waits for a lock that is never released, because the CPU that
//! holds it has died.
//!
//! The wait ends in an exception, and nothing on the stack goes on. But the registers of the Realm
//! are in the CPU: they come out, and the host's go in, before the host is answered.

use super::lent::{Lent, take_out};
use super::world::HostRegisters;
use crate::arch::{barrier, wait};
use crate::mem::high_va::STACK;
use crate::realm::rec::RecState;
use crate::realm::rec::gic::GicFeatures;

/// What takes the registers of a Realm out of this CPU: parts of a run, which outlive it.
pub(super) struct Retreat {
    state: *mut RecState,
    lent: *mut Lent<'static, 'static>,
    host: *const HostRegisters<'static>,
}

/// Where the address of a [`Retreat`] is: the word of this CPU's stack that `entry.S` leaves free.
/// It is valid while HCR_EL2 is a Realm's.
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

    /// Is the way out from here on.
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

/// Where a CPU goes on that gives up its call while the registers of a Realm are in it, and X0.
pub fn begin() -> [u64; 2] {
    let place = core::ptr::with_exposed_provenance::<u64>(crate::address::native(PLACE));
    // SAFETY: `prepare` has written the word before this CPU had any register of a Realm.
    let run = unsafe { place.read_volatile() };
    [(retreat as *const ()).expose_provenance() as u64, run]
}

/// Gives the host its registers back, then gives up again.
extern "C" fn retreat(run: &mut Retreat) -> ! {
    // SAFETY: what they point to is on the stack below, or the REC's, which only this CPU uses.
    // The code that had references to it never runs again; it called `barrier::expose` before it
    // waited.
    let (state, lent, host) = unsafe { (&mut *run.state, &mut *run.lent, &*run.host) };
    take_out(state, GicFeatures::read(), lent, host);
    wait::give_up()
}
