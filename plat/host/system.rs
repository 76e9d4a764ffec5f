// SPDX-License-Identifier: BSD-3-Clause
//! A whole model system: machine, RMM and CPUs, for tests that call the RMM as a host does.

use std::sync::Arc;

use super::machine::Machine;
use crate::arch::smc::Registers;
use crate::cpu::CpuIndex;
use crate::granule::{GranuleEntry, GranuleTable, LayoutError, MemoryRange, Waiters};
use crate::mem::{Cpu, SlotBuffer};
use crate::rmi::{self, Dialect, Rmm};

/// An RMM on a machine.
#[derive(Debug)]
pub struct System {
    /// What it runs on.
    pub machine: Arc<Machine>,
    /// The RMM.
    pub rmm: Rmm<'static>,
}

impl System {
    /// Boots an RMM that manages `banks` less `excluded`. Its granule array is never freed.
    ///
    /// The identification registers are those that this thread has preset.
    ///
    /// # Errors
    ///
    /// What the granule table says of the banks.
    pub fn boot(
        machine: Arc<Machine>,
        dialect: Dialect,
        banks: &[MemoryRange],
        excluded: &[MemoryRange],
    ) -> Result<Self, LayoutError> {
        let entries = GranuleTable::required(banks.iter().copied(), excluded)?;
        let storage = (0..entries).map(|_| GranuleEntry::new()).collect::<Vec<_>>().leak();
        let waiters = Box::leak(Box::new(Waiters::new()));
        let granules = GranuleTable::new(storage, waiters, banks.iter().copied(), excluded)?;
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
