// SPDX-License-Identifier: BSD-3-Clause
//
// Entry of the payload on each REC, its exception vectors, the execution of single instructions,
// and calls with all registers. The MMU stays off.

    .section .text.entry, "ax"
    .global entry
// x0 = index of the REC.
entry:
    adrp    x1, vectors
    add     x1, x1, :lo12:vectors
    msr     vbar_el1, x1
    adrp    x1, stacks
    add     x1, x1, :lo12:stacks
    add     x2, x0, #1
    mov     x3, #{STACK_SIZE}
    madd    x1, x2, x3, x1
    mov     sp, x1
    isb
    bl      realm_main

    .text
// x0 = Execution: x0-x3, exceptions, ESR, FAR, ELR, SPSR, vector, code. Executes the two
// instructions at its code with X4 = 1 and stores the results. The second instruction is a RET.
    .global realm_execute
realm_execute:
    stp     x29, x30, [sp, #-16]!
    msr     tpidr_el1, x0
    mov     x9, x0
    ldr     x16, [x9, #80]
    ldp     x0, x1, [x9]
    ldp     x2, x3, [x9, #16]
    mov     x4, #1
    blr     x16
resume:
    mrs     x9, tpidr_el1
    stp     x0, x1, [x9]
    stp     x2, x3, [x9, #16]
    ldp     x29, x30, [sp], #16
    ret

// The same at EL0, with x1 = PSTATE. It ends with an exception.
    .global realm_execute_at_el0
realm_execute_at_el0:
    stp     x29, x30, [sp, #-16]!
    msr     tpidr_el1, x0
    mov     x9, x0
    ldr     x16, [x9, #80]
    msr     elr_el1, x16
    msr     spsr_el1, x1
    ldp     x0, x1, [x9]
    ldp     x2, x3, [x9, #16]
    eret

    .macro  taken offset
    .balign 128
    mov     x10, #\offset
    b       record
    .endm

// x0 = array of X0 to X30 for a call, which its answer replaces.
    .global realm_smc
realm_smc:
    smc_with_all_registers

    .balign 2048
vectors:
    .set    at, 0
    .rept   16
    taken   at
    .set    at, at + 0x80
    .endr

record:
    mrs     x9, tpidr_el1
    ldr     x11, [x9, #32]
    add     x11, x11, #1
    mrs     x12, esr_el1
    stp     x11, x12, [x9, #32]
    mrs     x11, far_el1
    mrs     x12, elr_el1
    stp     x11, x12, [x9, #48]
    mrs     x11, spsr_el1
    stp     x11, x10, [x9, #64]
    adr     x11, resume
    msr     elr_el1, x11
    mov     x11, #0x3c5
    msr     spsr_el1, x11
    eret

    .bss
    .balign 16
stacks:
    .space  {RECS} * {STACK_SIZE}
