#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Runs the tests of this machine and prints how many lines of each file in src/ they execute;
# docs/coverage.md says what is left out. build/coverage/missed lists the lines that are not
# executed.

source "$(dirname "$0")/common.sh"

LEAST=90

tools=$(llvm_tools)

out=$PWD/build/coverage
rm -rf "$out/profiles"
mkdir -p "$out/profiles"
# More random inputs reach few additional lines, and take long in instrumented programs.
export PROPTEST_CASES=32
export CARGO_TARGET_DIR=$out/target RUSTFLAGS="-C instrument-coverage" LLVM_PROFILE_FILE=$out/profiles/%p-%m.profraw
cargo test -q --no-run --lib --tests --message-format json >"$out/built" || fail "the tests do not build"
sed -n 's/.*"executable":"\([^"]*\)".*/--object=\1/p' "$out/built" >"$out/programs"
cargo test -q --lib --tests >"$out/tests.log" 2>&1 || fail "a test fails: see build/coverage/tests.log"
"$tools/llvm-profdata" merge --sparse "$out/profiles" -o "$out/profile"
mapfile -t programs <"$out/programs"
"$tools/llvm-cov" export --format lcov --instr-profile "$out/profile" "${programs[@]}" >"$out/lines" 2>"$out/export.log" ||
    fail "the counts cannot be read: see build/coverage/export.log"

awk -F '[:,]' -v root="$PWD/src/" -v least=$LEAST -v list="$out/missed" '
    /^SF:/ {
        path = substr($0, 4)
        file = index(path, root) == 1 ? substr(path, length(root) + 1) : ""
        # The model machine does not count. Nor do tests, which are files of their own or at the end
        # of others.
        if (file ~ /^\.\.|\/tests\/|(^|[\/_])tests\.rs$/) file = ""
        tests = 0
        for (line = 1; file != "" && (getline text <path) > 0; line++)
            if (!tests && text ~ /^#\[cfg\(test\)\]$/ && (getline text <path) > 0 && text ~ /^(pub(\(crate\))? )?mod .* \{$/) tests = line
        close(path)
    }
    /^DA:/ && file != "" && (!tests || $2 < tests) {
        lines[file]++
        if ($3 > 0) executed[file]++
        else print "src/" file ":" $2 >list
    }
    END {
        for (file in lines) {
            printf "%6.2f %%  %4d of %4d  src/%s\n", 100 * executed[file] / lines[file], executed[file], lines[file], file | "sort -k 6"
            all += lines[file]
            done += executed[file]
        }
        close("sort -k 6")
        if (!all) exit 1
        printf "%6.2f %%  %d of %d lines\n", 100 * done / all, done, all
        if (100 * done < least * all) { print "less than " least " %"; exit 1 }
    }
' "$out/lines"
