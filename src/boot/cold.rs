// SPDX-License-Identifier: BSD-3-Clause
//! Cold boot in Rust, in two halves: [`prepare`] under the early map decides and builds the Low VA
//! map, [`finish`] under that map has a console and all the memory there is, and makes the RMM.
//! Called by `entry.rs`, once each.

use core::cell::UnsafeCell;

use super::memory_plan::{Allocation, MemoryInputs, MemoryPlan, POOL_SIZE};
use super::{entry, registers, warm};
use crate::address::{GRANULE_SIZE, PhysAddr, VirtAddr, native};
use crate::arch::barrier;
use crate::arch::window::Window;
use crate::cpu::{self, CpuFeatures, CpuIndex, MAX_CPUS, Stage};
use crate::el3::arguments::{BootArguments, BootError, BootLimits};
use crate::el3::manifest::{Console, Header};
use crate::granule::{GranuleEntry, GranuleTable, Waiters};
use crate::mem::high_va;
use crate::mem::{linker, low_va};
use crate::percpu::{self, CpuMemory};
use crate::realm::vmid::VmidTable;
use crate::rmi::Rmm;
use crate::xlat::mmu::{self, MmuFeatures, TableSharing};
use crate::xlat::{Context, El2And0, RegionStorage, Table};
use crate::{console, debug, info, warn};

/// Memory that cold boot hands out.
#[repr(C, align(4096))]
struct BootCell<T>(UnsafeCell<T>);

// SAFETY: cold boot alone, on one CPU, touches the content, and hands each piece out at most once.
unsafe impl<T> Sync for BootCell<T> {}

#[unsafe(link_section = ".pool")]
#[used]
static POOL: BootCell<[u8; POOL_SIZE]> = BootCell(UnsafeCell::new([0; POOL_SIZE]));
#[unsafe(link_section = ".low_tables")]
static LOW_TABLES: BootCell<[Table; low_va::TABLES]> =
    BootCell(UnsafeCell::new([Table::EMPTY; low_va::TABLES]));
static LOW_REGIONS: BootCell<RegionStorage<{ low_va::REGIONS }>> =
    BootCell(UnsafeCell::new(RegionStorage::new()));
static WAITERS: Waiters = Waiters::new();
static VMIDS: VmidTable = VmidTable::new();
static RMM: spin::Once<Rmm<'static>> = spin::Once::new();

/// The RMM, once cold boot is done.
pub(super) fn rmm() -> Option<&'static Rmm<'static>> {
    RMM.get()
}

/// What cold boot keeps from its first half for its second.
struct Cold {
    arguments: BootArguments,
    /// A private copy of the page shared with EL3, so that what is checked is what is used.
    manifest: [u8; 4096],
    physical_limit: PhysAddr,
    max_pa: PhysAddr,
    /// A refusal is kept until there is a console to tell it on.
    plan: Result<MemoryPlan, BootError>,
    /// The Low VA map, to be queried.
    low: Option<Context<'static, El2And0>>,
}

static COLD: BootCell<Option<Cold>> = BootCell(UnsafeCell::new(None));
static FEATURES: spin::Once<CpuFeatures> = spin::Once::new();

/// What of `cpu` the tables and registers of the RMM's own translation depend on.
fn translation(cpu: &CpuFeatures) -> MmuFeatures {
    MmuFeatures {
        physical_range: u64::from(cpu.physical_range_code()),
        // The field is signed.
        granule_4kib: cpu.tgran4() < 8,
        lpa2: cpu.stage1_lpa2(),
        asid_16: cpu.asid_bits() != 0,
        hierarchical_disable: cpu.hpds() != 0,
        common_not_private: cpu.cnp() != 0,
        small_tables: cpu.st() != 0,
        e0pd: cpu.e0pd() != 0,
    }
}

/// Checks that the running CPU has the features of the first one.
pub(super) fn has_same_features() -> Result<(), BootError> {
    let first = FEATURES.get().ok_or(BootError::Unsupported("a warm boot before a cold one"))?;
    match first.difference(&CpuFeatures::read()) {
        None => Ok(()),
        Some(register) => Err(BootError::CpuDiffers(register)),
    }
}

fn unsupported(_: crate::xlat::Error) -> BootError {
    BootError::Unsupported("the translation tables of the RMM cannot be built on this CPU")
}

/// Checks what EL3 passed as far as the maps depend on it, finds memory, and builds the Low VA map.
pub(super) fn prepare(registers: [u64; 5]) -> Result<(), BootError> {
    cpu::enter_stage(Stage::Arguments);
    let cpu = FEATURES.call_once(CpuFeatures::read);
    let features = translation(cpu);
    let max_pa = features.max_pa(low_va::FORMAT);
    let physical_limit = max_pa
        .checked_add(1)
        .ok_or(BootError::Unsupported("a physical address range of 64 bits"))?;
    let limits = BootLimits { cpus: MAX_CPUS, physical_limit, image: linker::image() };
    let arguments = BootArguments::check(registers, &limits)?;
    if let Some(index) = CpuIndex::new(arguments.cpu_index()) {
        cpu::identify(index, Stage::Arguments);
    }
    cpu::enter_stage(Stage::Memory);
    let cold = Cold {
        arguments,
        manifest: copy_page(arguments.shared_buffer()),
        physical_limit,
        max_pa,
        plan: Err(BootError::Unsupported("a cold boot without a plan")),
        low: None,
    };
    // SAFETY: cold boot runs once, on one CPU.
    let cold = unsafe { &mut *COLD.0.get() }.insert(cold);
    cold.plan = plan(cold);
    cpu::enter_stage(Stage::LowMap);
    let consoles = header(cold)?.consoles()?;
    let low = build_low_map(cold, consoles, &features)?;
    cold.low = Some(low);
    Ok(())
}

fn header(cold: &Cold) -> Result<Header<'_>, BootError> {
    Ok(Header::read(&cold.manifest, cold.arguments.shared_buffer(), cold.physical_limit)?)
}

/// A private copy of the page shared with EL3, so that what is checked is what is used.
fn copy_page(page: PhysAddr) -> [u8; 4096] {
    let mut copy = [0; 4096];
    let mut address = page.get();
    for word in copy.chunks_exact_mut(8) {
        // SAFETY: the early identity map has this page, which the arguments' checks found aligned
        // and outside the image.
        let value =
            unsafe { core::ptr::with_exposed_provenance::<u64>(native(address)).read_volatile() };
        word.copy_from_slice(&value.to_le_bytes());
        address += 8;
    }
    copy
}

fn plan(cold: &Cold) -> Result<MemoryPlan, BootError> {
    let manifest = header(cold)?.validate()?;
    let inputs = MemoryInputs {
        image: linker::image(),
        pool: linker::pool(),
        shared_buffer: cold.arguments.shared_buffer(),
        physical_limit: cold.physical_limit,
    };
    MemoryPlan::make(
        &inputs,
        cold.arguments.cpu_count(),
        manifest.dram().map(|bank| (bank.base(), bank.size())),
    )
}

/// Builds the Low VA map, and leaves what `entry.S` needs to enter it, on this CPU and on others.
fn build_low_map(
    cold: &Cold,
    consoles: impl Iterator<Item = Console> + Clone,
    features: &MmuFeatures,
) -> Result<Context<'static, El2And0>, BootError> {
    // SAFETY: cold boot runs once, on one CPU, so that this is the only reference ever made to the
    // tables.
    let tables = unsafe { &mut *LOW_TABLES.0.get() };
    // SAFETY: as above, to the list of regions.
    let storage = unsafe { &mut *LOW_REGIONS.0.get() };
    let low = low_va::build(
        tables,
        storage,
        &entry::sections(),
        cold.plan.iter().flat_map(MemoryPlan::reserved),
        cold.arguments.shared_buffer(),
        consoles,
        cold.max_pa,
    )
    .map_err(unsupported)?;
    let high = high_va::space(cold.max_pa).map_err(unsupported)?;
    let tcr = mmu::tcr(low.space(), &high, features).map_err(unsupported)?;
    let ttbr0 = mmu::ttbr(&low, TableSharing::Common, features);
    let cpus = cold.plan.as_ref().map_or(PhysAddr::new(0), |plan| plan.cpus.base);
    warm::set(cold.arguments.cpu_count(), mmu::MAIR, tcr, ttbr0, registers::SCTLR, cpus);
    // The tables are written with caches on, and walks are cacheable; complete before the walker is
    // pointed at them.
    barrier::dsb_ish();
    Ok(low)
}

/// Everything that needs no more than the map: the console first, so that what follows can be told.
pub(super) fn finish() -> Result<(), BootError> {
    cpu::enter_stage(Stage::Console);
    // SAFETY: cold boot runs once, on one CPU; `prepare` has ended.
    let Some(cold) = (unsafe { &*COLD.0.get() }) else {
        return Err(BootError::Unsupported("a cold boot that was not prepared"));
    };
    let header = header(cold)?;
    if let Some(pl011) = header.consoles()?.find(|console| console.name == *b"pl011\0\0\0") {
        // SAFETY: the Low VA map in force maps its registers flat, as device memory, for good.
        unsafe { console::init(VirtAddr::new(pl011.region().base().get())) };
    }
    announce(&cold.arguments, &header);
    if let Some(low) = &cold.low {
        debug!("Low VA map:\n{low}");
    }
    #[cfg(feature = "self-test")]
    super::self_test::after_maps();

    cpu::enter_stage(Stage::HighMaps);
    let plan = cold.plan?;
    take_high_map(cold, &plan.cpus)?;
    cpu::enter_stage(Stage::Granules);
    let manifest = header.validate()?;
    let banks = manifest.dram().map(|bank| (bank.base(), bank.size()));
    let table = GranuleTable::new(granules(&plan.granules), &WAITERS, banks, &plan.excluded)
        .map_err(|_| BootError::Unsupported("the DRAM banks of the manifest cannot be tracked"))?;
    for bank in manifest.dram() {
        info!("DRAM {} to {}", bank.base(), bank.end());
    }
    let dialect = cold.arguments.version().dialect();
    let cpu = FEATURES.get().ok_or(BootError::Unsupported("a cold boot that was not prepared"))?;
    RMM.call_once(|| Rmm::new(table, &VMIDS, dialect, cpu));
    info!("boot complete");
    cpu::enter_stage(Stage::Online);
    Ok(())
}

fn announce(arguments: &BootArguments, header: &Header<'_>) {
    info!(
        "RMM {} at {}, interface {}, manifest {}, {} CPUs",
        env!("CARGO_PKG_VERSION"),
        linker::image().start,
        arguments.version().version(),
        header.version(),
        arguments.cpu_count()
    );
    if cfg!(hardened) {
        info!("hardened image: branch targets guarded, return addresses signed");
    } else {
        warn!("plain image: built without branch protection");
    }
}

/// Builds the High VA maps of all CPUs in `place`, and enters this CPU's own.
fn take_high_map(cold: &Cold, place: &Allocation) -> Result<(), BootError> {
    let first = core::ptr::with_exposed_provenance_mut::<CpuMemory>(native(place.base.get()));
    // SAFETY: the plan has found room for this many, which the Low VA map has as data, flat, for
    // good; nobody else is given it. Any bytes are a `CpuMemory` before it is set up.
    let cpus = unsafe { core::slice::from_raw_parts_mut(first, cold.arguments.cpu_count()) };
    percpu::init_all(cpus, cold.max_pa).map_err(unsupported)?;
    let index = cold.arguments.cpu_index() as u64;
    high_va::enable(PhysAddr::new(place.base.get() + index * size_of::<CpuMemory>() as u64));
    log_allocation("CPUs", place);
    Ok(())
}

/// The entries of the granule array, new.
fn granules(place: &Allocation) -> &'static mut [GranuleEntry] {
    for granule in (place.base.get()..place.base.get() + place.size).step_by(native(GRANULE_SIZE)) {
        // SAFETY: the plan has found this much room, which the Low VA map has as data, flat, for
        // good; nobody else is given it.
        unsafe { Window::new(VirtAddr::new(granule), PhysAddr::new(granule)).zero() };
    }
    log_allocation("granules", place);
    let first = core::ptr::with_exposed_provenance_mut::<GranuleEntry>(native(place.base.get()));
    // SAFETY: as above; zeroes are new entries.
    unsafe {
        core::slice::from_raw_parts_mut(first, native(place.size) / size_of::<GranuleEntry>())
    }
}

fn log_allocation(whose: &str, place: &Allocation) {
    let from = if place.reserved { "reserved by EL3" } else { "in the image" };
    info!("memory of the {whose}: {} KiB at {}, {from}", place.size >> 10, place.base);
}
