// SPDX-License-Identifier: BSD-3-Clause
//! The granule lock, its source as the firmware has it, in a world where every interleaving is
//! tried.
//!
//! `arch` and `cpu` here stand for the firmware's modules of those names, three CPUs in all.
//! `build.rs` makes the copies of the lock.

#![cfg_attr(not(test), allow(dead_code))]

mod models;

/// The firmware's `arch`, as far as the lock uses it.
mod arch {
    pub mod atomic {
        pub use loom::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
    }

    pub mod wait {
        use super::atomic::{AtomicBool, AtomicUsize, Ordering};

        /// Looks after which a wait is no longer varied. Two CPUs that wait could otherwise take
        /// turns at looking for ever, and the tree of interleavings would have no end; from then on
        /// the run is carried to its end in one way, in which every CPU gets its turn.
        const LOOKS: usize = 4;

        /// Looks that no wait needs which somebody ends.
        const LOST: usize = 100;

        pub fn until_equal(word: &AtomicUsize, value: usize, _: &AtomicBool) {
            wait(word, value, Ordering::Acquire);
        }

        pub fn until_equal_relaxed(word: &AtomicUsize, value: usize, _: &AtomicBool) {
            wait(word, value, Ordering::Relaxed);
        }

        fn wait(word: &AtomicUsize, value: usize, ordering: Ordering) {
            // No other CPU has run since the waiter's last atomic.
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
