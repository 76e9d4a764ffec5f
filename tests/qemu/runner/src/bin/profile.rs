// SPDX-License-Identifier: BSD-3-Clause
//! `profile ELF LOG`: prints which functions the instructions of each visit to the image belong to.
//! See [`rmm_test_system::profile`].

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use rmm_test_system::exit;
use rmm_test_system::profile::Functions;

/// Print where each visit to the RMM spent its instructions, as QEMU's log of them tells.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The linked image
    elf: PathBuf,
    /// What QEMU wrote with `-d exec,nochain -accel tcg,one-insn-per-tb=on`
    log: PathBuf,
    /// Leave out visits of fewer instructions
    #[arg(long, default_value_t = 60)]
    least: usize,
}

fn run(arguments: &Arguments) -> Result<()> {
    let name = arguments.elf.display();
    let elf = std::fs::read(&arguments.elf).with_context(|| format!("cannot read {name}"))?;
    let functions = Functions::of(&elf).with_context(|| format!("{name} refused"))?;
    let name = arguments.log.display();
    let log = File::open(&arguments.log).with_context(|| format!("cannot read {name}"))?;
    let base = rmm_plat::qemu_virt::MACHINE.load_address();
    let visits =
        functions.visits(BufReader::new(log), base).with_context(|| format!("{name} refused"))?;
    for visit in visits.iter().filter(|visit| visit.instructions() >= arguments.least) {
        println!("{visit}");
    }
    Ok(())
}

fn main() -> ExitCode {
    exit::code("profile", run(&Arguments::parse()).map(|()| true))
}
