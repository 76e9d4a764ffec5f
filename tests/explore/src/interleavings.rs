// SPDX-License-Identifier: BSD-3-Clause
//! Two CPUs make a call each, in every order of their steps up to a number of switches.
//!
//! A CPU can be stopped before each access to an atomic, each SMC, each TLBI and each descriptor of
//! a Realm's tables that is stored. One stack for each CPU, one thread for both.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, Yielder};
use rmm::arch::smc::Registers;
use rmm::host::{Event, IdleCpu, Point, exchange, schedule};
use rmm::percpu::Cpu;
use rmm::rmi;

use crate::machine::{Machine, caught};

/// Points at which a CPU may be stopped before something is wrong: it does not end.
const ENDLESS: u64 = 100_000;
/// How often the CPUs wait in turn before something is wrong. They do so when each takes a lock as
/// often as the other, and no call of a small machine takes so many.
const MAX_WAITS: u32 = 100;
const STACK: usize = 512 << 10;

thread_local! {
    /// The CPU that runs now.
    static RUNNING: Cell<*const Yielder<(), Stop>> = const { Cell::new(core::ptr::null()) };
    /// Points until it stops.
    static LEFT: Cell<u64> = const { Cell::new(0) };
    /// Points that it has come to.
    static PASSED: Cell<u64> = const { Cell::new(0) };
    /// Where the tables of Realms are on this host.
    static TABLES: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

/// Why a CPU stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// It was to.
    Here,
    /// It waits for the other.
    Waits,
}

fn counts(event: &Event) -> bool {
    match event {
        Event::Smc(_) => true,
        Event::Instruction(text, _) => text.starts_with("tlbi ") && text.contains("s1"),
        Event::Descriptor(entry, _) => {
            let (first, end) = TABLES.get();
            (first..end).contains(entry)
        }
        _ => false,
    }
}

fn reached(point: Point<'_>) {
    let stop = match point {
        Point::Wait => Stop::Waits,
        Point::Event(event) if !counts(event) => return,
        Point::Access | Point::Event(_) => {
            PASSED.set(PASSED.get() + 1);
            let left = LEFT.get();
            if left != 0 {
                LEFT.set(left - 1);
                return;
            }
            Stop::Here
        }
    };
    let running = RUNNING.get();
    if !running.is_null() {
        // SAFETY: set while a call runs on the stack of that yielder.
        unsafe { (*running).suspend(stop) };
    }
}

/// What came of a call: x0 to x7, or what the RMM said when it panicked.
pub type Called = Result<Registers, String>;
type Call = Coroutine<(), Stop, Called, DefaultStack>;

/// Two CPUs of a machine.
pub struct Pair {
    idle: IdleCpu,
    stacks: Vec<DefaultStack>,
}

/// A CPU that may make a call.
struct Caller {
    call: Option<Call>,
    answer: Option<Called>,
    points: u64,
}

impl Pair {
    /// The CPUs of a machine. `prepare` makes this thread a CPU of it.
    pub fn new(machine: &Machine, prepare: impl FnOnce()) -> Self {
        let first = machine.world.page(0) as *const _ as usize;
        TABLES.set((first, first + machine.granules() * 0x1000));
        let mut idle = IdleCpu::default();
        exchange(&mut idle);
        prepare();
        exchange(&mut idle);
        Self { idle, stacks: Vec::new() }
    }

    /// Runs `body` as the second CPU.
    pub fn as_second(&mut self, body: impl FnOnce()) {
        exchange(&mut self.idle);
        body();
        exchange(&mut self.idle);
    }

    fn start(&mut self, machine: &mut Machine, index: usize, registers: Registers) -> Caller {
        let stack = self.stacks.pop().unwrap_or_else(|| DefaultStack::new(STACK).expect("memory"));
        let rmm = machine.rmm;
        let cpu: *mut Cpu = &raw mut machine.cpus[index];
        let call = Coroutine::with_stack(stack, move |yielder: &Yielder<(), Stop>, ()| {
            RUNNING.set(yielder);
            let mut registers = registers;
            let called = catch_unwind(AssertUnwindSafe(|| {
                // SAFETY: the machine outlives the call, which alone uses this CPU.
                rmi::handle(rmm.dialect(), rmm, unsafe { &mut *cpu }, &mut registers);
                registers
            }));
            called.map_err(|_| caught())
        });
        Caller { call: Some(call), answer: None, points: 0 }
    }

    /// Makes a call on each CPU: the one in `first` as far as the first of `turns` says, the other
    /// as far as the next one says, and so on; then each to its end. Gives both answers, and how
    /// many points each came to.
    ///
    /// # Errors
    ///
    /// The CPUs wait for each other, or one does not end.
    pub fn run(
        &mut self,
        machine: &mut Machine,
        calls: [Registers; 2],
        first: usize,
        turns: &[u64],
    ) -> Result<([Called; 2], [u64; 2]), String> {
        let mut callers = [self.start(machine, 0, calls[0]), self.start(machine, 1, calls[1])];
        let mut yielders = [core::ptr::null(); 2];
        let (mut now, mut turn, mut waits) = (first, 0, 0);
        schedule(Some(reached));
        machine.enter_rmm(true);
        let ended = loop {
            if callers.iter().all(|caller| caller.answer.is_some()) {
                break Ok(());
            }
            if callers[now].answer.is_some() {
                now = 1 - now;
            }
            LEFT.set(turns.get(turn).copied().unwrap_or(ENDLESS));
            PASSED.set(0);
            RUNNING.set(yielders[now]);
            if now == 1 {
                exchange(&mut self.idle);
            }
            let call = callers[now].call.as_mut().expect("it has no answer yet");
            let result = call.resume(());
            if now == 1 {
                exchange(&mut self.idle);
            }
            yielders[now] = RUNNING.get();
            callers[now].points += PASSED.get();
            turn += 1;
            match result {
                CoroutineResult::Return(answer) => {
                    callers[now].answer = Some(answer);
                    waits = 0;
                }
                CoroutineResult::Yield(Stop::Waits) => waits += 1,
                CoroutineResult::Yield(Stop::Here) if turn > turns.len() => {
                    break Err("a call does not end".to_owned());
                }
                CoroutineResult::Yield(Stop::Here) => waits = 0,
            }
            if waits > MAX_WAITS {
                break Err("the CPUs wait for each other".to_owned());
            }
            now = 1 - now;
        };
        machine.enter_rmm(false);
        schedule(None);
        RUNNING.set(core::ptr::null());
        let points = [callers[0].points, callers[1].points];
        let mut answers = Vec::new();
        for caller in callers {
            match (caller.call, caller.answer) {
                (Some(call), Some(answer)) => {
                    self.stacks.push(call.into_stack());
                    answers.push(answer);
                }
                // Its stack is not unwound: the exploration ends here.
                (call, _) => core::mem::forget(call),
            }
        }
        ended?;
        let both = <[Called; 2]>::try_from(answers).map_err(|_| "a call has no answer")?;
        Ok((both, points))
    }
}
