// SPDX-License-Identifier: BSD-3-Clause
//! Makes one CPU's call at a chosen point of another CPU's call.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use kit::realm_fixture::RealmFixture;
use kit::system::System;
use rmm::host::{Event, Point, schedule};

/// A command and its arguments.
pub type Call = (u32, &'static [u64]);

thread_local! {
    /// The number of points that this CPU passes before the other CPU calls.
    static LEFT: Cell<usize> = const { Cell::new(0) };
    static OTHER: RefCell<Option<Box<dyn FnOnce()>>> = const { RefCell::new(None) };
    /// Dropped when this CPU has called or has to wait. The other CPU waits for that.
    static WAITED_FOR: RefCell<Option<Sender<()>>> = const { RefCell::new(None) };
}

fn outer_reached(point: Point<'_>) {
    match (point, LEFT.get()) {
        (Point::Wait, _) => std::thread::yield_now(),
        (Point::Access | Point::Event(Event::Smc(_)), 0) => {
            if let Some(other) = OTHER.take() {
                other();
            }
        }
        (Point::Access | Point::Event(Event::Smc(_)), left) => LEFT.set(left - 1),
        (Point::Event(_), _) => {}
    }
}

fn inner_reached(point: Point<'_>) {
    if matches!(point, Point::Wait) {
        drop(WAITED_FOR.take());
        std::thread::yield_now();
    }
}

/// Calls on this CPU; gives x0.
pub fn call(fixture: &RealmFixture, cpu: usize, (function, arguments): Call) -> u64 {
    let mut registers = [0; 8];
    registers[0] = u64::from(function);
    registers[1..=arguments.len()].copy_from_slice(arguments);
    fixture.system.call(&mut System::cpu(cpu), registers)[0]
}

/// Makes a call on one CPU, and calls `inner` on another one after `points` points of the first
/// call. `inner` runs to its end unless it has to wait for the first call. Gives both answers; the
/// second only if the first call has so many points.
pub fn within(
    fixture: &RealmFixture,
    outer: Call,
    points: usize,
    inner: impl FnOnce() -> u64 + Send + 'static,
) -> (u64, Option<u64>) {
    let (sender, answer) = channel();
    let machine = Arc::clone(&fixture.system.machine);
    LEFT.set(points);
    OTHER.replace(Some(Box::new(move || {
        let (waited_for, wait) = channel();
        let called = std::thread::spawn(move || {
            kit::machine::attach(&machine);
            WAITED_FOR.replace(Some(waited_for));
            schedule(Some(inner_reached));
            let x0 = inner();
            schedule(None);
            drop(WAITED_FOR.take());
            x0
        });
        assert!(wait.recv().is_err(), "nothing is ever sent");
        sender.send(called).expect("the test waits for it");
    })));
    schedule(Some(outer_reached));
    let first = call(fixture, 0, outer);
    schedule(None);
    drop(OTHER.take());
    (first, answer.try_recv().ok().map(|called| called.join().expect("no panic")))
}
