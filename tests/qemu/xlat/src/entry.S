// SPDX-License-Identifier: BSD-3-Clause
// Entry at EL3, the descent to EL2 and EL1, the switch between two translations, the vectors, and
// the probes, which are the accesses that may fault.

    .section .text.first, "ax"
    .global entry
entry:
    clear_bss
    ldr     x0, ={STACK}
    mov     x1, #{STACK_SIZE}
    add     sp, x0, x1
    adr     x0, vectors_3
    msr     vbar_el3, x0
    msr     tpidr_el0, xzr
    bl      xlat_main
    .pool

    .text

// Continues one level lower, with that level's MMU off, on the same stack. x0 = SCR_EL3.
    .global descend_to_el2
descend_to_el2:
    msr     scr_el3, x0
    msr     cptr_el3, xzr
    msr     hcr_el2, xzr
    ldr     x0, ={SCTLR_OFF}
    msr     sctlr_el2, x0
    adr     x0, vectors_2
    msr     vbar_el2, x0
    mov     x0, #0x3c9                      // EL2h, all masked
    msr     spsr_el3, x0
    adr     x0, 1f
    msr     elr_el3, x0
    mov     x0, sp
    isb
    eret
1:  mov     sp, x0
    ret

// The same from EL2. x0 = HCR_EL2.
    .global descend_to_el1
descend_to_el1:
    ldr     x1, ={SCTLR_OFF}
    msr     sctlr_el1, x1
    adr     x1, vectors_1
    msr     vbar_el1, x1
    mov     x1, #0x3c5                      // EL1h, all masked
    msr     spsr_el2, x1
    adr     x1, 1f
    msr     elr_el2, x1
    mov     x1, sp
    // With E2H set, spsr_el2 and similar names still access the same registers.
    msr     hcr_el2, x0
    isb
    eret
1:  mov     sp, x1
    ret
    .pool

// x0 = Registers (see exception_level.rs). Both translations must map the code, the stack and x0's
// memory flat.
    .macro install el, invalidate
    ldp     x1, x2, [x0]
    ldp     x3, x4, [x0, #16]
    ldp     x5, x6, [x0, #32]
    mrs     x7, sctlr_el\el
    bic     x7, x7, #1
    dsb     sy
    msr     sctlr_el\el, x7
    isb
    .if     \el == 2
    msr     hcr_el2, x1
    isb
    .endif
    msr     mair_el\el, x3
    msr     tcr_el\el, x4
    msr     ttbr0_el\el, x5
    .if     \el == 2
    msr     s3_4_c2_c0_1, x6            // TTBR1_EL2, by its encoding: its name takes an extension
    .elseif \el == 1
    msr     ttbr1_el1, x6
    .endif
    isb
    tlbi    \invalidate
    dsb     nsh
    isb
    msr     sctlr_el\el, x2
    isb
    ret
    .endm

    .global install_el1
install_el1:
    install 1, vmalle1
    .global install_el2
install_el2:
    install 2, alle2
    .global install_el3
install_el3:
    install 3, alle3

// A probe that faults resumes at the address in TPIDR_EL0 with the syndrome in x1.
    .macro vectors el
    .balign 2048
vectors_\el:
    unexpected xlat_unexpected, 0x000, 0x080, 0x100, 0x180
    .balign 128
    mrs     x2, tpidr_el0
    cbz     x2, 1f
    msr     elr_el\el, x2
    mrs     x1, esr_el\el
    eret
1:  mov     x0, #0x200
    b       xlat_unexpected
    unexpected xlat_unexpected, 0x280, 0x300, 0x380, 0x400
    unexpected xlat_unexpected, 0x480, 0x500, 0x580, 0x600
    unexpected xlat_unexpected, 0x680, 0x700, 0x780
    .endm

    vectors 1
    vectors 2
    vectors 3

// x0 = address. Each returns x1 = 0, or x1 = the syndrome of the fault.
    .macro probe name
    .global \name
\name:
    adr     x2, 1f
    msr     tpidr_el0, x2
    mov     x2, x1
    mov     x1, #0
    .endm
    .macro probed
1:  msr     tpidr_el0, xzr
    ret
    .endm

// Gives the word at the address in x0.
    probe   probe_load
    ldr     x0, [x0]
    probed

// Stores x1 at the address.
    probe   probe_store
    str     x2, [x0]
    probed

// Calls the code at the address, and gives its result in x0.
    probe   probe_call
    mov     x9, x30
    blr     x0
1:  mov     x30, x9
    msr     tpidr_el0, xzr
    ret
