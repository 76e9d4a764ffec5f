// SPDX-License-Identifier: BSD-3-Clause
//! The floors are those of `docs/design/overview.md`: no room uses a room above it, files do not
//! use each other in circles, and `unsafe` and `asm!` are where the table says.

mod uses;

use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;
use uses::{Library, circles};

/// A row of the table.
struct Room {
    name: String,
    has_unsafe: bool,
    has_asm: bool,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../..")
        .canonicalize()
        .expect("the tree is there")
}

/// The rooms, from bottom to top.
fn rooms() -> Vec<Room> {
    let page =
        fs::read_to_string(root().join("docs/design/overview.md")).expect("the page can be read");
    let row = Regex::new(r"(?m)^\| `(\w+)` \|.*\| (yes|no) \| (yes|no) \|$")
        .expect("the pattern is valid");
    row.captures_iter(&page)
        .map(|row| Room {
            name: row[1].to_owned(),
            has_unsafe: &row[2] == "yes",
            has_asm: &row[3] == "yes",
        })
        .collect()
}

/// The Rust files of a room without its tests.
fn sources(name: &str) -> Vec<PathBuf> {
    fn find(path: PathBuf, found: &mut Vec<PathBuf>) {
        let Ok(entries) = fs::read_dir(&path) else {
            found.extend(
                Some(path)
                    .filter(|path| path.extension().is_some_and(|extension| extension == "rs")),
            );
            return;
        };
        for entry in entries {
            let path = entry.expect("the entry can be read").path();
            if path.file_stem().is_none_or(|stem| stem != "tests") {
                find(path, found);
            }
        }
    }
    let mut found = Vec::new();
    for path in [root().join("src").join(name), root().join("src").join(name).with_extension("rs")]
    {
        if path.exists() {
            find(path, &mut found);
        }
    }
    found
}

/// The code that is built into the firmware: without the unit tests at the end of a file, and
/// without comments.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("the file can be read");
    let end = text.find("\n#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    text[..end]
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .fold(String::new(), |code, line| code + line + "\n")
}

/// Which file of the firmware uses which, by their paths in `src/`. Code behind the host seam is
/// not part of it.
fn uses() -> Vec<(String, String)> {
    let source = root().join("src");
    let name = |path: &Path| {
        path.strip_prefix(&source).expect("it was found there").to_string_lossy().into_owned()
    };
    Library::read(&source.join("lib.rs"))
        .uses()
        .iter()
        .flat_map(|(file, used)| used.iter().map(|used| (name(file), name(used))))
        .filter(|(file, used)| !file.starts_with("host/") && !used.starts_with("host/"))
        .collect()
}

/// The room that a file is in.
fn room(file: &str) -> &str {
    file.split('/').next().unwrap_or_default().trim_end_matches(".rs")
}

#[test]
fn no_room_uses_one_that_is_further_up() {
    let rooms = rooms();
    let floor = |name: &str| rooms.iter().position(|room| room.name == name);
    let uses = uses();
    assert!(uses.len() > 200, "there are more than {}", uses.len());
    let wrong: Vec<_> =
        uses.iter().filter(|(file, used)| floor(room(used)) > floor(room(file))).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let uses = uses();
    let wrong = circles(&uses);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_circle_is_found_and_what_leads_to_it_is_not() {
    let uses = [("a", "b"), ("b", "c"), ("c", "b"), ("c", "d"), ("e", "e2")];
    let uses = uses.map(|(file, used)| (file.to_owned(), used.to_owned()));
    let found: Vec<_> = circles(&uses).iter().map(|(file, used)| (&**file, &**used)).collect();
    assert_eq!(found, [("b", "c"), ("c", "b")]);
}

#[test]
fn unsafe_and_assembly_are_only_in_the_rooms_that_have_them() {
    let unsafe_code =
        Regex::new(r"\bunsafe\s+(\{|impl|fn|extern|trait)").expect("the pattern is valid");
    let assembly = Regex::new(r"\basm!\(|\bglobal_asm!\(").expect("the pattern is valid");
    for room in rooms() {
        let code: String = sources(&room.name).iter().map(|path| code(path)).collect();
        assert_eq!(unsafe_code.is_match(&code), room.has_unsafe, "unsafe in {}", room.name);
        assert_eq!(assembly.is_match(&code), room.has_asm, "assembly in {}", room.name);
    }
}

#[test]
fn every_module_of_the_library_is_a_room() {
    let library = fs::read_to_string(root().join("src/lib.rs")).expect("the file can be read");
    let module =
        Regex::new(r"(?m)^pub (?:mod|use rmm_\w+ as) (\w+);").expect("the pattern is valid");
    let mut modules: Vec<_> =
        module.captures_iter(&library).map(|found| found[1].to_owned()).collect();
    // It is behind the host seam and not part of the firmware.
    modules.retain(|name| name != "host");
    let mut rooms: Vec<_> = rooms().into_iter().map(|room| room.name).collect();
    rooms.sort();
    assert_eq!(rooms, modules);
}
