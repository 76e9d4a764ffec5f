#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Prints the name of a gdb with AArch64 and Python support. If there is none, installs Debian's
# gdb-multiarch, as root on a Debian.

source "$(dirname "$0")/common.sh"

# Prints the first suitable one. One without AArch64 support prints an error, but does not fail.
find_gdb() {
    local name answer
    for name in gdb-multiarch aarch64-none-elf-gdb aarch64-linux-gnu-gdb gdb; do
        answer=$("$name" -nx --batch -ex 'set architecture aarch64' -ex 'python print("has Python")' 2>&1) || continue
        if [[ $answer == *"has Python"* && $answer != *Undefined* ]]; then
            echo "$name"
            return
        fi
    done
    return 1
}

find_gdb && exit
NEED="a gdb with AArch64 and Python is needed, such as Debian's gdb-multiarch"
[[ $(id -u) == 0 ]] || fail "$NEED: install it, or run this as root on Debian"
command -v apt-get >/dev/null || fail "$NEED: install it; this machine has no apt-get"
codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
say "installing gdb-multiarch from $codename"
DEBIAN_FRONTEND=noninteractive apt_from "$codename" -- \
    install -y --no-install-recommends gdb-multiarch || fail "$NEED: apt cannot install it"
find_gdb || fail "$NEED: what apt installed will not do"
