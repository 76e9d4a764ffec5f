// SPDX-License-Identifier: BSD-3-Clause
//! Several hosts on one machine: what each has of a Realm that they share, in which order they came
//! to it, and how one goes from thread to thread.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::system::System;
use rmm::host::Event;

use super::host::Host;
use super::model::{Measured, Model};

/// Locks, whatever another thread has come to.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a host has to itself of the IPA space of a Realm: a range of the protected half, and one of
/// the other.
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

/// In which order several hosts came to have the RD of a Realm that they share: a command maps it,
/// once it has its lock.
#[derive(Debug)]
pub struct Order {
    rd: u64,
    hosts: Mutex<Vec<u64>>,
}

impl Order {
    pub fn new(rd: u64) -> Arc<Self> {
        Arc::new(Self { rd, hosts: Mutex::default() })
    }

    /// The hosts, one for each time.
    pub fn hosts(&self) -> Vec<u64> {
        lock(&self.hosts).clone()
    }

    /// Something happens in a command of a host; whether it got the RD.
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

/// What a host does with the RD of a Realm that it shares.
#[derive(Debug, Default)]
pub struct Sharing {
    pub order: Option<Arc<Order>>,
    /// While a command runs: how often it had the RD.
    pub in_command: Option<usize>,
}

/// A host that is on no thread.
pub struct Parked {
    system: Arc<System<'static>>,
    index: u64,
    model: Model,
    parts: BTreeMap<u64, Part>,
    measured: VecDeque<Vec<Measured>>,
}

impl Parked {
    /// Puts it on this thread.
    pub fn resume(self) -> Host {
        let mut host = Host::on(self.system, self.index);
        (host.model, host.parts, host.measured) = (self.model, self.parts, self.measured);
        host
    }
}

impl Host {
    /// Takes it off its thread.
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
