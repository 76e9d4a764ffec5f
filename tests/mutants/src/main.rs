// SPDX-License-Identifier: BSD-3-Clause
//! Makes every small change that cargo-mutants knows, one at a time, and says which of them no test
//! misses.
//!
//! To build and link the tests for each change takes seconds, to run them a fraction of one. So a
//! copy of the tree is built that holds all changes at once, of which the environment chooses one
//! when a test starts; what cannot be chosen that late (constants, conditions with `let`), or does
//! not compile in that form, is left to cargo-mutants itself.

mod build;
mod mutant;
mod schema;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;

use anyhow::{Context, Result, ensure};
use clap::Parser;

use build::{Copy, Verdict};
use mutant::Mutant;

/// Try the small changes that cargo-mutants lists, nearly all of them in one build.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The source tree
    #[arg(long, default_value = ".")]
    source: PathBuf,
    /// The copy to break; what was built there before is used again
    #[arg(long, default_value = "build/mutants")]
    copy: PathBuf,
    /// Tests to leave out, by a part of their names, for a first round that leaves fewer changes to
    /// a second
    #[arg(long, value_delimiter = ',')]
    skip: Vec<String>,
    /// How many to try at a time
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Test programs (`lib`, or the name of a test), the quickest first: a change that one catches
    /// is not tried on the next
    #[arg(long, value_delimiter = ',', default_value = TESTS)]
    tests: Vec<String>,
    /// Do not hand to cargo-mutants what cannot be chosen at run time
    #[arg(long)]
    skip_apart: bool,
    /// What cargo-mutants is to list, in its own words, such as `--re src/xlat/tree`
    #[arg(last = true)]
    mutants: Vec<String>,
}

const TESTS: &str = "lib,xlat,granule,mem,rmi,stage2,realm";

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mutants: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let mutants = mutant::list(&arguments.source, &arguments.mutants)?;
    ensure!(!mutants.is_empty(), "there are none such");
    let copy = Copy::new(&arguments.source, &arguments.copy)?;
    let mut verdicts = copy.write(&mutants, &arguments.source)?;
    let programs = copy.build(&mutants, &mut verdicts, &arguments.source, &arguments.tests)?;
    let programs = copy.measure(programs, &arguments.skip)?;
    let mut open = (0..mutants.len())
        .filter(|number| !verdicts.contains_key(number))
        .collect::<Vec<_>>()
        .into_iter();
    let open = Mutex::new(&mut open);
    let tried: Vec<Result<Vec<(usize, Verdict)>>> = std::thread::scope(|scope| {
        let job = || {
            let mut tried = Vec::new();
            loop {
                let next = open.lock().ok().and_then(|mut open| open.next());
                let Some(number) = next else { return Ok(tried) };
                let verdict = copy.test(number, &programs, &arguments.skip)?;
                println!("{verdict} {}", mutants[number].name);
                tried.push((number, verdict));
            }
        };
        let jobs: Vec<_> = (0..arguments.jobs).map(|_| scope.spawn(job)).collect();
        jobs.into_iter().map(|job| job.join().expect("a job does not panic")).collect()
    });
    for tried in tried {
        verdicts.extend(tried?);
    }
    for (number, verdict) in verdicts.iter().filter(|(_, verdict)| **verdict != Verdict::Caught) {
        println!("{verdict} {}", mutants[*number].name);
    }
    summarize(&mutants, &verdicts);
    let of = |verdict| {
        let those = verdicts.iter().filter(move |(_, other)| **other == verdict);
        those.map(|(number, _)| &mutants[*number]).collect()
    };
    let missed: Vec<&Mutant> = of(Verdict::Missed);
    let text: String = missed.iter().map(|mutant| format!("{}\n", mutant.name)).collect();
    let path = arguments.copy.join("missed.txt");
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    let apart: Vec<&Mutant> = of(Verdict::Apart);
    if arguments.skip_apart || apart.is_empty() {
        Ok(())
    } else {
        mutant::try_apart(&arguments.source, &apart)
    }
}

/// Prints a line for each file, as the table in `docs/mutants.md` has it.
fn summarize(mutants: &[Mutant], verdicts: &BTreeMap<usize, Verdict>) {
    let mut files: BTreeMap<&str, BTreeMap<Verdict, usize>> = BTreeMap::new();
    for (number, verdict) in verdicts {
        *files.entry(&mutants[*number].file).or_default().entry(*verdict).or_default() += 1;
    }
    println!("| File | Mutants | Caught | Do not compile | Not caught | Apart |");
    for (file, counts) in files {
        let count = |verdict| counts.get(&verdict).copied().unwrap_or(0);
        println!(
            "| `{file}` | {} | {} | {} | {} | {} |",
            counts.values().sum::<usize>(),
            count(Verdict::Caught),
            count(Verdict::Unviable),
            count(Verdict::Missed),
            count(Verdict::Apart)
        );
    }
}
