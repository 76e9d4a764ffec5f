// SPDX-License-Identifier: BSD-3-Clause
//
// The switch to a fiber and back.
//
// A fiber runs at EL2 on SP_EL0, with IRQ and FIQ unmasked. SP_EL2 stays the resumer's, so that an
// interrupt finds the frame of `fiber_resume` there. SP_EL0 points to the exception stack again
// before anything else runs.

    .equ    FIBER_FRAME, 144
    .equ    FIBER_LAST, 0               // x0 and x1 of the fiber, stored by the vector
    .equ    FIBER_CONTEXT, 16           // its FiberContext, and the resumer's SP_EL0
    .equ    FIBER_KEY, 32               // the resumer's key for return addresses
    .equ    FIBER_SAVED, 48             // x19-x30

    .section .text.fiber, "ax"
    .balign 64
// x0 = FiberContext. Runs the fiber until its function returns or an interrupt is taken. Gives 0,
// or the vector of the interrupt.
    .global fiber_resume
fiber_resume:
    hint    #25                         // PACIASP
    sub     sp, sp, #FIBER_FRAME
    save_preserved FIBER_SAVED
    mrs     x1, sp_el0
    stp     x0, x1, [sp, #FIBER_CONTEXT]
    mrs     x1, s3_0_c2_c1_0            // APIAKeyLo_EL1
    mrs     x2, s3_0_c2_c1_1            // APIAKeyHi_EL1
    stp     x1, x2, [sp, #FIBER_KEY]
    ldp     x1, x2, [x0, #{pc}]
    msr     elr_el2, x1
    msr     spsr_el2, x2
    // From here to the end of `fiber_leave` no return address is signed or checked.
    ldp     x1, x2, [x0, #{key}]
    msr     s3_0_c2_c1_0, x1
    msr     s3_0_c2_c1_1, x2
    ldr     x1, [x0, #{sp}]
    msr     sp_el0, x1
    load_context x0
    ldp     x0, x1, [x0]
    eret
    dsb     nsh                         // no speculation past the ERET
    isb

// A fiber begins here: x0 = its argument, x1 = its function.
    .global fiber_start
fiber_start:
    blr     x1
    msr     daifset, #3
    msr     spsel, #1
    mov     x0, #0
    b       fiber_leave

// The vectors for IRQ and FIQ on SP_EL0 branch here: x0 and x1 of the fiber at FIBER_LAST,
// x0 = the vector.
    .global fiber_interrupted
fiber_interrupted:
    ldr     x1, [sp, #FIBER_CONTEXT]
    store_context x1
    ldp     x2, x3, [sp, #FIBER_LAST]
    stp     x2, x3, [x1]
    mrs     x2, sp_el0
    str     x2, [x1, #{sp}]
    mrs     x2, elr_el2
    mrs     x3, spsr_el2
    stp     x2, x3, [x1, #{pc}]
fiber_leave:
    ldr     x1, [sp, #{resumer_sp_el0}]
    msr     sp_el0, x1
    ldp     x1, x2, [sp, #FIBER_KEY]
    msr     s3_0_c2_c1_0, x1
    msr     s3_0_c2_c1_1, x2
    .inst   0xd503415f                  // MSR DIT, #1
    .inst   0xd500409f                  // MSR PAN, #0
    isb
    restore_preserved FIBER_SAVED
    // What a fiber computes with may be secret: neither stack nor registers keep any of it.
    stp     xzr, xzr, [sp, #FIBER_LAST]
    .irp    number, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18
    mov     x\number, #0
    .endr
    add     sp, sp, #FIBER_FRAME
    hint    #29                         // AUTIASP
    ret

// x0 = FiberContext, which gets this CPU's key for return addresses.
    .global fiber_take_key
fiber_take_key:
    mrs     x1, s3_0_c2_c1_0
    mrs     x2, s3_0_c2_c1_1
    stp     x1, x2, [x0, #{key}]
    ret
