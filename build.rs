// SPDX-License-Identifier: BSD-3-Clause
//! Links the firmware's image, on the bare-metal target only. The image is position-independent;
//! `linker.lds` checks its size.

fn main() {
    println!("cargo::rerun-if-changed=linker.lds");
    println!("cargo::rustc-check-cfg=cfg(hardened)");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "none") {
        let script =
            format!("{}/linker.lds", std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default());
        for argument in [
            "-pie",
            "--no-dynamic-linker",
            "--no-eh-frame-hdr",
            "-znorelro",
            "-zmax-page-size=4096",
            "--pack-dyn-relocs=relr",
            &format!("--defsym=__image_limit={:#x}", rmm_plat::LIMITS.image),
            &format!("-T{script}"),
        ] {
            println!("cargo::rustc-link-arg-bins={argument}");
        }
    }
}
