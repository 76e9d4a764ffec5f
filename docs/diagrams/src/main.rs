// SPDX-License-Identifier: BSD-3-Clause
//! Writes every picture to its file, and prints which ones have changed.

use std::fs;

use anyhow::{Context, Result};

fn main() -> Result<()> {
    for picture in rmm_diagrams::stale() {
        let path = picture.path();
        fs::write(&path, &picture.svg)
            .with_context(|| format!("cannot write {}", path.display()))?;
        println!("docs/diagrams/{}: written", picture.file);
    }
    Ok(())
}
