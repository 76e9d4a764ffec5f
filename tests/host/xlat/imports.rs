// SPDX-License-Identifier: BSD-3-Clause
//! The library is separable: it uses only those parts of this crate that its head comment lists.

use std::fs;
use std::path::{Path, PathBuf};

/// The list in `src/xlat/mod.rs`.
const LISTED: [&str; 6] = [
    "address",
    "arch::memory",
    "arch::barrier",
    "arch::tlbi",
    "arch::tlbi_range",
    "arch::sysreg::fields",
];

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder");
    entries
        .map(|entry| entry.expect("readable").path())
        .flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] })
        .collect()
}

/// Paths of this crate in `text`, without comments and without `xlat` itself.
fn paths(text: &str) -> Vec<String> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let after = |line: &str| -> Vec<String> {
        let parts = line.split("crate::").skip(1);
        let path = |part: &str| {
            let end = part.find(|c: char| !c.is_alphanumeric() && !"_:".contains(c));
            part[..end.unwrap_or(part.len())].trim_end_matches(':').to_owned()
        };
        parts.map(path).collect()
    };
    code.flat_map(after).filter(|path| !path.starts_with("xlat")).collect()
}

#[test]
fn the_library_uses_what_its_head_comment_lists_and_nothing_else() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/xlat");
    let head = fs::read_to_string(folder.join("mod.rs")).expect("readable");
    for listed in LISTED {
        assert!(head.contains(&format!("`{listed}`")), "{listed}");
    }
    let mut found = 0;
    for file in files(&folder) {
        let text = fs::read_to_string(&file).expect("readable");
        let product = text.split("#[cfg(test)]\nmod tests {").next().expect("a part");
        if file.ends_with("tests.rs") {
            continue;
        }
        for path in paths(product) {
            let listed = LISTED
                .iter()
                .any(|listed| path == *listed || path.starts_with(&format!("{listed}::")));
            assert!(listed || path == "arch", "{}: {path}", file.display());
            found += 1;
        }
    }
    assert!(found > 10, "{found} uses were found");
}
