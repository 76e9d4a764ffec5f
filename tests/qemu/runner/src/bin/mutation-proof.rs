// SPDX-License-Identifier: BSD-3-Clause
//! Proves that the emulated tests can fail: applies one mutation after the other to a copy of the
//! tree, builds it, and runs the scenarios that must fail. Exits with status 0 only if each of
//! these failed, and if every scenario has a mutation.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use rmm_test_system::exit;
use rmm_test_system::mutations::{self, Mutation};
use rmm_test_system::protection::Protection;
use rmm_test_system::qemu::Qemu;
use rmm_test_system::scenario::Scenario;
use rmm_test_system::scenarios;
use rmm_test_system::tree::{Target, Tree};
use rmm_test_system::verdict::{self, Ending};

/// Break the tree, one mutation at a time, and see the emulated tests notice.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The source tree
    #[arg(long, default_value = ".")]
    source: PathBuf,
    /// The copy to break things in; what was built there before is used again
    #[arg(long, default_value = "build/mutations")]
    copy: PathBuf,
    /// The emulator to use
    #[arg(long, default_value = "qemu-system-aarch64")]
    qemu: PathBuf,
    /// The debugger to use
    #[arg(long, default_value = "gdb-multiarch")]
    gdb: PathBuf,
    /// Only check that the mutations fit the tree and that they leave no scenario out
    #[arg(long)]
    check: bool,
    /// Do not run the scenarios on the unbroken tree first, where all must pass: `make test` has
    /// just done it
    #[arg(long)]
    skip_baseline: bool,
    /// The mutations to try, all if none is named; `*` at the end of a name stands for any rest
    names: Vec<String>,
}

fn main() -> ExitCode {
    exit::code("mutation-proof", run(&Arguments::parse()))
}

/// Does what the arguments ask for. Gives false if a scenario did not fail that had to, or has no
/// mutation.
fn run(arguments: &Arguments) -> Result<bool> {
    let mutations = mutations::read_all(&arguments.source.join("tests/qemu/mutations"))?;
    let all = scenarios::all(Protection::Hardened);
    let unproven = mutations::unproven(&mutations, &all)?;
    for name in &unproven {
        println!("UNPROVEN {name}: no mutation is known to break it");
    }
    for mutation in &mutations {
        let read = |file: &str| {
            std::fs::read_to_string(arguments.source.join(file))
                .with_context(|| format!("cannot read {file}"))
        };
        mutation.apply(read)?;
    }
    if arguments.check {
        println!("{} mutations, {} scenarios unproven", mutations.len(), unproven.len());
        return Ok(unproven.is_empty());
    }

    let wanted = |mutation: &&Mutation| {
        arguments.names.is_empty()
            || arguments.names.iter().any(|name| match name.strip_suffix('*') {
                Some(beginning) => mutation.name.starts_with(beginning),
                None => mutation.name == *name,
            })
    };
    let chosen: Vec<&Mutation> = mutations.iter().filter(wanted).collect();
    ensure!(!chosen.is_empty(), "no mutation has such a name");
    let mut proof = Proof {
        tree: Tree::copy(&arguments.source, arguments.copy.clone())?,
        qemu: Qemu::find(&arguments.qemu)?.with_debugger(Some(arguments.gdb.clone())),
        stale: Target::ALL.into_iter().collect(),
    };
    let start = Instant::now();
    ensure!(proof.is_hardened()?, "a plain image has not all that is to be broken");
    let mut sound = arguments.skip_baseline || proof.baseline(&chosen, &all)?;
    for mutation in &chosen {
        sound &= proof.try_mutation(mutation, &all)?;
    }
    let minutes = start.elapsed().as_secs_f32() / 60.0;
    println!(
        "{} mutations in {minutes:.0} min, {} scenarios unproven: {}",
        chosen.len(),
        unproven.len(),
        if sound && unproven.is_empty() { "every test is seen to fail" } else { "FAILED" }
    );
    Ok(sound && unproven.is_empty())
}

struct Proof {
    tree: Tree,
    qemu: Qemu,
    /// The targets that are not built from the unbroken tree.
    stale: BTreeSet<Target>,
}

impl Proof {
    /// Whether the image that this machine can build has branch protection.
    fn is_hardened(&mut self) -> Result<bool> {
        self.tree.build(Target::Rmm)?;
        self.stale.remove(&Target::Rmm);
        Ok(Protection::of(&self.tree.images().rmm)? == Protection::Hardened)
    }

    /// Runs every scenario that is to fail later on the unbroken tree, where it must pass.
    fn baseline(&mut self, mutations: &[&Mutation], all: &[Scenario]) -> Result<bool> {
        let mut names = BTreeSet::new();
        for mutation in mutations {
            names.extend(mutation.victims(all)?.into_iter().map(|scenario| &scenario.name));
        }
        for target in Target::ALL {
            self.tree.build(target)?;
        }
        self.stale.clear();
        let chosen: Vec<Scenario> =
            all.iter().filter(|scenario| names.contains(&scenario.name)).cloned().collect();
        let mut sound = true;
        verdict::judge_all(&chosen, &self.qemu, &self.tree.images(), false, |scenario, verdict| {
            if !verdict.passed() {
                sound = false;
                println!("FAILED the unbroken tree");
                verdict.print(scenario, false);
            }
        });
        println!("{} scenarios run on the unbroken tree", chosen.len());
        Ok(sound)
    }

    /// Applies a mutation, runs the scenarios that must fail, and restores the tree. Gives whether
    /// all of them failed.
    fn try_mutation(&mut self, mutation: &Mutation, all: &[Scenario]) -> Result<bool> {
        let victims: Vec<Scenario> = mutation.victims(all)?.into_iter().cloned().collect();
        let broken = mutation.apply(|file| self.tree.read(file))?;
        let mut unbroken = Vec::new();
        for (file, content) in &broken {
            unbroken.push((file, self.tree.read(file)?));
            self.tree.write(file, content)?;
        }
        let result = self.run_broken(mutation, &victims);
        for (file, content) in unbroken {
            self.tree.write(file, &content)?;
        }
        result
    }

    fn run_broken(&mut self, mutation: &Mutation, victims: &[Scenario]) -> Result<bool> {
        for target in Target::ALL {
            let needed = victims.iter().any(|scenario| target.serves(scenario));
            let broken = mutation.edit.iter().any(|edit| target.depends_on(&edit.file));
            if needed && (broken || self.stale.contains(&target)) {
                self.stale.remove(&target);
                if broken {
                    self.stale.insert(target);
                }
                if let Err(error) = self.tree.build(target) {
                    println!("FAILED {}: it does not build: {error:#}", mutation.name);
                    return Ok(false);
                }
            }
        }
        let mut noticed = true;
        verdict::judge_all(victims, &self.qemu, &self.tree.images(), false, |scenario, verdict| {
            let counts = match verdict.ending() {
                Ending::NotStarted => false,
                Ending::Cut => mutation.hangs,
                Ending::Finished => true,
            };
            let complaint = verdict.complaint().unwrap_or("it passes");
            let word = if counts && !verdict.passed() { "ok    " } else { "FAILED" };
            noticed &= counts && !verdict.passed();
            println!("{word} {} -> {}: {complaint}", mutation.name, scenario.name);
        });
        Ok(noticed)
    }
}
