// SPDX-License-Identifier: BSD-3-Clause
//! A whole model system (machine, RMM and CPUs) for tests that call the RMM as a host does.

use std::cell::Cell;
use std::sync::Arc;

use crate::machine::{Machine, attach};
use rmm::address::PhysAddr;
use rmm::arch::smc::Registers;
use rmm::attest::platform::Platform;
use rmm::cpu::debug::HostDebug;
use rmm::cpu::pmu::PmuRegisters;
use rmm::cpu::simd::HostSimd;
use rmm::cpu::{CpuFeatures, CpuIndex};
use rmm::granule::{BankError, Epochs, GranuleEntry, GranuleTable, MemoryRange, Waiters};
use rmm::host::preset_register;
use rmm::mem::{SlotBuffer, slot_layout};
use rmm::percpu::Cpu;
use rmm::realm::vmid::VmidTable;
use rmm::rmi::operations::OperationPool;
use rmm::rmi::{self, Dialect, Rmm};
use rmm::xlat::{
    AddressSpace, ContextBuilder, DescriptorFormat, Maintenance, Region, RegionStorage, Table,
    VaRange,
};

/// The memory for an RMM's granule table and VMIDs.
#[derive(Debug, Default)]
pub struct Storage {
    entries: Vec<GranuleEntry>,
    waiters: Waiters,
    epochs: Epochs,
    vmids: VmidTable,
    operations: OperationPool,
}

/// An RMM on a machine.
#[derive(Debug)]
pub struct System<'a> {
    /// The machine that it runs on.
    pub machine: Arc<Machine>,
    /// The RMM.
    pub rmm: Rmm<'a>,
}

thread_local! {
    static ATTESTATION: Cell<Option<&'static Platform>> = const { Cell::new(None) };
}

/// Makes every RMM that this thread boots from now on able to sign tokens.
pub fn preset_attestation(platform: &'static Platform) {
    ATTESTATION.set(Some(platform));
}

impl<'a> System<'a> {
    /// Boots an RMM that manages `banks` without `excluded`, in the memory of `storage`.
    ///
    /// The identification registers are those that this thread has preset.
    ///
    /// # Errors
    ///
    /// The granule table's error for these banks.
    pub fn boot(
        storage: &'a mut Storage,
        machine: Arc<Machine>,
        dialect: Dialect,
        banks: &[MemoryRange],
        excluded: &[MemoryRange],
    ) -> Result<Self, BankError> {
        let entries = GranuleTable::required(banks.iter().copied(), excluded)?;
        storage.entries.clear();
        storage.entries.resize_with(entries, GranuleEntry::new);
        let granules = GranuleTable::new(
            &mut storage.entries,
            &storage.waiters,
            &storage.epochs,
            banks.iter().copied(),
            excluded,
        )?;
        attach(&machine);
        let cpu = CpuFeatures::read();
        let Storage { vmids, operations, .. } = storage;
        let attestation = ATTESTATION.get();
        Ok(Self { machine, rmm: Rmm::new(granules, vmids, operations, dialect, &cpu, attestation) })
    }

    /// An RMM of RMI 2.0 on a machine with one bank, all Non-secure: base and size. It has 48-bit
    /// physical addresses, 16-bit VMIDs, and 16 breakpoints and watchpoints.
    pub fn boot_2_0(bank: (u64, u64)) -> System<'static> {
        preset_register("ID_AA64MMFR0_EL1", 5);
        preset_register("ID_AA64MMFR1_EL1", 2 << 4);
        preset_register("ID_AA64DFR0_EL1", 15 << 20 | 15 << 12);
        let storage = Box::leak(Box::new(Storage::default()));
        let banks = [(PhysAddr::new(bank.0), bank.1)];
        System::boot(storage, Machine::with_dram(&[bank]), Dialect::V2_0, &banks, &[])
            .expect("the bank is right")
    }

    /// The context of a CPU of this system. Its slots reach 48 bits of physical addresses.
    pub fn cpu(index: usize) -> Cpu {
        Self::cpu_of(index, DescriptorFormat::Bits48)
    }

    /// The context of a CPU with slots of this descriptor format.
    pub fn cpu_of(index: usize, format: DescriptorFormat) -> Cpu {
        Cpu {
            index: CpuIndex::new(index).expect("an index of a CPU"),
            slots: slots(format),
            host_el1: rmm::arch::el1::El1Registers::ZERO,
            host_simd: HostSimd::NONE,
            host_pmu: PmuRegisters::ZERO,
            host_debug: HostDebug::NONE,
            gic_entry: [0; 1 + rmm::abi::rmi_v1::MAX_LRS],
        }
    }

    /// Calls the RMM on `cpu` with x0-x7, from a thread attached to the machine. Gives x0-x7 as the
    /// host gets them.
    pub fn call(&self, cpu: &mut Cpu, mut registers: Registers) -> Registers {
        rmi::handle(self.rmm.dialect(), &self.rmm, cpu, &mut registers);
        registers
    }
}

/// Slots in tables of their own, as each CPU's boot builds them. They last as long as the test.
fn slots(format: DescriptorFormat) -> SlotBuffer {
    let table = Box::leak(Box::new(Table::EMPTY));
    let address = PhysAddr::new(core::ptr::from_ref(table).addr() as u64);
    let storage: &'static mut RegionStorage<1> = Box::leak(Box::new(RegionStorage::new()));
    let bits = match format {
        DescriptorFormat::Bits48 => 48,
        DescriptorFormat::Lpa2 => 52,
    };
    let context = AddressSpace::new(VaRange::High, 21, PhysAddr::new((1 << bits) - 1), format)
        .and_then(|space| {
            let pool = crate::xlat::pool(core::slice::from_mut(table), address)?;
            let mut builder = ContextBuilder::new(space, pool, storage.list())?;
            builder.add_static(Region::transient(slot_layout::BASE, slot_layout::SIZE))?;
            builder.init().map_err(|failed| failed.error)
        })
        .expect("the layout of the slots is right");
    let context = Box::leak(Box::new(context));
    crate::xlat::activate(context, Maintenance::Local).expect("not shared");
    SlotBuffer::new(context).expect("the slots are there")
}
