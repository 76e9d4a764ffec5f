// SPDX-License-Identifier: BSD-3-Clause
//! Judges a run and reports it: one line per scenario, and the whole log if it failed.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Result;
use regex::Regex;

use crate::qemu::{End, Images, Qemu, Run};
use crate::scenario::Scenario;

/// The least number of QEMUs at a time.
const PARALLEL: usize = 2;

/// A failed check, or firmware that cannot continue.
const FAILED: &str = r"(^|^EL3: )FAILED";
/// A passed check. A run without one has tested nothing.
const PASSED: &str = r"^ok: ";

/// Runs the scenarios, a few at a time. `report` gets one verdict at a time, as they come.
pub fn judge_all(
    chosen: &[Scenario],
    qemu: &Qemu,
    images: &Images,
    live: bool,
    report: impl FnMut(&Scenario, Verdict) + Send,
) {
    let next = AtomicUsize::new(0);
    let report = Mutex::new(report);
    std::thread::scope(|threads| {
        let processors = std::thread::available_parallelism().map_or(PARALLEL, usize::from);
        for _ in 0..PARALLEL.max(processors).min(chosen.len()) {
            threads.spawn(|| {
                while let Some(scenario) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let verdict = judge(scenario, qemu.run(scenario, images, live));
                    // The lock also keeps the lines of a report together.
                    let mut report = report.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                    report(scenario, verdict);
                }
            });
        }
    });
}

/// The outcome of one scenario.
#[derive(Debug)]
pub struct Verdict {
    ending: Ending,
    complaints: Vec<String>,
    log: Vec<String>,
    duration: Duration,
}

/// How a run came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// QEMU could not be started.
    NotStarted,
    /// It was stopped: it hung or printed endlessly.
    Cut,
    /// QEMU ended by itself.
    Finished,
}

/// Compares a run with the expectations of its scenario.
pub fn judge(scenario: &Scenario, run: Result<Run>) -> Verdict {
    let run = match run {
        Ok(run) => run,
        Err(error) => {
            return Verdict {
                ending: Ending::NotStarted,
                complaints: vec![format!("{error:#}")],
                log: Vec::new(),
                duration: Duration::ZERO,
            };
        }
    };
    let mut complaints = Vec::new();
    let ending = match run.end {
        End::Exited(_) | End::Complete => Ending::Finished,
        End::Hung | End::Flooded => Ending::Cut,
    };
    match run.end {
        End::Complete => {}
        End::Exited(status) if status.success() => {}
        End::Exited(status) => complaints.push(format!("ended with {status}")),
        End::Hung => {
            complaints.push(format!("hung: cut after {} s", scenario.time_limit.as_secs()))
        }
        End::Flooded => {
            complaints.push(format!("printed without end: cut after {} lines", run.log.len()))
        }
    }
    let expected = scenario.expected.iter().map(String::as_str).chain([PASSED]);
    for pattern in expected {
        match Regex::new(pattern) {
            Ok(regex) if run.log.iter().any(|line| regex.is_match(line)) => {}
            Ok(_) => complaints.push(format!("no line matches {pattern:?}")),
            Err(error) => complaints.push(error.to_string()),
        }
    }
    let forbidden = scenario.forbidden.iter().map(String::as_str).chain([FAILED]);
    for pattern in forbidden {
        match Regex::new(pattern) {
            Ok(regex) => {
                complaints
                    .extend(run.log.iter().filter(|line| regex.is_match(line)).take(4).cloned());
            }
            Err(error) => complaints.push(error.to_string()),
        }
    }
    if let Some(Err(error)) = scenario.judge.map(|judge| judge(&run.log)) {
        complaints.push(format!("{error:#}"));
    }
    Verdict { ending, complaints, log: run.log, duration: run.duration }
}

impl Verdict {
    /// Whether there is no complaint.
    pub fn passed(&self) -> bool {
        self.complaints.is_empty()
    }

    /// How the run ended.
    pub fn ending(&self) -> Ending {
        self.ending
    }

    /// The complaint that tells most: a failed check, else a fatal report, else what is missing.
    pub fn complaint(&self) -> Option<&str> {
        let telling =
            |word: &str| self.complaints.iter().find(|complaint| complaint.contains(word));
        telling("FAILED")
            .or_else(|| telling("FATAL"))
            .or_else(|| self.complaints.last())
            .map(String::as_str)
    }

    /// Prints the verdict, with the log of a failure unless it was printed during the run.
    pub fn print(&self, scenario: &Scenario, log_shown: bool) {
        let word = if self.passed() { "ok    " } else { "FAILED" };
        println!(
            "{word} {} ({:.1} s): {}",
            scenario.name,
            self.duration.as_secs_f32(),
            scenario.asserts
        );
        if self.passed() {
            return;
        }
        for complaint in &self.complaints {
            println!("         {complaint}");
        }
        if !log_shown {
            for line in &self.log {
                println!("       | {line}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;
    use std::time::Duration;

    use super::judge;
    use crate::qemu::{End, Run};
    use crate::scenario::Scenario;

    fn scenario() -> Scenario {
        Scenario::new("name", "host", "it works").expect("^RMM: hello")
    }

    fn passes(end: End, log: &[&str]) -> bool {
        let log = log.iter().map(|line| (*line).to_owned()).collect();
        judge(&scenario(), Ok(Run { end, log, duration: Duration::ZERO })).passed()
    }

    fn exited(code: i32) -> End {
        End::Exited(ExitStatus::from_raw(code << 8))
    }

    #[test]
    fn a_run_that_does_all_that_is_asked_passes() {
        assert!(passes(exited(0), &["RMM: hello", "ok: one"]));
    }

    #[test]
    fn a_run_that_was_ended_at_its_last_lines_passes_unless_a_check_failed() {
        assert!(passes(End::Complete, &["RMM: hello", "ok: one"]));
        assert!(!passes(End::Complete, &["RMM: hello", "ok: one", "FAILED: two"]));
    }

    #[test]
    fn a_bad_status_a_hang_and_a_flood_fail() {
        for end in [exited(1), End::Hung, End::Flooded] {
            assert!(!passes(end, &["RMM: hello", "ok: one"]));
        }
    }

    #[test]
    fn a_missing_line_a_failed_check_and_a_dead_rmm_fail() {
        assert!(!passes(exited(0), &["ok: one"]));
        assert!(!passes(exited(0), &["RMM: hello", "ok: one", "FAILED: two"]));
        assert!(!passes(exited(0), &["RMM: hello", "ok: one", "EL3: FAILED: exception"]));
        assert!(!passes(exited(0), &["RMM: hello", "ok: one", "[RMM cpu0 FATAL] data abort"]));
    }

    #[test]
    fn a_run_that_checked_nothing_fails() {
        assert!(!passes(exited(0), &["RMM: hello"]));
    }

    #[test]
    fn a_run_that_did_not_start_fails() {
        assert!(!judge(&scenario(), Err(anyhow::anyhow!("no such image"))).passed());
    }
}
