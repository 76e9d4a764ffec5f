// SPDX-License-Identifier: BSD-3-Clause
//! What the documents name is there: files they link to, and targets of the Makefile they tell people to make.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;

/// The root of the tree.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every document, by its path from the root, and its text.
fn documents() -> Vec<(PathBuf, String)> {
    fn find(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("the folder can be read") {
            let path = entry.expect("the entry can be read").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() && !name.starts_with('.') && name != "target" && name != "build" {
                find(&path, found);
            } else if name.ends_with(".md") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    find(&root(), &mut found);
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("the document can be read");
        (path, text)
    };
    found.into_iter().map(read).collect()
}

/// What the links in `text` lead to, without those on the web and within the document.
fn links(text: &str) -> Vec<&str> {
    static LINK: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\]\(([^)\s#]+)[^)\s]*\)").expect("the pattern is valid"));
    let all = LINK.captures_iter(text).filter_map(|found| found.get(1)).map(|target| target.as_str());
    all.filter(|link| !link.contains("://")).collect()
}

/// The targets that `text` has people make: what follows `make` in code.
fn targets(text: &str) -> Vec<String> {
    static COMMAND: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(?m)(?:^|`)make ([a-z][a-z-]*)").expect("the pattern is valid"));
    let mut targets = Vec::new();
    let mut in_block = false;
    for line in text.lines() {
        let fence = line.trim_start().starts_with("```");
        in_block ^= fence;
        for found in COMMAND.captures_iter(line) {
            let in_code = in_block || found[0].starts_with('`');
            if in_code && !fence {
                targets.push(found[1].to_owned());
            }
        }
    }
    targets
}

#[test]
fn links_lead_to_files_that_exist() {
    let mut broken = Vec::new();
    for (path, text) in documents() {
        let folder = path.parent().unwrap_or(Path::new("."));
        for link in links(&text) {
            if !folder.join(link).exists() {
                broken.push(format!("{}: {link}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn targets_that_are_named_are_in_the_makefile() {
    let makefile = fs::read_to_string(root().join("Makefile")).expect("the Makefile can be read");
    let has = |target: &str| makefile.lines().any(|line| line.starts_with(&format!("{target}:")));
    let mut unknown = Vec::new();
    for (path, text) in documents() {
        unknown.extend(
            targets(&text)
                .into_iter()
                .filter(|target| !has(target))
                .map(|target| format!("{}: make {target}", path.display())),
        );
    }
    assert!(unknown.is_empty(), "{unknown:#?}");
}

#[test]
fn links_and_targets_are_found_where_they_are() {
    assert_eq!(links("[a](b.md) [c](https://d.org/e) [f](g.md#h) [i](#j)"), ["b.md", "g.md"]);
    let text = "to make one, `make two`\n```\nmake three X=1\n```\nmake four";
    assert_eq!(targets(text), ["two", "three"]);
}
