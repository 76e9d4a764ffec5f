// SPDX-License-Identifier: BSD-3-Clause
//! The floors of the house are as `docs/design/overview.md` has them: no room uses one that is
//! further up, and `unsafe` and `asm!` are where the table says.

use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// A row of the table.
struct Room {
    name: String,
    has_unsafe: bool,
    has_asm: bool,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")
}

/// The rooms, from the bottom.
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

/// The Rust files of a room, but those of its tests.
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

/// What is built into the firmware: without the unit tests, which stand at the end of a file, and
/// without comments.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("the file can be read");
    let end = text.find("\n#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    text[..end]
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .fold(String::new(), |code, line| code + line + "\n")
}

/// The rooms that are named in `code`: by the library's name for them, or by a macro of theirs.
fn used(code: &str) -> Vec<String> {
    let name = Regex::new(r"\bcrate::\{?(\w+)").expect("the pattern is valid");
    let several = Regex::new(r"\bcrate::\{([^;}]*)\}").expect("the pattern is valid");
    let alone = name.captures_iter(code).map(|found| found[1].to_owned());
    let together = several.captures_iter(code).flat_map(|found| {
        found[1]
            .split(',')
            .map(|name| name.trim().split("::").next().unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    });
    let names = alone.chain(together);
    names
        .map(|name| {
            if ["error", "warn", "info", "debug"].contains(&name.as_str()) {
                "log".into()
            } else {
                name
            }
        })
        .collect()
}

#[test]
fn no_room_uses_one_that_is_further_up() {
    let rooms = rooms();
    let floor = |name: &str| rooms.iter().position(|room| room.name == name);
    let mut wrong = Vec::new();
    for (own, room) in rooms.iter().enumerate() {
        for path in sources(&room.name) {
            let above = used(&code(&path))
                .into_iter()
                .filter(|name| floor(name).is_some_and(|floor| floor > own));
            wrong.extend(above.map(|name| format!("{} uses {name}", path.display())));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
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
    // It stands behind the lowest floor, and is none of the firmware.
    modules.retain(|name| name != "host");
    let mut rooms: Vec<_> = rooms().into_iter().map(|room| room.name).collect();
    rooms.sort();
    assert_eq!(rooms, modules);
}
