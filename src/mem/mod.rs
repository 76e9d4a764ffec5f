// SPDX-License-Identifier: BSD-3-Clause
//! The two maps of the RMM (`low_va`, shared; `high_va`, per CPU), and the slots through which a
//! CPU accesses memory outside the RMM's own.

mod auxiliary;
pub mod high_va;
pub mod linker;
pub mod low_va;
mod mapping;
mod ns_access;
mod page;
mod run_mapping;
mod shared_buffer;
pub mod slot_layout;
mod slots;
mod work;

pub use auxiliary::{
    AUXILIARY, AuxiliaryContent, AuxiliaryOf, AuxiliaryPart, AuxiliarySlots, RunningAuxiliary,
};
pub use mapping::{Content, GRANULE_WORDS, LockedMapping, Mapping, RunningContent, RunningRec};
pub use ns_access::{NsAccessError, NsMapping, NsSlot, words_of};
pub use page::Slot;
pub use run_mapping::{RunMapping, with_run_mapping};
pub use shared_buffer::{LentBuffer, SHARED_BUFFER_SIZE, SharedBuffer};
pub use slots::SlotBuffer;
pub use work::Work;
