// SPDX-License-Identifier: BSD-3-Clause
//! Counts the instructions of an operation on the host with valgrind. The number is the same in
//! every run of the same program.
//!
//! A program has numbered cases. With a number as argument, it runs that case and counts
//! [`measured`]. With `--bench`, as under `cargo bench`, it runs itself under callgrind once for
//! each case, and prints lines `figure: SECTION | NAME | NUMBER`, which `make bench` collects.
//! Without either, as under `cargo test --benches`, it runs every case once.

use std::fmt::Debug;
use std::hint::black_box;
use std::process::{Command, ExitCode};

/// The only function in which instructions are counted.
#[inline(never)]
pub fn measured<T>(operation: impl FnOnce() -> T) -> T {
    black_box(operation())
}

/// Counts the instructions of case `index` of this program.
fn count(index: usize) -> Result<u64, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=*measured*"])
        .arg(program)
        .arg(index.to_string())
        .output()
        .map_err(|error| format!("valgrind: {error}"))?;
    let report = String::from_utf8_lossy(&output.stderr);
    let collected =
        report.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    collected.filter(|_| output.status.success()).ok_or_else(|| report.into_owned())
}

/// The main function of such a program. Takes the section of its figures, the names of its cases,
/// and a function that runs a case by number.
pub fn main<E: Debug>(
    section: &str,
    names: &[String],
    run: impl Fn(usize) -> Result<(), E>,
) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let case = arguments.iter().find_map(|argument| argument.parse::<usize>().ok());
    let run = |index: usize| run(index).map_err(|error| format!("case {index}: {error:?}"));
    let result = match case {
        Some(index) => run(index),
        None if arguments.iter().any(|argument| argument == "--bench") => {
            names.iter().enumerate().try_for_each(|(index, name)| {
                println!("figure: {section} | {name} | {}", count(index)?);
                Ok(())
            })
        }
        None => (0..names.len()).try_for_each(run),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
