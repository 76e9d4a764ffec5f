// SPDX-License-Identifier: BSD-3-Clause
//! The model machine: physical memory, and EL3, which decides which world may access each granule.
//!
//! The threads that act as its CPUs share it. An access that the Granule Protection Table forbids
//! faults as on the real machine. The host, and the RMM when it accesses Non-secure memory, recover
//! from the fault; for any other access of the RMM the test fails.

use core::sync::atomic::{AtomicU64, Ordering};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use crate::el3::{El3, Pas};
use crate::memory::Memory;
use rmm::arch::window::Aborted;
use rmm::host::{PhysicalMemory, set_memory, set_monitor};

/// A machine.
#[derive(Debug)]
pub struct Machine {
    /// Its memory.
    pub memory: Memory,
    /// Its EL3.
    pub el3: El3,
    /// The number of words of Non-secure memory that the RMM can still access before the host takes
    /// the granule away, plus one. 0 means that the host never does.
    words_left: AtomicU64,
    /// What the host still has to write while the RMM accesses Non-secure memory.
    writes: Mutex<Option<Writes>>,
}

/// Words that the host writes, by address, after the RMM has accessed `after` more words of
/// Non-secure memory.
#[derive(Debug)]
struct Writes {
    after: u64,
    words: Vec<(u64, u64)>,
}

impl Machine {
    /// A machine with this memory and EL3.
    pub fn new(memory: Memory, el3: El3) -> Arc<Self> {
        Arc::new(Self { memory, el3, words_left: AtomicU64::new(0), writes: Mutex::new(None) })
    }

    /// A machine with the given DRAM, base and size, all Non-secure.
    pub fn with_dram(dram: &[(u64, u64)]) -> Arc<Self> {
        let ranges: Vec<_> =
            dram.iter().map(|&(base, size)| (base, size, Pas::NonSecure)).collect();
        Self::new(Memory::new(dram), El3::new(&ranges))
    }

    /// Makes the host delegate the granule that the RMM accesses as Non-secure memory, after
    /// `words` more words.
    pub fn take_away_after(&self, words: u64) {
        self.words_left.store(words + 1, Ordering::SeqCst);
    }

    /// Makes the host write words, by address, after the RMM has accessed `words` more words of
    /// Non-secure memory.
    pub fn write_after(&self, words: u64, writes: Vec<(u64, u64)>) {
        *self.writes.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Writes { after: words, words: writes });
    }

    /// The RMM is about to access the word at `address` as Non-secure memory.
    fn before_ns_access(&self, address: u64) {
        let mut writes = self.writes.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *writes {
            Some(Writes { after: 0, words }) => {
                for (address, value) in core::mem::take(words) {
                    // If the granule is no longer the host's, the fault is the host's own.
                    let _fault = self.ns_write(address, value);
                }
                *writes = None;
            }
            Some(Writes { after, .. }) => *after -= 1,
            None => {}
        }
        drop(writes);
        let left = self.words_left.load(Ordering::SeqCst);
        if left != 0 {
            self.words_left.store(left - 1, Ordering::SeqCst);
        }
        if left == 1 {
            self.el3.set_pas(address, Pas::Realm);
        }
    }

    /// Reads the word at `address` from the Non-secure world.
    ///
    /// # Errors
    ///
    /// [`Aborted`] if the granule belongs to another world, or there is no memory.
    pub fn ns_read(&self, address: u64) -> Result<u64, Aborted> {
        self.ns_access(address, |word| word.load(Ordering::Relaxed))
    }

    /// Writes the word at `address` from the Non-secure world.
    ///
    /// # Errors
    ///
    /// [`Aborted`] if the granule belongs to another world, or there is no memory.
    pub fn ns_write(&self, address: u64, value: u64) -> Result<(), Aborted> {
        self.ns_access(address, |word| word.store(value, Ordering::Relaxed))
    }

    fn ns_access<R>(
        &self,
        address: u64,
        access: impl FnOnce(&AtomicU64) -> R,
    ) -> Result<R, Aborted> {
        self.el3.access(address, |pas| match (pas, self.memory.word(address)) {
            (Pas::NonSecure | Pas::Any, Some(word)) if self.memory.answers(address) => {
                Ok(access(word))
            }
            _ => Err(Aborted),
        })
    }
}

/// The machine as one CPU accesses it.
struct View(Arc<Machine>);

impl View {
    /// The words of a granule that the RMM has mapped as Realm memory. `None` without memory there.
    fn realm_words(&self, granule: u64) -> Option<&[AtomicU64]> {
        assert_eq!(
            self.0.el3.pas(granule),
            Pas::Realm,
            "the RMM maps {granule:#x}, which is not Realm memory"
        );
        self.0.memory.granule(granule).filter(|_| self.0.memory.answers(granule))
    }
}

impl PhysicalMemory for View {
    fn realm_granule(&self, granule: u64) -> *mut u64 {
        let words = self.realm_words(granule).expect("the RMM uses memory that there is");
        words.as_ptr().cast_mut().cast()
    }

    fn zero_granule(&self, granule: u64) -> Result<(), Aborted> {
        let words = self.realm_words(granule).ok_or(Aborted)?;
        words.iter().for_each(|word| word.store(0, Ordering::Relaxed));
        Ok(())
    }

    fn ns_read(&self, address: u64, words: &mut [u64]) -> Result<(), Aborted> {
        words.iter_mut().zip((address..).step_by(8)).try_for_each(|(word, address)| {
            self.0.before_ns_access(address);
            *word = self.0.ns_read(address)?;
            Ok(())
        })
    }

    fn ns_write(&self, address: u64, words: &[u64]) -> Result<(), Aborted> {
        words.iter().zip((address..).step_by(8)).try_for_each(|(word, address)| {
            self.0.before_ns_access(address);
            self.0.ns_write(address, *word)
        })
    }
}

/// Makes this thread a CPU of `machine`: the host seam accesses its memory, and its EL3 answers
/// SMCs.
pub fn attach(machine: &Arc<Machine>) {
    let monitor = Arc::clone(machine);
    set_monitor(Box::new(move |registers| monitor.el3.smc(registers)));
    set_memory(Rc::new(View(Arc::clone(machine))));
}
