#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# target-cargo.sh image|library|firmware LINK CARGO-ARGUMENTS...: runs cargo for the bare-metal
# target with the flags of the RMM image, of the image that tests its library of translation tables,
# or of the test firmware. Each set of flags has a target folder of its
# own, so that neither rebuilds the other; the symbolic link LINK is left pointing at the one used.

source "$(dirname "$0")/common.sh"

(($# >= 3)) || fail "usage: target-cargo.sh image|library|firmware LINK CARGO-ARGUMENTS..."
what=$1 link=$2 command=$3
shift 3

flags=() features=()
case $what in
    image | library)
        core=$(scripts/core.sh)
        # Atomics and the VHE register names; no address is fixed at link time.
        flags=(-Ctarget-feature=+lse,+vh -Crelocation-model=pie)
        # One instruction for an address: code names nothing beyond 1 MiB, or the image does not
        # link.
        flags+=(-Ccode-model=tiny)
        # LLVM takes a call behind a few early returns for a rare one, and does not inline it.
        flags+=(-Cllvm-args=-cold-callsite-rel-freq=0)
        # Functions are inlined up to half the size that the compiler deems right: 14 KB less code.
        # See docs/performance.md, "Attributes".
        [[ $what == library ]] ||
            flags+=(-Cllvm-args=-inline-threshold=125 -Cllvm-args=-inlinehint-threshold=150)
        # Less severe lines are not compiled in.
        level=${RMM_LOG:-info}
        [[ $level =~ ^(error|warn|info|debug)$ ]] || fail "RMM_LOG is one of error, warn, info, debug"
        features=(--features "rmm/log-$level")
        # SIMD registers are the host's and the Realms': hashes are computed without them.
        flags+=('--cfg' 'sha2_backend="soft"')
        # Where the CPU has instructions for it `sha2` hashes little: a tenth of the code, at half
        # the speed.
        flags+=('--cfg' 'sha2_backend_soft="compact"')
        ;;
    firmware)
        # The test firmware wants no hardening, so the compiled core is preferred.
        if have_precompiled_core; then core=precompiled; else core=$(scripts/core.sh); fi
        ;;
    *) fail "$what is none of image, library, firmware" ;;
esac

build_std=() target=$TARGET
if [[ $core != precompiled ]]; then
    # Building core, and branch protection, are unstable options of the pinned stable toolchain.
    export RUSTC_BOOTSTRAP=1 __CARGO_TESTS_ONLY_SRC_ROOT=$core
    build_std+=(-Zbuild-std=core,compiler_builtins -Zbuild-std-features=compiler-builtins-mem)
    if [[ $what != firmware ]]; then
        flags+=(-Zbranch-protection=bti,pac-ret --cfg hardened)
        # The toolchain's target, but what is not aligned is copied by words all the same: the RMM
        # runs with the MMU on, in Normal memory. Copies by bytes were 9 KiB of code.
        target=build/$TARGET-unaligned.json
        mkdir -p build
        new=$(mktemp "$target.XXXX")
        rustc -Zunstable-options --print target-spec-json --target $TARGET |
            sed 's/+strict-align,//' >"$new"
        if cmp -s "$new" "$target"; then rm "$new"; else mv "$new" "$target"; fi
        build_std+=(-Zjson-target-spec)
    fi
    frame_pointers=(-Zunstable-options -Cforce-frame-pointers=non-leaf)
else
    frame_pointers=(-Cforce-frame-pointers=yes)
fi
# Fatal reports follow the frame records on the stack. Functions that call none need no record: the
# report names x30.
[[ $what == firmware ]] || flags+=("${frame_pointers[@]}")
case $core in
    precompiled) folder=build/target-$what-precompiled ;;
    "$PWD"/*) folder=build/target-$what-debian-src ;;
    *) folder=build/target-$what-rustup-src ;;
esac

# Panics name their place alike on every machine, and in few bytes of the image.
flags+=(--remap-path-scope=macro "--remap-path-prefix=$core/=")
for crates in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/; do flags+=("--remap-path-prefix=$crates="); done

mkdir -p "$folder" "$(dirname "$link")"
ln -sfn "$PWD/$folder/$(basename "$target" .json)/release" "$link"
# Separated so that a folder's name may have spaces.
CARGO_ENCODED_RUSTFLAGS=$(IFS=$'\x1f'; echo "${flags[*]}")
export CARGO_ENCODED_RUSTFLAGS
exec cargo "$command" -q --release --target "$target" --target-dir "$folder" "${build_std[@]}" \
    "${features[@]}" "$@"
