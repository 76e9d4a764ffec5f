// SPDX-License-Identifier: BSD-3-Clause
//! Explores configurations by name, or all, and prints a row of a table in
//! `docs/security/exploration.md` for each; or the path to what does not hold. `NAME/N` is what two
//! CPUs do at the same time in configuration NAME, with N switches; `NAME/N+` also what could
//! succeed only in the midst.

use std::process::{Command, ExitCode};
use std::sync::Mutex;

use explore::configuration::{find, names};
use explore::explorer::{Explorer, Finding};
use explore::machine::SeamFault;

/// Explorations at a time, each a process.
const JOBS: usize = 2;

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let sound = match &wanted[..] {
        [name] => explore_one(name),
        [] => explore_all(names()),
        _ => explore_all(wanted),
    };
    if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Explores each in a process of its own.
fn explore_all(names: Vec<String>) -> bool {
    let waiting = Mutex::new(names.into_iter());
    let work = || {
        let mut sound = true;
        loop {
            let next = waiting.lock().expect("no other thread has failed").next();
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

/// How long the processor has worked for this process, which has one thread: a figure that does not
/// depend on what else the machine does.
fn processor_time() -> String {
    let schedule = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let nanoseconds = schedule.split(' ').next().and_then(|word| word.parse::<u64>().ok());
    nanoseconds.map_or_else(|| "unknown".into(), |ns| format!("{} s", ns.div_ceil(1_000_000_000)))
}

fn explore_one(name: &str) -> bool {
    let (configuration, switches) = name.split_once('/').unwrap_or((name, ""));
    let Some(configuration) = find(configuration) else {
        eprintln!("there is no configuration {name}");
        return false;
    };
    // For a look at one that is too large.
    let limit = std::env::var("EXPLORE_LIMIT").ok().and_then(|limit| limit.parse().ok());
    let mut explorer = Explorer::new(configuration, SeamFault::None);
    explorer.progress = std::env::var_os("EXPLORE_PROGRESS").is_some();
    let explored = explorer.run(limit.unwrap_or(usize::MAX));
    let (switches, midst) =
        switches.strip_suffix('+').map_or((switches, false), |switches| (switches, true));
    let (row, finding) = match switches.parse() {
        Ok(switches) if explored.complete => {
            let pairs = explorer.interleave(switches, midst);
            (pairs.row(name), pairs.finding)
        }
        _ => (explored.row(&explorer.configuration), explored.finding),
    };
    println!("{row} {} |", processor_time());
    if let Some(Finding { what, path }) = &finding {
        println!("FOUND: {what}");
        for (number, step) in path.iter().enumerate() {
            println!("  {}. {step}", number + 1);
        }
    } else if !explored.complete {
        println!("{name} is NOT complete");
    }
    explored.complete && finding.is_none()
}
