// SPDX-License-Identifier: BSD-3-Clause
//! Which exceptions in the RMM are recovered: aborts of accesses to memory that the host names.
//!
//! The host takes a page away while it is copied, or names memory that does not answer. Pure:
//! numbers in, a number out.

use crate::address::GRANULE_SIZE;
use crate::arch::recovery::RecoverableAccess;
use crate::mem::slot_layout::SlotIndex;

/// The fields of ESR_EL2 that decide: EC; in the syndrome of a data abort FnV, 10; CM, 8; S1PTW, 7;
/// and DFSC, 5:0.
const DECISIVE: u64 = 0x3F << 26 | 1 << 10 | 1 << 8 | 1 << 7 | 0x3F;
/// EC of a data abort from the current EL, by an access and not by maintenance or a walk.
const DATA_ABORT: u64 = 0x25 << 26;
/// A Granule Protection Fault.
const GRANULE_PROTECTION_FAULT: u64 = DATA_ABORT | 0x28;
/// A synchronous External abort.
const EXTERNAL_ABORT: u64 = DATA_ABORT | 0x10;

/// What the exception registers say of a synchronous exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exception {
    /// ESR_EL2.
    pub syndrome: u64,
    /// ELR_EL2: the instruction.
    pub instruction: u64,
    /// FAR_EL2: the address that was accessed.
    pub address: u64,
}

/// The address at which to resume after `exception`, if it is an abort of one of the recoverable
/// `accesses`, in the page of the Non-secure slot or, if it is an External abort, in that of the
/// slot for wiping. `None` for any other, which is fatal.
pub fn resume_address(exception: Exception, accesses: &[RecoverableAccess]) -> Option<u64> {
    let is_in =
        |slot: SlotIndex| exception.address.wrapping_sub(slot.address().get()) < GRANULE_SIZE;
    let is_recoverable = match exception.syndrome & DECISIVE {
        GRANULE_PROTECTION_FAULT => is_in(SlotIndex::Ns),
        EXTERNAL_ABORT => is_in(SlotIndex::Ns) || is_in(SlotIndex::Delegated),
        _ => false,
    };
    if !is_recoverable {
        return None;
    }
    accesses
        .iter()
        .find(|access| access.instruction() == exception.instruction)
        .map(RecoverableAccess::resume)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOT: u64 = SlotIndex::Ns.address().get();
    const SYNDROME: u64 = 0x25 << 26 | 1 << 25 | 0x28;

    static ACCESSES: [RecoverableAccess; 3] = [
        RecoverableAccess::new(-0x4000, -0x3000),
        RecoverableAccess::new(0x1000, -0x2008),
        RecoverableAccess::new(0x2000, 0x4000),
    ];

    /// Where the field at `offset` bytes from the start of the table leads.
    fn address(offset: u64, value: i64) -> u64 {
        (ACCESSES.as_ptr().addr() as u64 + offset).wrapping_add_signed(value)
    }

    fn fault(syndrome: u64, instruction: u64, address: u64) -> Option<u64> {
        resume_address(Exception { syndrome, instruction, address }, &ACCESSES)
    }

    #[test]
    fn a_fault_of_each_listed_access_goes_on_where_its_entry_says() {
        let entries = [(-0x4000, -0x3000), (0x1000, -0x2008), (0x2000, 0x4000)];
        for (place, (instruction, resume)) in (0..).step_by(8).zip(entries) {
            let (instruction, resume) = (address(place, instruction), address(place + 4, resume));
            for write in [0, 1 << 6] {
                for at in [SLOT, SLOT + 8, SLOT + 0xff8] {
                    assert_eq!(fault(SYNDROME | write, instruction, at), Some(resume));
                }
            }
        }
    }

    #[test]
    fn a_fault_of_any_other_instruction_is_fatal() {
        let listed = address(0, -0x4000);
        for instruction in [listed - 4, listed + 4, address(4, -0x3000), address(0, 0), 0, u64::MAX]
        {
            assert_eq!(fault(SYNDROME, instruction, SLOT), None, "{instruction:#x}");
        }
        assert_eq!(
            resume_address(
                Exception { syndrome: SYNDROME, instruction: listed, address: SLOT },
                &[]
            ),
            None
        );
    }

    #[test]
    fn a_fault_outside_the_non_secure_slot_is_fatal() {
        for at in [
            SLOT - 1,
            SLOT + 0x1000,
            SlotIndex::Delegated.address().get(),
            0x4010_0000,
            0,
            u64::MAX,
        ] {
            assert_eq!(fault(SYNDROME, address(0, -0x4000), at), None, "{at:#x}");
        }
    }

    #[test]
    fn only_an_external_abort_is_recovered_in_the_slot_for_wiping() {
        let slot = SlotIndex::Delegated.address().get();
        for (status, recovered) in [(0x10, true), (0x28, false)] {
            for at in [slot, slot + 0xfc0] {
                let resume = fault(0x25 << 26 | 1 << 25 | status, address(0, -0x4000), at);
                assert_eq!(resume.is_some(), recovered, "{status:#x} at {at:#x}");
            }
        }
    }

    #[test]
    fn of_all_exceptions_only_two_aborts_of_the_access_itself_are_recovered() {
        for class in 0..64 {
            for status in 0..64 {
                for bits in 0..8 {
                    let [not_valid, maintenance, on_walk] = [bits & 1, bits >> 1 & 1, bits >> 2];
                    let syndrome = class << 26
                        | 1 << 25
                        | not_valid << 10
                        | 1 << 9
                        | maintenance << 8
                        | on_walk << 7
                        | status;
                    let recovered = fault(syndrome, address(0, -0x4000), SLOT).is_some();
                    let expected = class == 0x25 && [0x10, 0x28].contains(&status) && bits == 0;
                    assert_eq!(recovered, expected, "{syndrome:#x}");
                }
            }
        }
    }
}
