// SPDX-License-Identifier: BSD-3-Clause
// Macros of the entry code of all test images.

// Clears .bss. Clobbers x0 and x1.
    .macro clear_bss
    ldr     x0, =__bss_start
    ldr     x1, =__bss_end
1:  cmp     x0, x1
    b.hs    2f
    stp     xzr, xzr, [x0], #16
    b       1b
2:
    .endm

// Sets SP to the top of stack number \index, of stacks of \size bytes at `stacks`. Clobbers x0 to
// x2.
    .macro own_stack index, size
    ldr     x0, =stacks
    add     x1, \index, #1
    mov     x2, #\size
    madd    x0, x1, x2, x0
    mov     sp, x0
    .endm

// Loads or stores x4 to x29 (ldp or stp) in the array of x0 to x30 at \base.
    .macro x4_to_x29 operation, base
    \operation x4, x5, [\base, #32]
    \operation x6, x7, [\base, #48]
    \operation x8, x9, [\base, #64]
    \operation x10, x11, [\base, #80]
    \operation x12, x13, [\base, #96]
    \operation x14, x15, [\base, #112]
    \operation x16, x17, [\base, #128]
    \operation x18, x19, [\base, #144]
    \operation x20, x21, [\base, #160]
    \operation x22, x23, [\base, #176]
    \operation x24, x25, [\base, #192]
    \operation x26, x27, [\base, #208]
    \operation x28, x29, [\base, #224]
    .endm

// A function: loads x0 to x30 from the array in x0, makes an SMC, and stores them there again.
    .macro smc_with_all_registers
    stp     x29, x30, [sp, #-16]!
    stp     x27, x28, [sp, #-16]!
    stp     x25, x26, [sp, #-16]!
    stp     x23, x24, [sp, #-16]!
    stp     x21, x22, [sp, #-16]!
    stp     x19, x20, [sp, #-16]!
    str     x0, [sp, #-16]!
    ldp     x2, x3, [x0, #16]
    x4_to_x29 ldp, x0
    ldr     x30, [x0, #240]
    ldp     x0, x1, [x0]
    smc     #0
    stp     x0, x1, [sp, #-16]!
    ldr     x0, [sp, #16]
    stp     x2, x3, [x0, #16]
    x4_to_x29 stp, x0
    str     x30, [x0, #240]
    ldp     x2, x3, [sp], #16
    stp     x2, x3, [x0]
    add     sp, sp, #16
    ldp     x19, x20, [sp], #16
    ldp     x21, x22, [sp], #16
    ldp     x23, x24, [sp], #16
    ldp     x25, x26, [sp], #16
    ldp     x27, x28, [sp], #16
    ldp     x29, x30, [sp], #16
    ret
    .endm

// A vector at each of these offsets, which calls \handler with its offset. The handler does not
// return.
    .macro unexpected handler, offsets:vararg
    .irp    offset, \offsets
    .balign 128
    mov     x0, #\offset
    bl      \handler
    .endr
    .endm
