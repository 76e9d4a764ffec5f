// SPDX-License-Identifier: BSD-3-Clause
//! A virtual machine monitor at Non-secure EL2. It boots Linux in one or two Realms and serves
//! their exits on all CPUs of the machine, in the RMM's dialect.
//!
//! QEMU has loaded kernel, initial file system and device tree at the addresses in the options. A
//! Realm has RAM from 2 GiB on, a GICv3 and a PL011. The first Realm's PL011 is connected to the
//! machine's own.

#![no_std]
#![no_main]

mod activation;
mod counts;
mod gic;
mod interrupts;
mod machine;
mod memory;
mod pl011;
mod pool;
mod schedule;
mod vcpu;
mod virtio;
mod vm;

use rmm_test_firmware::host::{cpus, end, give_up, options, probe, random, realm, rmi, tables};
use rmm_test_firmware::{check, host_image};

/// Called by entry.S on the primary CPU, with the MMU on.
#[unsafe(no_mangle)]
extern "C" fn host_main() -> ! {
    machine::set_up();
    pool::set_up();
    activation::run();
    schedule::start_others();
    vm::build_all();
    schedule::run_all();
    vm::destroy_all();
    counts::print();
    check::equal("granules that are still out", pool::outstanding(), 0);
    end()
}

host_image!(stack_size: 65536);
