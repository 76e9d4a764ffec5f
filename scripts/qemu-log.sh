#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# QEMU, which writes every instruction that it executes into build/instructions.log: for `make
# profile`, in place of QEMU itself.

[[ ${1:-} == --version ]] && exec qemu-system-aarch64 --version
log=$(dirname "${BASH_SOURCE[0]}")/../build/instructions.log
exec qemu-system-aarch64 -accel tcg,one-insn-per-tb=on -d exec,nochain -D "$log" "$@"
