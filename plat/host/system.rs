// SPDX-License-Identifier: BSD-3-Clause
//! A whole model system: machine, RMM and CPUs, for tests that call the RMM as a host does.

use std::sync::Arc;

use super::machine::Machine;
use crate::arch::smc::Registers;
use crate::cpu::CpuIndex;
use crate::granule::{GranuleEntry, GranuleTable, LayoutError, MemoryRange, Waiters};
use crate::mem::{Cpu, SlotBuffer};
use crate::rmi::{self, Dialect, Rmm};

/// The memory that an RMM's granule table lives in.
#[derive(Debug, Default)]
pub struct Storage {
    entries: Vec<GranuleEntry>,
    waiters: Waiters,
}

/// An RMM on a machine.
#[derive(Debug)]
pub struct System<'a> {
    /// What it runs on.
    pub machine: Arc<Machine>,
    /// The RMM.
    pub rmm: Rmm<'a>,
}

impl<'a> System<'a> {
    /// Boots an RMM that manages `banks` less `excluded`, in as much of `storage` as it takes.
    ///
    /// The identification registers are those that this thread has preset.
    ///
    /// # Errors
    ///
    /// What the granule table says of the banks.
    pub fn boot(
        storage: &'a mut Storage,
        machine: Arc<Machine>,
        dialect: Dialect,
        banks: &[MemoryRange],
        excluded: &[MemoryRange],
    ) -> Result<Self, LayoutError> {
        let entries = GranuleTable::required(banks.iter().copied(), excluded)?;
        storage.entries.resize_with(entries, GranuleEntry::new);
        let granules =
            GranuleTable::new(&mut storage.entries, &storage.waiters, banks.iter().copied(), excluded)?;
        super::attach(&machine);
        Ok(Self { machine, rmm: Rmm::new(granules, dialect) })
    }

    /// The context of a CPU of this system.
    pub fn cpu(index: usize) -> Cpu {
        Cpu { index: CpuIndex::new(index).expect("an index of a CPU"), slots: SlotBuffer::new() }
    }

    /// Calls the RMM on `cpu` with x0-x7, on a thread attached to the machine; gives x0-x7 as the host gets them back.
    pub fn call(&self, cpu: &mut Cpu, mut registers: Registers) -> Registers {
        rmi::handle(&self.rmm, cpu, &mut registers);
        registers
    }
}
