// SPDX-License-Identifier: BSD-3-Clause
//! `docs/reports/tests.md` is generated from the tests: which of them call which command, and what
//! each file of tests is about. `make report` writes it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

const HEAD: &str = "<!-- SPDX-License-Identifier: BSD-3-Clause -->
# Tests

Describes `tests/host/` and `tests/qemu/`. Written by `make report`; do not edit.

`cargo test --test ROOM` runs the tests of a room on this machine. What each scenario on QEMU
asserts is printed by `target/tools/rmm-test-system --list`.
";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")
}

/// The Rust files below `folder`, by path without extension, with their texts.
fn sources(folder: &str) -> BTreeMap<String, String> {
    fn find(base: &Path, folder: &Path, found: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(folder).expect("the folder can be read") {
            let path = entry.expect("the entry can be read").path();
            if path.is_dir() {
                find(base, &path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(base).expect("it is in there").with_extension("");
                let text = fs::read_to_string(&path).expect("the file can be read");
                found.insert(name.to_string_lossy().into_owned(), text);
            }
        }
    }
    let (base, mut found) = (root().join(folder), BTreeMap::new());
    find(&base, &base, &mut found);
    found
}

/// The first sentence of the head comment.
fn about(text: &str) -> String {
    let head = text.lines().map_while(|line| line.strip_prefix("//"));
    let head: Vec<_> = head.filter_map(|line| line.strip_prefix('!')).map(str::trim).collect();
    let paragraph = head.split(|line| line.is_empty()).next().unwrap_or_default().join(" ");
    paragraph.split(". ").next().unwrap_or_default().trim_end_matches('.').replace('|', "\\|")
}

/// The functions in `text`, each with the commands that it calls directly or through other
/// functions there.
fn callers(text: &str) -> Vec<(String, BTreeSet<String>)> {
    let function = Regex::new(r"\bfn (\w+)").expect("the pattern is valid");
    let command = Regex::new(r"\b(?:fid|function)::([A-Z]\w+)").expect("the pattern is valid");
    let call = Regex::new(r"\b(\w+)\(").expect("the pattern is valid");
    let starts: Vec<_> = function.captures_iter(text).collect();
    let (mut callers, mut bodies) = (Vec::<(String, BTreeSet<String>)>::new(), Vec::new());
    for (index, start) in starts.iter().enumerate() {
        let from = start.get(0).map_or(0, |found| found.end());
        let to = starts.get(index + 1).and_then(|next| next.get(0)).map(|next| next.start());
        let body = &text[from..to.unwrap_or(text.len())];
        let commands = command.captures_iter(body).map(|found| found[1].to_owned()).collect();
        callers.push((start[1].to_owned(), commands));
        bodies.push(call.captures_iter(body).map(|found| found[1].to_owned()).collect::<Vec<_>>());
    }
    // The most functions between a caller and a command.
    for _ in 0..4 {
        for (index, called) in bodies.iter().enumerate() {
            let through = callers.iter().filter(|(name, _)| called.contains(name));
            let through: Vec<_> = through.flat_map(|(_, commands)| commands.clone()).collect();
            callers[index].1.extend(through);
        }
    }
    callers
}

/// A table row for each command: the test files of this machine that call it, and the families of
/// scenarios that do.
fn commands() -> String {
    let abi = fs::read_to_string(root().join("src/abi/rmi.rs")).expect("the file can be read");
    let number = Regex::new(r"(?m)^ {8}([A-Z]\w+) = (0xC4\w+);").expect("the pattern is valid");
    let here = sources("tests/host");
    let firmware = sources("tests/qemu/firmware/src/host");
    let wrappers: Vec<_> = firmware
        .iter()
        .filter(|(name, _)| !name.starts_with("scenarios"))
        .flat_map(|(name, text)| {
            callers(text).into_iter().map(move |(function, commands)| (name, function, commands))
        })
        .collect();
    let mut rows = String::new();
    for found in number.captures_iter(&abi) {
        let name = &found[1];
        let named = Regex::new(&format!(r"\b(fid|function)::{name}\b")).expect("it is valid");
        let here: Vec<_> = here
            .iter()
            .filter(|(_, text)| named.is_match(text))
            .map(|(name, _)| format!("`{name}`"))
            .collect();
        let calls = |text: &str| {
            named.is_match(text)
                || wrappers.iter().any(|(module, function, commands)| {
                    commands.contains(name) && text.contains(&format!("{module}::{function}("))
                })
        };
        let scenarios: Vec<_> = firmware
            .iter()
            .filter_map(|(file, text)| Some((file.strip_prefix("scenarios/")?, text)))
            .filter(|(_, text)| calls(text))
            .map(|(file, _)| format!("`{file}`"))
            .collect();
        rows += &format!("| RMI_{name} | {} | {} |\n", here.join(", "), scenarios.join(", "));
    }
    rows
}

/// A table row for each file under `folder`.
fn files(folder: &str) -> String {
    let sources = sources(folder);
    let files = sources.iter().filter(|(name, _)| !name.ends_with("main"));
    files.map(|(name, text)| format!("| `{name}` | {} |\n", about(text))).collect()
}

#[test]
fn the_page_of_tests_is_what_the_tests_say() {
    let page = root().join("docs/reports/tests.md");
    let two = "| File | About |\n| --- | --- |\n";
    let text = format!(
        "{HEAD}\n## Commands\n\n| Command | Called on this machine in | Called on QEMU in |\n\
         | --- | --- | --- |\n{}\n## On this machine: `tests/host`\n\n{two}{}\n\
         ## Families of scenarios: `tests/qemu/firmware/src/host/scenarios`\n\n{two}{}",
        commands(),
        files("tests/host"),
        files("tests/qemu/firmware/src/host/scenarios"),
    );
    if std::env::var_os("RMM_REPORT").is_some() {
        fs::create_dir_all(page.parent().expect("it is in a folder")).expect("it can be made");
        fs::write(&page, &text).expect("the page can be written");
    }
    let kept = fs::read_to_string(&page).unwrap_or_default();
    assert!(kept == text, "run `make report`");
}

#[test]
fn no_command_is_without_a_test_here_and_on_qemu() {
    let rows = commands();
    let without: Vec<_> = rows.lines().filter(|row| row.contains("|  |")).collect();
    assert!(rows.lines().count() > 20, "{rows}");
    assert!(without.is_empty(), "{without:#?}");
}
