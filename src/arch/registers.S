// SPDX-License-Identifier: BSD-3-Clause
//
// Saving and restoring general-purpose registers, for all assembly that switches contexts. A
// context begins with x0 to x30.

    .ifndef REGISTERS_MACROS
    .equ    REGISTERS_MACROS, 1

// Stores x19 to x30, which a call must preserve (AAPCS64 6.1.1), on the stack from \offset on.
    .macro  save_preserved offset
    stp     x19, x20, [sp, #\offset]
    stp     x21, x22, [sp, #\offset + 16]
    stp     x23, x24, [sp, #\offset + 32]
    stp     x25, x26, [sp, #\offset + 48]
    stp     x27, x28, [sp, #\offset + 64]
    stp     x29, x30, [sp, #\offset + 80]
    .endm

    .macro  restore_preserved offset
    ldp     x19, x20, [sp, #\offset]
    ldp     x21, x22, [sp, #\offset + 16]
    ldp     x23, x24, [sp, #\offset + 32]
    ldp     x25, x26, [sp, #\offset + 48]
    ldp     x27, x28, [sp, #\offset + 64]
    ldp     x29, x30, [sp, #\offset + 80]
    .endm

// Stores x2 to x30 in the context at \context, which is x0 or x1.
    .macro  store_context context
    stp     x2, x3, [\context, #16]
    stp     x4, x5, [\context, #32]
    stp     x6, x7, [\context, #48]
    stp     x8, x9, [\context, #64]
    stp     x10, x11, [\context, #80]
    stp     x12, x13, [\context, #96]
    stp     x14, x15, [\context, #112]
    stp     x16, x17, [\context, #128]
    stp     x18, x19, [\context, #144]
    stp     x20, x21, [\context, #160]
    stp     x22, x23, [\context, #176]
    stp     x24, x25, [\context, #192]
    stp     x26, x27, [\context, #208]
    stp     x28, x29, [\context, #224]
    str     x30, [\context, #240]
    .endm

    .macro  load_context context
    ldp     x2, x3, [\context, #16]
    ldp     x4, x5, [\context, #32]
    ldp     x6, x7, [\context, #48]
    ldp     x8, x9, [\context, #64]
    ldp     x10, x11, [\context, #80]
    ldp     x12, x13, [\context, #96]
    ldp     x14, x15, [\context, #112]
    ldp     x16, x17, [\context, #128]
    ldp     x18, x19, [\context, #144]
    ldp     x20, x21, [\context, #160]
    ldp     x22, x23, [\context, #176]
    ldp     x24, x25, [\context, #192]
    ldp     x26, x27, [\context, #208]
    ldp     x28, x29, [\context, #224]
    ldr     x30, [\context, #240]
    .endm
    .endif
