// SPDX-License-Identifier: BSD-3-Clause
//! VMIDs: which Realm a translation belongs to. The host chooses them, or in RMI 2.0 the RMM. No
//! two Realms share one.
//!
//! Taking and giving back are one atomic instruction each: a race for a VMID has one winner. A
//! Realm is counted as long as its VMID is taken.

use core::sync::atomic::{AtomicU64, Ordering};

use super::count::RealmCount;

/// VMIDs of 16 bits, the most that FEAT_VMID16 allows.
const VMIDS: usize = 1 << 16;
const WORD_BITS: usize = 64;

/// The VMID of a Realm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Vmid(u16);

impl Vmid {
    /// The VMID of a stage 2 before its Realm is created.
    pub const NONE: Self = Self(0);

    /// The VMID with this number. Realm parameters are checked for the bits that the CPU has.
    pub const fn new(number: u16) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn get(self) -> u16 {
        self.0
    }
}

/// Who chooses the VMID of a new Realm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VmidChoice {
    /// The host has chosen this one.
    Named(Vmid),
    /// The RMM takes a free one of at most this number of bits.
    Any(u8),
}

/// Which VMIDs are in use, one bit each.
pub struct VmidTable {
    realms: RealmCount,
    taken: [AtomicU64; VMIDS / WORD_BITS],
}

impl VmidTable {
    /// A table with every VMID free.
    pub const fn new() -> Self {
        let taken = [const { AtomicU64::new(0) }; VMIDS / WORD_BITS];
        Self { realms: RealmCount::new(), taken }
    }

    /// How many Realms there are, and whether Realms may be created.
    pub fn realms(&self) -> &RealmCount {
        &self.realms
    }

    /// The word and the bit of `vmid`.
    fn word_and_bit(&self, vmid: Vmid) -> (&AtomicU64, u64) {
        let number = usize::from(vmid.0);
        // In range: the table has a bit for every 16-bit number.
        (&self.taken[number / WORD_BITS], 1 << (number % WORD_BITS))
    }

    /// Takes a VMID, if there is a free one of this choice and a Realm may be created.
    #[must_use = "a VMID that is taken must be given back"]
    pub fn take(&self, choice: VmidChoice) -> Option<Vmid> {
        if !self.realms.add() {
            return None;
        }
        let vmid = match choice {
            VmidChoice::Named(vmid) => self.take_named(vmid).then_some(vmid),
            VmidChoice::Any(bits) => self.take_any(bits),
        };
        if vmid.is_none() {
            self.realms.remove();
        }
        vmid
    }

    /// Takes `vmid`. Returns whether it was free.
    fn take_named(&self, vmid: Vmid) -> bool {
        let (word, bit) = self.word_and_bit(vmid);
        // Acquire: the TLB maintenance of the last Realm with this VMID is complete.
        word.fetch_or(bit, Ordering::Acquire) & bit == 0
    }

    /// Takes a VMID of at most `bits` bits that is free, if there is one.
    fn take_any(&self, bits: u8) -> Option<Vmid> {
        let count = VMIDS.min(1 << bits);
        let words = self.taken.get(..count / WORD_BITS).unwrap_or(&self.taken);
        words.iter().enumerate().find_map(|(index, word)| {
            let first_free = |taken: u64| (taken != u64::MAX).then(|| taken.trailing_ones());
            let before = word.fetch_update(Ordering::Acquire, Ordering::Relaxed, |taken| {
                first_free(taken).map(|bit| taken | 1 << bit)
            });
            let bit = usize::try_from(first_free(before.ok()?)?).ok()?;
            u16::try_from(index * WORD_BITS + bit).ok().map(Vmid)
        })
    }

    /// Gives back `vmid`, which belongs to the caller's Realm. No TLB may hold a translation of it.
    pub fn give_back(&self, vmid: Vmid) {
        let (word, bit) = self.word_and_bit(vmid);
        word.fetch_and(!bit, Ordering::Release);
        self.realms.remove();
    }
}

impl Default for VmidTable {
    fn default() -> Self {
        Self::new()
    }
}

impl core::fmt::Debug for VmidTable {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let taken = self.taken.iter().map(|word| word.load(Ordering::Relaxed).count_ones());
        let in_use: u32 = taken.sum();
        f.debug_struct("VmidTable").field("in_use", &in_use).finish()
    }
}
