// SPDX-License-Identifier: BSD-3-Clause
//
// The switch to a fiber and back.
//
// A fiber runs at EL2 on SP_EL0, with IRQ and FIQ unmasked. SP_EL2 stays that of who resumed it, so
// that an interrupt finds this file's frame there. SP_EL0 is the exception stack's again before
// anything else runs.

    .equ    FIBER_FRAME, 144
    .equ    FIBER_LAST, 0               // x0 and x1 of the fiber, on the way out
    .equ    FIBER_CONTEXT, 16           // its FiberContext, and SP_EL0 of who resumed it
    .equ    FIBER_KEY, 32               // the key for return addresses of who resumed it
    .equ    FIBER_SAVED, 48             // x19-x30

    .section .text.fiber, "ax"
    .balign 64
// x0 = FiberContext. Runs the fiber until it ends or an interrupt comes. Returns 0 at its end, or
// the vector of the interrupt.
    .global fiber_resume
fiber_resume:
    hint    #25                         // PACIASP
    sub     sp, sp, #FIBER_FRAME
    stp     x19, x20, [sp, #FIBER_SAVED]
    stp     x21, x22, [sp, #FIBER_SAVED + 16]
    stp     x23, x24, [sp, #FIBER_SAVED + 32]
    stp     x25, x26, [sp, #FIBER_SAVED + 48]
    stp     x27, x28, [sp, #FIBER_SAVED + 64]
    stp     x29, x30, [sp, #FIBER_SAVED + 80]
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

// From the vectors for IRQ and FIQ on SP_EL0, x0 and x1 of the fiber at FIBER_LAST, x0 = vector.
    .global fiber_interrupted
fiber_interrupted:
    ldr     x1, [sp, #FIBER_CONTEXT]
    stp     x2, x3, [x1, #16]
    stp     x4, x5, [x1, #32]
    stp     x6, x7, [x1, #48]
    stp     x8, x9, [x1, #64]
    stp     x10, x11, [x1, #80]
    stp     x12, x13, [x1, #96]
    stp     x14, x15, [x1, #112]
    stp     x16, x17, [x1, #128]
    stp     x18, x19, [x1, #144]
    stp     x20, x21, [x1, #160]
    stp     x22, x23, [x1, #176]
    stp     x24, x25, [x1, #192]
    stp     x26, x27, [x1, #208]
    stp     x28, x29, [x1, #224]
    str     x30, [x1, #240]
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
    ldp     x19, x20, [sp, #FIBER_SAVED]
    ldp     x21, x22, [sp, #FIBER_SAVED + 16]
    ldp     x23, x24, [sp, #FIBER_SAVED + 32]
    ldp     x25, x26, [sp, #FIBER_SAVED + 48]
    ldp     x27, x28, [sp, #FIBER_SAVED + 64]
    ldp     x29, x30, [sp, #FIBER_SAVED + 80]
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
