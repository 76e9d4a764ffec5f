// SPDX-License-Identifier: BSD-3-Clause
//! A granule, Realm or Non-secure, that a slot of this CPU maps.
//!
//! On the target it is accessed at its virtual address. On a host it is memory of the model
//! machine, where an access aborts as it does on a real one.

use super::atomic::AtomicU64;
#[cfg(not(target_os = "none"))]
use super::atomic::Ordering;
pub use super::recovery::Aborted;
use crate::address::{PhysAddr, VirtAddr};

/// A mapped granule.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    #[cfg(target_os = "none")]
    page: u64,
    #[cfg(not(target_os = "none"))]
    granule: u64,
}

impl Window {
    /// The window at `page`, where the granule at `granule` is mapped.
    #[cfg_attr(
        target_os = "none",
        expect(unused_variables, reason = "the tables know the granule")
    )]
    #[cfg_attr(
        not(target_os = "none"),
        expect(unused_variables, reason = "the model machine has no virtual addresses")
    )]
    pub const fn new(page: VirtAddr, granule: PhysAddr) -> Self {
        Self {
            #[cfg(target_os = "none")]
            page: page.get(),
            #[cfg(not(target_os = "none"))]
            granule: granule.get(),
        }
    }

    /// A pointer to the first byte of the granule, which is Realm memory. It is valid while the
    /// granule stays mapped.
    pub fn pointer(self) -> *mut u64 {
        #[cfg(target_os = "none")]
        return core::ptr::with_exposed_provenance_mut(crate::address::native(self.page));
        #[cfg(not(target_os = "none"))]
        crate::host::realm_granule(self.granule)
    }

    /// The address of byte `offset`. It does not wrap: the offset is in the page.
    #[cfg(target_os = "none")]
    const fn at(self, offset: u64) -> u64 {
        self.page.wrapping_add(offset)
    }

    /// Zeroes the granule. Like ordinary stores these are not complete until a DSB.
    ///
    /// # Errors
    ///
    /// [`Aborted`] by memory that does not answer; some of it may have been zeroed.
    ///
    /// # Safety
    ///
    /// The granule is mapped as writable Realm memory, and there is no reference to any of it.
    pub unsafe fn zero(self) -> Result<(), Aborted> {
        #[cfg(target_os = "none")]
        // SAFETY: the caller's promise.
        return unsafe { super::recovery::zero_to_end_of_granule(self.page) };
        #[cfg(not(target_os = "none"))]
        crate::host::zero_granule(self.granule)
    }

    /// Reads words of the granule from byte `offset` on. Each is read once; another world may write
    /// them at the same time.
    ///
    /// # Errors
    ///
    /// [`Aborted`] if the memory is not the host's or does not answer; some words may have been
    /// read.
    ///
    /// # Safety
    ///
    /// The granule is mapped as Non-secure memory, `offset` is a multiple of 8, and the words are
    /// all in the granule.
    pub unsafe fn ns_read(self, offset: u64, words: &mut [u64]) -> Result<(), Aborted> {
        #[cfg(not(target_os = "none"))]
        return crate::host::ns_read(self.granule + offset, words);
        #[cfg(target_os = "none")]
        // SAFETY: as the caller says.
        unsafe {
            super::recovery::read_words(self.at(offset), words)
        }
    }

    /// Writes words to the granule from byte `offset` on.
    ///
    /// # Errors
    ///
    /// [`Aborted`] if the memory is not the host's or does not answer; some words may have been
    /// written.
    ///
    /// # Safety
    ///
    /// As for [`ns_read`](Self::ns_read).
    pub unsafe fn ns_write(self, offset: u64, words: &[u64]) -> Result<(), Aborted> {
        #[cfg(not(target_os = "none"))]
        return crate::host::ns_write(self.granule + offset, words);
        #[cfg(target_os = "none")]
        // SAFETY: as the caller says.
        unsafe {
            super::recovery::write_words(self.at(offset), words)
        }
    }

    /// Reads the word of the granule at byte `offset`, as [`ns_read`](Self::ns_read).
    ///
    /// # Errors
    ///
    /// As for [`ns_read`](Self::ns_read).
    ///
    /// # Safety
    ///
    /// As for [`ns_read`](Self::ns_read).
    pub unsafe fn ns_read_word(self, offset: u64) -> Result<u64, Aborted> {
        #[cfg(not(target_os = "none"))]
        {
            let mut word = [0];
            crate::host::ns_read(self.granule + offset, &mut word)?;
            let [word] = word;
            Ok(word)
        }
        #[cfg(target_os = "none")]
        // SAFETY: as the caller says.
        unsafe {
            super::recovery::read_word(self.at(offset))
        }
    }

    /// Reads `N` words of the granule from byte `offset` on, as [`ns_read`](Self::ns_read).
    ///
    /// # Errors
    ///
    /// As for [`ns_read`](Self::ns_read).
    ///
    /// # Safety
    ///
    /// As for [`ns_read`](Self::ns_read).
    pub unsafe fn ns_read_array<const N: usize>(
        self,
        offset: u64,
        words: &mut [u64; N],
    ) -> Result<(), Aborted> {
        #[cfg(not(target_os = "none"))]
        return crate::host::ns_read(self.granule + offset, words);
        #[cfg(target_os = "none")]
        // SAFETY: as the caller says.
        unsafe {
            super::recovery::read_array::<N>(self.at(offset), words.as_mut_ptr())
        }
    }

    /// Reads `N` words of the granule from byte `offset` on to where a Realm may access them at the
    /// same time, each once.
    ///
    /// # Errors
    ///
    /// As for [`ns_read`](Self::ns_read).
    ///
    /// # Safety
    ///
    /// As for [`ns_read`](Self::ns_read).
    pub unsafe fn ns_read_shared<const N: usize>(
        self,
        offset: u64,
        words: &[AtomicU64; N],
    ) -> Result<(), Aborted> {
        #[cfg(not(target_os = "none"))]
        {
            let mut copy = [0; N];
            crate::host::ns_read(self.granule + offset, &mut copy)?;
            for (word, value) in words.iter().zip(copy) {
                word.store(value, Ordering::Relaxed);
            }
            Ok(())
        }
        #[cfg(target_os = "none")]
        // SAFETY: as the caller says. Atomics may be written through a shared reference; each word
        // is written by a single-copy atomic store, as a relaxed store would.
        unsafe {
            super::recovery::read_array::<N>(self.at(offset), words.as_ptr().cast_mut().cast())
        }
    }

    /// Writes `N` words to the granule from byte `offset` on.
    ///
    /// # Errors
    ///
    /// As for [`ns_write`](Self::ns_write).
    ///
    /// # Safety
    ///
    /// As for [`ns_read`](Self::ns_read).
    pub unsafe fn ns_write_array<const N: usize>(
        self,
        offset: u64,
        words: &[u64; N],
    ) -> Result<(), Aborted> {
        #[cfg(not(target_os = "none"))]
        return crate::host::ns_write(self.granule + offset, words);
        #[cfg(target_os = "none")]
        // SAFETY: as the caller says.
        unsafe {
            super::recovery::write_array::<N>(self.at(offset), words.as_ptr())
        }
    }

    /// Writes `N` words that a Realm may change at the same time, each read once, to the granule
    /// from byte `offset` on.
    ///
    /// # Errors
    ///
    /// As for [`ns_write`](Self::ns_write).
    ///
    /// # Safety
    ///
    /// As for [`ns_read`](Self::ns_read).
    pub unsafe fn ns_write_shared<const N: usize>(
        self,
        offset: u64,
        words: &[AtomicU64; N],
    ) -> Result<(), Aborted> {
        #[cfg(not(target_os = "none"))]
        return crate::host::ns_write(
            self.granule + offset,
            &words.each_ref().map(|word| word.load(Ordering::Relaxed)),
        );
        #[cfg(target_os = "none")]
        // SAFETY: as the caller says; each word is read by a single-copy atomic load, as a relaxed
        // load would.
        unsafe {
            super::recovery::write_array::<N>(self.at(offset), words.as_ptr().cast())
        }
    }

    /// Writes two words to the granule from byte `offset` on.
    ///
    /// # Errors
    ///
    /// As for [`ns_write`](Self::ns_write).
    ///
    /// # Safety
    ///
    /// As for [`ns_read`](Self::ns_read).
    pub unsafe fn ns_write_pair(self, offset: u64, words: [u64; 2]) -> Result<(), Aborted> {
        #[cfg(not(target_os = "none"))]
        return crate::host::ns_write(self.granule + offset, &words);
        #[cfg(target_os = "none")]
        // SAFETY: as the caller says.
        unsafe {
            super::recovery::write_pair(self.at(offset), words)
        }
    }

    /// Zeroes the second half of the granule.
    ///
    /// # Errors
    ///
    /// As for [`ns_write`](Self::ns_write).
    ///
    /// # Safety
    ///
    /// The granule is mapped as Non-secure memory.
    pub unsafe fn ns_zero_second_half(self) -> Result<(), Aborted> {
        const HALF: u64 = crate::address::GRANULE_SIZE / 2;
        #[cfg(not(target_os = "none"))]
        return crate::host::ns_write(self.granule + HALF, &[0; crate::address::native(HALF / 8)]);
        #[cfg(target_os = "none")]
        // SAFETY: as the caller says.
        unsafe {
            super::recovery::zero_to_end_of_granule(self.at(HALF))
        }
    }
}
