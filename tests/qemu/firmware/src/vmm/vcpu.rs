// SPDX-License-Identifier: BSD-3-Clause
//! A REC: its entries, and what its exits require.

use core::mem::offset_of;
use core::sync::atomic::{AtomicU64, Ordering};

use rmm_abi::psci;
use rmm_abi::rmi::status;
use rmm_abi::rmi_v1::{MAX_REC_AUX, RecEnter, RecEnterFlags, RecExit, RmiRecRun};
use rmm_test_firmware::options::GRANULE;
use spin::Mutex;

use crate::counts::{self, Reason};
use crate::gic::{self, MAX_LRS, PHYSICAL_TIMER, VIRTUAL_TIMER};
use crate::interrupts::Interface;
use crate::memory::{ALIAS, RAM};
use crate::rmi::{self, Dialect, Status, fid};
use crate::vm::Vm;
use crate::{cpus, give_up, machine, options, pl011, pool, probe, realm, schedule, virtio};

/// Exit reasons.
mod reason {
    pub const SYNC: u64 = 0;
    pub const IRQ: u64 = 1;
    pub const FIQ: u64 = 2;
    pub const PSCI: u64 = 3;
    pub const RIPAS_CHANGE: u64 = 4;
}

/// Exception classes.
mod class {
    pub const WFX: u64 = 0x01;
    pub const SYSTEM_REGISTER: u64 = 0x18;
    pub const INSTRUCTION_ABORT: u64 = 0x20;
    pub const DATA_ABORT: u64 = 0x24;
}

/// The run page of a REC.
#[derive(Clone, Copy)]
pub struct RunPage(pub u64);

/// The offset of a word of the exit half.
macro_rules! exit {
    ($field:ident) => {
        offset_of!(RmiRecRun, exit) + offset_of!(RecExit, $field)
    };
}

impl RunPage {
    /// Reads a word.
    pub fn read(self, offset: usize) -> u64 {
        probe::read(self.0 + offset as u64)
            .unwrap_or_else(|fault| give_up(format_args!("{fault:?}")))
    }

    /// Writes a word.
    pub fn write(self, offset: usize, value: u64) {
        if let Err(fault) = probe::write(self.0 + offset as u64, value) {
            give_up(format_args!("{fault:?}"));
        }
    }

    fn gpr(self, index: usize) -> u64 {
        self.read(exit!(gprs) + index * 8)
    }
}

/// What the next entry has to complete.
#[derive(Default)]
pub struct Completion {
    flags: u64,
    gpr0: u64,
    interface: Interface,
}

impl Completion {
    /// Makes the next entry complete the last exit.
    fn set(&mut self, flags: RecEnterFlags, gpr0: u64) {
        (self.flags, self.gpr0) = (flags.bits(), gpr0);
    }

    /// Makes the next entry inject an External abort.
    fn set_external_abort(&mut self) {
        counts::count(Reason::External);
        self.set(RecEnterFlags::INJECT_SEA, 0);
    }
}

/// A REC.
pub struct Vcpu {
    /// Its granule.
    pub rec: u64,
    auxiliary: [u64; MAX_REC_AUX],
    auxiliaries: usize,
    /// Its run page.
    pub run: RunPage,
    /// Bit 0: whether it is on. The other bits count how often it was turned on, so that a late
    /// CPU_OFF does not turn it off again.
    power: AtomicU64,
    /// The CPU that runs it, plus one; 0 for none. Written under the lock of the Realm's GIC.
    running_on: AtomicU64,
    /// Until this time it has nothing to do unless an interrupt comes.
    pub wake_at: AtomicU64,
    /// The CPU that holds this lock may run the REC.
    pub completion: Mutex<Completion>,
}

/// What a CPU does after an exit.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It enters the same REC again.
    Again,
    /// It looks for another REC.
    Yield,
}

impl Vcpu {
    /// A REC with a new run page.
    pub fn new(rec: u64, auxiliary: &[u64], on: bool) -> Self {
        let mut all = [0; MAX_REC_AUX];
        all[..auxiliary.len()].copy_from_slice(auxiliary);
        let run = RunPage(pool::take());
        if probe::fill_granule(run.0, 0).is_err() {
            give_up(format_args!("the host cannot write its own memory"));
        }
        Self {
            rec,
            auxiliary: all,
            auxiliaries: auxiliary.len(),
            run,
            power: AtomicU64::new(on.into()),
            running_on: AtomicU64::new(0),
            wake_at: AtomicU64::new(0),
            completion: Mutex::new(Completion::default()),
        }
    }

    /// Its auxiliary granules.
    pub fn auxiliary(&self) -> &[u64] {
        &self.auxiliary[..self.auxiliaries]
    }

    /// Whether it is on.
    pub fn is_on(&self) -> bool {
        self.power.load(Ordering::Acquire) & 1 != 0
    }

    /// Makes the REC check its interrupts, on whichever CPU it runs.
    pub fn wake(&self) {
        match self.running_on.load(Ordering::SeqCst) {
            0 => schedule::kick_idle(),
            cpu => machine::kick(cpu - 1),
        }
    }

    /// Enters the REC once, and serves its exit.
    pub fn enter(
        &self,
        vm: &Vm,
        index: usize,
        cpu: u64,
        completion: &mut Completion,
        flags: RecEnterFlags,
    ) -> Next {
        let run = self.run;
        let power = self.power.load(Ordering::Acquire);
        let mut entered = [0; MAX_LRS];
        let lrs = schedule::list_registers();
        self.wake_at.store(0, Ordering::Relaxed);
        let more = {
            let mut gic = vm.gic.lock();
            self.running_on.store(cpu + 1, Ordering::SeqCst);
            gic.list(index, &mut entered[..lrs])
        };
        run.write(offset_of!(RecEnter, flags), completion.flags | flags.bits());
        run.write(offset_of!(RecEnter, gprs), completion.gpr0);
        completion.set(RecEnterFlags::empty(), 0);
        completion.interface.load(run, &entered[..lrs], more);

        let answer = realm::rec_enter(self.rec, run.0);

        let ran = answer == Status::SUCCESS;
        let mut left = entered;
        if ran && !completion.interface.store(run, &mut left[..lrs]) {
            give_up(format_args!("the virtual interface of REC {index} is still on"));
        }
        {
            let mut gic = vm.gic.lock();
            gic.unlist(index, &left, &entered);
            if ran {
                let asserted = |control| run.read(control) & 0b111 == 0b101;
                gic.set_line(index, VIRTUAL_TIMER, asserted(exit!(cntv_ctl)));
                gic.set_line(index, PHYSICAL_TIMER, asserted(exit!(cntp_ctl)));
            }
            self.running_on.store(0, Ordering::SeqCst);
        }
        if ran {
            return self.serve(vm, index, power, completion);
        }
        match answer.0 & 0xff {
            // Another REC leaves with SYSTEM_OFF, which the RMM knows before the monitor.
            code if code == u64::from(status::ERROR_REALM) => cpus::wait_until(|| vm.is_off()),
            code if code == u64::from(status::ERROR_REC) => self.turned_off(power),
            _ => give_up(format_args!("REC {index} is not entered: {answer:?}")),
        }
        Next::Yield
    }

    /// Turns it off, unless it was turned on again since `power`.
    fn turned_off(&self, power: u64) {
        let _ = self.power.compare_exchange(power, power & !1, Ordering::AcqRel, Ordering::Acquire);
    }

    fn serve(&self, vm: &Vm, index: usize, power: u64, completion: &mut Completion) -> Next {
        let run = self.run;
        match run.read(exit!(exit_reason)) {
            reason::SYNC => self.serve_sync(vm, index, completion),
            reason::IRQ | reason::FIQ => {
                counts::count(Reason::Interrupt);
                schedule::serve_interrupts()
            }
            reason::PSCI => {
                counts::count(Reason::Psci);
                self.serve_psci(vm, index, power)
            }
            reason::RIPAS_CHANGE => {
                counts::count(Reason::Ripas);
                let (base, top) = (run.read(exit!(ripas_base)), run.read(exit!(ripas_top)));
                let ripas = run.read(exit!(ripas_value));
                vm.memory.lock().set_ripas(self.rec, base, top, ripas);
                Next::Again
            }
            other => give_up(format_args!("REC {index} left for reason {other}")),
        }
    }

    fn serve_sync(&self, vm: &Vm, index: usize, completion: &mut Completion) -> Next {
        let run = self.run;
        let esr = run.read(exit!(esr));
        match esr >> 26 & 0x3f {
            class::WFX => {
                counts::count(Reason::Wait);
                self.wait();
                Next::Yield
            }
            class::SYSTEM_REGISTER => {
                counts::count(Reason::Sgi);
                const ENCODING: u64 = 0x3f_fc1f;
                // A write to Op0 3, Op2 5, CRn 12, CRm 11.
                const SGI1R: u64 = 3 << 20 | 5 << 17 | 12 << 10 | 11 << 1;
                if esr & ENCODING != SGI1R {
                    give_up(format_args!("REC {index} names a system register: ESR {esr:#x}"));
                }
                let targets = vm.gic.lock().send_sgi(index, run.gpr(0));
                for (rec, vcpu) in vm.vcpus().enumerate() {
                    if targets & 1 << rec != 0 && rec != index {
                        vcpu.wake();
                    }
                }
                Next::Again
            }
            class::INSTRUCTION_ABORT | class::DATA_ABORT => {
                self.serve_abort(vm, index, esr, completion);
                Next::Again
            }
            _ => give_up(format_args!("REC {index} left with ESR {esr:#x}")),
        }
    }

    fn serve_abort(&self, vm: &Vm, index: usize, esr: u64, completion: &mut Completion) {
        const ISV: u64 = 1 << 24;
        let run = self.run;
        let page = (run.read(exit!(hpfar)) & 0x0000_0fff_ffff_fff0) << 8;
        let address = page & !ALIAS | run.read(exit!(far)) & (GRANULE - 1);
        let is_ram = (RAM..RAM + options().ram).contains(&address);
        match (page & ALIAS != 0, is_ram) {
            (false, true) => {
                counts::count(Reason::Private);
                vm.memory.lock().populate(page);
            }
            (true, true) => {
                counts::count(Reason::Shared);
                vm.memory.lock().share(page);
            }
            (true, false) if esr & ISV != 0 && esr >> 26 & 0x3f == class::DATA_ABORT => {
                let size = 1 << (esr >> 22 & 0b11);
                let written = (esr & 1 << 6 != 0).then(|| run.gpr(0));
                match self.emulate(vm, index, address, size, written) {
                    Some(value) => completion.set(RecEnterFlags::EMUL_MMIO, value),
                    None => completion.set_external_abort(),
                }
            }
            (true, false) => completion.set_external_abort(),
            (false, false) => {
                give_up(format_args!("REC {index} touches IPA {address:#x}, ESR {esr:#x}"))
            }
        }
    }

    /// Emulates an access to a device. Gives what was read, or 0; `None` if there is no device.
    fn emulate(
        &self,
        vm: &Vm,
        index: usize,
        address: u64,
        size: u64,
        written: Option<u64>,
    ) -> Option<u64> {
        let redistributors = gic::REDISTRIBUTORS + gic::REDISTRIBUTOR_SIZE * options().recs;
        match address {
            pl011::BASE.. if address < pl011::BASE + pl011::SIZE => {
                counts::count(Reason::Pl011Access);
                let mut uart = vm.uart.lock();
                let value = match written {
                    Some(value) => {
                        uart.write(address - pl011::BASE, (value & 0xffff_ffff) as u32);
                        0
                    }
                    None => uart.read(address - pl011::BASE).into(),
                };
                let target = vm.gic.lock().set_line(0, pl011::INTID, uart.line());
                drop(uart);
                if let Some(target) = target.filter(|target| *target != index) {
                    vm.vcpu(target)?.wake();
                }
                Some(value)
            }
            virtio::BASE.. if address < virtio::BASE + virtio::SIZE => {
                counts::count(Reason::VirtioAccess);
                let mut device = vm.virtio.lock();
                let offset = address - virtio::BASE;
                let value = match written {
                    Some(value) => {
                        let value = (value & 0xffff_ffff) as u32;
                        device.write(offset, value, &mut vm.memory.lock());
                        0
                    }
                    None => device.read(offset).into(),
                };
                let target = vm.gic.lock().set_line(0, virtio::INTID, device.line());
                drop(device);
                if let Some(target) = target.filter(|target| *target != index) {
                    vm.vcpu(target)?.wake();
                }
                Some(value)
            }
            gic::DISTRIBUTOR.. if address < gic::DISTRIBUTOR + gic::DISTRIBUTOR_SIZE => {
                counts::count(Reason::GicAccess);
                let offset = address - gic::DISTRIBUTOR;
                let mut gic = vm.gic.lock();
                Some(match written {
                    Some(value) => {
                        gic.write_distributor(offset, value, size);
                        0
                    }
                    None => gic.read_distributor(offset),
                })
            }
            gic::REDISTRIBUTORS.. if address < redistributors => {
                counts::count(Reason::GicAccess);
                let offset = address - gic::REDISTRIBUTORS;
                let mut gic = vm.gic.lock();
                Some(match written {
                    Some(value) => {
                        gic.write_redistributor(offset, value, size);
                        0
                    }
                    None => gic.read_redistributor(offset),
                })
            }
            _ => None,
        }
    }

    /// The REC has nothing to do until a timer fires.
    fn wait(&self) {
        let run = self.run;
        let fires = |control: usize, value: usize| {
            if run.read(control) & 0b11 == 1 { run.read(value) } else { u64::MAX }
        };
        let timers =
            fires(exit!(cntv_ctl), exit!(cntv_cval)).min(fires(exit!(cntp_ctl), exit!(cntp_cval)));
        self.wake_at.store(timers, Ordering::Relaxed);
    }

    fn serve_psci(&self, vm: &Vm, index: usize, power: u64) -> Next {
        use psci::function;
        let function = self.run.gpr(0);
        match u32::try_from(function).unwrap_or(0) {
            function::CPU_SUSPEND | function::CPU_SUSPEND_64 => {
                self.wait();
                Next::Yield
            }
            function::CPU_OFF => {
                self.turned_off(power);
                Next::Yield
            }
            function::SYSTEM_OFF | function::SYSTEM_RESET => {
                vm.power_off();
                schedule::kick_all();
                Next::Yield
            }
            // CPU_ON and AFFINITY_INFO.
            _ => {
                let mpidr = self.run.gpr(1);
                let Some(target) = usize::try_from(mpidr).ok().and_then(|rec| vm.vcpu(rec)) else {
                    give_up(format_args!("REC {index} asks for CPU {mpidr:#x}"))
                };
                let completed = complete_psci(self.rec, target.rec);
                if completed != Status::SUCCESS {
                    give_up(format_args!("RMI_PSCI_COMPLETE of {function:#x}: {completed:?}"));
                }
                if [function::CPU_ON, function::CPU_ON_64].map(u64::from).contains(&function) {
                    let on = |power: u64| (power | 1) + 2;
                    target.power.update(Ordering::AcqRel, Ordering::Acquire, on);
                    target.wake();
                }
                Next::Again
            }
        }
    }
}

/// RMI_PSCI_COMPLETE with SUCCESS. In RMI 2.0, in the form of the beta in which the RMM finds the
/// target.
fn complete_psci(calling: u64, target: u64) -> Status {
    match Dialect::current() {
        Dialect::One => realm::psci_complete(calling, target, psci::SUCCESS),
        Dialect::Two => Status(rmi::call(fid::PSCI_COMPLETE, &[calling, psci::SUCCESS], 0)[0]),
    }
}
