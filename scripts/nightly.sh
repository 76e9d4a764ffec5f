#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# nightly.sh miri|tsan: runs tests of this machine under an interpreter or a sanitizer that only a
# nightly toolchain has. Without a nightly toolchain it says so and succeeds.

source "$(dirname "$0")/common.sh"

# need COMPONENT: ends the script if the nightly toolchain lacks the component.
need() {
    if ! rustup +nightly component list --installed 2>/dev/null | grep -q "^$1"; then
        say "left out: \`rustup +nightly component add $1\` would make it possible"
        exit 0
    fi
}

case ${1:-} in
    miri)
        need miri
        # Seeds come from the clock and the environment. Some tests never free their memory.
        export MIRIFLAGS="-Zmiri-disable-isolation -Zmiri-ignore-leaks ${MIRIFLAGS:-}"
        # Each of the tests left out takes minutes.
        cargo +nightly miri test -q --target-dir build/target-miri --lib \
            --test granule --test mem -- \
            --skip boot::tests --skip every_granule_of_1_to_64 --skip two_cpus_with_different \
            --skip ns:: --skip references::
        ;;
    tsan)
        need rust-src
        host=$(rustc --version --verbose | sed -n 's/^host: //p')
        export RUSTFLAGS="-Zsanitizer=thread"
        # The standard library must be instrumented too, or its locks are not seen.
        cargo +nightly test -q --target-dir build/target-tsan -Zbuild-std --target "$host" \
            --lib --test granule --test rmi --test realm --test stage2 -- threads lock
        ;;
    *) fail "usage: nightly.sh miri|tsan" ;;
esac
