// SPDX-License-Identifier: BSD-3-Clause
//! Realms and RECs, built in the dialect of this run: the structures of the ABI, written to test
//! memory, and the commands.

use crate::options::GRANULE;
use rmm_abi::rmi::{function as fid, status};
use rmm_abi::rmi_v1::{RealmAttributes, RealmFlags, RecFlags, RmiRealmParams, RmiRecParams};
use rmm_abi::rmi_v2::DONATE_COUNT_SHIFT;
use zerocopy::{FromZeros, transmute_ref};

use super::probe;
use super::rmi::{self, Dialect, Status};
use super::tables;
use crate::check;

/// RMI_ERROR_REALM: the Realm is in the wrong state, or has live RECs or RTTs.
pub const ERROR_REALM: Status = Status(status::ERROR_REALM as u64);
/// RMI_ERROR_REC.
pub const ERROR_REC: Status = Status(status::ERROR_REC as u64);

/// The stage 2 that a Realm is created with.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Whether it uses LPA2.
    pub lpa2: bool,
    /// Bits of an Intermediate Physical Address.
    pub ipa_bits: u64,
    /// The level of the root tables.
    pub level: i64,
    /// The number of root tables.
    pub roots: u64,
}

impl Shape {
    /// The usual shape: 40 bits from level 1.
    pub const USUAL: Self = Self { lpa2: false, ipa_bits: 40, level: 1, roots: 2 };

    /// Calls `each` with every possible shape: a table resolves 9 bits above the page's 12, and
    /// concatenation up to 4 more, at level 0 only with LPA2.
    pub fn for_all(mut each: impl FnMut(Self)) {
        for (lpa2, most) in [(false, 48), (true, 52)] {
            for level in [-1_i64, 0, 1, 2] {
                for ipa_bits in 32..=most {
                    let below = 12 + 9 * (3 - level).unsigned_abs();
                    let roots = match (level, ipa_bits - below.min(ipa_bits)) {
                        (_, 0) => continue,
                        (-1, 1..=4) if lpa2 => 1,
                        (-1, _) => continue,
                        (_, 1..=9) => 1,
                        (0, _) if !lpa2 => continue,
                        (_, resolved @ 10..=13) => 1 << (resolved - 9),
                        _ => continue,
                    };
                    each(Self { lpa2, ipa_bits, level, roots });
                }
            }
        }
    }
}

/// Writes a page of test memory that belongs to the host.
pub fn write_page(page: u64, words: &[u64; 512]) {
    let written =
        (page..).step_by(8).zip(words).try_for_each(|(address, word)| probe::write(address, *word));
    if written.is_err() {
        check::that("the host writes its own memory", false);
    }
}

/// RMI_REALM_CREATE with its parameters in `page`.
pub fn create(rd: u64, page: u64, shape: Shape, root: u64, vmid: u16) -> Status {
    create_with(rd, page, shape, root, vmid, |_| {})
}

/// RMI_REALM_CREATE with parameters that `adjust` changes.
pub fn create_with(
    rd: u64,
    page: u64,
    shape: Shape,
    root: u64,
    vmid: u16,
    adjust: impl FnOnce(&mut RealmAttributes),
) -> Status {
    let mut parameters = RmiRealmParams::new_zeroed();
    if shape.lpa2 {
        parameters.attributes.flags = RealmFlags::LPA2.bits();
    }
    parameters.attributes.s2sz = u32::try_from(shape.ipa_bits).unwrap_or(u32::MAX);
    // The field is the number less one.
    parameters.attributes.num_bps = 1;
    parameters.attributes.num_wps = 1;
    parameters.stage2.vmid = vmid;
    parameters.stage2.rtt_base = root;
    parameters.stage2.rtt_level_start = shape.level;
    parameters.stage2.rtt_num_start = u32::try_from(shape.roots).unwrap_or(u32::MAX);
    adjust(&mut parameters.attributes);
    write_page(page, transmute_ref!(&parameters));
    create_from(rd, page)
}

/// RMI_REALM_CREATE with the parameters that are in `page`.
pub fn create_from(rd: u64, page: u64) -> Status {
    Status(rmi::call(fid::REALM_CREATE, &[rd, page], 0)[0])
}

/// The number of auxiliary granules of a REC (RMI_REC_AUX_COUNT).
pub const AUXILIARY: usize = 11;

/// The auxiliary granules of a REC, from `first` on.
pub fn auxiliary(first: u64) -> [u64; AUXILIARY] {
    core::array::from_fn(|index| first + index as u64 * GRANULE)
}

/// RMI_REC_CREATE of a runnable REC. Its parameters are written to `page`.
pub fn rec_create(rd: u64, rec: u64, page: u64, mpidr: u64, auxiliary: &[u64]) -> Status {
    rec_create_at(rd, rec, page, 0x8000, mpidr, auxiliary)
}

/// RMI_REC_CREATE of a runnable REC that starts at `pc` with its MPIDR in X0.
pub fn rec_create_at(
    rd: u64,
    rec: u64,
    page: u64,
    pc: u64,
    mpidr: u64,
    auxiliary: &[u64],
) -> Status {
    let mut parameters = RmiRecParams::new_zeroed();
    parameters.flags = RecFlags::RUNNABLE.bits();
    parameters.mpidr = mpidr;
    parameters.pc = pc;
    parameters.gprs[0] = mpidr;
    parameters.aux.count = auxiliary.len() as u64;
    for (place, granule) in parameters.aux.granules.iter_mut().zip(auxiliary) {
        *place = *granule;
    }
    write_page(page, transmute_ref!(&parameters));
    rec_create_from(rd, rec, page, auxiliary)
}

/// RMI_REC_CREATE with the parameters that are in `page`: the command of RMI 1.0, or the operation
/// of RMI 2.0, to which the auxiliary granules are donated.
pub fn rec_create_from(rd: u64, rec: u64, page: u64, auxiliary: &[u64]) -> Status {
    rec_create_listing(rd, rec, page, page, auxiliary)
}

/// As [`rec_create_from`], with the lists of RMI 2.0 in the page `lists`.
pub fn rec_create_listing(rd: u64, rec: u64, page: u64, lists: u64, auxiliary: &[u64]) -> Status {
    if Dialect::current() == Dialect::One {
        return Status(rmi::call(fid::REC_CREATE, &[rd, rec, page], 0)[0]);
    }
    let (mut status, handle, mut request) = rmi::operation(fid::REC_CREATE, &[rd, rec, page]);
    let mut auxiliary = auxiliary.iter();
    while status == Status::DONATE {
        // Fewer at first than it asks for.
        let wanted = (request >> DONATE_COUNT_SHIFT).div_ceil(2);
        let mut given = 0;
        let donated = auxiliary.by_ref().take(usize::try_from(wanted).unwrap_or(usize::MAX));
        for (place, granule) in (LIST..).step_by(8).zip(donated) {
            write_word(lists + place, tables::range(3, *granule, 0));
            given += 1;
        }
        if given == 0 {
            // No granules are left.
            status = rmi::operation(fid::OP_CANCEL, &[handle]).0;
            break;
        }
        let consumed;
        (status, consumed, request) =
            rmi::operation(fid::OP_MEM_DONATE, &[handle, lists + LIST, given]);
        if status != Status::RECLAIM {
            check::equal("all that is donated is taken", consumed, given);
        }
    }
    end(status, handle, lists)
}

/// The offset of lists in the page of the parameters, and the number of entries that fit.
const LIST: u64 = 0x900;
const LIST_CAPACITY: u64 = 3;

/// Ends an operation that asks for no more memory. Gives the last status.
pub fn end(mut status: Status, handle: u64, page: u64) -> Status {
    while status == Status::RECLAIM {
        let arguments = &[handle, page + LIST, LIST_CAPACITY];
        let count;
        (status, count, _) = rmi::operation(fid::OP_MEM_RECLAIM, arguments);
        check::that("no more entries than fit", count <= LIST_CAPACITY);
    }
    if status == Status::CONTINUE || status == Status::CONTINUE_OR_CANCEL {
        status = rmi::operation(fid::OP_CONTINUE, &[handle, 0]).0;
        if status == Status::RECLAIM {
            return end(status, handle, page);
        }
    }
    status
}

fn write_word(address: u64, word: u64) {
    if probe::write(address, word).is_err() {
        check::that("the host writes its own memory", false);
    }
}

/// RMI_REALM_ACTIVATE.
pub fn activate(rd: u64) -> Status {
    Status(rmi::call(fid::REALM_ACTIVATE, &[rd], 0)[0])
}

/// RMI_REALM_DESTROY. In RMI 2.0 the Realm is terminated first.
pub fn destroy(rd: u64) -> Status {
    if Dialect::current() == Dialect::Two {
        let status = Status(rmi::call(fid::REALM_TERMINATE, &[rd], 0)[0]);
        if status != Status::SUCCESS {
            return status;
        }
    }
    Status(rmi::call(fid::REALM_DESTROY, &[rd], 0)[0])
}

/// RMI_REC_DESTROY: the command of RMI 1.0, or the operation of RMI 2.0, which returns the
/// auxiliary granules by a list in `page`.
pub fn rec_destroy(rec: u64, page: u64) -> Status {
    if Dialect::current() == Dialect::One {
        return Status(rmi::call(fid::REC_DESTROY, &[rec], 0)[0]);
    }
    let (status, handle, _) = rmi::operation(fid::REC_DESTROY, &[rec]);
    end(status, handle, page)
}

/// RMI_REC_ENTER with the run page at an address.
pub fn rec_enter(rec: u64, run: u64) -> Status {
    Status(rmi::call(fid::REC_ENTER, &[rec, run], 0)[0])
}

/// RMI_REC_ENTER with the hint of the SMCCC that no SVE state is live.
pub fn rec_enter_without_live_sve(rec: u64, run: u64) -> Status {
    const SVE_HINT: u64 = 1 << 16;
    Status(rmi::call(u64::from(fid::REC_ENTER) | SVE_HINT, &[rec, run], 0)[0])
}

/// RMI_PSCI_COMPLETE.
pub fn psci_complete(calling: u64, target: u64, status: u64) -> Status {
    Status(rmi::call(fid::PSCI_COMPLETE, &[calling, target, status], 0)[0])
}

/// RMI_REC_AUX_COUNT: status and count. In RMI 2.0 REC_CREATE reports the number.
pub fn rec_aux_count(rd: u64) -> (Status, u64) {
    if Dialect::current() == Dialect::Two {
        return (Status::SUCCESS, AUXILIARY as u64);
    }
    let returned = rmi::call(fid::REC_AUX_COUNT, &[rd], 1);
    (Status(returned[0]), returned[1])
}

/// Delegates consecutive granules. Gives whether all were delegated.
pub fn delegate(base: u64, count: u64) -> bool {
    (0..count).all(|index| rmi::delegate(base + index * GRANULE) == Status::SUCCESS)
}

/// Undelegates consecutive granules. Gives whether all were undelegated and are zero.
pub fn undelegate(base: u64, count: u64) -> bool {
    (0..count).map(|index| base + index * GRANULE).all(|granule| {
        rmi::undelegate(granule) == Status::SUCCESS && probe::granule_holds(granule, 0) == Ok(true)
    })
}
