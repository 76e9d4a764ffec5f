#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# debug.sh RUNNER ARGUMENTS...: lets the test runner start its machine, stopped before the first
# instruction. On a terminal it attaches gdb with the commands of gdb/rmm.py; otherwise it says how
# to attach. ELF is the image that the machine loads.

source "$(dirname "$0")/common.sh"

(($# >= 1)) || fail "usage: debug.sh RUNNER ARGUMENTS..."
elf=${ELF:-build/rmm.elf}
socket=build/debug.sock
attach=(-ex "target remote $socket" -x scripts/gdb/rmm.py -ex "rmm-load $elf")
rm -f $socket

gdb=$(scripts/gdb.sh) || gdb=
if [[ -z $gdb || ! -t 0 || ! -t 1 ]]; then
    say "the machine waits; from $PWD attach with"
    say "    ${gdb:-gdb-multiarch} -ex 'target remote $socket' -x scripts/gdb/rmm.py -ex 'rmm-load $elf'"
    exec "$@" --debug $socket
fi

# In a session of its own, so that the interrupt key reaches gdb, which stops the machine, and does
# not end the machine.
setsid "$@" --debug $socket &
machine=$!
trap 'kill -- "-$machine" 2>/dev/null; rm -f $socket' EXIT
trap : INT
for ((look = 0; look < 100; look++)); do
    [[ ! -S $socket ]] || break
    sleep 0.1
done
[[ -S $socket ]] || fail "the machine did not start"
"$gdb" -q "${attach[@]}"
