// SPDX-License-Identifier: BSD-3-Clause
//! Realms and RECs as a host builds them in the dialect of this run: the structures of the ABI,
//! written to test memory, and the commands.

use rmm_abi::rmi::{function as fid, status};
use rmm_abi::rmi_v1::{RealmAttributes, RealmFlags, RecFlags, RmiRealmParams, RmiRecParams};
use rmm_abi::rmi_v2::DONATE_COUNT_SHIFT;
use rmm_test_firmware::options::GRANULE;
use zerocopy::{FromZeros, transmute_ref};

use crate::check;
use crate::probe;
use crate::rmi::{self, Dialect, Status};
use crate::tables;

/// RMI_ERROR_REALM: the Realm is NEW where it should not be, or ACTIVE, or has something left.
pub const ERROR_REALM: Status = Status(status::ERROR_REALM as u64);
/// RMI_ERROR_REC.
pub const ERROR_REC: Status = Status(status::ERROR_REC as u64);

/// The stage 2 that a Realm is created with.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Whether LPA2 is asked for.
    pub lpa2: bool,
    /// Bits of an Intermediate Physical Address.
    pub ipa_bits: u64,
    /// The level of the root tables.
    pub level: i64,
    /// How many there are.
    pub roots: u64,
}

impl Shape {
    /// The usual one: 40 bits from level 1.
    pub const USUAL: Self = Self { lpa2: false, ipa_bits: 40, level: 1, roots: 2 };

    /// Calls `each` with every shape that there is: a table resolves 9 bits above the page's 12,
    /// concatenation up to 4 more, which level 0 has with LPA2 only.
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

/// Writes a page of test memory that is the host's.
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

/// RMI_REALM_CREATE with parameters that `adjust` has changed.
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
    // Less one.
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

/// RMI_REALM_CREATE with what is in `page`.
pub fn create_from(rd: u64, page: u64) -> Status {
    Status(rmi::call(fid::REALM_CREATE, &[rd, page], 0)[0])
}

/// Auxiliary granules of a REC (RMI_REC_AUX_COUNT).
pub const AUXILIARY: usize = 11;

/// The auxiliary granules of a REC: those from `first` on.
pub fn auxiliary(first: u64) -> [u64; AUXILIARY] {
    core::array::from_fn(|index| first + index as u64 * GRANULE)
}

/// RMI_REC_CREATE of a runnable REC with its parameters in `page`.
pub fn rec_create(rd: u64, rec: u64, page: u64, mpidr: u64, auxiliary: &[u64]) -> Status {
    rec_create_at(rd, rec, page, 0x8000, mpidr, auxiliary)
}

/// RMI_REC_CREATE of a runnable REC that begins at `pc` with its MPIDR in X0.
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

/// RMI_REC_CREATE with what is in `page`: of RMI 1.0, or the operation of RMI 2.0, which is given
/// the auxiliary granules.
pub fn rec_create_from(rd: u64, rec: u64, page: u64, auxiliary: &[u64]) -> Status {
    rec_create_listing(rd, rec, page, page, auxiliary)
}

/// As [`rec_create_from`], with the lists of RMI 2.0 in another page, `lists`.
pub fn rec_create_listing(rd: u64, rec: u64, page: u64, lists: u64, auxiliary: &[u64]) -> Status {
    if Dialect::current() == Dialect::One {
        return Status(rmi::call(fid::REC_CREATE, &[rd, rec, page], 0)[0]);
    }
    let (mut status, handle, mut request) = rmi::operation(fid::REC_CREATE, &[rd, rec, page]);
    let mut auxiliary = auxiliary.iter();
    while status == Status::DONATE {
        // Fewer than it wants at first.
        let wanted = (request >> DONATE_COUNT_SHIFT).div_ceil(2);
        let mut given = 0;
        let donated = auxiliary.by_ref().take(usize::try_from(wanted).unwrap_or(usize::MAX));
        for (place, granule) in (LIST..).step_by(8).zip(donated) {
            write_word(lists + place, tables::range(3, *granule, 0));
            given += 1;
        }
        if given == 0 {
            // There are no more.
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

/// Where lists are in the page of the parameters, and entries that fit.
const LIST: u64 = 0x900;
const LIST_CAPACITY: u64 = 3;

/// Ends an operation that wants no more memory; the last status.
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

/// RMI_REALM_DESTROY, in RMI 2.0 of a Realm that is terminated first.
pub fn destroy(rd: u64) -> Status {
    if Dialect::current() == Dialect::Two {
        let status = Status(rmi::call(fid::REALM_TERMINATE, &[rd], 0)[0]);
        if status != Status::SUCCESS {
            return status;
        }
    }
    Status(rmi::call(fid::REALM_DESTROY, &[rd], 0)[0])
}

/// RMI_REC_DESTROY: of RMI 1.0, or the operation of RMI 2.0, which gives back the auxiliary
/// granules by a list in `page`.
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

/// RMI_REC_ENTER by a host that has nothing live in registers of SVE (SMCCC's hint).
pub fn rec_enter_without_live_sve(rec: u64, run: u64) -> Status {
    const SVE_HINT: u64 = 1 << 16;
    Status(rmi::call(u64::from(fid::REC_ENTER) | SVE_HINT, &[rec, run], 0)[0])
}

/// RMI_PSCI_COMPLETE.
pub fn psci_complete(calling: u64, target: u64, status: u64) -> Status {
    Status(rmi::call(fid::PSCI_COMPLETE, &[calling, target, status], 0)[0])
}

/// RMI_REC_AUX_COUNT: status and count. RMI 2.0 tells it when a REC is created.
pub fn rec_aux_count(rd: u64) -> (Status, u64) {
    if Dialect::current() == Dialect::Two {
        return (Status::SUCCESS, AUXILIARY as u64);
    }
    let returned = rmi::call(fid::REC_AUX_COUNT, &[rd], 1);
    (Status(returned[0]), returned[1])
}

/// Delegates granules that lie side by side; whether all went.
pub fn delegate(base: u64, count: u64) -> bool {
    (0..count).all(|index| rmi::delegate(base + index * GRANULE) == Status::SUCCESS)
}

/// Undelegates granules that lie side by side; whether all came back, and hold nothing but zeros.
pub fn undelegate(base: u64, count: u64) -> bool {
    (0..count).map(|index| base + index * GRANULE).all(|granule| {
        rmi::undelegate(granule) == Status::SUCCESS && probe::granule_holds(granule, 0) == Ok(true)
    })
}
