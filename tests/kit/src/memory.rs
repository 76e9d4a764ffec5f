// SPDX-License-Identifier: BSD-3-Clause
//! The physical memory of the model machine: words that any thread may access at any time, as on
//! the real machine.
//!
//! It is zeroed heap memory, which the operating system provides on first use, so a large machine
//! costs little. [`machine`](crate::machine) decides who may access what.

use core::sync::atomic::{AtomicU64, Ordering};
use std::collections::BTreeSet;
use std::sync::{PoisonError, RwLock};

use rmm::address::GRANULE_SIZE;

/// 64-bit words in a granule.
pub const GRANULE_WORDS: usize = 512;

#[derive(Debug)]
struct Bank {
    base: u64,
    words: Box<[AtomicU64]>,
    /// Words of the allocation before the bank's first one, so that granules are aligned on this
    /// host too.
    before: usize,
}

impl Bank {
    fn words(&self) -> &[AtomicU64] {
        &self.words[self.before..][..self.words.len() - GRANULE_WORDS]
    }
}

/// Memory in banks, addressed by physical address.
#[derive(Debug)]
pub struct Memory {
    banks: Vec<Bank>,
    /// Granules that no longer answer accesses of the machine, and how many there are.
    silent: RwLock<BTreeSet<u64>>,
    silent_count: AtomicU64,
}

impl Memory {
    /// Zeroed memory at each base, with a size in bytes that is a multiple of the granule size.
    pub fn new(banks: &[(u64, u64)]) -> Self {
        let banks = banks.iter().map(|&(base, size)| {
            assert!(
                base.is_multiple_of(GRANULE_SIZE) && size.is_multiple_of(GRANULE_SIZE),
                "a bank is whole granules"
            );
            let count = usize::try_from(size / 8).expect("the host addresses the bank");
            // SAFETY: all bits zero is an `AtomicU64`.
            let words: Box<[AtomicU64]> =
                unsafe { Box::new_zeroed_slice(count + GRANULE_WORDS).assume_init() };
            let before = words.as_ptr().align_offset(GRANULE_WORDS * size_of::<AtomicU64>());
            Bank { base, words, before }
        });
        Self { banks: banks.collect(), silent: RwLock::default(), silent_count: AtomicU64::new(0) }
    }

    /// The word at `address`, a multiple of 8; `None` where there is no memory.
    pub fn word(&self, address: u64) -> Option<&AtomicU64> {
        assert!(address.is_multiple_of(8), "words are aligned");
        self.banks.iter().find_map(|bank| {
            let index = usize::try_from(address.checked_sub(bank.base)? / 8).ok()?;
            bank.words().get(index)
        })
    }

    /// The words of the granule at `address`, a multiple of the granule size; `None` where there is
    /// no memory.
    pub fn granule(&self, address: u64) -> Option<&[AtomicU64]> {
        assert!(address.is_multiple_of(GRANULE_SIZE), "granules are aligned");
        self.banks.iter().find_map(|bank| {
            let first = usize::try_from(address.checked_sub(bank.base)? / 8).ok()?;
            bank.words().get(first..first + GRANULE_WORDS)
        })
    }

    /// Has the granule at `address` answer no access of the machine from now on. Tests still see
    /// it.
    pub fn stop_answering(&self, address: u64) {
        let mut silent = self.silent.write().unwrap_or_else(PoisonError::into_inner);
        silent.insert(address);
        self.silent_count.store(silent.len() as u64, Ordering::SeqCst);
    }

    /// Whether the granule that holds `address` answers.
    pub fn answers(&self, address: u64) -> bool {
        self.silent_count.load(Ordering::SeqCst) == 0
            || !self
                .silent
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .contains(&(address & !(GRANULE_SIZE - 1)))
    }

    /// Whether the granule at `address` holds nothing but `value`.
    pub fn granule_is(&self, address: u64, value: u64) -> bool {
        self.granule(address)
            .is_some_and(|words| words.iter().all(|word| word.load(Ordering::Relaxed) == value))
    }

    /// Fills the granule at `address` with `value`.
    pub fn fill_granule(&self, address: u64, value: u64) {
        let words = self.granule(address).expect("there is memory to fill");
        words.iter().for_each(|word| word.store(value, Ordering::Relaxed));
    }
}
