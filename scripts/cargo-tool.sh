#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# cargo-tool.sh NAME: installs a subcommand of cargo, in the version with which the tree is known to
# work, unless it is there already. Cargo builds it, which takes minutes.

source "$(dirname "$0")/common.sh"

declare -A VERSIONS=([cargo-mutants]=27)

name=$1
version=${VERSIONS[$name]:-}
[[ -n $version ]] || fail "$name is not known here; known are ${!VERSIONS[*]}"
command -v "$name" >/dev/null && exit
say "building $name $version, which is not there yet"
cargo install --quiet --locked --version "^$version" "$name" ||
    fail "$name cannot be built: is there a network? \`cargo install --locked $name\` does it by hand"
