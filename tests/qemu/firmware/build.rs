// SPDX-License-Identifier: BSD-3-Clause
//! Gives each image its own linker script, so that a plain `cargo build` links all of them.

use std::env;
use std::path::PathBuf;

fn main() {
    let root = PathBuf::from(
        env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets the manifest directory"),
    );
    for (image, script) in
        [("el3", "el3.ld"), ("host", "host.ld"), ("realm", "realm.ld"), ("vmm", "host.ld")]
    {
        let script = root.join(script);
        println!("cargo::rustc-link-arg-bin={image}=-T{}", script.display());
        println!("cargo::rerun-if-changed={}", script.display());
    }
    println!("cargo::rerun-if-changed=build.rs");
}
