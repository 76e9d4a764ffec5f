// SPDX-License-Identifier: BSD-3-Clause
//! The tables and the memory of a Realm: the commands, in this dialect if both have one, and common
//! sequences of them.

use crate::options::GRANULE;
use rmm_abi::rmi::{function as fid, status};
use rmm_abi::rmi_v2::{
    ADDRESS_SINGLE, MEMORY_ATTRIBUTES_SHIFT, PERMISSIONS_SHIFT, RANGE_ADDRESS, RANGE_COUNT_SHIFT,
};

use super::rmi::{self, Dialect, Status};

/// RMI_ERROR_RTT with a level.
pub fn error_rtt(level: i64) -> Status {
    Status(u64::from(status::ERROR_RTT) | (level.cast_unsigned() & 0xff) << 8)
}

/// RMI_EMPTY.
pub const EMPTY: u64 = 0;
/// RMI_RAM.
pub const RAM: u64 = 1;
/// RMI_DESTROYED.
pub const DESTROYED: u64 = 2;

/// RMI_UNASSIGNED.
pub const UNASSIGNED: u64 = 0;
/// RMI_ASSIGNED.
pub const ASSIGNED: u64 = 1;

/// Memory of the host, as a Realm sees it: Normal, write-back, readable and writable.
pub const UNPROTECTED: u64 = 0b11 << 6 | 0b110 << 2;

/// The size of what an entry at a level maps.
pub fn size(level: i64) -> u64 {
    1 << (12 + 9 * (3 - level))
}

/// RMI_RTT_CREATE.
pub fn create(rd: u64, table: u64, ipa: u64, level: i64) -> Status {
    Status(rmi::call(fid::RTT_CREATE, &[rd, table, ipa, level.cast_unsigned()], 0)[0])
}

/// RMI_RTT_DESTROY: status, granule and the next IPA that may be live.
pub fn destroy(rd: u64, ipa: u64, level: i64) -> (Status, u64, u64) {
    let returned = rmi::call(fid::RTT_DESTROY, &[rd, ipa, level.cast_unsigned()], 2);
    (Status(returned[0]), returned[1], returned[2])
}

/// RMI_RTT_FOLD: status and granule.
pub fn fold(rd: u64, ipa: u64, level: i64) -> (Status, u64) {
    let returned = rmi::call(fid::RTT_FOLD, &[rd, ipa, level.cast_unsigned()], 1);
    (Status(returned[0]), returned[1])
}

/// RMI_RTT_READ_ENTRY: status; level, state, descriptor and RIPAS.
pub fn read_entry(rd: u64, ipa: u64, level: i64) -> (Status, (i64, u64, u64, u64)) {
    let arguments = &[rd, ipa, level.cast_unsigned()];
    let returned = rmi::call(fid::RTT_READ_ENTRY, arguments, 4);
    (Status(returned[0]), (returned[1].cast_signed(), returned[2], returned[3], returned[4]))
}

/// RMI 2.0's address range descriptor for one block or page at a level, with its state.
pub fn range(level: i64, address: u64, state: u64) -> u64 {
    let size = (3 - level).cast_unsigned();
    size | 1 << RANGE_COUNT_SHIFT | address | state
}

/// The address in such a descriptor, if it covers one page.
fn page_of(range: u64) -> Option<u64> {
    let address = range & RANGE_ADDRESS;
    (range == self::range(3, address, 0)).then_some(address)
}

/// RMI_RTT_MAP_UNPROTECTED, or RMI_RTT_UNPROT_MAP.
pub fn map_unprotected(rd: u64, ipa: u64, level: i64, descriptor: u64) -> Status {
    if Dialect::current() == Dialect::Two {
        let attributes = (descriptor >> 2 & 7) << MEMORY_ATTRIBUTES_SHIFT
            | (descriptor >> 6 & 3) << PERMISSIONS_SHIFT;
        let address = range(level, descriptor & RANGE_ADDRESS, 1 << 63);
        let flags = ADDRESS_SINGLE | attributes;
        return rmi::map(fid::RTT_UNPROT_MAP, rd, ipa, ipa + size(level), flags, address).0;
    }
    Status(rmi::call(fid::RTT_MAP_UNPROTECTED, &[rd, ipa, level.cast_unsigned(), descriptor], 0)[0])
}

/// RMI_RTT_UNMAP_UNPROTECTED, or RMI_RTT_UNPROT_UNMAP: status and the next IPA that may be live.
pub fn unmap_unprotected(rd: u64, ipa: u64, level: i64) -> (Status, u64) {
    if Dialect::current() == Dialect::Two {
        let (status, next, _) = rmi::unmap(fid::RTT_UNPROT_UNMAP, rd, ipa, ipa + size(level));
        return (status, next);
    }
    let returned = rmi::call(fid::RTT_UNMAP_UNPROTECTED, &[rd, ipa, level.cast_unsigned()], 1);
    (Status(returned[0]), returned[1])
}

/// RMI_RTT_INIT_RIPAS: status and the first IPA not done.
pub fn init_ripas(rd: u64, base: u64, top: u64) -> (Status, u64) {
    let returned = rmi::call(fid::RTT_INIT_RIPAS, &[rd, base, top], 1);
    (Status(returned[0]), returned[1])
}

/// RMI_RTT_SET_RIPAS: status and the first IPA not done.
pub fn set_ripas(rd: u64, rec: u64, base: u64, top: u64) -> (Status, u64) {
    let returned = rmi::call(fid::RTT_SET_RIPAS, &[rd, rec, base, top], 1);
    (Status(returned[0]), returned[1])
}

/// RMI_DATA_CREATE, or RMI_RTT_DATA_MAP_INIT.
pub fn data_create(rd: u64, data: u64, ipa: u64, source: u64, measure: bool) -> Status {
    let function = match Dialect::current() {
        Dialect::One => fid::DATA_CREATE,
        Dialect::Two => fid::RTT_DATA_MAP_INIT,
    };
    Status(rmi::call(function, &[rd, data, ipa, source, u64::from(measure)], 0)[0])
}

/// RMI_DATA_CREATE_UNKNOWN, or RMI_RTT_DATA_MAP.
pub fn data_create_unknown(rd: u64, data: u64, ipa: u64) -> Status {
    if Dialect::current() == Dialect::Two {
        let address = range(3, data, 0);
        return rmi::map(fid::RTT_DATA_MAP, rd, ipa, ipa + GRANULE, ADDRESS_SINGLE, address).0;
    }
    Status(rmi::call(fid::DATA_CREATE_UNKNOWN, &[rd, data, ipa], 0)[0])
}

/// RMI_DATA_DESTROY, or RMI_RTT_DATA_UNMAP: status, granule and the next IPA that may be live.
pub fn data_destroy(rd: u64, ipa: u64) -> (Status, u64, u64) {
    if Dialect::current() == Dialect::Two {
        let (status, next, unmapped) = rmi::unmap(fid::RTT_DATA_UNMAP, rd, ipa, ipa + GRANULE);
        let page = if status == Status::SUCCESS { page_of(unmapped).unwrap_or(!0) } else { 0 };
        return (status, page, next);
    }
    let returned = rmi::call(fid::DATA_DESTROY, &[rd, ipa], 2);
    (Status(returned[0]), returned[1], returned[2])
}

/// Delegated granules for tables.
pub struct Pool {
    free: [u64; Self::GRANULES],
    count: usize,
}

impl Pool {
    /// The number of granules in a full pool.
    pub const GRANULES: usize = 64;

    /// Consecutive granules from `base` on, all delegated.
    pub fn new(base: u64) -> Self {
        let mut free = [0; Self::GRANULES];
        for (granule, address) in free.iter_mut().zip((base..).step_by(GRANULE as usize)) {
            *granule = address;
        }
        Self { free, count: Self::GRANULES }
    }

    /// Takes a granule.
    pub fn take(&mut self) -> u64 {
        self.count -= 1;
        self.free[self.count]
    }

    /// Returns a granule.
    pub fn give(&mut self, granule: u64) {
        self.free[self.count] = granule;
        self.count += 1;
    }

    /// Whether all granules have been returned.
    pub fn is_full(&self) -> bool {
        self.count == Self::GRANULES
    }
}

/// Creates the missing tables for `ipa` down to `level`. Gives the first status that is not
/// success.
pub fn bring_tables(rd: u64, pool: &mut Pool, ipa: u64, level: i64) -> Status {
    loop {
        let (status, (reached, ..)) = read_entry(rd, ipa & !(size(level) - 1), level);
        if status != Status::SUCCESS || reached == level {
            return status;
        }
        let table = pool.take();
        let status = create(rd, table, ipa & !(size(reached) - 1), reached + 1);
        if status != Status::SUCCESS {
            pool.give(table);
            return status;
        }
    }
}

/// Destroys the tables for `ipa`, the finest first, from `level` up to the one below level `start`.
/// Gives the first status that is not success.
pub fn destroy_tables(rd: u64, pool: &mut Pool, ipa: u64, level: i64, start: i64) -> Status {
    let mut at = level;
    while at > start {
        let (status, table, _) = destroy(rd, ipa & !(size(at - 1) - 1), at);
        if status != Status::SUCCESS {
            return status;
        }
        pool.give(table);
        at -= 1;
    }
    Status::SUCCESS
}
