// SPDX-License-Identifier: BSD-3-Clause
//! Boots Linux in a Realm on QEMU, and leaves the terminal to it.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use rmm_test_system::linux::Guest;

/// Boot Linux in a Realm on QEMU.
#[derive(Parser)]
struct Arguments {
    /// The RMM, a flat binary
    #[arg(long, default_value = "build/rmm.bin")]
    rmm: PathBuf,
    /// The EL3 test monitor, a flat binary
    #[arg(long, default_value = "build/el3.bin")]
    el3: PathBuf,
    /// The virtual machine monitor, a flat binary
    #[arg(long, default_value = "build/vmm.bin")]
    vmm: PathBuf,
    /// The kernel
    #[arg(long, default_value = "build/linux/Image")]
    image: PathBuf,
    /// The initial file system
    #[arg(long, default_value = "build/linux/initrd")]
    initrd: PathBuf,
    /// Realms that run it
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=2))]
    realms: u32,
    /// RECs of each
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=8))]
    recs: u32,
    /// CPUs of the machine
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=8))]
    cpus: u32,
    /// MiB of RAM that each Realm sees
    #[arg(long, default_value_t = 512)]
    ram: u64,
    /// How often in a second a REC is preempted, at random
    #[arg(long, default_value_t = 0)]
    preempt: u32,
    /// What the random choices begin with
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Count instructions instead of time
    #[arg(long)]
    icount: bool,
    /// Words for the kernel
    #[arg(long, default_value = "")]
    append: String,
    /// The emulator to use
    #[arg(long, default_value = "qemu-system-aarch64")]
    qemu: PathBuf,
    /// Words for the emulator
    #[arg(last = true)]
    more: Vec<String>,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("linux: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Boots what the arguments name; false when something failed.
fn run(arguments: Arguments) -> Result<bool> {
    let guest = Guest {
        rmm: arguments.rmm,
        el3: arguments.el3,
        vmm: arguments.vmm,
        image: arguments.image,
        initrd: arguments.initrd,
        realms: arguments.realms,
        recs: arguments.recs,
        cpus: arguments.cpus,
        ram_mib: arguments.ram,
        preempt: arguments.preempt,
        seed: arguments.seed,
        instruction_count: arguments.icount,
        arguments: arguments.append,
    };
    let folder = guest.initrd.parent().context("the initial file system is in no folder")?;
    let mut command = guest.command(&arguments.qemu, folder)?;
    command.args(arguments.more);
    let status =
        command.status().with_context(|| format!("cannot run {}", arguments.qemu.display()))?;
    Ok(status.success())
}
