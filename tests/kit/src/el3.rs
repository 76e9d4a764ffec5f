// SPDX-License-Identifier: BSD-3-Clause
//! The model of EL3: it holds the true Physical Address Space of every granule and answers the
//! RMM's SMCs with the codes of TF-A.
//!
//! Any number of threads may call it at once. A test can make it refuse a request that it would
//! otherwise grant.

use core::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use rmm::address::GRANULE_SIZE;
use rmm::arch::smc::Registers;

/// Statuses of the RMM-EL3 interface, x0.
pub mod status {
    /// Done.
    pub const OK: i64 = 0;
    /// No such service.
    pub const UNKNOWN: i64 = -1;
    /// The address is not that of a granule that EL3 manages.
    pub const BAD_ADDRESS: i64 = -2;
    /// The granule is not in the Physical Address Space that the request starts from.
    pub const BAD_PAS: i64 = -3;
    /// No memory to give.
    pub const NO_MEMORY: i64 = -4;
}

/// The Physical Address Space that the Granule Protection Table assigns to a granule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Pas {
    /// Secure.
    Secure = 8,
    /// Non-secure.
    NonSecure = 9,
    /// Root: EL3's own.
    Root = 10,
    /// Realm.
    Realm = 11,
    /// Any world may access it: devices.
    Any = 15,
}

impl Pas {
    fn from_gpi(gpi: u8) -> Self {
        match gpi {
            8 => Self::Secure,
            9 => Self::NonSecure,
            10 => Self::Root,
            11 => Self::Realm,
            _ => Self::Any,
        }
    }
}

/// A range for which the Granule Protection Table has an entry for each granule.
#[derive(Debug)]
struct Range {
    base: u64,
    gpis: Box<[AtomicU8]>,
}

/// EL3 of the model machine.
#[derive(Debug)]
pub struct El3 {
    ranges: Vec<Range>,
    /// Read-locked by accesses in flight, write-locked by changes of the Granule Protection Table.
    /// A change is complete (TLBI PAALLOS, DSB) only after every access that was checked against
    /// the former table.
    in_flight: RwLock<()>,
    /// While not 0, the answer to every delegate and undelegate.
    refusal: AtomicI64,
    /// The Realm memory that RESERVE_MEMORY still has: base and end. It is given out from the top
    /// down. If it is empty, RESERVE_MEMORY is refused.
    pool_base: u64,
    pool_end: AtomicU64,
}

impl El3 {
    /// An EL3 that manages the granules of `ranges`: base, size and initial Physical Address Space.
    /// All other memory is accessible to any world.
    pub fn new(ranges: &[(u64, u64, Pas)]) -> Self {
        let ranges = ranges.iter().map(|&(base, size, pas)| {
            let granules =
                usize::try_from(size / GRANULE_SIZE).expect("the host addresses the range");
            Range { base, gpis: (0..granules).map(|_| AtomicU8::new(pas as u8)).collect() }
        });
        Self {
            ranges: ranges.collect(),
            in_flight: RwLock::new(()),
            refusal: AtomicI64::new(status::OK),
            pool_base: 0,
            pool_end: AtomicU64::new(0),
        }
    }

    /// Adds Realm memory from `base` to `end`, from which RESERVE_MEMORY serves the RMM.
    pub fn with_pool(self, base: u64, end: u64) -> Self {
        Self { pool_base: base, pool_end: AtomicU64::new(end), ..self }
    }

    fn gpi(&self, address: u64) -> Option<&AtomicU8> {
        self.ranges.iter().find_map(|range| {
            let index = usize::try_from(address.checked_sub(range.base)? / GRANULE_SIZE).ok()?;
            range.gpis.get(index)
        })
    }

    /// The Physical Address Space of the granule that holds `address`.
    pub fn pas(&self, address: u64) -> Pas {
        self.gpi(address).map_or(Pas::Any, |gpi| Pas::from_gpi(gpi.load(Ordering::SeqCst)))
    }

    /// Moves the granule that holds `address` to `pas` without the RMM's knowledge.
    pub fn set_pas(&self, address: u64, pas: Pas) {
        let gpi = self.gpi(address).expect("the granule is managed");
        self.change(|| gpi.store(pas as u8, Ordering::SeqCst));
    }

    /// Runs an access to the granule that holds `address`. The granule stays in the Physical
    /// Address Space that `access` is given until the access has ended.
    pub(crate) fn access<R>(&self, address: u64, access: impl FnOnce(Pas) -> R) -> R {
        let _in_flight = self.in_flight.read().unwrap_or_else(PoisonError::into_inner);
        access(self.pas(address))
    }

    fn change<R>(&self, change: impl FnOnce() -> R) -> R {
        let _none_in_flight = self.in_flight.write().unwrap_or_else(PoisonError::into_inner);
        change()
    }

    /// Refuses every delegate and undelegate with `status` and changes nothing. [`status::OK`] ends
    /// this.
    pub fn refuse_transitions(&self, status: i64) {
        self.refusal.store(status, Ordering::SeqCst);
    }

    /// Answers an SMC of the RMM.
    pub fn smc(&self, [function, x1, x2, ..]: Registers) -> Registers {
        let (status, value) = match function {
            0xC400_01B0 => (self.change_pas(x1, Pas::NonSecure, Pas::Realm), 0),
            0xC400_01B1 => (self.change_pas(x1, Pas::Realm, Pas::NonSecure), 0),
            0xC400_01BB => {
                self.reserve(x1, x2).map_or((status::NO_MEMORY, 0), |base| (status::OK, base))
            }
            _ => (status::UNKNOWN, 0),
        };
        [status.cast_unsigned(), value, 0, 0, 0, 0, 0, 0]
    }

    fn change_pas(&self, address: u64, from: Pas, to: Pas) -> i64 {
        let refusal = self.refusal.load(Ordering::SeqCst);
        if refusal != status::OK {
            return refusal;
        }
        let Some(gpi) = self.gpi(address).filter(|_| address.is_multiple_of(GRANULE_SIZE)) else {
            return status::BAD_ADDRESS;
        };
        match self.change(|| {
            gpi.compare_exchange(from as u8, to as u8, Ordering::SeqCst, Ordering::SeqCst)
        }) {
            Ok(_) => status::OK,
            Err(_) => status::BAD_PAS,
        }
    }

    /// RESERVE_MEMORY: `size` bytes from the top of the pool, aligned as bits 63:56 of `x2` say.
    fn reserve(&self, size: u64, x2: u64) -> Option<u64> {
        let alignment = 1_u64.checked_shl(u32::try_from(x2 >> 56).ok()?)?;
        let place = |end: u64| end.checked_sub(size).map(|base| base & !(alignment - 1));
        self.pool_end
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |end| {
                place(end).filter(|&base| size != 0 && base >= self.pool_base)
            })
            .ok()
            .and_then(place)
    }
}
