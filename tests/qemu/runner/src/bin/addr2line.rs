// SPDX-License-Identifier: BSD-3-Clause
//! `addr2line ELF [LOG]`: prints a log of the RMM's console, from a file or standard input, with
//! the functions at the addresses in its fatal reports. See [`rmm_test_system::backtrace`].

use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use rmm_test_system::backtrace::annotate;
use rmm_test_system::exit;
use rmm_test_system::symbols::Symbols;

/// Print a console log with the functions that the addresses in it are in.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The linked image that printed it
    elf: PathBuf,
    /// The log; standard input if none is named
    log: Option<PathBuf>,
}

fn run(arguments: &Arguments) -> Result<()> {
    let name = arguments.elf.display();
    let elf = std::fs::read(&arguments.elf).with_context(|| format!("cannot read {name}"))?;
    let symbols = Symbols::of(&elf).with_context(|| format!("cannot use {name}"))?;
    let mut bytes = Vec::new();
    match &arguments.log {
        Some(path) => std::fs::File::open(path)
            .and_then(|mut file| file.read_to_end(&mut bytes))
            .with_context(|| format!("cannot read {}", path.display()))?,
        None => std::io::stdin().read_to_end(&mut bytes).context("cannot read standard input")?,
    };
    // A UART may deliver bytes that are not text.
    let log: Vec<String> = String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect();
    for line in annotate(&log, |address| symbols.functions(address)) {
        println!("{line}");
    }
    Ok(())
}

fn main() -> ExitCode {
    exit::code("addr2line", run(&Arguments::parse()).map(|()| true))
}
