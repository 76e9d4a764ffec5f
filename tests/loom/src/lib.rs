// SPDX-License-Identifier: BSD-3-Clause
//! Runs the granule lock, with the firmware's source, in every interleaving.
//!
//! `arch` and `cpu` replace the firmware's modules of those names, for three CPUs. `build.rs` makes
//! the copies of the lock.

#![cfg_attr(not(test), allow(dead_code))]

mod models;

/// The firmware's `arch`, as far as the lock uses it.
mod arch {
    pub mod atomic {
        pub use loom::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
    }

    pub mod wait {
        use super::atomic::{AtomicBool, AtomicUsize, Ordering};

        /// The number of polls after which a wait is no longer varied. Otherwise two waiting CPUs
        /// could poll alternately forever, and the tree of interleavings would be infinite. From
        /// then on the run is completed in a single way, in which every CPU gets its turn.
        const LOOKS: usize = 4;

        /// More polls than a wait needs that some CPU ends.
        const LOST: usize = 100;

        pub fn until_equal(word: &AtomicUsize, value: usize, _: &AtomicBool) {
            wait(word, value, Ordering::Acquire);
        }

        pub fn until_equal_relaxed(word: &AtomicUsize, value: usize, _: &AtomicBool) {
            wait(word, value, Ordering::Relaxed);
        }

        fn wait(word: &AtomicUsize, value: usize, ordering: Ordering) {
            // No other CPU has run since the waiter's last atomic access.
            crate::models::arrived(word);
            let mut looks = 0;
            while word.load(ordering) != value {
                looks += 1;
                if looks == LOOKS {
                    loom::skip_branch();
                }
                assert!(looks < LOST, "a CPU waits and nobody wakes it");
                loom::thread::yield_now();
            }
        }
    }
}

/// The firmware's `cpu`, with three of them.
mod cpu {
    pub const MAX_CPUS: usize = 3;

    #[derive(Clone, Copy, Debug)]
    pub struct CpuIndex(pub usize);

    impl CpuIndex {
        pub const fn get(self) -> usize {
            self.0
        }
    }
}
