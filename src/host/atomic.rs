// SPDX-License-Identifier: BSD-3-Clause
//! The atomic types behind the seam, which can tell which words a CPU touched.
//!
//! What CPUs share in the RMM is behind shared references, so that nothing but an atomic can write
//! to it: to know the atomic accesses of a call is to know every cache line that it can take away
//! from another CPU. Granule locks, the state of the RMM as a whole and the memory of Realms use
//! these. Translation tables use the core library's: [`record`](super::record) has their events.

use core::sync::atomic::Ordering;
use std::cell::RefCell;

/// One access to an atomic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Where it is, on the host.
    pub address: usize,
    /// Whether it may change.
    pub write: bool,
}

thread_local! {
    static ACCESSES: RefCell<Option<Vec<Access>>> = const { RefCell::new(None) };
}

/// Runs `body` and gives back its result with every access of this thread to an atomic, in order.
pub fn record<R>(body: impl FnOnce() -> R) -> (R, Vec<Access>) {
    ACCESSES.set(Some(Vec::new()));
    let result = body();
    (result, ACCESSES.take().unwrap_or_default())
}

fn accessed<T>(atomic: &T, write: bool) {
    super::reached(super::Point::Access);
    ACCESSES.with_borrow_mut(|accesses| {
        if let Some(accesses) = accesses {
            accesses.push(Access { address: core::ptr::from_ref(atomic).addr(), write });
        }
    });
}

/// Defines an atomic type by that of the core library, and the operations on it that change it.
macro_rules! atomic {
    ($name:ident, $value:ty, $($change:ident),*) => {
        #[doc = concat!("The core library's `", stringify!($name), "`, recorded.")]
        #[derive(Debug, Default)]
        #[repr(transparent)]
        pub struct $name(core::sync::atomic::$name);

        #[allow(missing_docs)]
        impl $name {
            pub const fn new(value: $value) -> Self {
                Self(core::sync::atomic::$name::new(value))
            }

            pub fn get_mut(&mut self) -> &mut $value {
                self.0.get_mut()
            }

            pub fn load(&self, order: Ordering) -> $value {
                accessed(self, false);
                self.0.load(order)
            }

            pub fn store(&self, value: $value, order: Ordering) {
                accessed(self, true);
                self.0.store(value, order)
            }

            pub fn compare_exchange(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                accessed(self, true);
                self.0.compare_exchange(current, new, success, failure)
            }

            pub fn fetch_update(
                &self,
                success: Ordering,
                failure: Ordering,
                change: impl FnMut($value) -> Option<$value>,
            ) -> Result<$value, $value> {
                accessed(self, true);
                self.0.fetch_update(success, failure, change)
            }

            $(pub fn $change(&self, value: $value, order: Ordering) -> $value {
                accessed(self, true);
                self.0.$change(value, order)
            })*
        }
    };
}

atomic!(AtomicBool, bool, swap);
atomic!(AtomicU16, u16, fetch_add, fetch_and, fetch_or, fetch_xor);
atomic!(AtomicU64, u64, fetch_add, swap);
atomic!(AtomicUsize, usize, fetch_add, fetch_max, fetch_or, fetch_sub, swap);
