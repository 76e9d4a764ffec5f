#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Prints the source of the image's `core`, and fetches it if necessary: the `library` folder of the
# pinned toolchain's sources, or the word `precompiled`. It is the first of these that is available:
#   rustup-src   the toolchain's own rust-src component, added with rustup if need be
#   debian-src   Debian's rust-src package of the same version, unpacked under build/, not installed
#   precompiled  the toolchain's compiled core, which has no branch protection
# The variable CORE, if set, names the only one to try.

source "$(dirname "$0")/common.sh"

rustup_src() {
    local library
    library=$(rustc --print sysroot)/lib/rustlib/src/rust/library
    if [[ ! -f $library/Cargo.lock ]]; then
        have_rustup || { say "the toolchain has no sources, and rustup is not there to add them"; return 1; }
        rustup -q component add rust-src >&2 || { say "rustup cannot add rust-src"; return 1; }
    fi
    echo "$library"
}

# download FOLDER: downloads the package to the folder.
download() {
    apt_from trixie-backports -- download "rust-src=$RUST_VERSION*" && mv rust-src_*.deb "$1"
}

debian_src() {
    local root=$PWD/build/debian-rust-src-$RUST_VERSION library
    library=$root/usr/src/rustc-$RUST_VERSION/library
    if [[ ! -f $library/Cargo.lock ]]; then
        rm -rf "$root" "$root.part"
        mkdir -p "$root.part"
        download "$root.part" || { say "Debian's rust-src $RUST_VERSION cannot be had"; return 1; }
        dpkg-deb -x "$root.part"/rust-src_*.deb "$root.part" && rm "$root.part"/rust-src_*.deb
        mv "$root.part" "$root"
    fi
    [[ -f $library/Cargo.lock ]] || { say "Debian's rust-src has no ${library#"$PWD/"}"; return 1; }
    echo "$library"
}

precompiled() {
    if ! have_precompiled_core; then
        have_rustup || { say "the toolchain lacks the target $TARGET, and rustup is not there to add it"; return 1; }
        rustup -q target add $TARGET >&2 || { say "rustup cannot add the target $TARGET"; return 1; }
    fi
    say "no sources of core in use: the image is built WITHOUT branch protection"
    echo precompiled
}

case ${CORE:-} in
    rustup-src) rustup_src ;;
    debian-src) debian_src ;;
    precompiled) precompiled ;;
    '') rustup_src || debian_src || precompiled || fail "no core for $TARGET can be had" ;;
    *) fail "CORE=$CORE is none of rustup-src, debian-src, precompiled" ;;
esac
