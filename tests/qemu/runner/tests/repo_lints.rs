// SPDX-License-Identifier: BSD-3-Clause
//! Rules of the tree that no other tool checks: the license of each source file, and the crates
//! that the firmware is linked with.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The root of the tree.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")
}

/// Whether a file of this name is source: compiled, assembled, run, or a linker script.
fn is_source(name: &str) -> bool {
    let extension = Path::new(name).extension().and_then(|extension| extension.to_str());
    match extension {
        Some(extension) => ["rs", "S", "sh", "ld", "lds", "gdb", "py"].contains(&extension),
        None => ["Makefile", "run"].contains(&name),
    }
}

/// Adds every source file below `folder` to `found`, without build products.
fn find_sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the entry can be read").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !path.is_dir() {
            found.extend(is_source(&name).then_some(path));
        } else if !["target", "build", ".git"].contains(&name.as_str()) {
            find_sources(&path, found);
        }
    }
}

/// Whether `text` names its license in the first line, or in the second one after the interpreter.
fn is_licensed(text: &str) -> bool {
    let mut lines = text.lines().skip_while(|line| line.starts_with("#!/"));
    lines.next().is_some_and(|line| line.contains("SPDX-License-Identifier: BSD-3-Clause"))
}

/// The output of cargo with these arguments. It fails if versions differ from `Cargo.lock`.
fn cargo(arguments: &[&str]) -> String {
    let mut cargo = Command::new(env!("CARGO"));
    let output = cargo
        .args(arguments)
        .arg("--locked")
        .current_dir(root())
        .output()
        .expect("cargo can be run");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo {arguments:?}: {said}");
    String::from_utf8(output.stdout).expect("cargo writes text")
}

/// The licenses that a dependency may have. If it offers a choice, one of these is enough.
const LICENSES: [&str; 5] = ["Apache-2.0", "BSD-3-Clause", "ISC", "MIT", "Unicode-3.0"];

/// Whether [`LICENSES`] satisfy `expression`, as a manifest has it.
fn is_allowed(expression: &str) -> bool {
    let expression = spdx::Expression::parse_mode(expression, spdx::ParseMode::LAX);
    let allows = |license: &spdx::LicenseReq| {
        license.addition.is_none()
            && license.license.id().is_some_and(|id| LICENSES.contains(&id.name))
    };
    expression.is_ok_and(|expression| expression.evaluate(allows))
}

/// The versions of each crate in `tree`, the output of `cargo tree` without drawing.
fn versions(tree: &str) -> BTreeMap<&str, Vec<&str>> {
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in tree.lines() {
        let mut words = line.split_whitespace();
        let (Some(name), Some(version)) = (words.next(), words.next()) else { continue };
        let known = versions.entry(name).or_default();
        if !known.contains(&version) {
            known.push(version);
        }
    }
    versions
}

#[test]
fn every_source_file_says_its_license_where_it_begins() {
    let mut sources = Vec::new();
    find_sources(&root(), &mut sources);
    assert!(sources.len() > 100, "there are more than {}", sources.len());
    let text = |path: &PathBuf| fs::read_to_string(path).expect("the source can be read");
    sources.retain(|path| !is_licensed(&text(path)));
    assert!(sources.is_empty(), "{sources:#?}");
}

#[test]
fn the_locked_versions_fit_the_manifests_and_no_crate_is_in_the_firmware_twice() {
    let target = "aarch64-unknown-none-softfloat";
    let tree = cargo(&[
        "tree",
        "-p",
        "rmm",
        "-e",
        "normal,no-proc-macro",
        "--target",
        target,
        "--prefix",
        "none",
    ]);
    let versions = versions(&tree);
    assert!(versions.contains_key("aarch64-cpu") && versions.contains_key("spin"), "{versions:?}");
    let several: Vec<_> = versions.into_iter().filter(|(_, versions)| versions.len() > 1).collect();
    assert!(several.is_empty(), "{several:?}");
}

#[test]
fn every_dependency_is_from_the_registry_and_has_a_license_that_is_allowed() {
    let edges = ["-e", "normal,build,dev", "--prefix", "none", "-f", "{p}\t{l}"];
    let tree = cargo(&[&["tree", "--workspace"][..], &edges].concat());
    let root = root().canonicalize().expect("the tree is there");
    let mut refused = Vec::new();
    for (package, license) in tree.lines().filter_map(|line| line.split_once('\t')) {
        let license = license.trim_end_matches(" (*)");
        // A package has its source in parentheses only if it is not from the registry.
        let elsewhere = package.split_once(" (").map(|(_, source)| source.trim_end_matches(')'));
        let is_known = match elsewhere {
            None | Some("proc-macro") => true,
            Some(source) => Path::new(source).starts_with(&root),
        };
        if !is_known || !is_allowed(license) {
            refused.push((package, license));
        }
    }
    assert!(tree.lines().count() > 50, "{tree}");
    assert!(refused.is_empty(), "{refused:#?}");
}

#[test]
fn the_locked_versions_are_committed() {
    // Only a cloned tree has a list of committed files.
    if root().join(".git").exists() {
        let mut git = Command::new("git");
        let output = git
            .args(["ls-files", "Cargo.lock"])
            .current_dir(root())
            .output()
            .expect("git can be run");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "Cargo.lock\n");
    }
}

#[test]
fn licenses_and_versions_are_read_as_they_are_written() {
    assert!(is_licensed("#!/bin/sh\n# SPDX-License-Identifier: BSD-3-Clause\n"));
    assert!(!is_licensed("//! Says nothing.\n// SPDX-License-Identifier: BSD-3-Clause\n"));
    assert!(!is_licensed("// SPDX-License-Identifier: GPL-2.0\n"));
    let tree = versions("a v1.0.0 (/here)\nb v2.0.0\na v1.0.0 (*)\nb v1.9.0\n");
    assert_eq!(tree, BTreeMap::from([("a", vec!["v1.0.0"]), ("b", vec!["v2.0.0", "v1.9.0"])]));
    assert!(is_allowed("MIT/Apache-2.0") && is_allowed("Unlicense OR MIT"));
    assert!(is_allowed("(MIT OR Apache-2.0) AND Unicode-3.0"));
    assert!(
        !is_allowed("MIT AND GPL-2.0-only")
            && !is_allowed("Apache-2.0 WITH LLVM-exception")
            && !is_allowed("")
    );
    assert!(is_source("entry.S") && is_source("Makefile") && !is_source("Cargo.lock"));
}

#[test]
fn every_dependency_of_the_firmware_has_its_reason_and_no_reason_is_left_over() {
    let read = |path| fs::read_to_string(root().join(path)).expect("the file can be read");
    let manifest: toml::Table = read("Cargo.toml").parse().expect("it is a manifest");
    let dependencies = manifest["dependencies"].as_table().expect("a table");
    let mut crates: Vec<_> = dependencies.keys().filter(|name| !name.starts_with("rmm-")).collect();
    crates.sort();
    let page = read("docs/dependencies.md");
    let table = page.split("| --- | --- |\n").nth(1).expect("there is a table");
    let row = |line: &str| line.strip_prefix("| `")?.split('`').next().map(str::to_owned);
    assert_eq!(table.lines().map_while(row).collect::<Vec<_>>().iter().collect::<Vec<_>>(), crates);
}
