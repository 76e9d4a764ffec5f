# SPDX-License-Identifier: BSD-3-Clause
# What the other scripts share. They source it from any directory; it changes to the root of the
# tree. Messages go to standard error, since standard output is for a script's result.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

TARGET=aarch64-unknown-none-softfloat
# The version of the pinned toolchain, whose sources `core` is built from.
RUST_VERSION=$(sed -n 's/^channel = "\(.*\)"$/\1/p' rust-toolchain.toml)

say() {
    echo "${0##*/}: $*" >&2
}

fail() {
    say "$@"
    exit 1
}

# Whether rustup, and not a distribution's package, provides the toolchain.
have_rustup() {
    command -v rustup >/dev/null && [[ $(rustc --print sysroot) == "$(rustup show home 2>/dev/null)"/* ]]
}

# Whether the toolchain has a compiled `core` for the target.
have_precompiled_core() {
    compgen -G "$(rustc --print target-libdir --target $TARGET)/libcore-*.rlib" >/dev/null
}

# The folder with the LLVM tools of the pinned toolchain, which rustup adds if necessary.
llvm_tools() {
    local host folder need="llvm-tools, a component of the toolchain, are needed"
    host=$(rustc --version --verbose | sed -n 's/^host: //p')
    folder=$(rustc --print sysroot)/lib/rustlib/$host/bin
    if [[ ! -x $folder/llvm-cov ]]; then
        have_rustup || fail "$need: install those of the LLVM that rustc has"
        say "installing llvm-tools"
        rustup component add llvm-tools >&2 || fail "$need: rustup cannot fetch them"
    fi
    echo "$folder"
}

# apt_from SUITE... -- APT-GET-ARGUMENTS: runs apt-get with these suites of this machine's own
# Debian mirror. Source list, package lists and cache are under build/apt, so the machine's
# configuration does not change. With APT_ARCHITECTURE, packages are those of a machine of that
# architecture with no package installed. Leaves the options for apt in apt_options, for queries.
apt_from() {
    local root=$PWD/build/apt${APT_ARCHITECTURE:+-$APT_ARCHITECTURE} mirror suite
    command -v apt-get >/dev/null || { say "this machine has no apt-get"; return 1; }
    # Every mirror except that of the security updates has the backports.
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 2>/dev/null | grep -v security | head -n 1) || true
    [[ -n $mirror ]] || { say "apt knows no Debian mirror"; return 1; }
    mkdir -p "$root/lists/partial" "$root/archives/partial"
    : >"$root/sources.list"
    while [[ $1 != -- ]]; do
        suite=$1
        echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" \
            >>"$root/sources.list"
        shift
    done
    shift
    apt_options=(
        -o "Dir::Etc::SourceList=$root/sources.list" -o Dir::Etc::SourceParts=/dev/null
        -o "Dir::State::Lists=$root/lists" -o "Dir::Cache=$root" -o "Dir::Cache::Archives=$root/archives"
        -o Acquire::Retries=3 -o "APT::Sandbox::User=$(id -un)"
    )
    if [[ -n ${APT_ARCHITECTURE:-} ]]; then
        : >"$root/status"
        apt_options+=(
            -o "APT::Architecture=$APT_ARCHITECTURE" -o "APT::Architectures::=$APT_ARCHITECTURE"
            -o "Dir::State::status=$root/status"
        )
    fi
    if ! { apt-get "${apt_options[@]}" update && apt-get "${apt_options[@]}" "$@"; } >"$root/log" 2>&1; then
        say "apt-get ${*: -1} failed; ${root#"$PWD/"}/log has the details: $(grep -m 1 '^E:' "$root/log" || true)"
        return 1
    fi
}
