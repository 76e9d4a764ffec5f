// SPDX-License-Identifier: BSD-3-Clause
//! The system-test runner: boots an RMM with the test firmware on QEMU for each scenario, and
//! judges it by its exit status and its output. The last line is always `N passed, M failed`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Result, bail, ensure};
use clap::Parser;

use rmm_test_system::exit;
use rmm_test_system::protection::Protection;
use rmm_test_system::qemu::{Images, Qemu};
use rmm_test_system::{scenarios, verdict};

/// Boot an RMM on QEMU under the test firmware and judge what it does.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The RMM, a flat binary
    #[arg(long)]
    rmm: Option<PathBuf>,
    /// The RMM built with its deliberate faults
    #[arg(long)]
    rmm_self_test: Option<PathBuf>,
    /// The EL3 test monitor, a flat binary
    #[arg(long)]
    el3: Option<PathBuf>,
    /// The normal-world test host, a flat binary
    #[arg(long)]
    host: Option<PathBuf>,
    /// The payload that Realms run, a flat binary
    #[arg(long)]
    realm: Option<PathBuf>,
    /// The image that tests the translation tables, a flat binary
    #[arg(long)]
    xlat: Option<PathBuf>,
    /// The emulator to use
    #[arg(long, default_value = "qemu-system-aarch64")]
    qemu: PathBuf,
    /// The debugger to use; without it, scenarios that need one are left out
    #[arg(long)]
    gdb: Option<PathBuf>,
    /// Run only the scenarios whose names contain this text
    #[arg(long)]
    filter: Option<String>,
    /// The long scenarios instead of the usual ones
    #[arg(long)]
    stress: bool,
    /// List the scenarios and what each asserts
    #[arg(long)]
    list: bool,
    /// Run one scenario and print its log as it comes
    #[arg(long, value_name = "NAME", conflicts_with_all = ["filter", "list"])]
    show: Option<String>,
    /// Start one scenario, stopped, for a debugger that attaches to this socket
    #[arg(long, value_name = "SOCKET", requires = "show")]
    debug: Option<PathBuf>,
}

impl Arguments {
    fn images(&self) -> Result<Images> {
        let given = |path: &Option<PathBuf>, name: &str| match path {
            Some(path) if path.is_file() => Ok(path.clone()),
            Some(path) => bail!("--{name}: there is no file {}", path.display()),
            None => bail!("--{name} is needed to run scenarios"),
        };
        for (path, name) in
            [(&self.rmm_self_test, "rmm-self-test"), (&self.realm, "realm"), (&self.xlat, "xlat")]
        {
            if let Some(path) = path {
                ensure!(path.is_file(), "--{name}: there is no file {}", path.display());
            }
        }
        Ok(Images {
            rmm: given(&self.rmm, "rmm")?,
            rmm_self_test: self.rmm_self_test.clone(),
            el3: given(&self.el3, "el3")?,
            host: given(&self.host, "host")?,
            realm: self.realm.clone(),
            xlat: self.xlat.clone(),
        })
    }
}

fn main() -> ExitCode {
    exit::code("rmm-test-system", run(&Arguments::parse()))
}

/// Does what the arguments ask for. Gives false if a scenario failed.
fn run(arguments: &Arguments) -> Result<bool> {
    // Without an image only names are shown, which are the same for both kinds.
    let protection = arguments.rmm.as_deref().map_or(Ok(Protection::Hardened), Protection::of)?;
    let mut chosen = if arguments.stress { scenarios::long() } else { scenarios::all(protection) };
    if let Some(text) = &arguments.filter {
        chosen.retain(|scenario| scenario.name.contains(text));
        ensure!(!chosen.is_empty(), "no scenario's name contains {text:?}");
    }
    if arguments.list {
        for scenario in &chosen {
            println!("{:32} {}", scenario.name, scenario.asserts);
        }
        return Ok(true);
    }
    if let Some(name) = &arguments.show {
        chosen.retain(|scenario| scenario.name == *name);
        ensure!(!chosen.is_empty(), "no scenario is named {name:?}; --list names them all");
    }

    let images = arguments.images()?;
    let qemu = Qemu::find(&arguments.qemu)?.with_debugger(arguments.gdb.clone());
    if let (Some(socket), [scenario]) = (&arguments.debug, &*chosen) {
        return Ok(qemu.run_for_debugger(scenario, &images, socket)?.success());
    }
    if arguments.gdb.is_none() {
        chosen.retain(|scenario| {
            if scenario.debugger.is_some() {
                println!("LEFT OUT {}: there is no debugger for it", scenario.name);
            }
            scenario.debugger.is_none()
        });
    }
    let live = arguments.show.is_some();
    let passed = AtomicUsize::new(0);
    verdict::judge_all(&chosen, &qemu, &images, live, |scenario, verdict| {
        passed.fetch_add(usize::from(verdict.passed()), Ordering::Relaxed);
        verdict.print(scenario, live);
    });
    let passed = passed.into_inner();
    println!("{passed} passed, {} failed", chosen.len() - passed);
    Ok(passed == chosen.len())
}
