// SPDX-License-Identifier: BSD-3-Clause
//
// Exception vectors (Arm ARM (DDI 0487 L.a) D1.3.2). An exception from a Realm makes `realm_enter`
// return. An interrupt suspends a fiber. `handle_exception` handles all others, on the exception
// stack, SP_EL0.
//
// `early_vectors` is for code without a stack: it can only report to EL3.

    // ExceptionFrame: x0-x30, sp, elr, spsr, esr, far, vector, padding
    .equ    FRAME, 304

    .macro  vector number
    .balign 128
    msr     spsel, #0
    sub     sp, sp, #FRAME
    stp     x0, x1, [sp]
    mov     x0, #\number
    b       save_and_handle
    .endm

    // From a Realm: see run/switch.S.
    .macro  lower number
    .balign 128
    stp     x0, x1, [sp]
    mov     x0, #\number
    b       realm_exit
    .endm

    // Taken on SP_EL0: from a fiber, on whose stack bits 63 and 20 of addresses are set, or from a
    // report on an exception stack, where they are not both set.
    .macro  nested number
    .balign 128
    msr     spsel, #0
    add     sp, sp, x0
    sub     x0, sp, x0                  // SP
    tbz     x0, #63, nested_exception
    tbz     x0, #20, nested_exception
    sub     x0, sp, x0
    sub     sp, sp, x0                  // both as they were
    msr     spsel, #1
    stp     x0, x1, [sp]
    mov     x0, #\number
    b       fiber_fault
    .endm

    // An interrupt of a fiber: see arch/fiber.S. All other code runs with interrupts masked.
    .macro  fiber number
    .balign 128
    stp     x0, x1, [sp]
    mov     x0, #\number
    b       fiber_interrupted
    .endm

    .section .text.vectors, "ax"
    .balign 2048
    .global exception_vectors
exception_vectors:
    nested  0
    fiber   1
    fiber   2
    nested  3
    vector  4
    vector  5
    vector  6
    vector  7
    lower   0
    lower   1
    lower   2
    lower   3
    // From AArch32, which only EL0 can be in.
    lower   0
    lower   1
    lower   2
    lower   3

    // A fault of a fiber is reported on the exception stack.
    .balign 128
fiber_fault:
    stp     x0, x1, [sp, #-16]!
    ldr     x1, [sp, #16 + {resumer_sp_el0}]
    msr     sp_el0, x1
    ldp     x0, x1, [sp, #16]
    msr     spsel, #0
    sub     sp, sp, #FRAME
    stp     x0, x1, [sp]
    msr     spsel, #1
    ldp     x0, x1, [sp], #16
    msr     spsel, #0
save_and_handle:
    stp     x2, x3, [sp, #16]
    stp     x4, x5, [sp, #32]
    stp     x6, x7, [sp, #48]
    stp     x8, x9, [sp, #64]
    stp     x10, x11, [sp, #80]
    stp     x12, x13, [sp, #96]
    stp     x14, x15, [sp, #112]
    stp     x16, x17, [sp, #128]
    stp     x18, x19, [sp, #144]
    stp     x20, x21, [sp, #160]
    stp     x22, x23, [sp, #176]
    stp     x24, x25, [sp, #192]
    stp     x26, x27, [sp, #208]
    stp     x28, x29, [sp, #224]
    msr     spsel, #1
    mov     x1, sp
    msr     spsel, #0
    stp     x30, x1, [sp, #240]
    mrs     x1, elr_el2
    mrs     x2, spsr_el2
    stp     x1, x2, [sp, #256]
    mrs     x1, esr_el2
    mrs     x2, far_el2
    stp     x1, x2, [sp, #272]
    str     x0, [sp, #288]
    mov     x0, sp
    bl      {handle_exception}
    // It returned: resume with the registers in the frame.
    ldr     x0, [sp, #256]
    msr     elr_el2, x0
    ldp     x0, x1, [sp]
    ldp     x2, x3, [sp, #16]
    ldp     x4, x5, [sp, #32]
    ldp     x6, x7, [sp, #48]
    ldp     x8, x9, [sp, #64]
    ldp     x10, x11, [sp, #80]
    ldp     x12, x13, [sp, #96]
    ldp     x14, x15, [sp, #112]
    ldp     x16, x17, [sp, #128]
    ldp     x18, x19, [sp, #144]
    ldp     x20, x21, [sp, #160]
    ldp     x22, x23, [sp, #176]
    ldp     x24, x25, [sp, #192]
    ldp     x26, x27, [sp, #208]
    ldp     x28, x29, [sp, #224]
    ldr     x30, [sp, #240]
    add     sp, sp, #FRAME
    msr     spsel, #1
    eret
    dsb     nsh                         // no speculation past it
    isb

    // A fault while another is reported: there is no second report. If this CPU is booting, EL3 is
    // told that the boot failed.
nested_exception:
    mrs     x0, tpidr_el2
    tbz     x0, #{online_bit}, refuse_unknown
1:  wfi
    b       1b

    .balign 2048
early_vectors:
    .rept   16
    .balign 128
    b       refuse_unknown
    .endr
