// SPDX-License-Identifier: BSD-3-Clause
//! Copies the granule lock's source, once as it is and once for each fault, into modules that the
//! model checker runs.
//!
//! The right copy and each faulty one differ in one place. So a model that finds the faults proves
//! something of the right copy.

use std::fmt::Write as _;
use std::{env, fs, path::Path};

const SOURCE: &str = "../../src/granule/lock.rs";

/// Every memory ordering with an effect, and its weaker halves.
const WEAKER: [(&str, &[&str]); 3] = [
    ("Ordering::Acquire", &["Ordering::Relaxed"]),
    ("Ordering::Release", &["Ordering::Relaxed"]),
    ("Ordering::AcqRel", &["Ordering::Acquire", "Ordering::Release"]),
];

/// Faults other than orderings: the text to replace, and its replacement.
const FAULTS: [(&str, &str); 6] = [
    // The wait does not synchronize with the CPU that granted the lock.
    ("wait::until_equal(", "wait::until_equal_relaxed("),
    // The next holder does not learn that more CPUs wait.
    ("self.0.fetch_or(CONTENDED, Ordering::Relaxed);", ""),
    // A waiter that comes when the search has found none is overlooked.
    ("fetch_and(!CONTENDED, Ordering::Acquire)", "load(Ordering::Acquire)"),
    // The lock is released although a waiter has come.
    ("if word & CONTENDED != 0 {\n                return false;\n            }", ""),
    // The waiting CPU with the lowest index always comes next.
    ("(me.get() + 1..limit).chain(0..me.get())", "(0..me.get()).chain(me.get() + 1..limit)"),
    // A place is not searched.
    ("self.limit.fetch_max(me.get() + 1, ", "self.limit.fetch_max(me.get(), "),
];

fn main() {
    println!("cargo::rerun-if-changed={SOURCE}");
    println!("cargo::rerun-if-changed=build.rs");
    let source = fs::read_to_string(SOURCE).expect("the lock's source is there");
    // An included file cannot have inner doc comments.
    let source: String = source
        .lines()
        .filter(|line| !line.starts_with("//!"))
        .map(|line| format!("{line}\n"))
        .collect();

    let mut weakened = Vec::new();
    for (ordering, weaker) in WEAKER {
        for (at, _) in source.match_indices(ordering) {
            for weaker in weaker {
                let text = format!("{}{weaker}{}", &source[..at], &source[at + ordering.len()..]);
                let function = source[..at]
                    .rsplit("fn ")
                    .next()
                    .and_then(|rest| rest.split('(').next())
                    .unwrap_or("?");
                weakened.push((format!("{ordering} to {weaker} in `{function}`"), text));
            }
        }
    }
    for (right, wrong) in FAULTS {
        assert!(source.matches(right).count() == 1, "there is exactly one place to break: {right}");
        weakened.push((format!("{right:?} to {wrong:?}"), source.replace(right, wrong)));
    }

    let mut output = format!("models! {{ right {{ {source} }} }}\n");
    let mut list = String::new();
    for (number, (what, text)) in weakened.iter().enumerate() {
        writeln!(output, "models! {{ weakened_{number} {{ {text} }} }}")
            .expect("a string takes all");
        write!(list, "({what:?}, weakened_{number}::MODELS),").expect("a string takes all");
    }
    writeln!(
        output,
        "/// Each weakened lock: how, and its models.\n\
         const WEAKENED: &[(&str, Models)] = &[{list}];"
    )
    .expect("a string takes all");
    let directory = env::var("OUT_DIR").expect("cargo names the directory");
    fs::write(Path::new(&directory).join("locks.rs"), output)
        .expect("the directory can be written");
}
