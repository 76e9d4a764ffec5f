// SPDX-License-Identifier: BSD-3-Clause
//! Several hosts on one machine: their parts of a shared Realm, the order in which their commands
//! held its RD, and moves of a host between threads.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::system::System;
use rmm::host::Event;

use super::host::Host;
use super::model::{Measured, Model};

/// Locks a mutex, even if a thread panicked while it held it.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A host's own part of the IPA space of a Realm: a range in each half.
#[derive(Clone, Debug)]
pub struct Part {
    pub protected: Range<u64>,
    pub unprotected: Range<u64>,
}

impl Part {
    pub fn contains(&self, ipa: u64) -> bool {
        self.protected.contains(&ipa) || self.unprotected.contains(&ipa)
    }
}

/// The order in which commands of several hosts held the RD of a shared Realm. A command maps the
/// RD right after it has locked it.
#[derive(Debug)]
pub struct Order {
    rd: u64,
    hosts: Mutex<Vec<u64>>,
}

impl Order {
    pub fn new(rd: u64) -> Arc<Self> {
        Arc::new(Self { rd, hosts: Mutex::default() })
    }

    /// The hosts, in that order.
    pub fn hosts(&self) -> Vec<u64> {
        lock(&self.hosts).clone()
    }

    /// Watches an event of a command of `host`. Gives whether the event maps the RD.
    pub fn observe(&self, event: &Event, host: u64) -> bool {
        const OUTPUT: u64 = 0x0000_ffff_ffff_f000;
        let mapped = matches!(event, Event::Descriptor(_, value)
            if value & 1 != 0 && value & OUTPUT == self.rd);
        if mapped {
            lock(&self.hosts).push(host);
        }
        mapped
    }
}

/// What is known about this host and the RD of the Realm it shares.
#[derive(Debug, Default)]
pub struct Sharing {
    pub order: Option<Arc<Order>>,
    /// While a command runs: how often it has held the RD.
    pub in_command: Option<usize>,
}

/// A host that runs on no thread.
pub struct Parked {
    system: Arc<System<'static>>,
    index: u64,
    model: Model,
    parts: BTreeMap<u64, Part>,
    measured: VecDeque<Vec<Measured>>,
}

impl Parked {
    /// Makes this thread the host's CPU.
    pub fn resume(self) -> Host {
        let mut host = Host::on(self.system, self.index);
        (host.model, host.parts, host.measured) = (self.model, self.parts, self.measured);
        host
    }
}

impl Host {
    /// Releases the host from this thread.
    pub fn park(mut self) -> Parked {
        Parked {
            system: Arc::clone(&self.system),
            index: self.index(),
            model: std::mem::take(&mut self.model),
            parts: std::mem::take(&mut self.parts),
            measured: std::mem::take(&mut self.measured),
        }
    }
}
