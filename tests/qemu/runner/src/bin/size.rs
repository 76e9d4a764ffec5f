// SPDX-License-Identifier: BSD-3-Clause
//! `size ELF`: prints the sections of a linked image and its largest symbols, see
//! [`rmm_test_system::sizes`].

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use rmm_test_system::sizes::Sizes;

/// Print what a linked image is made of.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The linked image
    elf: PathBuf,
    /// How many symbols to print
    #[arg(long, default_value_t = 25)]
    largest: usize,
}

fn run(arguments: &Arguments) -> Result<()> {
    let name = arguments.elf.display();
    let file = std::fs::read(&arguments.elf).with_context(|| format!("cannot read {name}"))?;
    let sizes = Sizes::of(&file).with_context(|| format!("{name} refused"))?;
    print!("{}", sizes.table(arguments.largest));
    Ok(())
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("size: {error:#}");
            ExitCode::FAILURE
        }
    }
}
