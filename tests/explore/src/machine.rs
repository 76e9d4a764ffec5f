// SPDX-License-Identifier: BSD-3-Clause
//! The small machine: a handful of granules, an EL3, and the RMM, all of which can be put back to a
//! former state in microseconds.

use core::sync::atomic::{AtomicU16, Ordering};
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Once;

use kit::el3::Pas;
use kit::memory::{GRANULE_WORDS, Memory};
use kit::system::System;
use rmm::address::PhysAddr;
use rmm::arch::smc::Registers;
use rmm::arch::window::Aborted;
use rmm::cpu::CpuFeatures;
use rmm::granule::{Epochs, GranuleEntry, GranuleTable, Waiters};
use rmm::host::{PhysicalMemory, preset_register, set_memory, set_monitor};
use rmm::percpu::Cpu;
use rmm::realm::vmid::{Vmid, VmidChoice, VmidTable};
use rmm::rmi::operations::{OperationPool, RecOperation};
use rmm::rmi::{self, Dialect, Rmm, function};

/// Where the granules are. No other number looks like one of their addresses.
pub const BASE: u64 = 0x5a5a_4000_0000;
/// Bytes of a granule.
pub const GRANULE: u64 = 0x1000;

/// The words of a granule, aligned for whatever the RMM keeps there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C, align(64))]
pub struct Page(pub [u64; GRANULE_WORDS]);

/// The address of granule `index`.
pub const fn address(index: usize) -> u64 {
    BASE + GRANULE * index as u64
}

/// The granule at `address`, if it is one of the machine's.
pub fn index_of(address: u64, granules: usize) -> Option<usize> {
    let index = usize::try_from(address.checked_sub(BASE)? / GRANULE).ok()?;
    (index < granules).then_some(index)
}

/// A fault of the machine under the RMM, to see that the exploration finds it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SeamFault {
    /// None.
    #[default]
    None,
    /// EL3 says that it has delegated a granule, and has not.
    DelegateLies,
    /// EL3 says that it has undelegated a granule, and has not.
    UndelegateLies,
    /// EL3 refuses to delegate a granule, and has done it.
    RefusalLies,
    /// Memory keeps what it held when it is zeroed.
    ZeroingDoesNothing,
    /// Memory keeps the last word of what it held when it is zeroed.
    ZeroingStopsEarly,
    /// TLBs do not hear of an instruction with this text.
    TlbDeaf(&'static str),
    /// The granule after the one that is delegated becomes Realm memory, too.
    DelegatesTwo,
}

/// What the RMM asks EL3 for.
pub mod el3 {
    /// That a granule becomes Realm memory.
    pub const DELEGATE: u64 = 0xC400_01B0;
    /// That it becomes the host's again.
    pub const UNDELEGATE: u64 = 0xC400_01B1;
}

/// Memory and EL3.
pub struct World {
    /// The memory.
    pub memory: Memory,
    pas: Box<[Cell<Pas>]>,
    /// The granules that the RMM could have written to since this was cleared, a bit each.
    pub touched: Cell<u64>,
    /// Whether EL3 refuses whatever it is asked for.
    pub refuses: Cell<bool>,
    /// What is wrong with the machine.
    pub fault: Cell<SeamFault>,
    /// Is called for each granule that is zeroed.
    zeroed: RefCell<Box<dyn Fn(u64)>>,
}

impl World {
    /// The Physical Address Space of a granule.
    pub fn pas(&self, index: usize) -> Pas {
        self.pas[index].get()
    }

    /// Calls `zeroed` for each granule that is zeroed, from now on.
    pub fn set_zeroed(&self, zeroed: Box<dyn Fn(u64)>) {
        *self.zeroed.borrow_mut() = zeroed;
    }

    fn touch(&self, index: usize) {
        self.touched.set(self.touched.get() | 1 << index);
    }

    fn index(&self, address: u64) -> Option<usize> {
        index_of(address, self.pas.len())
    }

    /// The words of a granule.
    pub fn page(&self, index: usize) -> &Page {
        let words = self.memory.granule(address(index)).expect("there is memory");
        // SAFETY: as many words, which only this thread accesses, and not while they are borrowed.
        unsafe { &*words.as_ptr().cast() }
    }

    /// Fills a granule with words.
    pub fn write_page(&self, index: usize, page: &Page) {
        let words = self.memory.granule(address(index)).expect("there is memory");
        for (word, value) in words.iter().zip(&page.0) {
            word.store(*value, Ordering::Relaxed);
        }
    }

    /// Writes a word, whoever owns it.
    pub fn write_word(&self, address: u64, value: u64) {
        self.memory.word(address).expect("there is memory").store(value, Ordering::Relaxed);
    }

    fn change_pas(&self, address: u64, from: Pas, to: Pas) -> i64 {
        const BAD_ADDRESS: i64 = -2;
        const BAD_PAS: i64 = -3;
        let Some(index) = self.index(address) else { return BAD_ADDRESS };
        let fault = self.fault.get();
        if self.refuses.get() {
            if fault == SeamFault::RefusalLies && self.pas(index) == from {
                self.pas[index].set(to);
            }
            return BAD_PAS;
        }
        if self.pas(index) != from {
            return BAD_PAS;
        }
        let lies = match to {
            Pas::Realm => fault == SeamFault::DelegateLies,
            _ => fault == SeamFault::UndelegateLies,
        };
        if !lies {
            self.pas[index].set(to);
        }
        if fault == SeamFault::DelegatesTwo
            && to == Pas::Realm
            && let Some(next) = self.pas.get(index + 1)
        {
            next.set(to);
        }
        0
    }

    fn smc(&self, [function, x1, ..]: Registers) -> Registers {
        let status = match function {
            el3::DELEGATE => self.change_pas(x1, Pas::NonSecure, Pas::Realm),
            el3::UNDELEGATE => self.change_pas(x1, Pas::Realm, Pas::NonSecure),
            _ => -1,
        };
        [status.cast_unsigned(), 0, 0, 0, 0, 0, 0, 0]
    }

    fn ns_word(&self, address: u64) -> Result<&core::sync::atomic::AtomicU64, Aborted> {
        let index = self.index(address).ok_or(Aborted)?;
        if self.pas(index) != Pas::NonSecure {
            return Err(Aborted);
        }
        self.memory.word(address).ok_or(Aborted)
    }
}

impl PhysicalMemory for World {
    fn realm_granule(&self, granule: u64) -> *mut u64 {
        let index = self.index(granule).expect("the RMM uses memory that there is");
        assert_eq!(self.pas(index), Pas::Realm, "the RMM maps {granule:#x} as Realm memory");
        self.touch(index);
        self.memory.granule(granule).expect("there is memory").as_ptr().cast_mut().cast()
    }

    fn zero_granule(&self, granule: u64) -> Result<(), Aborted> {
        let index = self.index(granule).ok_or(Aborted)?;
        assert_eq!(self.pas(index), Pas::Realm, "the RMM zeroes {granule:#x}");
        self.touch(index);
        (self.zeroed.borrow())(granule);
        let words = match self.fault.get() {
            SeamFault::ZeroingDoesNothing => 0,
            SeamFault::ZeroingStopsEarly => GRANULE_WORDS - 1,
            _ => GRANULE_WORDS,
        };
        let page = self.memory.granule(granule).ok_or(Aborted)?;
        page.iter().take(words).for_each(|word| word.store(0, Ordering::Relaxed));
        Ok(())
    }

    fn ns_read(&self, address: u64, words: &mut [u64]) -> Result<(), Aborted> {
        words.iter_mut().zip((address..).step_by(8)).try_for_each(|(word, address)| {
            *word = self.ns_word(address)?.load(Ordering::Relaxed);
            Ok(())
        })
    }

    fn ns_write(&self, address: u64, words: &[u64]) -> Result<(), Aborted> {
        if let Some(index) = self.index(address) {
            self.touch(index);
        }
        words.iter().zip((address..).step_by(8)).try_for_each(|(word, address)| {
            self.ns_word(address)?.store(*word, Ordering::Relaxed);
            Ok(())
        })
    }
}

/// The machine with its RMM and two CPUs.
pub struct Machine {
    /// Memory and EL3.
    pub world: Rc<World>,
    /// The RMM.
    pub rmm: &'static Rmm<'static>,
    /// The CPUs. Index 0 makes the calls; the other one is for what happens meanwhile.
    pub cpus: Vec<Cpu>,
    words: &'static [AtomicU16],
    vmids: &'static VmidTable,
    pool: &'static OperationPool,
}

thread_local! {
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
    static IN_RMM: Cell<bool> = const { Cell::new(false) };
}

/// What the RMM said when it panicked.
pub fn caught() -> String {
    PANIC.take()
}

/// Keeps messages of panics in the RMM for [`caught`]. Others are printed as usual.
fn catch_quietly() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if IN_RMM.get() {
                PANIC.set(info.to_string().replace('\n', " "));
            } else {
                usual(info);
            }
        }));
    });
}

/// Gives this CPU its identification registers: PARange 48 bits, VMIDs of 16 bits, two breakpoints
/// and watchpoints.
pub fn identify() {
    preset_register("ID_AA64MMFR0_EL1", 5);
    preset_register("ID_AA64MMFR1_EL1", 2 << 4);
    preset_register("ID_AA64DFR0_EL1", 1 << 20 | 1 << 12);
    preset_register("ISR_EL1", 0);
}

impl Machine {
    /// A machine with so many granules, all Non-secure but those in `secure`.
    pub fn boot(granules: usize, secure: &[usize], dialect: Dialect) -> Self {
        assert!(granules <= 64, "a bit for each granule");
        catch_quietly();
        identify();
        let size = GRANULE * granules as u64;
        let pas = |index| if secure.contains(&index) { Pas::Secure } else { Pas::NonSecure };
        let world = Rc::new(World {
            memory: Memory::new(&[(BASE, size)]),
            pas: (0..granules).map(|index| Cell::new(pas(index))).collect(),
            touched: Cell::new(0),
            refuses: Cell::new(false),
            fault: Cell::new(SeamFault::None),
            zeroed: RefCell::new(Box::new(|_| ())),
        });
        let mut entries: Vec<GranuleEntry> = Vec::new();
        entries.resize_with(granules, GranuleEntry::new);
        let entries = Box::leak(entries.into_boxed_slice());
        let first = entries.as_mut_ptr().cast::<AtomicU16>();
        let banks = [(PhysAddr::new(BASE), size)];
        let waiters: &'static Waiters = Box::leak(Box::default());
        let epochs: &'static Epochs = Box::leak(Box::default());
        let table = GranuleTable::new(entries, waiters, epochs, banks.iter().copied(), &[])
            .expect("the layout is right");
        // SAFETY: an entry is a transparent atomic of 16 bits. The table keeps shared references.
        let words = unsafe { core::slice::from_raw_parts(first, granules) };
        let vmids: &'static VmidTable = Box::leak(Box::new(VmidTable::new()));
        let operations: &'static OperationPool = Box::leak(Box::new(OperationPool::new()));
        let cpu = CpuFeatures::read();
        let rmm = Rmm::new(table, vmids, operations, dialect, &cpu, None);
        let cpus = (0..2).map(System::cpu).collect();
        let rmm = Box::leak(Box::new(rmm));
        let mut machine = Self { world, rmm, cpus, words, vmids, pool: operations };
        machine.attach();
        if dialect == Dialect::V2_0 {
            let mut registers: Registers = [0; 8];
            registers[0] = function::RMM_ACTIVATE.into();
            assert_eq!(machine.call(0, registers).expect("it boots")[0], 0);
        }
        machine
    }

    /// Delegates a granule.
    ///
    /// # Panics
    ///
    /// The RMM refuses.
    pub fn delegate(&mut self, granule: usize) {
        let function = match self.rmm.dialect() {
            Dialect::V1_0 => function::GRANULE_DELEGATE,
            Dialect::V2_0 => function::GRANULE_RANGE_DELEGATE,
        };
        let mut registers: Registers = [0; 8];
        registers[0] = function.into();
        registers[1..3].copy_from_slice(&[address(granule), address(granule + 1)]);
        let answer = self.call(0, registers).expect("it is delegated");
        assert_eq!(answer[0], 0, "granule {granule} is delegated");
    }

    /// The operations that the host has not finished, each with its handle.
    pub fn operations(&self) -> Vec<(u64, RecOperation)> {
        match self.rmm.dialect() {
            Dialect::V1_0 => Vec::new(),
            Dialect::V2_0 => self.pool.operations(),
        }
    }

    /// Puts operations back.
    pub fn restore_operations(&self, operations: &[(u64, RecOperation)]) {
        if self.rmm.dialect() == Dialect::V2_0 {
            self.pool.restore(operations);
        }
    }

    /// Makes this thread a CPU of the machine.
    pub fn attach(&self) {
        set_memory(Rc::clone(&self.world) as Rc<dyn PhysicalMemory>);
        let monitor = Rc::clone(&self.world);
        set_monitor(Box::new(move |registers| monitor.smc(registers)));
    }

    /// How many granules there are.
    pub fn granules(&self) -> usize {
        self.words.len()
    }

    /// Calls the RMM on a CPU.
    ///
    /// # Errors
    ///
    /// What it said when it panicked. The machine is of no use any more.
    pub fn call(&mut self, cpu: usize, mut registers: Registers) -> Result<Registers, String> {
        let (rmm, cpu) = (self.rmm, &mut self.cpus[cpu]);
        IN_RMM.set(true);
        let called = catch_unwind(AssertUnwindSafe(|| {
            rmi::handle(rmm.dialect(), rmm, cpu, &mut registers);
            registers
        }));
        IN_RMM.set(false);
        called.map_err(|_| caught())
    }

    /// Says whether the code that runs from now on is the RMM's.
    pub fn enter_rmm(&self, is_rmm: bool) {
        IN_RMM.set(is_rmm);
    }

    /// The word of a granule in the granule array.
    pub fn word(&self, index: usize) -> u16 {
        self.words[index].load(Ordering::Relaxed)
    }

    /// Puts a granule's word and Physical Address Space back.
    pub fn restore(&self, index: usize, word: u16, pas: Pas) {
        self.words[index].store(word, Ordering::Relaxed);
        self.world.pas[index].set(pas);
    }

    /// Whether a Realm has a VMID.
    pub fn has_vmid(&self, number: u16) -> bool {
        let vmid = Vmid::new(number);
        let free = self.vmids.take(VmidChoice::Named(vmid)).is_some();
        if free {
            self.vmids.give_back(vmid);
        }
        !free
    }

    /// Puts back whether a Realm has a VMID.
    pub fn restore_vmid(&self, number: u16, taken: bool) {
        if taken != self.has_vmid(number) {
            if taken {
                let _taken = self.vmids.take(VmidChoice::Named(Vmid::new(number)));
            } else {
                self.vmids.give_back(Vmid::new(number));
            }
        }
    }

    /// How many VMIDs Realms have.
    pub fn vmids_in_use(&self) -> String {
        format!("{:?}", self.vmids)
    }
}
