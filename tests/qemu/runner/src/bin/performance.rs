// SPDX-License-Identifier: BSD-3-Clause
//! `performance DOCUMENT MEASURED...`: compares the figures in logs, lines `figure: ...`, with
//! those in the document, and prints one table. Fails if a figure exceeds its bound, was not
//! measured, or does not repeat. With `--update` it also writes the measured figures to the
//! document.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use rmm_test_system::exit;
use rmm_test_system::performance::{Document, Measured};

/// Compare measured figures with those that are kept.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The document that keeps the figures
    document: PathBuf,
    /// Logs of what was measured
    #[arg(required = true)]
    measured: Vec<PathBuf>,
    /// Write what was measured to the document
    #[arg(long)]
    update: bool,
}

fn main() -> ExitCode {
    exit::code("performance", run(&Arguments::parse()))
}

/// Does what the arguments ask for. Gives false if a figure is missing or exceeds its bound.
fn run(arguments: &Arguments) -> Result<bool> {
    let read =
        |path: &PathBuf| fs::read_to_string(path).with_context(|| path.display().to_string());
    let logs: Vec<String> = arguments.measured.iter().map(read).collect::<Result<_>>()?;
    let measured = Measured::read(&logs.concat())?;
    let mut document = Document::read(&read(&arguments.document)?);
    let comparison = document.compare(&measured);
    print!("{comparison}");
    if arguments.update {
        document.update(&measured);
        fs::write(&arguments.document, document.to_string())
            .with_context(|| arguments.document.display().to_string())?;
    }
    Ok(comparison.holds())
}
