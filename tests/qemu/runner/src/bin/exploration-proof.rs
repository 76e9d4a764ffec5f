// SPDX-License-Identifier: BSD-3-Clause
//! Proves that the exploration of small machines can fail: plants one fault after the other in a
//! copy of the tree, and explores the configuration that must find it. Exits with status 0 only if
//! each was found. Prints each with the shortest path to it, as Markdown.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use clap::Parser;
use rmm_test_system::exit;
use rmm_test_system::mutations::{self, Mutation};
use rmm_test_system::tree::Tree;

/// Break the firmware, one fault at a time, and see the exploration find it.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The source tree
    #[arg(long, default_value = ".")]
    source: PathBuf,
    /// The copy to break things in
    #[arg(long, default_value = "build/explored")]
    copy: PathBuf,
    /// Only check that the faults fit the tree
    #[arg(long)]
    check: bool,
    /// The faults to plant, all if none is named
    names: Vec<String>,
}

fn main() -> ExitCode {
    exit::code("exploration-proof", run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<bool> {
    let faults = mutations::read_all(&arguments.source.join("tests/explore/faults"))?;
    for fault in &faults {
        fault.apply(|file| {
            std::fs::read_to_string(arguments.source.join(file))
                .with_context(|| format!("cannot read {file}"))
        })?;
    }
    if arguments.check {
        println!("{} faults for the exploration", faults.len());
        return Ok(true);
    }
    let tree = Tree::copy(&arguments.source, arguments.copy.clone())?;
    let is_wanted =
        |fault: &&Mutation| arguments.names.is_empty() || arguments.names.contains(&fault.name);
    let mut all_found = true;
    for fault in faults.iter().filter(is_wanted) {
        let mut unbroken = Vec::new();
        for (file, content) in &fault.apply(|file| tree.read(file))? {
            unbroken.push((file.to_string(), tree.read(file)?));
            tree.write(file, content)?;
        }
        let explored = fault.breaks.iter().map(|name| {
            let plain = name.strip_suffix('+').map(|plain| explore(&arguments.copy, plain));
            Ok((name, explore(&arguments.copy, name)?, plain.transpose()?))
        });
        let explored: Result<Vec<_>> = explored.collect();
        for (file, content) in unbroken {
            tree.write(&file, &content)?;
        }
        for (name, text, plain) in explored? {
            let path = finding(&text);
            all_found &= path.is_some();
            let path = path
                .map_or_else(|| format!("NOT FOUND {text}"), |path| path.replacen('\n', "\n\n", 1));
            println!("\n## {}, in {name}\n\n{path}", fault.name);
            if let Some(plain) = plain {
                let is_missed = finding(&plain).is_none() && plain.starts_with('|');
                all_found &= is_missed;
                let is = if is_missed { "Not found" } else { "FOUND, OR NOT BUILT," };
                println!("\n{is} without calls in the midst: {}", plain.trim_end());
            }
        }
    }
    Ok(all_found)
}

/// What the exploration of a configuration, built in the copy, prints; and errors of the build.
fn explore(copy: &Path, name: &str) -> Result<String> {
    let output = Command::new("cargo")
        .args(["run", "-q", "--profile", "explore", "-p", "rmm-test-explore", "--", name])
        .current_dir(copy)
        .output()
        .context("cargo cannot be run")?;
    let [text, errors] = [output.stdout, output.stderr].map(|bytes| lossy(&bytes));
    Ok(text + &errors)
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What was found, and the path to it.
fn finding(text: &str) -> Option<&str> {
    text.split_once("FOUND: ").map(|(_, found)| found.trim_end())
}
