// SPDX-License-Identifier: BSD-3-Clause
//! `elf2bin [--pie] <ELF> <BIN>`: writes the flat binary of an ELF image. If the image breaks a
//! rule of [`rmm_test_system::flatten`], the program prints one line and exits with code 1.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use rmm_test_system::exit;
use rmm_test_system::flatten::{ImageKind, flatten};

/// Lay the loadable segments of an ELF image out by physical address, from the lowest one, without
/// BSS.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The image is position independent: allow `R_AARCH64_RELATIVE` relocations, and no others
    #[arg(long)]
    pie: bool,
    /// The linked image
    elf: PathBuf,
    /// The flat binary to write
    bin: PathBuf,
}

fn run(arguments: &Arguments) -> Result<()> {
    let elf = std::fs::read(&arguments.elf)
        .with_context(|| format!("cannot read {}", arguments.elf.display()))?;
    let kind = if arguments.pie { ImageKind::PositionIndependent } else { ImageKind::Fixed };
    let image =
        flatten(&elf, kind).with_context(|| format!("{} refused", arguments.elf.display()))?;
    std::fs::write(&arguments.bin, &image.bytes)
        .with_context(|| format!("cannot write {}", arguments.bin.display()))?;
    let bin = arguments.bin.display();
    println!("{bin}: {} bytes for {:#x}, entered at its first byte", image.bytes.len(), image.base);
    if arguments.pie {
        println!("{bin}: {} bytes in memory, {} relocations", image.memory_size, image.relocations);
    }
    Ok(())
}

fn main() -> ExitCode {
    exit::code("elf2bin", run(&Arguments::parse()).map(|()| true))
}
