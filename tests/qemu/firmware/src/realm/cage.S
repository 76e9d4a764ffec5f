// SPDX-License-Identifier: BSD-3-Clause
//
// The cage: how its instructions are entered, and vectors that trust no register.

    .equ    CAGE_EXCEPTIONS, 256
    .equ    CAGE_START, 272
    .equ    CAGE_CONTROL, 288
    .equ    CAGE_KEPT, 304

    .text
// x0 = State.
    .global realm_cage
realm_cage:
    stp     x29, x30, [sp, #-96]!
    stp     x19, x20, [sp, #16]
    stp     x21, x22, [sp, #32]
    stp     x23, x24, [sp, #48]
    stp     x25, x26, [sp, #64]
    stp     x27, x28, [sp, #80]
    mov     x1, sp
    mrs     x2, vbar_el1
    stp     x1, x2, [x0, #CAGE_KEPT]
    mrs     x1, sctlr_el1
    mrs     x2, cpacr_el1
    stp     x1, x2, [x0, #CAGE_CONTROL]
    adr     x1, cage_vectors
    msr     vbar_el1, x1
    ldr     x1, [x0, #CAGE_START]
    msr     elr_el1, x1
// Continues at ELR_EL1; x0 = State.
cage_resume:
    mov     x1, #0x3c5
    msr     spsr_el1, x1
    ldr     x1, [x0, #248]
    mov     sp, x1
    ldp     x2, x3, [x0, #16]
    ldp     x4, x5, [x0, #32]
    ldp     x6, x7, [x0, #48]
    ldp     x8, x9, [x0, #64]
    ldp     x10, x11, [x0, #80]
    ldp     x12, x13, [x0, #96]
    ldp     x14, x15, [x0, #112]
    ldp     x16, x17, [x0, #128]
    ldp     x18, x19, [x0, #144]
    ldp     x20, x21, [x0, #160]
    ldp     x22, x23, [x0, #176]
    ldp     x24, x25, [x0, #192]
    ldp     x26, x27, [x0, #208]
    ldp     x28, x29, [x0, #224]
    ldr     x30, [x0, #240]
    ldp     x0, x1, [x0]
    eret

    .balign 2048
cage_vectors:
    .rept   16
    .balign 128
    b       cage_taken
    .endr

cage_taken:
    msr     spsel, #1
    adrp    x0, CAGE_STATE
    add     x0, x0, :lo12:CAGE_STATE
    ldp     x1, x2, [x0, #CAGE_CONTROL]
    msr     sctlr_el1, x1
    msr     cpacr_el1, x2
    isb
    ldp     x1, x2, [x0, #CAGE_EXCEPTIONS]
    add     x1, x1, #1
    str     x1, [x0, #CAGE_EXCEPTIONS]
    cmp     x1, x2
    b.hs    1f
    // Continues after the instruction, if it is one of the cage's.
    mrs     x1, elr_el1
    add     x1, x1, #4
    ldp     x2, x3, [x0, #CAGE_START]
    cmp     x1, x2
    b.lo    1f
    cmp     x1, x3
    b.hi    1f
    msr     elr_el1, x1
    b       cage_resume
1:  ldp     x1, x2, [x0, #CAGE_KEPT]
    mov     sp, x1
    msr     vbar_el1, x2
    isb
    ldp     x19, x20, [sp, #16]
    ldp     x21, x22, [sp, #32]
    ldp     x23, x24, [sp, #48]
    ldp     x25, x26, [sp, #64]
    ldp     x27, x28, [sp, #80]
    ldp     x29, x30, [sp], #96
    ret
