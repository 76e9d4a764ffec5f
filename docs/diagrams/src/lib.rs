// SPDX-License-Identifier: BSD-3-Clause
//! The pictures of the documents. This package links the firmware's library, and each module draws
//! one picture from its constants, enums and tables, so no fact is written a second time.
//!
//! `make diagrams` writes them beside this package. A test fails if a committed picture differs
//! from what the code draws.

mod boot;
mod granule_states;
mod high_va;
mod image;
mod linker_script;
mod lock_order;
mod parts;
mod style;
mod va_space;
mod xlat_alignment;

use std::fs;
use std::path::{Path, PathBuf};

/// A picture as it is drawn from the code.
#[derive(Debug)]
pub struct Picture {
    /// The name of its file.
    pub file: &'static str,
    /// The expected content of the file.
    pub svg: String,
}

impl Picture {
    /// The path of the file.
    pub fn path(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join(self.file)
    }
}

/// Every picture.
pub fn pictures() -> Vec<Picture> {
    [
        ("boot.svg", boot::draw()),
        ("va-space.svg", va_space::draw()),
        ("image.svg", image::draw()),
        ("high-va.svg", high_va::draw()),
        ("granule-states.svg", granule_states::draw()),
        ("lock-order.svg", lock_order::draw()),
        ("xlat-alignment.svg", xlat_alignment::draw()),
    ]
    .into_iter()
    .map(|(file, canvas)| Picture { file, svg: canvas.finish() })
    .collect()
}

/// The pictures whose files are missing or differ from what the code draws.
pub fn stale() -> Vec<Picture> {
    let is_stale =
        |picture: &Picture| fs::read_to_string(picture.path()).ok().as_ref() != Some(&picture.svg);
    pictures().into_iter().filter(is_stale).collect()
}
