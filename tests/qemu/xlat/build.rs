// SPDX-License-Identifier: BSD-3-Clause
//! Gives the image its linker script.

use std::env;
use std::path::PathBuf;

fn main() {
    let root = PathBuf::from(
        env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets the manifest directory"),
    );
    let script = root.join("xlat.ld");
    println!("cargo::rustc-link-arg-bins=-T{}", script.display());
    println!("cargo::rustc-link-arg-bins=-zmax-page-size=4096");
    println!("cargo::rustc-link-arg-bins=--no-dynamic-linker");
    println!("cargo::rerun-if-changed={}", script.display());
    println!("cargo::rerun-if-changed=build.rs");
}
