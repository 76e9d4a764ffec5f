// SPDX-License-Identifier: BSD-3-Clause
//! Explores configurations by name, or all, and prints a row of the table in
//! `docs/security/exploration.md` for each; or the path to what does not hold.

use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::time::Instant;

use explore::configuration::{Configuration, large, small};
use explore::explorer::Explorer;
use explore::machine::SeamFault;

/// Explorations at a time, each a process.
const JOBS: usize = 2;

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let all = || small().into_iter().chain(large());
    let sound = match &wanted[..] {
        [name] => all().find(|one| one.name == name).is_some_and(explore_one),
        _ => {
            let named = |one: &Configuration| {
                wanted.is_empty() || wanted.iter().any(|name| *name == one.name)
            };
            explore_all(all().filter(named).map(|one| one.name).collect())
        }
    };
    if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Explores each in a process of its own.
fn explore_all(names: Vec<&'static str>) -> bool {
    // The longest first.
    let waiting = Mutex::new(names);
    let work = || {
        let mut sound = true;
        loop {
            let next = waiting.lock().expect("no other thread has failed").pop();
            let Some(name) = next else { return sound };
            let this = std::env::current_exe().expect("this program is a file");
            sound &= Command::new(this).arg(name).status().is_ok_and(|status| status.success());
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..JOBS).map(|_| scope.spawn(work)).collect();
        workers.into_iter().all(|worker| worker.join().unwrap_or(false))
    })
}

fn explore_one(configuration: Configuration) -> bool {
    // For a look at one that is too large.
    let limit = std::env::var("EXPLORE_LIMIT").ok().and_then(|limit| limit.parse().ok());
    let start = Instant::now();
    let mut explorer = Explorer::new(configuration, SeamFault::None);
    let explored = explorer.run(limit.unwrap_or(usize::MAX));
    let row = explored.row(&explorer.configuration);
    let seconds = start.elapsed().as_secs();
    let ended = if explored.complete { "complete" } else { "NOT complete" };
    let mut text = format!("{row} {seconds} s, {ended}");
    if let Some(finding) = &explored.finding {
        text += &format!("\nFOUND: {}", finding.what);
        for (number, step) in finding.path.iter().enumerate() {
            text += &format!("\n  {}. {step}", number + 1);
        }
    }
    println!("{text}");
    explored.complete
}
