// SPDX-License-Identifier: BSD-3-Clause
//
// The world switch. It shares nothing with the fatal vectors.
//
// While SP_EL0 is the Realm's, just before ERET and just after the vector, the code accesses only
// this CPU's own stack, which is always mapped: the fatal vectors use SP_EL0 as their stack
// pointer. SP_EL2 does not change while the Realm runs.

    .equ    SWITCH_FRAME, 160
    .equ    SWITCH_LAST, 0                     // x0 and x1 of the Realm, on the way in and out
    .equ    SWITCH_TAKEN, 16                   // vector and SP_EL0 of the Realm, on the way out
    .equ    SWITCH_CONTEXT, 32                 // its Registers, and SP_EL0 of the RMM
    .equ    SWITCH_KEY, 48                     // the RMM's key for return addresses
    .equ    SWITCH_SAVED, 64                   // x19-x30

    .macro  load_key low, high, offset
    ldp     x1, x2, [x0, #\offset]
    msr     \low, x1
    msr     \high, x2
    .endm

    .macro  store_key low, high, offset
    mrs     x1, \low
    mrs     x2, \high
    stp     x1, x2, [x0, #\offset]
    .endm

    .section .text.realm_enter, "ax"
    .balign 64
// x0 = Registers of the Realm. Runs it until the next exception to EL2. Returns the vector in x0,
// 0 synchronous, 1 IRQ, 2 FIQ, 3 SError.
    .global realm_enter
realm_enter:
    hint    #25                         // PACIASP
    sub     sp, sp, #SWITCH_FRAME
    save_preserved SWITCH_SAVED
    mrs     x1, sp_el0
    stp     x0, x1, [sp, #SWITCH_CONTEXT]
    mrs     x1, s3_0_c2_c1_0            // APIAKeyLo_EL1
    mrs     x2, s3_0_c2_c1_1            // APIAKeyHi_EL1
    stp     x1, x2, [sp, #SWITCH_KEY]
    ldp     x1, x2, [x0, #{pc}]
    msr     elr_el2, x1
    msr     spsr_el2, x2
    // From here to the end of `realm_exit` no return address is signed or checked.
    load_key s3_0_c2_c1_0, s3_0_c2_c1_1, {keys}
    load_key s3_0_c2_c1_2, s3_0_c2_c1_3, {keys} + 16
    load_key s3_0_c2_c2_0, s3_0_c2_c2_1, {keys} + 32
    load_key s3_0_c2_c2_2, s3_0_c2_c2_3, {keys} + 48
    load_key s3_0_c2_c3_0, s3_0_c2_c3_1, {keys} + 64
    ldp     x2, x3, [x0]
    stp     x2, x3, [sp, #SWITCH_LAST]
    ldr     x1, [x0, #{sp_el0}]
    load_context x0
    msr     sp_el0, x1
    ldp     x0, x1, [sp, #SWITCH_LAST]
    eret
    dsb     nsh                         // no speculation past the ERET
    isb

// The four vectors for lower levels branch here: x0 and x1 of the Realm are at SWITCH_LAST,
// x0 = vector.
    .global realm_exit
realm_exit:
    mrs     x1, sp_el0
    stp     x0, x1, [sp, #SWITCH_TAKEN]
    ldp     x0, x1, [sp, #SWITCH_CONTEXT]
    msr     sp_el0, x1
    store_context x0
    ldp     x2, x3, [sp, #SWITCH_LAST]
    stp     x2, x3, [x0]
    ldp     x3, x4, [sp, #SWITCH_TAKEN]
    str     x4, [x0, #{sp_el0}]
    mrs     x1, elr_el2
    mrs     x2, spsr_el2
    stp     x1, x2, [x0, #{pc}]
    store_key s3_0_c2_c1_0, s3_0_c2_c1_1, {keys}
    store_key s3_0_c2_c1_2, s3_0_c2_c1_3, {keys} + 16
    store_key s3_0_c2_c2_0, s3_0_c2_c2_1, {keys} + 32
    store_key s3_0_c2_c2_2, s3_0_c2_c2_3, {keys} + 48
    store_key s3_0_c2_c3_0, s3_0_c2_c3_1, {keys} + 64
    ldp     x1, x2, [sp, #SWITCH_KEY]
    msr     s3_0_c2_c1_0, x1
    msr     s3_0_c2_c1_1, x2
    .inst   0xd503415f                  // MSR DIT, #1: the RMM's, whatever the Realm chose
    .inst   0xd500409f                  // MSR PAN, #0
    isb
    mov     x0, x3
    restore_preserved SWITCH_SAVED
    add     sp, sp, #SWITCH_FRAME
    hint    #29                         // AUTIASP
    ret
    dsb     nsh                         // no speculation past the return
    isb
