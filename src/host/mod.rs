// SPDX-License-Identifier: BSD-3-Clause
//! The fake hardware behind the seam of `arch` when the firmware is built for a host. Its memory
//! and its EL3 are the test's: `tests/kit` has a model machine.
//!
//! Each host thread is a CPU: it has a register file of its own and a log of every instruction,
//! descriptor store, register write and SMC, in order. Tests read the log to assert sequences, and
//! set registers to be whatever machine they want.

pub mod atomic;
pub(crate) mod lock_order;

use core::sync::atomic::AtomicU64;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use crate::address::native;
use crate::arch::smc::Registers;
use crate::arch::window::Aborted;

/// One thing that the firmware did to the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An instruction, by its text, with the register operand if it has one.
    Instruction(&'static str, Option<u64>),
    /// A descriptor stored: address of the entry on the host, and the value.
    Descriptor(usize, u64),
    /// A table of descriptors that no walker can reach cleared: its address on the host.
    Cleared(usize),
    /// A system register written.
    Register(&'static str, u64),
    /// A device register written: its address, and the value.
    Device(u64, u32),
    /// An SMC, with x0-x7 as passed.
    Smc(Registers),
}

type Observer = Box<dyn FnMut(&Event)>;
type Monitor = Box<dyn FnMut(Registers) -> Registers>;

/// The physical memory that the firmware reaches through the seam.
pub trait PhysicalMemory {
    /// The memory of the granule at physical address `granule`, as a Realm mapping shows it. Valid
    /// for as long as the machine lives.
    fn realm_granule(&self, granule: u64) -> *mut u64;

    /// Zeroes the granule at physical address `granule` through a Realm mapping.
    ///
    /// # Errors
    ///
    /// [`Aborted`] when there is no memory.
    fn zero_granule(&self, granule: u64) -> Result<(), Aborted>;

    /// Reads words of Non-secure memory from `address` on.
    ///
    /// # Errors
    ///
    /// [`Aborted`] when the granule is another world's, or there is no memory.
    fn ns_read(&self, address: u64, words: &mut [u64]) -> Result<(), Aborted>;

    /// Writes words of Non-secure memory from `address` on.
    ///
    /// # Errors
    ///
    /// [`Aborted`] when the granule is another world's, or there is no memory.
    fn ns_write(&self, address: u64, words: &[u64]) -> Result<(), Aborted>;
}

#[derive(Default)]
struct Cpu {
    registers: HashMap<&'static str, u64>,
    devices: HashMap<u64, u32>,
    log: Vec<Event>,
    logging: bool,
    observer: Option<Observer>,
    monitor: Option<Monitor>,
    memory: Option<Rc<dyn PhysicalMemory>>,
    realm: Option<Realm>,
    fiber_interrupts: usize,
}

thread_local! {
    static CPU: RefCell<Cpu> = RefCell::default();
    static SCHEDULER: Cell<Option<fn(Point<'_>)>> = const { Cell::new(None) };
}

/// A CPU that no thread is at the moment.
#[derive(Default)]
#[allow(missing_debug_implementations)]
pub struct IdleCpu(Cpu);

/// Makes this thread the CPU in `idle`, and what it was until now an idle one.
pub fn exchange(idle: &mut IdleCpu) {
    CPU.with_borrow_mut(|cpu| core::mem::swap(cpu, &mut idle.0));
}

/// Where another CPU could come in between.
#[derive(Clone, Copy, Debug)]
pub enum Point<'a> {
    /// Before an access to an atomic.
    Access,
    /// Something happens. A descriptor is not stored yet, an SMC not answered.
    Event(&'a Event),
    /// A CPU waits for another.
    Wait,
}

/// Calls `scheduler` on this thread from now on wherever another CPU could come in between; `None`
/// ends that.
pub fn schedule(scheduler: Option<fn(Point<'_>)>) {
    SCHEDULER.set(scheduler);
}

fn reached(point: Point<'_>) {
    if let Some(scheduler) = SCHEDULER.get() {
        scheduler(point);
    }
}

fn happened(event: Event) {
    // The observer runs with the CPU not borrowed, so that it may read registers.
    let observer = CPU.with_borrow_mut(|cpu| {
        if cpu.logging {
            cpu.log.push(event.clone());
        }
        cpu.observer.take()
    });
    if let Some(mut observer) = observer {
        observer(&event);
        CPU.with_borrow_mut(|cpu| cpu.observer = Some(observer));
    }
    reached(Point::Event(&event));
}

/// Runs `body` and gives back its result with everything that it did to the machine, in order.
pub fn record<R>(body: impl FnOnce() -> R) -> (R, Vec<Event>) {
    CPU.with_borrow_mut(|cpu| (cpu.log.clear(), cpu.logging = true));
    let result = body();
    (
        result,
        CPU.with_borrow_mut(|cpu| {
            cpu.logging = false;
            core::mem::take(&mut cpu.log)
        }),
    )
}

/// Calls `observer` at every event of this CPU from now on, before a descriptor store takes effect;
/// `None` ends that.
pub fn observe(observer: Option<Observer>) {
    CPU.with_borrow_mut(|cpu| cpu.observer = observer);
}

/// Installs what answers this CPU's SMCs: the model of EL3.
pub fn set_monitor(monitor: Monitor) {
    CPU.with_borrow_mut(|cpu| cpu.monitor = Some(monitor));
}

/// Installs the memory that this CPU reaches.
pub fn set_memory(memory: Rc<dyn PhysicalMemory>) {
    CPU.with_borrow_mut(|cpu| cpu.memory = Some(memory));
}

fn with_memory<R>(body: impl FnOnce(&dyn PhysicalMemory) -> R) -> R {
    CPU.with_borrow(|cpu| {
        body(&**cpu.memory.as_ref().expect("memory is reached on a thread that has none"))
    })
}

/// Gives a register of this CPU a value, without an event: for identification registers and the
/// like.
pub fn preset_register(name: &'static str, value: u64) {
    CPU.with_borrow_mut(|cpu| cpu.registers.insert(name, value));
}

/// A register of this CPU as last written or preset; 0 before.
pub fn read_register(name: &'static str) -> u64 {
    CPU.with_borrow(|cpu| cpu.registers.get(name).copied().unwrap_or(0))
}

pub(crate) fn write_register(name: &'static str, value: u64) {
    preset_register(name, value);
    happened(Event::Register(name, value));
}

/// From now on the device register at `address` reads as `value` on this CPU; before, it reads as
/// 0.
pub fn preset_device(address: u64, value: u32) {
    CPU.with_borrow_mut(|cpu| cpu.devices.insert(address, value));
}

pub(crate) fn read_device(address: u64) -> u32 {
    CPU.with_borrow(|cpu| cpu.devices.get(&address).copied().unwrap_or(0))
}

pub(crate) fn write_device(address: u64, value: u32) {
    happened(Event::Device(address, value));
}

pub(crate) fn execute(text: &'static str, operand: Option<u64>) {
    happened(Event::Instruction(text, operand));
}

pub(crate) fn store_descriptor(entry: &AtomicU64, value: u64) {
    happened(Event::Descriptor(core::ptr::from_ref(entry).addr(), value));
}

pub(crate) fn clear_descriptors(entries: &[AtomicU64; 512]) {
    happened(Event::Cleared(core::ptr::from_ref(entries).addr()));
}

pub(crate) fn smc(registers: Registers) -> Registers {
    happened(Event::Smc(registers));
    let monitor = CPU.with_borrow_mut(|cpu| cpu.monitor.take());
    let mut monitor = monitor.expect("an SMC with no model of EL3 installed on this thread");
    let results = monitor(registers);
    CPU.with_borrow_mut(|cpu| cpu.monitor = Some(monitor));
    results
}

pub(crate) fn realm_granule(granule: u64) -> *mut u64 {
    with_memory(|memory| memory.realm_granule(granule))
}

pub(crate) fn zero_granule(granule: u64) -> Result<(), Aborted> {
    with_memory(|memory| memory.zero_granule(granule))
}

pub(crate) fn ns_read(address: u64, words: &mut [u64]) -> Result<(), Aborted> {
    with_memory(|memory| memory.ns_read(address, words))
}

pub(crate) fn ns_write(address: u64, words: &[u64]) -> Result<(), Aborted> {
    with_memory(|memory| memory.ns_write(address, words))
}

type Realm = Box<dyn FnMut(&mut crate::realm::rec::Registers) -> u64>;

/// Installs what a Realm does on this CPU whenever it runs: it changes the registers and gives the
/// vector of the exception that it ends with. Registers of the exception it presets.
pub fn set_realm(realm: impl FnMut(&mut crate::realm::rec::Registers) -> u64 + 'static) {
    CPU.with_borrow_mut(|cpu| cpu.realm = Some(Box::new(realm)));
}

pub(crate) fn run_realm(registers: &mut crate::realm::rec::Registers) -> u64 {
    let realm = CPU.with_borrow_mut(|cpu| cpu.realm.take());
    // Without a model of a Realm an IRQ ends its run at once.
    let Some(mut realm) = realm else { return 1 };
    let vector = realm(registers);
    CPU.with_borrow_mut(|cpu| cpu.realm = Some(realm));
    vector
}

/// The next `count` attempts of this CPU to run a fiber end with an interrupt.
pub fn interrupt_fibers(count: usize) {
    CPU.with_borrow_mut(|cpu| cpu.fiber_interrupts = count);
}

/// Runs a fiber on the stack of its caller, or lets an interrupt end it. Returns the vector, or 0
/// at its end.
///
/// # Safety
///
/// The first registers of the fiber are what `FiberContext::init` put there.
pub(crate) unsafe fn run_fiber(gprs: &[u64; 31]) -> u64 {
    let interrupted = CPU.with_borrow_mut(|cpu| {
        let interrupted = cpu.fiber_interrupts != 0;
        cpu.fiber_interrupts = cpu.fiber_interrupts.saturating_sub(1);
        interrupted
    });
    if interrupted {
        return 1;
    }
    let [argument, entry, ..] = gprs.map(|x| core::ptr::with_exposed_provenance_mut(native(x)));
    // SAFETY: it was made of such a function.
    let entry: crate::arch::fiber::Entry = unsafe { core::mem::transmute(entry) };
    entry(argument);
    0
}

pub(crate) fn wait_for_event() {
    match SCHEDULER.get() {
        Some(scheduler) => scheduler(Point::Wait),
        None => std::thread::yield_now(),
    }
}

pub(crate) fn gave_up() -> ! {
    panic!("the CPU gave up its call")
}

pub(crate) fn halted() -> ! {
    panic!("the CPU was halted")
}
