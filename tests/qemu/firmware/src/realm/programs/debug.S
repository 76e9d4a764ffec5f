// SPDX-License-Identifier: BSD-3-Clause
//
// Instructions with breakpoints, watchpoints and software step, and vectors that count the hits.

    .equ    DEBUG_WATCHED, 8
    .equ    DEBUG_TRAPS, 16
    .equ    DEBUG_BREAKPOINTS, 24          // and where
    .equ    DEBUG_WATCHPOINTS, 40          // FAR, and where
    .equ    DEBUG_STEPS, 64
    .equ    DEBUG_END, 72
    .equ    DEBUG_MOST, 80

    .text
// x0 = Debugged. Executes the instructions at `debug_target` with its PSTATE.
    .global realm_debug
realm_debug:
    mrs     x9, vbar_el1
    stp     x30, x9, [sp, #-16]!
    msr     tpidr_el1, x0
    adr     x9, debug_vectors
    msr     vbar_el1, x9
    ldp     x9, x2, [x0]
    msr     spsr_el1, x9
    ldr     x5, [x0, #DEBUG_TRAPS]
    adr     x9, debug_target
    msr     elr_el1, x9
    isb
    eret

    .global debug_target
debug_target:
    nop
    .global debug_broken
debug_broken:
    nop
    ldr     x3, [x2]
    cbz     x5, 1f
    mrs     x4, id_aa64pfr0_el1         // traps to the RMM
    nop
1:  svc     #0

    .balign 2048
debug_vectors:
    .rept   16
    .balign 128
    b       debug_taken
    .endr

debug_taken:
    mrs     x9, tpidr_el1
    mrs     x10, esr_el1
    lsr     x10, x10, #26
    mrs     x12, elr_el1
    ldr     x11, [x9, #DEBUG_MOST]      // one that is hit again and again ends it
    sub     x11, x11, #1
    str     x11, [x9, #DEBUG_MOST]
    cbz     x11, 5f
    bic     x11, x10, #1                // from this level, or from EL0
    cmp     x11, #0x30
    b.eq    1f
    cmp     x11, #0x34
    b.eq    2f
    cmp     x11, #0x32
    b.eq    3f
5:  str     x10, [x9, #DEBUG_END]
    ldp     x30, x9, [sp], #16
    msr     vbar_el1, x9
    isb
    ret
1:  ldr     x11, [x9, #DEBUG_BREAKPOINTS]
    add     x11, x11, #1
    stp     x11, x12, [x9, #DEBUG_BREAKPOINTS]
    msr     dbgbcr0_el1, xzr
    b       4f
2:  ldr     x11, [x9, #DEBUG_WATCHPOINTS]
    add     x11, x11, #1
    mrs     x13, far_el1
    stp     x11, x13, [x9, #DEBUG_WATCHPOINTS]
    str     x12, [x9, #DEBUG_WATCHPOINTS + 16]
    msr     dbgwcr0_el1, xzr
    b       4f
3:  ldr     x11, [x9, #DEBUG_STEPS]
    add     x11, x11, #1
    str     x11, [x9, #DEBUG_STEPS]
    mrs     x11, spsr_el1
    orr     x11, x11, #1 << 21          // SS: one more instruction
    msr     spsr_el1, x11
4:  isb
    eret
