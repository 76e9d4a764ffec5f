// SPDX-License-Identifier: BSD-3-Clause
//! Tests: cold boot on each machine of `plat/`, as far as possible without the machine. These are
//! the steps of `cold.rs`, in its order, with what EL3 passes on that machine, for an image as
//! large as the machines allow.

use rmm_plat::{LIMITS, MACHINES, Machine, Range, fvp, qemu_virt};

use super::memory_plan::{MemoryInputs, MemoryPlan, POOL_SIZE};
use crate::address::{GRANULE_SIZE, PhysAddr, VirtAddr, native};
use crate::cpu::{CpuIndex, MAX_CPUS};
use crate::el3::arguments::{BootArguments, BootLimits};
use crate::el3::manifest::{Header, Manifest};
use crate::granule::{
    Epochs, GranuleAddress, GranuleEntry, GranuleTable, MemoryRange, State, Waiters,
};
use crate::host::set_monitor;
use crate::mem::high_va;
use crate::mem::low_va::{self, Sections};
use crate::percpu::CpuMemory;
use crate::xlat::{RegionStorage, Table, TablePool};
use kit::el3::El3;
use kit::manifest::builder::Builder;

/// The physical addresses of a CPU that has 48 bits of them.
const MAX_PA: PhysAddr = PhysAddr::new((1 << 48) - 1);
const PHYSICAL_LIMIT: PhysAddr = PhysAddr::new(1 << 48);

/// What EL3 has for the RMM beyond the carve-out's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Service {
    /// RESERVE_MEMORY gives out the rest of the carve-out.
    ReserveMemory,
    /// There is no such service.
    Nothing,
}

/// What cold boot has decided.
struct Booted {
    cpus: usize,
    plan: MemoryPlan,
    banks: Vec<MemoryRange>,
    /// The dump of the Low VA map.
    low: String,
}

fn address(machine: &Machine, offset: u64) -> PhysAddr {
    PhysAddr::new(machine.load_address() + offset)
}

/// The image, its pool before the tables at its end.
fn sections(machine: &Machine) -> Sections<2> {
    let tables = LIMITS.image - low_va::TABLES as u64 * GRANULE_SIZE;
    let range = |first, end| address(machine, first)..address(machine, end);
    Sections {
        code: range(0, 0x3_0000),
        read_only: range(0x3_0000, 0x4_8000),
        read_write: range(0x4_8000, tables),
        guards: [address(machine, 0x5_0000), address(machine, 0x5_6000)],
        low_tables: range(tables, LIMITS.image),
    }
}

fn read_manifest<'a>(machine: &Machine, page: &'a [u8; 4096]) -> Manifest<'a> {
    let header = Header::read(page, PhysAddr::new(machine.shared_page()), PHYSICAL_LIMIT).unwrap();
    header.validate().unwrap()
}

/// Boots under this interface version, with a manifest of version 0.`minor`.
fn boot(machine: &Machine, service: Service, version: u64, minor: u16) -> Booted {
    let image = address(machine, 0)..address(machine, LIMITS.image);
    let limits =
        BootLimits { cpus: MAX_CPUS, physical_limit: PHYSICAL_LIMIT, image: image.clone() };
    let registers = [0, version, machine.cpus, machine.shared_page(), 0];
    let arguments = BootArguments::check(registers, &limits).unwrap();

    let page = Builder::of(machine).of_version(minor).build();
    let manifest = read_manifest(machine, &page.bytes);
    let banks: Vec<_> = manifest.dram().map(|bank| (bank.base(), bank.size())).collect();

    let el3 = match service {
        Service::ReserveMemory => El3::new(&[]).with_pool(image.end.get(), machine.shared_page()),
        Service::Nothing => El3::new(&[]),
    };
    set_monitor(Box::new(move |registers| el3.smc(registers)));
    let pool_end = sections(machine).low_tables.start;
    let pool = PhysAddr::new(pool_end.get() - POOL_SIZE as u64)..pool_end;
    let shared_buffer = arguments.shared_buffer();
    let inputs = MemoryInputs {
        image,
        pool,
        shared_buffer,
        physical_limit: PHYSICAL_LIMIT,
        ask_el3: arguments.version().has_reserve_memory(),
    };
    let plan = MemoryPlan::make(&inputs, arguments.cpu_count(), banks.iter().copied()).unwrap();

    let mut tables: Vec<_> = (0..low_va::TABLES).map(|_| Table::EMPTY).collect();
    let mut storage = RegionStorage::new();
    let sections = sections(machine);
    // SAFETY: no CPU will ever walk the tables.
    let pool = unsafe { TablePool::new(&mut tables, sections.low_tables.start) }.unwrap();
    let low = low_va::build(
        pool,
        &mut storage,
        &sections,
        plan.reserved(),
        shared_buffer,
        manifest.consoles(),
        MAX_PA,
    );
    Booted { cpus: arguments.cpu_count(), plan, banks, low: low.unwrap().to_string() }
}

/// Runs `body` with the granule table of a machine.
fn with_granules<R>(booted: &Booted, body: impl FnOnce(&GranuleTable<'_>) -> R) -> R {
    let count = native(booted.plan.granules.size) / size_of::<GranuleEntry>();
    let mut entries: Vec<_> = (0..count).map(|_| GranuleEntry::new()).collect();
    let (waiters, epochs) = (Waiters::new(), Epochs::new());
    let banks = booted.banks.iter().copied();
    body(&GranuleTable::new(&mut entries, &waiters, &epochs, banks, &booted.plan.excluded).unwrap())
}

fn state(table: &GranuleTable<'_>, granule: u64) -> Option<State> {
    table.state(GranuleAddress::new(PhysAddr::new(granule)).unwrap())
}

#[test]
fn the_image_suits_every_machine() {
    for Machine { name, limits, cpus, carve_out, dram, .. } in MACHINES {
        assert!(
            limits.cpus <= LIMITS.cpus
                && limits.dram <= LIMITS.dram
                && LIMITS.image <= limits.image,
            "{name}"
        );
        assert!(native(*cpus) <= limits.cpus, "{name}");
        assert!(dram.iter().map(|bank| bank.size).sum::<u64>() <= limits.dram, "{name}");
        assert!(limits.image < carve_out.size, "{name}: the shared page has its place");
    }
}

#[test]
fn every_machine_boots_under_every_interface_and_manifest_with_or_without_reserved_memory() {
    for machine in MACHINES {
        for service in [Service::ReserveMemory, Service::Nothing] {
            for version in [0x2, 0x4, 0x8, 0x2_0000] {
                for minor in 2..=6 {
                    let booted = boot(machine, service, version, minor);
                    let reserved = service == Service::ReserveMemory && version >= 7;
                    let places = [booted.plan.cpus, booted.plan.granules];
                    assert_eq!(
                        places.map(|place| place.reserved),
                        [reserved; 2],
                        "{}",
                        machine.name
                    );
                    assert_eq!(booted.cpus as u64, machine.cpus);
                }
            }
        }
    }
}

#[test]
fn what_tf_a_says_of_every_machine_is_what_its_manifest_says() {
    for machine in MACHINES {
        let page = Builder::of(machine).build();
        let manifest = read_manifest(machine, &page.bytes);
        let ranges = |ranges: &[Range]| {
            ranges.iter().map(|range| (range.base, range.size)).collect::<Vec<_>>()
        };
        let dram: Vec<_> = manifest.dram().map(|bank| (bank.base().get(), bank.size())).collect();
        assert_eq!(dram, ranges(machine.dram));
        let devices: Vec<_> =
            manifest.non_coherent().map(|range| (range.base().get(), range.size())).collect();
        assert_eq!(devices, ranges(machine.non_coherent));
        let consoles: Vec<_> = manifest.consoles().map(|console| console.base.get()).collect();
        assert_eq!(
            consoles,
            machine.consoles.iter().map(|console| console.base).collect::<Vec<_>>()
        );
        let smmus: Vec<_> =
            manifest.smmus().map(|smmu| (smmu.base.get(), smmu.realm_base.get())).collect();
        assert_eq!(
            smmus,
            machine.smmus.iter().map(|smmu| (smmu.base, smmu.realm_base)).collect::<Vec<_>>()
        );
        let ports: Vec<_> = manifest
            .root_complexes()
            .map(|complex| (complex.ecam.get(), complex.root_ports().count()))
            .collect();
        let expected =
            machine.root_complexes.iter().map(|complex| (complex.ecam, complex.root_ports.len()));
        assert_eq!(ports, expected.collect::<Vec<_>>());
    }
}

#[test]
fn both_banks_of_fvp_are_tracked_and_nothing_beside_them() {
    let machine = &fvp::MACHINE;
    for service in [Service::ReserveMemory, Service::Nothing] {
        let booted = boot(machine, service, 0x2_0000, 5);
        // 1,032,192 granules of two bytes.
        assert_eq!(booted.plan.granules.size, 504 * GRANULE_SIZE);
        with_granules(&booted, |table| {
            for bank in machine.dram {
                for granule in (bank.base..bank.end()).step_by(native(GRANULE_SIZE)) {
                    assert_eq!(state(table, granule), Some(State::Ns), "{granule:#x}");
                }
            }
            // All of the address space below the first bank and between the two, the RMM's memory
            // with it.
            let (low, high) = (machine.dram[0], machine.dram[1]);
            for (start, end) in [(0, low.base), (low.end(), high.base)] {
                for granule in (start..end).step_by(native(GRANULE_SIZE)) {
                    assert_eq!(state(table, granule), None, "{granule:#x}");
                }
            }
            assert_eq!(state(table, high.end()), None);
            for device in machine.non_coherent {
                assert_eq!(state(table, device.base), None);
                assert_eq!(state(table, device.end() - GRANULE_SIZE), None);
            }
        });
    }
}

#[test]
fn qemu_tracks_its_bank_but_for_what_is_the_rmm_s() {
    let machine = &qemu_virt::MACHINE;
    let booted = boot(machine, Service::Nothing, 0x2_0000, 5);
    with_granules(&booted, |table| {
        let own = machine.carve_out.base..machine.carve_out.end();
        for granule in (machine.dram[0].base..machine.dram[0].end()).step_by(native(GRANULE_SIZE)) {
            assert_eq!(state(table, granule).is_none(), own.contains(&granule), "{granule:#x}");
        }
        assert_eq!(state(table, machine.dram[0].base - GRANULE_SIZE), None);
        assert_eq!(state(table, machine.dram[0].end()), None);
    });
}

#[test]
fn the_low_va_map_of_fvp_is_this_one() {
    let booted = boot(&fvp::MACHINE, Service::ReserveMemory, 0x2_0000, 5);
    // From the bottom: UART 3, the image but for the guards of its stacks; then what EL3 reserved
    // for the granules (504 pages) and for the CPUs (8 times 13 pages), with the shared page above
    // it.
    let expected = "EL2&0 low VA range, 32 bits, 48-bit descriptors, ASID 0
0x000000001c0c0000-0x000000001c0c0fff -> 0x000000001c0c0000 device rw xn non-secure outer
0x00000000fdc00000-0x00000000fdc2ffff -> 0x00000000fdc00000 normal ro x realm inner
0x00000000fdc30000-0x00000000fdc47fff -> 0x00000000fdc30000 normal ro xn realm inner
0x00000000fdc48000-0x00000000fdc4ffff -> 0x00000000fdc48000 normal rw xn realm inner
0x00000000fdc51000-0x00000000fdc55fff -> 0x00000000fdc51000 normal rw xn realm inner
0x00000000fdc57000-0x00000000fe1d7fff -> 0x00000000fdc57000 normal rw xn realm inner
0x00000000fe1d8000-0x00000000fe1fffff -> 0x00000000fe1d8000 normal ro xn realm inner
0x00000000ff99f000-0x00000000ffbfffff -> 0x00000000ff99f000 normal rw xn realm inner
tables: 8 of 40, level 1: 1, level 2: 2, level 3: 5
";
    assert_eq!(booted.low, expected);
}

#[test]
fn the_low_va_map_of_qemu_is_this_one() {
    let booted = boot(&qemu_virt::MACHINE, Service::Nothing, 0x2_0000, 5);
    // From the bottom: the UART, the image but for the guards of its stacks, the shared page.
    let expected = "EL2&0 low VA range, 31 bits, 48-bit descriptors, ASID 0
0x0000000009000000-0x0000000009000fff -> 0x0000000009000000 device rw xn non-secure outer
0x0000000040100000-0x000000004012ffff -> 0x0000000040100000 normal ro x realm inner
0x0000000040130000-0x0000000040147fff -> 0x0000000040130000 normal ro xn realm inner
0x0000000040148000-0x000000004014ffff -> 0x0000000040148000 normal rw xn realm inner
0x0000000040151000-0x0000000040155fff -> 0x0000000040151000 normal rw xn realm inner
0x0000000040157000-0x00000000406d7fff -> 0x0000000040157000 normal rw xn realm inner
0x00000000406d8000-0x00000000406fffff -> 0x00000000406d8000 normal ro xn realm inner
0x00000000418ff000-0x00000000418fffff -> 0x00000000418ff000 normal rw xn realm inner
tables: 7 of 40, level 1: 1, level 2: 2, level 3: 4
";
    assert_eq!(booted.low, expected);
}

#[test]
fn every_cpu_of_every_machine_has_a_high_va_map_laid_out_alike() {
    for machine in MACHINES {
        let mut first = None;
        for index in 0..native(machine.cpus) {
            // SAFETY: any bytes are a `CpuMemory` before it is set up.
            let memory: &'static mut CpuMemory =
                Box::leak(unsafe { Box::new_zeroed().assume_init() });
            let own = core::ptr::from_ref(memory).addr() as u64
                ..core::ptr::from_ref(memory).addr() as u64 + size_of::<CpuMemory>() as u64;
            let map = memory.init(CpuIndex::new(index).unwrap(), MAX_PA).unwrap();
            let pages: Vec<_> = (0..512)
                .map(|page| map.translate(VirtAddr::new(high_va::BASE + page * GRANULE_SIZE)).ok())
                .map(|found| found.map(|page| (page.pa.get(), page.attributes)))
                .collect();
            assert!(
                pages.iter().flatten().all(|(pa, _)| own.contains(pa)),
                "CPU {index} has what is its own"
            );
            let layout: Vec<_> = pages
                .iter()
                .map(|page| page.map(|(pa, attributes)| (pa - own.start, attributes)))
                .collect();
            assert_eq!(first.get_or_insert_with(|| layout.clone()), &layout, "CPU {index}");
        }
    }
}
