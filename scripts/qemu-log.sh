#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Runs QEMU, which writes every instruction that it executes to build/instructions.log. `make
# profile` uses it in place of QEMU.

[[ ${1:-} == --version ]] && exec qemu-system-aarch64 --version
log=$(dirname "${BASH_SOURCE[0]}")/../build/instructions.log
exec qemu-system-aarch64 -accel tcg,one-insn-per-tb=on -d exec,nochain -D "$log" "$@"
