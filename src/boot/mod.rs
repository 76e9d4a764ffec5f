// SPDX-License-Identifier: BSD-3-Clause
//! Boot: from EL3's entry to the first RMI call, cold and warm. `entry.S` is the only code that runs with the MMU off.
//!
//! Cold boot runs once, on one CPU, before any other CPU can enter; what it leaves behind is then only read. Warm boot runs on
//! any CPU each time EL3 powers it on, and may do so any number of times.

mod configuration;
mod registers;
mod rmi_entry;
#[cfg(feature = "self-test")]
mod self_test;

use core::cell::UnsafeCell;
use core::ops::Range;

use tock_registers::interfaces::Readable;

use crate::address::{GRANULE_SIZE, PhysAddr, native};
use crate::arch::barrier;
use crate::arch::sysreg::{ID_AA64MMFR0_EL1, ID_AA64MMFR1_EL1, ID_AA64MMFR2_EL1};
use crate::cpu::CpuIndex;
use crate::el3::boot::{BootArguments, BootError, BootLimits, BootStatus, WarmBootArguments};
use crate::el3::manifest::{Console, Header};
use crate::el3::services;
use crate::el3::version::Dialect;
use crate::fatal::ExceptionFrame;
use crate::granule::{GranuleEntry, GranuleTable, MemoryRange, Waiters};
use crate::mem::{high_va, layout, low_va, ns_fault};
use crate::rmi::{self, Rmm};
use crate::xlat::mmu::{self, Features, Sharing};
use crate::{console, cpu, error, info, warn};

/// An activation token that has the self-test image commit a fault at boot: bits 15:8 say where, bits 7:0 which.
const FAULT_TOKEN: u64 = 0x7e57_fa17_0000_0000;
/// Granules that the image's own memory has room to track: 8 GiB.
const MAX_GRANULES: usize = 1 << 21;
/// Bytes of the stack that cold boot runs on, and of that for exceptions during it.
const BOOT_STACK_SIZE: usize = 0x8000;

/// Memory that assembly or one-time initialization hands out.
#[repr(C, align(4096))]
struct Given<T>(UnsafeCell<T>);

// SAFETY: cold boot alone, on one CPU, touches the content, and hands each piece out at most once.
unsafe impl<T> Sync for Given<T> {}

static BOOT_STACK: Given<[u8; BOOT_STACK_SIZE]> = Given(UnsafeCell::new([0; BOOT_STACK_SIZE]));
static BOOT_EXCEPTION_STACK: Given<[u8; BOOT_STACK_SIZE]> = Given(UnsafeCell::new([0; BOOT_STACK_SIZE]));
static GRANULES: Given<[GranuleEntry; MAX_GRANULES]> =
    Given(UnsafeCell::new([const { GranuleEntry::new() }; MAX_GRANULES]));
static WAITERS: Waiters = Waiters::new();
static RMM: spin::Once<Rmm<'static>> = spin::Once::new();

core::arch::global_asm!(
    include_str!("vectors.S"),
    handle_exception = sym handle_exception,
    serves_bit = const cpu::SERVES_BIT,
);
core::arch::global_asm!(
    include_str!("entry.S"),
    hcr = const registers::HCR,
    mair_early = const 0xff,
    tcr_early = const registers::TCR_EARLY,
    sctlr_early = const registers::SCTLR_EARLY,
    boot_stack = sym BOOT_STACK,
    boot_exception_stack = sym BOOT_EXCEPTION_STACK,
    boot_stack_size = const BOOT_STACK_SIZE,
    prepare = sym prepare,
    finish = sym finish,
    warm = sym warm,
    handle = sym rmi_entry::handle,
    per_cpu_size = const size_of::<high_va::CpuMemory>(),
    stack_top = const high_va::STACK_TOP_OFFSET,
    exception_stack_top = const high_va::EXCEPTION_STACK_TOP_OFFSET,
    high_stack_top = const high_va::STACK_TOP,
    high_exception_stack_top = const high_va::EXCEPTION_STACK_TOP,
    boot_complete = const services::BOOT_COMPLETE,
    request_complete = const services::REQUEST_COMPLETE,
    self_test = const cfg!(feature = "self-test") as u32,
    fault_token = const FAULT_TOKEN,
);

/// What cold boot keeps from its first half for its second.
struct Cold {
    arguments: BootArguments,
    /// A private copy of the page shared with EL3, so that what is checked is what is used.
    manifest: [u8; 4096],
    physical_limit: PhysAddr,
}

static COLD: Given<Option<Cold>> = Given(UnsafeCell::new(None));

/// Called by the vectors, on the exception stack. Comes back, with another place to go on at, from the recoverable fault of an access to the host's
/// memory; any other exception ends this CPU.
extern "C" fn handle_exception(frame: &mut ExceptionFrame) {
    match resume_address(frame) {
        Some(resume) => frame.elr = resume,
        None => crate::fatal::report_exception(frame, layout::image().start.get()),
    }
}

/// Where to go on after the exception; `None` if it cannot be recovered.
fn resume_address(frame: &ExceptionFrame) -> Option<u64> {
    /// Synchronous, from the current EL with SP_EL2.
    const SYNCHRONOUS: u64 = 4;
    let exception = ns_fault::Exception { syndrome: frame.esr, instruction: frame.elr, address: frame.far };
    (frame.vector == SYNCHRONOUS)
        .then(|| ns_fault::resume_address(exception, crate::arch::recovery::accesses()))
        .flatten()
}

/// Called by `entry.S` once, under the early map, with EL3's x0-x4. The status to report.
extern "C" fn prepare(x0: u64, x1: u64, x2: u64, x3: u64, x4: u64) -> u64 {
    #[cfg(feature = "self-test")]
    let x4 = self_test::before_maps(x4);
    status(prepare_maps([x0, x1, x2, x3, x4]))
}

/// Called by `entry.S` after [`prepare`], under the Low and High VA maps. The status to report.
extern "C" fn finish() -> u64 {
    // SAFETY: cold boot runs once, on one CPU; `prepare` has ended.
    match unsafe { &*COLD.0.get() } {
        Some(cold) => status(start(cold)),
        None => status(Err(BootError::Unsupported("a cold boot that was not prepared"))),
    }
}

fn status(result: Result<(), BootError>) -> u64 {
    match result {
        Ok(()) => BootStatus::Success.to_register(),
        Err(refusal) => {
            error!("boot refused: {refusal}");
            refusal.status().to_register()
        }
    }
}

/// Called by `entry.S` on each warm boot, with EL3's x0 and x1. The status to report.
extern "C" fn warm(x0: u64, x1: u64) -> u64 {
    // For reports; that there is such a CPU is checked below.
    if let Some(index) = usize::try_from(x0).ok().and_then(CpuIndex::new) {
        cpu::identify(index);
    }
    #[cfg(feature = "self-test")]
    self_test::warm(x1);
    status(WarmBootArguments::check([x0, x1], configuration::cpu_count()).and_then(|arguments| {
        high_va::enter(arguments.cpu_index(), &features()).map_err(unsupported)?;
        cpu::start_serving();
        Ok(())
    }))
}

/// What this CPU's translation can do.
fn features() -> Features {
    Features::from_id_registers(ID_AA64MMFR0_EL1.get(), ID_AA64MMFR1_EL1.get(), ID_AA64MMFR2_EL1.get())
}

fn unsupported(_: crate::xlat::Error) -> BootError {
    BootError::Unsupported("the translation tables of the RMM cannot be built on this CPU")
}

/// Checks what EL3 passed as far as the maps depend on it, and builds them.
fn prepare_maps(registers: [u64; 5]) -> Result<(), BootError> {
    let features = features();
    let max_pa = features.max_pa(low_va::FORMAT).map_err(unsupported)?;
    let physical_limit =
        max_pa.checked_add(1).ok_or(BootError::Unsupported("a physical address range of 64 bits"))?;
    let limits = BootLimits { cpus: high_va::PLATFORM_CPUS, physical_limit, image: layout::image() };
    let arguments = BootArguments::check(registers, &limits)?;
    if let Some(index) = CpuIndex::new(arguments.cpu_index()) {
        cpu::identify(index);
    }
    let manifest = copy_page(arguments.shared_buffer());
    // SAFETY: cold boot runs once, on one CPU.
    let cold = unsafe { &mut *COLD.0.get() }.insert(Cold { arguments, manifest, physical_limit });
    let consoles = header(cold)?.consoles()?;
    build_maps(&arguments, consoles, max_pa, &features)
}

fn header(cold: &Cold) -> Result<Header<'_>, BootError> {
    Ok(Header::read(&cold.manifest, cold.arguments.shared_buffer(), cold.physical_limit)?)
}

/// Everything that needs no more than the maps: the console first, so that what follows can be told.
fn start(cold: &Cold) -> Result<(), BootError> {
    let Cold { arguments, .. } = cold;
    let header = header(cold)?;
    if let Some(pl011) = header.consoles()?.find(|console| console.name == *b"pl011\0\0\0") {
        // SAFETY: the Low VA map in force maps its registers flat, as device memory, for good.
        unsafe { console::init(crate::address::VirtAddr::new(pl011.region().base().get())) };
    }
    let image = layout::image();
    announce(arguments, &header, &image);
    #[cfg(feature = "self-test")]
    self_test::after_maps();

    let manifest = header.validate()?;
    let banks = || manifest.dram().map(|bank| (bank.base(), bank.size()));
    let image_size = image.end.get() - image.start.get();
    let excluded = [(image.start, image_size), (arguments.shared_buffer(), GRANULE_SIZE)];
    let table = granules(banks, &excluded)?;
    for bank in manifest.dram() {
        info!("DRAM {} to {}", bank.base(), bank.end());
    }
    let dialect = match arguments.version().dialect() {
        Dialect::V1 => rmi::Dialect::V1_0,
        Dialect::V2 => rmi::Dialect::V2_0,
    };
    RMM.call_once(|| Rmm::new(table, dialect));
    info!("boot complete");
    cpu::start_serving();
    Ok(())
}

/// A private copy of the page shared with EL3, so that what is checked is what is used.
fn copy_page(page: PhysAddr) -> [u8; 4096] {
    let mut copy = [0; 4096];
    let mut address = page.get();
    for word in copy.chunks_exact_mut(8) {
        // SAFETY: the early identity map has this page, which the arguments' checks found aligned and outside the image.
        let value = unsafe { core::ptr::with_exposed_provenance::<u64>(native(address)).read_volatile() };
        word.copy_from_slice(&value.to_le_bytes());
        address += 8;
    }
    copy
}

/// Builds the Low VA map and this CPU's High VA map, and leaves what `entry.S` needs to enter them, on this CPU and on others.
fn build_maps(
    arguments: &BootArguments,
    consoles: impl Iterator<Item = Console> + Clone,
    max_pa: PhysAddr,
    features: &Features,
) -> Result<(), BootError> {
    let storage = &mut low_va::storage();
    let low = low_va::build(storage, arguments.shared_buffer(), consoles, max_pa).map_err(unsupported)?;
    let high = high_va::space(max_pa).map_err(unsupported)?;
    let tcr = mmu::tcr(low.space(), &high, features).map_err(unsupported)?;
    let ttbr0 = mmu::ttbr(&low, Sharing::Common, features);
    high_va::enter(arguments.cpu_index(), features).map_err(unsupported)?;
    configuration::set(arguments.cpu_count(), mmu::MAIR, tcr, ttbr0, registers::SCTLR, high_va::base());
    // The tables are written with caches on, and walks are cacheable; complete before the walker is pointed at them.
    barrier::dsb_ish();
    Ok(())
}

fn announce(arguments: &BootArguments, header: &Header<'_>, image: &Range<PhysAddr>) {
    info!(
        "RMM {} at {}, interface {}, manifest {}, {} CPUs",
        env!("CARGO_PKG_VERSION"),
        image.start,
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

/// The granule array, in the image's own memory.
fn granules<I>(banks: impl Fn() -> I, excluded: &[MemoryRange]) -> Result<GranuleTable<'static>, BootError>
where
    I: Iterator<Item = MemoryRange> + Clone,
{
    let needed = GranuleTable::required(banks(), excluded)
        .map_err(|_| BootError::Unsupported("the DRAM banks of the manifest cannot be tracked"))?;
    if needed > MAX_GRANULES {
        return Err(BootError::Capacity {
            what: "the granule array",
            needed: needed as u64 * 2,
            available: MAX_GRANULES as u64 * 2,
        });
    }
    // SAFETY: cold boot runs once, so this is the only reference ever made to the array.
    let storage = unsafe { &mut *GRANULES.0.get() };
    GranuleTable::new(storage, &WAITERS, banks(), excluded)
        .map_err(|_| BootError::Unsupported("the DRAM banks of the manifest cannot be tracked"))
}

/// Does nothing; a binary that names it is linked with this module, and so with the entry point.
pub fn keep() {}
