// SPDX-License-Identifier: BSD-3-Clause
//! The committed pictures are those that the code draws, and no others are committed.

use std::fs;
use std::path::Path;

#[test]
fn every_committed_picture_is_what_the_code_draws() {
    let stale: Vec<_> = rmm_diagrams::stale().into_iter().map(|picture| picture.file).collect();
    assert!(stale.is_empty(), "stale, to be written anew by `make diagrams`: {stale:?}");
}

#[test]
fn every_committed_picture_is_drawn_by_the_code() {
    let drawn: Vec<_> = rmm_diagrams::pictures().into_iter().map(|picture| picture.file).collect();
    for entry in
        fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR"))).expect("the folder can be read")
    {
        let name = entry.expect("the entry can be read").file_name().to_string_lossy().into_owned();
        assert!(!name.ends_with(".svg") || drawn.contains(&name.as_str()), "nothing draws {name}");
    }
}
