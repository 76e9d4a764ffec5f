// SPDX-License-Identifier: BSD-3-Clause
//! Boots Linux in a Realm on QEMU, and connects it to the terminal.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Parser;
use rmm_test_system::exit;
use rmm_test_system::linux::session::Session;
use rmm_test_system::linux::test::CASES;
use rmm_test_system::linux::{Guest, Rmi};

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
    /// The RMI that host and RMM speak
    #[arg(long, value_enum, default_value = "1.0")]
    rmi: Rmi,
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
    /// Give it a virtio device, whose entropy is the letter Z
    #[arg(long)]
    virtio: bool,
    /// The seed of the random choices
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Count instructions instead of time
    #[arg(long)]
    icount: bool,
    /// Count the instructions of each world
    #[arg(long)]
    count: bool,
    /// Words for the kernel
    #[arg(long, default_value = "")]
    append: String,
    /// The emulator to use
    #[arg(long, default_value = "qemu-system-aarch64")]
    qemu: PathBuf,
    /// Type this command for the guest, and power it off when it has ended
    #[arg(long, value_name = "COMMAND")]
    run: Option<String>,
    /// Run the tests instead
    #[arg(long)]
    test: bool,
    /// Only tests whose names contain this text
    #[arg(long, requires = "test")]
    filter: Option<String>,
    /// Print everything that the tests print
    #[arg(long, requires = "test")]
    live: bool,
    /// Words for the emulator
    #[arg(last = true)]
    more: Vec<String>,
}

fn main() -> ExitCode {
    exit::code("linux", run(Arguments::parse()))
}

/// Boots a guest as the arguments say. Gives false if something failed.
fn run(arguments: Arguments) -> Result<bool> {
    // The counter is built together with this program.
    let counter = std::env::current_exe()
        .context("where this program is")?
        .with_file_name("librmm_test_counter.so");
    let guest = Guest {
        rmm: arguments.rmm,
        el3: arguments.el3,
        vmm: arguments.vmm,
        image: arguments.image,
        initrd: arguments.initrd,
        rmi: arguments.rmi,
        realms: arguments.realms,
        recs: arguments.recs,
        cpus: arguments.cpus,
        ram_mib: arguments.ram,
        preempt: arguments.preempt,
        patience: 0,
        virtio: arguments.virtio,
        seed: arguments.seed,
        instruction_count: arguments.icount,
        counter: arguments.count.then_some(counter),
        arguments: arguments.append,
    };
    let folder = guest.initrd.parent().context("the initial file system is in no folder")?;
    if arguments.test {
        let text = arguments.filter.unwrap_or_default();
        return Ok(test(&guest, &arguments.qemu, folder, &text, arguments.live));
    }
    let mut command = guest.command(&arguments.qemu, folder)?;
    command.args(arguments.more);
    if let Some(typed) = arguments.run {
        let mut session = Session::start(command, true)?;
        session.command(&typed)?;
        return Ok(session.power_off()?.success());
    }
    let status =
        command.status().with_context(|| format!("cannot run {}", arguments.qemu.display()))?;
    Ok(status.success())
}

/// Runs the tests whose names contain `text`. Gives false if one failed. The last line is always `N
/// passed, M failed`.
fn test(guest: &Guest, qemu: &Path, folder: &Path, text: &str, live: bool) -> bool {
    let (mut passed, mut failed) = (0, 0);
    for case in CASES.iter().filter(|case| case.name.contains(text)) {
        let started = Instant::now();
        let result = case.run(guest, qemu, folder, live);
        let seconds = started.elapsed().as_secs();
        match result {
            Ok(()) => {
                passed += 1;
                println!("PASS linux-{} ({seconds} s)", case.name);
            }
            Err(error) => {
                failed += 1;
                println!("FAIL linux-{} ({seconds} s): {error:#}", case.name);
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    failed == 0 && passed > 0
}
