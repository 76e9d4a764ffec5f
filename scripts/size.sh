#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# size.sh ELF [COUNT]: prints the sections of a linked image and its COUNT largest symbols.

source "$(dirname "$0")/common.sh"

elf=$1 count=${2:-25}
tools=$(llvm_tools)
"$tools/llvm-size" -A -x "$elf" | grep -vE '^\.(debug|symtab|strtab|shstrtab|comment)'
"$tools/llvm-nm" --demangle --print-size --size-sort --reverse-sort --radix=d "$elf" |
    sed -n "1,${count}p"
