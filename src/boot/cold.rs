// SPDX-License-Identifier: BSD-3-Clause
//! Cold boot in Rust, in two halves: [`prepare`] under the early map decides and builds the Low VA
//! map, [`finish`] under that map has a console and all the memory there is, and makes the RMM.
//! Called by `entry.rs`, once each.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;

use log::{debug, info, warn};

use super::handover::{self, Booted, CommonValues};
use super::memory_plan::{Allocation, MemoryInputs, MemoryPlan, POOL_SIZE};
#[cfg(feature = "self-test")]
use super::self_test::{self, Moment};
use super::stacks;
use crate::address::{GRANULE_SIZE, PhysAddr, VirtAddr, native};
use crate::arch::barrier;
use crate::arch::window::Window;
use crate::attest::platform::{MAX_PLATFORM_TOKEN, Platform, Signer};
use crate::console;
use crate::cpu::{self, CpuFeatures, CpuIndex, MAX_CPUS, Stage};
use crate::el3::arguments::{BootArguments, BootLimits, check_shared_buffer};
use crate::el3::error::BootError;
use crate::el3::manifest::{Console, Header};
use crate::granule::{Epochs, GranuleEntry, GranuleTable, Waiters};
use crate::mem::high_va;
use crate::mem::{SharedBuffer, linker, low_va};
use crate::percpu::{self, CpuMemory};
use crate::realm::vmid::VmidTable;
use crate::rmi::Rmm;
use crate::rmi::operations::OperationPool;
use crate::xlat::mmu::{self, MmuFeatures, TableSharing};
use crate::xlat::{Context, El2And0, RegionStorage, Table, TablePool};

/// Memory that cold boot hands out.
#[repr(C, align(4096))]
struct BootCell<T>(UnsafeCell<T>);

// SAFETY: cold boot alone, on one CPU, touches the content, and hands each piece out at most once.
unsafe impl<T> Sync for BootCell<T> {}

#[unsafe(link_section = ".pool")]
#[used]
static POOL: BootCell<[u8; POOL_SIZE]> = BootCell(UnsafeCell::new([0; POOL_SIZE]));
#[unsafe(link_section = ".low_tables")]
#[used]
static LOW_TABLES: BootCell<[Table; low_va::TABLES]> =
    BootCell(UnsafeCell::new([Table::EMPTY; low_va::TABLES]));
static LOW_REGIONS: BootCell<MaybeUninit<RegionStorage<{ low_va::REGIONS }>>> =
    BootCell(UnsafeCell::new(MaybeUninit::uninit()));
static WAITERS: Waiters = Waiters::new();
static EPOCHS: Epochs = Epochs::new();

/// Tells all CPUs that this one is about to die, perhaps with locks held.
pub(super) fn abandon() {
    WAITERS.abandon();
}

/// Whether a CPU has died.
pub(super) fn is_abandoned() -> bool {
    WAITERS.is_abandoned()
}

static VMIDS: VmidTable = VmidTable::new();
/// Stateful operations of the host. Made at boot: a static whose initial value is not zero would
/// take its size in the image file.
static OPERATIONS: spin::Once<OperationPool> = spin::Once::new();

/// What the first half of cold boot leaves for the second.
struct Prepared {
    /// A refusal is kept until there is a console to print it on.
    arguments: Result<BootArguments, BootError>,
    plan: Result<MemoryPlan, BootError>,
    manifest: ManifestCopy,
    features: CpuFeatures,
    max_pa: PhysAddr,
    /// The Low VA map, to be printed.
    low: Context<'static, El2And0>,
}

static PREPARED: spin::Once<Prepared> = spin::Once::new();

/// A private copy of the page shared with EL3: what is checked is what is used.
struct ManifestCopy {
    bytes: [u8; 4096],
    page: PhysAddr,
    physical_limit: PhysAddr,
}

impl ManifestCopy {
    /// Copies the shared page, which passed its check.
    fn new(page: PhysAddr, physical_limit: PhysAddr) -> Self {
        let mut bytes = [0; 4096];
        for (word, address) in bytes.chunks_exact_mut(8).zip((page.get()..).step_by(8)) {
            let source = core::ptr::with_exposed_provenance::<u64>(native(address));
            // SAFETY: the early identity map has this page, which is aligned and outside the image.
            let value = unsafe { source.read_volatile() };
            word.copy_from_slice(&value.to_le_bytes());
        }
        Self { bytes, page, physical_limit }
    }

    fn header(&self) -> Result<Header<'_>, BootError> {
        Ok(Header::read(&self.bytes, self.page, self.physical_limit)?)
    }
}

fn unsupported(_: crate::xlat::Error) -> BootError {
    BootError::Unsupported("the translation tables of the RMM cannot be built on this CPU")
}

/// The features of `cpu` on which the RMM's own translation depends.
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

/// First half, under the early map: checks what EL3 passed, finds memory, builds the Low VA map.
///
/// # Errors
///
/// A refusal that leaves no console. Any other is kept for [`finish`].
pub(super) fn prepare(registers: [u64; 5]) -> Result<(), BootError> {
    console::init_log();
    cpu::enter_stage(Stage::Arguments);
    cpu::errata::note_this_cpu();
    let features = CpuFeatures::read();
    let max_pa = translation(&features).max_pa(low_va::FORMAT);
    let physical_limit = PhysAddr::new(max_pa.get() + 1);
    let limits = BootLimits { cpus: MAX_CPUS, physical_limit, image: linker::image() };
    let arguments = BootArguments::check(registers, &limits);
    // The refusal that comes first in the order of checks.
    let first = |error: BootError| arguments.err().unwrap_or(error);
    if let Some(index) = arguments.ok().and_then(|cold| CpuIndex::new(cold.cpu_index())) {
        cpu::identify(index, Stage::Arguments);
    }

    cpu::enter_stage(Stage::Memory);
    let shared_page = PhysAddr::new(registers[3]);
    check_shared_buffer(shared_page, &limits).map_err(first)?;
    let manifest = ManifestCopy::new(shared_page, physical_limit);
    let header = manifest.header().map_err(first)?;
    let consoles = header.consoles().map_err(|error| first(error.into()))?;
    let plan = arguments.and_then(|arguments| plan(&arguments, &header, physical_limit));

    cpu::enter_stage(Stage::LowMap);
    let low =
        build_low_map(shared_page, arguments.as_ref().ok(), &plan, consoles, max_pa, &features)?;
    PREPARED.call_once(|| Prepared { arguments, plan, manifest, features, max_pa, low });
    Ok(())
}

fn plan(
    arguments: &BootArguments,
    header: &Header<'_>,
    physical_limit: PhysAddr,
) -> Result<MemoryPlan, BootError> {
    let manifest = header.validate()?;
    let inputs = MemoryInputs {
        image: linker::image(),
        pool: linker::pool(),
        shared_buffer: arguments.shared_buffer(),
        physical_limit,
        ask_el3: arguments.version().has_reserve_memory(),
    };
    let banks = manifest.dram().map(|bank| (bank.base(), bank.size()));
    MemoryPlan::make(&inputs, arguments.cpu_count(), banks)
}

/// Builds the Low VA map, and leaves what `entry.S` needs to enter it, on this CPU and on others.
fn build_low_map(
    shared_page: PhysAddr,
    arguments: Option<&BootArguments>,
    plan: &Result<MemoryPlan, BootError>,
    consoles: impl Iterator<Item = Console> + Clone,
    max_pa: PhysAddr,
    features: &CpuFeatures,
) -> Result<Context<'static, El2And0>, BootError> {
    let mmu = &translation(features);
    let sections = stacks::sections();
    // `LOW_TABLES`, by the linker's symbol: code names nothing that is farther than 1 MiB.
    let tables = core::ptr::with_exposed_provenance_mut(native(sections.low_tables.start.get()));
    // SAFETY: cold boot runs once, on one CPU, so that this is the only reference ever made to the
    // tables, which are the whole section.
    let tables: &mut [Table; low_va::TABLES] = unsafe { &mut *tables };
    // SAFETY: as above, to the list of regions.
    let storage = unsafe { &mut *LOW_REGIONS.0.get() }.write(RegionStorage::new());
    // SAFETY: the early map is flat, and no CPU walks them before `entry.S` is handed the root.
    let pool = unsafe { TablePool::new(tables, sections.low_tables.start) }.map_err(unsupported)?;
    let low = low_va::build(
        pool,
        storage,
        &sections,
        plan.iter().flat_map(MemoryPlan::reserved),
        shared_page,
        consoles,
        max_pa,
    )
    .map_err(unsupported)?;
    let high = high_va::space(max_pa).map_err(unsupported)?;
    handover::publish(CommonValues {
        cpu_count: arguments.map_or(0, BootArguments::cpu_count),
        ttbr0: mmu::ttbr(&low, TableSharing::Common, mmu),
        tcr: mmu::tcr(Some(low.space()), Some(&high), mmu).map_err(unsupported)?,
        first_cpu: plan.as_ref().map_or(PhysAddr::new(0), |plan| plan.cpus.base),
        features: *features,
    });
    // The tables are written with caches on, and walks are cacheable; complete before the walker is
    // pointed at them.
    barrier::dsb_ish();
    Ok(low)
}

/// Second half, under the Low VA map: the console first, then the High VA maps and the RMM.
pub(super) fn finish() -> Result<(), BootError> {
    cpu::enter_stage(Stage::Console);
    let Some(prepared) = PREPARED.get() else {
        return Err(BootError::Unsupported("a cold boot that was not prepared"));
    };
    let header = prepared.manifest.header()?;
    if let Some(pl011) = header.consoles()?.find(|console| console.name == *b"pl011\0\0\0") {
        // SAFETY: the Low VA map in force maps its registers flat, as device memory, for good.
        unsafe { console::init(VirtAddr::new(pl011.region().base().get())) };
    }
    let arguments = prepared.arguments?;
    announce(&arguments, &header);
    debug!("Low VA map:\n{}", prepared.low);
    #[cfg(feature = "self-test")]
    self_test::at(Moment::AfterMaps);

    // It counts nothing while a Realm runs, so each run stops it.
    if !prepared.features.has_pmu() {
        return Err(BootError::Unsupported("a CPU without FEAT_PMUv3"));
    }
    cpu::enter_stage(Stage::HighMaps);
    let plan = prepared.plan.as_ref().map_err(|refusal| *refusal)?;
    take_high_map(&arguments, &plan.cpus, prepared.max_pa)?;
    cpu::enter_stage(Stage::Granules);
    let manifest = header.validate()?;
    let banks = manifest.dram().map(|bank| (bank.base(), bank.size()));
    let entries = granules(&plan.granules)?;
    let table = GranuleTable::new(entries, &WAITERS, &EPOCHS, banks, &plan.excluded)
        .map_err(|_| BootError::Unsupported("the DRAM banks of the manifest cannot be tracked"))?;
    for bank in manifest.dram() {
        info!("DRAM {} to {}", bank.base(), bank.end());
    }
    let features = prepared.features;
    let dialect = arguments.version().dialect();
    let attestation = platform(&arguments);
    let operations = OPERATIONS.call_once(OperationPool::new);
    let rmm = Rmm::new(table, &VMIDS, operations, dialect, &features, attestation);
    handover::complete(Booted { rmm, arguments, features });
    info!("boot complete");
    cpu::enter_stage(Stage::Online);
    Ok(())
}

/// EL3's attestation data. Without it Realms run, but get no tokens.
fn platform(arguments: &BootArguments) -> Option<&'static Platform> {
    static PLATFORM: spin::Once<Platform> = spin::Once::new();
    static TOKEN: spin::Mutex<[u8; MAX_PLATFORM_TOKEN]> = spin::Mutex::new([0; MAX_PLATFORM_TOKEN]);
    // SAFETY: the Low VA map has the page for good; the manifest in it was copied, and nothing else
    // reads it.
    let buffer = unsafe { SharedBuffer::new(arguments.shared_buffer()) };
    let ask = || {
        let room = spin::MutexGuard::leak(TOKEN.lock());
        Platform::ask(buffer, arguments.version(), room)
    };
    match PLATFORM.try_call_once(ask) {
        Ok(platform) => {
            info!("attestation: platform token of {} bytes", platform.token().len());
            if let Signer::El3(_) = platform.signer() {
                info!("attestation: EL3 signs");
            }
            Some(platform)
        }
        Err(why) => {
            warn!("no attestation: {why}");
            None
        }
    }
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
fn take_high_map(
    arguments: &BootArguments,
    place: &Allocation,
    max_pa: PhysAddr,
) -> Result<(), BootError> {
    let first = core::ptr::with_exposed_provenance_mut::<CpuMemory>(native(place.base.get()));
    // SAFETY: the plan has found room for this many, which the Low VA map has as data, flat, for
    // good; nobody else is given it. Any bytes are a `CpuMemory` before it is set up.
    let cpus = unsafe { core::slice::from_raw_parts_mut(first, arguments.cpu_count()) };
    percpu::init_all(cpus, max_pa).map_err(unsupported)?;
    let index = arguments.cpu_index() as u64;
    high_va::enable(PhysAddr::new(place.base.get() + index * size_of::<CpuMemory>() as u64));
    log_allocation("CPUs", place);
    Ok(())
}

/// The entries of the granule array, new.
fn granules(place: &Allocation) -> Result<&'static mut [GranuleEntry], BootError> {
    for granule in (place.base.get()..place.base.get() + place.size).step_by(native(GRANULE_SIZE)) {
        // SAFETY: the plan has found this much room, which the Low VA map has as data, flat, for
        // good; nobody else is given it.
        unsafe { Window::new(VirtAddr::new(granule), PhysAddr::new(granule)).zero() }
            .map_err(|_| BootError::Unsupported("memory for granules that does not answer"))?;
    }
    log_allocation("granules", place);
    let first = core::ptr::with_exposed_provenance_mut::<GranuleEntry>(native(place.base.get()));
    // SAFETY: as above; zeroes are new entries.
    Ok(unsafe {
        core::slice::from_raw_parts_mut(first, native(place.size) / size_of::<GranuleEntry>())
    })
}

fn log_allocation(whose: &str, place: &Allocation) {
    let from = if place.reserved { "reserved by EL3" } else { "in the image" };
    info!("memory of the {whose}: {} KiB at {}, {from}", place.size >> 10, place.base);
}
