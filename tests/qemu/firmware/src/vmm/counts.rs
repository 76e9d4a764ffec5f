// SPDX-License-Identifier: BSD-3-Clause
//! Counts exits of Realms by reason.

use core::sync::atomic::{AtomicU64, Ordering};

use rmm_test_firmware::say;

use crate::{give_up, options};

macro_rules! reasons {
    ($($(#[$about:meta])* $name:ident = $text:literal,)*) => {
        /// The reason of an exit.
        #[derive(Clone, Copy)]
        pub enum Reason { $($(#[$about])* $name,)* }

        const NAMES: &[&str] = &[$($text),*];
    };
}

reasons! {
    /// The host's interrupt.
    Interrupt = "interrupt",
    /// Protected memory that the host has not mapped yet.
    Private = "protected memory",
    /// Memory that Realm and host share.
    Shared = "shared memory",
    /// A register of the distributor or a redistributor.
    GicAccess = "GICv3 register",
    /// A register of the PL011.
    Pl011Access = "PL011 register",
    /// A register of the virtio device.
    VirtioAccess = "virtio register",
    /// An access to an address without memory or device.
    External = "no memory, no device",
    /// An SGI.
    Sgi = "SGI",
    /// WFI.
    Wait = "WFI",
    /// A change of RIPAS.
    Ripas = "change of RIPAS",
    /// PSCI.
    Psci = "PSCI",
}

static COUNTS: [AtomicU64; NAMES.len()] = [const { AtomicU64::new(0) }; NAMES.len()];

/// Exits since a Realm last wrote to its console.
static SILENT: AtomicU64 = AtomicU64::new(0);

/// Counts an exit. Ends the run if Realms write nothing to their consoles for too long.
pub fn count(reason: Reason) {
    COUNTS[reason as usize].fetch_add(1, Ordering::Relaxed);
    let silent = SILENT.fetch_add(1, Ordering::Relaxed) + 1;
    if silent == options().patience {
        print();
        give_up(format_args!("{silent} exits without a byte for the console"));
    }
}

/// Shared pages that were unmapped while the Realm used them.
static WITHHELD: AtomicU64 = AtomicU64::new(0);

/// Counts a shared page that was unmapped.
pub fn note_withheld() {
    WITHHELD.fetch_add(1, Ordering::Relaxed);
}

/// Notes that a Realm has written to its console.
pub fn note_output() {
    SILENT.store(0, Ordering::Relaxed);
}

/// Prints the table.
pub fn print() {
    let counts = || COUNTS.iter().map(|count| count.load(Ordering::Relaxed));
    for (name, count) in NAMES.iter().zip(counts()) {
        say!("exits: {name}: {count}");
    }
    say!("exits: all: {}", counts().sum::<u64>());
    say!("shared pages unmapped: {}", WITHHELD.load(Ordering::Relaxed));
}
