// SPDX-License-Identifier: BSD-3-Clause
//! A Realm of the monitor, from its creation to its end.

use core::sync::atomic::{AtomicBool, Ordering};

use rmm_abi::rmi_v1::{RecFlags, RmiRecParams};
use rmm_test_firmware::options::GRANULE;
use rmm_test_firmware::say;
use spin::{Mutex, Once};
use zerocopy::{FromZeros, transmute_ref};

use crate::check;
use crate::gic::{Gic, MAX_RECS};
use crate::memory::{ALIAS, IPA_BITS, Memory, RAM, ROOTS, START_LEVEL};
use crate::pl011::Pl011;
use crate::realm::{self, Shape};
use crate::rmi::{Dialect, Status};
use crate::vcpu::Vcpu;
use crate::virtio::Virtio;
use crate::{give_up, options, pool};

/// The most Realms that run at the same time.
pub const MAX_REALMS: usize = 2;

static VMS: [Once<Vm>; MAX_REALMS] = [const { Once::new() }; MAX_REALMS];

/// A Realm.
pub struct Vm {
    rd: u64,
    roots: u64,
    /// Locked while its tables change.
    pub memory: Mutex<Memory>,
    /// Locked after its PL011 if both are.
    pub gic: Mutex<Gic>,
    /// Its console.
    pub uart: Mutex<Pl011>,
    /// Locked before the memory and the GIC if several are.
    pub virtio: Mutex<Virtio>,
    vcpus: [Once<Vcpu>; MAX_RECS],
    off: AtomicBool,
}

/// All Realms.
pub fn all() -> impl Iterator<Item = &'static Vm> {
    VMS.iter().filter_map(Once::get)
}

/// Whether all Realms have powered off.
pub fn all_off() -> bool {
    all().all(Vm::is_off)
}

/// Builds the number of Realms in the options.
pub fn build_all() {
    for (index, vm) in VMS.iter().enumerate().take(options().realms as usize) {
        vm.call_once(|| Vm::build(index));
    }
}

/// Destroys all Realms.
pub fn destroy_all() {
    all().for_each(Vm::destroy);
}

impl Vm {
    /// Builds a Realm in the order of Linux, for each dialect.
    fn build(index: usize) -> Self {
        let options = options();
        let recs = options.recs as usize;
        let page = pool::take();
        let rd = pool::take_delegated();
        let roots = pool::take_aligned(ROOTS);
        (0..ROOTS).for_each(|root| pool::delegate(roots + root * GRANULE));
        let shape = Shape { lpa2: false, ipa_bits: IPA_BITS, level: START_LEVEL, roots: ROOTS };
        let vmid = index as u16;
        let created = match Dialect::current() {
            Dialect::One => realm::create(rd, page, shape, roots, vmid),
            // Linux leaves these fields 0.
            Dialect::Two => realm::create_with(rd, page, shape, roots, 0, |attributes| {
                (attributes.num_bps, attributes.num_wps) = (0, 0);
            }),
        };
        check::equal("a Realm is created", created, Status::SUCCESS);
        let memory = Memory::new(rd);
        let init_ripas = || memory.init_ripas(RAM, RAM + options.ram);
        if Dialect::current() == Dialect::One {
            init_ripas();
        }
        let (dtb, initrd, kernel) = (options.dtb, options.initrd, options.kernel);
        // These parts have the same distances here as in the Realm.
        for part in [kernel, initrd, dtb] {
            memory.load(RAM + (part.base - kernel.base), part.base, part.size);
        }
        let vcpus = [const { Once::new() }; MAX_RECS];
        for (rec, vcpu) in vcpus.iter().enumerate().take(recs) {
            vcpu.call_once(|| create_rec(rd, rec, page));
        }
        if Dialect::current() == Dialect::Two {
            init_ripas();
        }
        let vm = Self {
            rd,
            roots,
            memory: Mutex::new(memory),
            gic: Mutex::new(Gic::new(recs)),
            uart: Mutex::new(Pl011::new(index)),
            virtio: Mutex::new(Virtio::new()),
            vcpus,
            off: AtomicBool::new(false),
        };
        check::equal("the Realm is activated", realm::activate(rd), Status::SUCCESS);
        pool::give(page);
        say!("Realm {index}: {recs} RECs, {} MiB of RAM", options.ram >> 20);
        vm
    }

    /// Its RECs.
    pub fn vcpus(&self) -> impl Iterator<Item = &Vcpu> {
        self.vcpus.iter().filter_map(Once::get)
    }

    /// One of its RECs.
    pub fn vcpu(&self, rec: usize) -> Option<&Vcpu> {
        self.vcpus.get(rec)?.get()
    }

    /// Whether it has powered off.
    pub fn is_off(&self) -> bool {
        self.off.load(Ordering::Acquire)
    }

    /// Marks it as powered off.
    pub fn power_off(&self) {
        self.off.store(true, Ordering::Release);
    }

    fn destroy(&self) {
        for vcpu in self.vcpus() {
            let destroyed = realm::rec_destroy(vcpu.rec, vcpu.run.0);
            check::equal("a REC is destroyed", destroyed, Status::SUCCESS);
            vcpu.auxiliary().iter().chain([&vcpu.rec]).for_each(|one| pool::give_delegated(*one));
            pool::give(vcpu.run.0);
        }
        let mut memory = self.memory.lock();
        memory.reclaim_shared(RAM | ALIAS, (RAM + options().ram) | ALIAS);
        memory.reclaim_protected(RAM, RAM + options().ram);
        memory.destroy_tables();
        check::equal("the Realm is destroyed", realm::destroy(self.rd), Status::SUCCESS);
        pool::give_delegated(self.rd);
        (0..ROOTS).for_each(|root| pool::give_delegated(self.roots + root * GRANULE));
    }
}

fn create_rec(rd: u64, index: usize, page: u64) -> Vcpu {
    let (status, auxiliary) = realm::rec_aux_count(rd);
    if status != Status::SUCCESS {
        give_up(format_args!("RMI_REC_AUX_COUNT: {status:?}"));
    }
    let rec = pool::take_delegated();
    let mut parameters = RmiRecParams::new_zeroed();
    parameters.aux.count = auxiliary;
    parameters.mpidr = index as u64;
    if index == 0 {
        let options = options();
        parameters.flags = RecFlags::RUNNABLE.bits();
        parameters.pc = RAM;
        parameters.gprs[0] = RAM + (options.dtb.base - options.kernel.base);
    }
    for granule in parameters.aux.granules.iter_mut().take(auxiliary as usize) {
        *granule = pool::take_delegated();
    }
    realm::write_page(page, transmute_ref!(&parameters));
    let auxiliary = &parameters.aux.granules[..auxiliary as usize];
    let created = realm::rec_create_from(rd, rec, page, auxiliary);
    check::equal("a REC is created", created, Status::SUCCESS);
    Vcpu::new(rec, auxiliary, index == 0)
}
