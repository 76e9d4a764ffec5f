// SPDX-License-Identifier: BSD-3-Clause
//
// The first instruction of the image, the way to Rust with MMU and caches on, and the loop that
// serves RMI calls.
//
// Cold boot, MMU off: relocate, build an identity map of the image and of the page shared with EL3,
// turn the MMU on. Nothing written in Rust runs before that, so that atomics and caches have their
// architected behavior everywhere in it. Warm boot: load the values that cold boot left in
// BOOT_CONFIGURATION.

    .equ    STATUS_UNKNOWN, -1
    .equ    STATUS_CPU_ID, -4

    // x\reg = runtime address of a symbol of the image
    .macro  address reg, symbol
    adrp    \reg, \symbol
    add     \reg, \reg, :lo12:\symbol
    .endm

    // In images with deliberate faults only: one if the activation token asks for a fault at this
    // place (tests/qemu/self_test/faults.rs).
    .macro  deliberate_fault token, place
    .if     {self_test}
    ldr     x2, ={fault_token}
    eor     x2, x2, \token
    cmp     x2, #(\place << 8)
    b.ne    99f
    udf     #0
99:
    .endif
    .endm

    .section .text.entry, "ax"
    .global rmm_entry
    .balign 4096
rmm_entry:
    // EL3's arguments, kept where no call changes them.
    mov     x19, x0
    mov     x20, x1
    mov     x21, x2
    mov     x22, x3
    mov     x23, x4
    mov     x29, #0                     // the last frame record has no caller

    address x0, early_vectors
    msr     vbar_el2, x0
    msr     tpidr_el2, xzr              // not known yet; the first stage of its boot
    bl      write_control_registers     // HCR_EL2.E2H gives the registers used here their layout

    // Keys of this CPU for signed return addresses, and on a cold boot the secret that is part of
    // the keys of all CPUs. It is written with the MMU off and before the caches are invalidated.
    address x4, BOOT_CONFIGURATION
    ldr     x6, [x4, #{CPU_COUNT}]
    cbnz    x6, 1f
    mov     x5, xzr
    bl      random
    str     x0, [x4, #{SECRET}]
    bl      random
    str     x0, [x4, #{SECRET} + 8]
1:  ldr     x5, [x4, #{SECRET}]
    bl      random
    msr     s3_0_c2_c1_0, x0            // APIAKeyLo_EL1
    ldr     x5, [x4, #{SECRET} + 8]
    bl      random
    msr     s3_0_c2_c1_1, x0            // APIAKeyHi_EL1
    isb

    mov     x1, x6
    cbnz    x1, warm

    // ---- Cold boot ----
    deliberate_fault x23, 1
    adr     x24, rmm_entry              // linked at 0: this is the difference to the link address, too
    address x28, __image_end
    tst     x24, #0xfff
    b.ne    refuse_unknown

    // Adds it to every address in the image. Of .relr.dyn an even word is the place of one; bits 1 to
    // 63 of an odd word are those of the 63 words behind the places of the word before.
    address x0, __relr_start
    address x1, __relr_end
    sub     x6, x28, x24                // bytes of the image
    mov     x3, x24                     // the next place
1:  cmp     x0, x1
    b.hs    2f
    ldr     x2, [x0], #8
    mov     x5, #63 * 8
    tbnz    x2, #0, 12f
    add     x3, x24, x2
    mov     x2, #0b11                   // as an odd word
    mov     x5, #8
12: mov     x4, x3
    add     x3, x3, x5
13: lsr     x2, x2, #1
    cbz     x2, 1b
    tbz     x2, #0, 14f
    sub     x5, x4, x24
    cmp     x5, x6
    b.hs    refuse_unknown
    ldr     x5, [x4]
    add     x5, x5, x24
    str     x5, [x4]
14: add     x4, x4, #8
    b       13b
2:
    // Empty early tables.
    address x26, __early_tables_start
    address x1, __early_tables_end
    mov     x0, x26
3:  stp     xzr, xzr, [x0], #16
    cmp     x0, x1
    b.lo    3b
    add     x25, x26, #4096             // x26 the level 0 table, x25 the next free one
    // Page: valid, AF, inner shareable, attribute 0 (write-back), Realm, read and write. Not yet
    // W^X: that is the Low VA map's.
    mov     x27, #0x703
    address x5, {boot_stacks}           // the stacks' guards are left out
    add     x6, x5, #{exception_guard}
    mov     x0, x24
4:  cmp     x0, x5
    ccmp    x0, x6, #4, ne
    b.eq    10f
    bl      early_map_page
10: add     x0, x0, #4096
    cmp     x0, x28
    b.lo    4b
    // The shared page, when it can be one; Rust refuses any other.
    cbz     x22, 5f
    tst     x22, #0xfff
    b.ne    5f
    lsr     x0, x22, #48
    cbnz    x0, 5f
    mov     x0, x22
    bl      early_map_page
5:
    // What was written with the MMU off must not be hidden by older lines of it in a cache: the
    // file's content and the tables. The rest is written first with caches on.
    mrs     x1, ctr_el0
    ubfx    x1, x1, #16, #4
    mov     x2, #4
    lsl     x1, x2, x1
    dsb     sy
    address x2, __data_end
    mov     x0, x24
6:  dc      ivac, x0
    add     x0, x0, x1
    cmp     x0, x2
    b.lo    6b
    mov     x0, x26
11: dc      ivac, x0
    add     x0, x0, x1
    cmp     x0, x25
    b.lo    11b
    dsb     sy

    mov     x0, #{mair_early}
    msr     mair_el2, x0
    ldr     x0, ={tcr_early}
    mrs     x1, id_aa64mmfr0_el1
    and     x1, x1, #0xf
    cmp     x1, #5                      // 48 bits at most in this descriptor format
    mov     x2, #5
    csel    x1, x1, x2, lo
    orr     x0, x0, x1, lsl #32         // IPS
    msr     tcr_el2, x0
    msr     ttbr0_el2, x26
    tlbi    alle1                       // this CPU may have missed invalidations for Realms
    tlbi    alle2
    ic      iallu
    dsb     sy
    isb
    ldr     x0, ={sctlr_early}
    msr     sctlr_el2, x0
    isb

    address x0, __bss_start
    address x1, __bss_end
7:  stp     xzr, xzr, [x0], #16
    cmp     x0, x1
    b.lo    7b

    address x0, {boot_stacks}
    ldr     x1, ={boot_stack_top}
    add     x1, x0, x1
    mov     sp, x1
    ldr     x1, ={boot_exception_stack_top}
    add     x1, x0, x1
    msr     sp_el0, x1
    address x0, exception_vectors
    msr     vbar_el2, x0
    isb
    mov     x0, x19
    mov     x1, x20
    mov     x2, x21
    mov     x3, x22
    mov     x4, x23
    bl      {prepare}
    cbnz    x0, refuse
    b       enter_maps

    // ---- Warm boot: x1 is the number of CPUs ----
warm:
    mov     x24, #0
    deliberate_fault x20, 1
    cmp     x19, x1
    b.hs    refuse_cpu_id

    // From no map, or the early one, to the Low VA map; on a warm boot also to this CPU's High VA
    // map, which a cold boot has yet to build. The MMU is off in between, so that no two maps with
    // other block sizes are ever live at once, and no memory is accessed meanwhile. Nothing written
    // in Rust is on the stack: the number of address bits, which changes here, decides where a
    // signed return address keeps its signature.
enter_maps:
    address x0, BOOT_CONFIGURATION
    ldr     x2, [x0, #{MAIR}]
    ldr     x3, [x0, #{TCR}]
    ldr     x4, [x0, #{TTBR0}]
    ldr     x5, [x0, #{SCTLR}]
    mov     x6, #0
    cbz     x24, 1f
    orr     x3, x3, #{tcr_no_high}
    b       2f
1:  ldr     x6, [x0, #{FIRST_CPU}]
    ldr     x7, ={per_cpu_size}
    madd    x6, x19, x7, x6             // this CPU's: its table comes first
2:  address x7, early_vectors
    msr     vbar_el2, x7
    mrs     x8, sctlr_el2
    bic     x8, x8, #1
    dsb     sy
    msr     sctlr_el2, x8
    isb
    msr     mair_el2, x2
    msr     tcr_el2, x3
    msr     ttbr0_el2, x4
    msr     s3_4_c2_c0_1, x6            // TTBR1_EL2
    isb
    tlbi    alle1                       // this CPU may have missed invalidations for Realms
    tlbi    alle2
    ic      iallu
    dsb     nsh
    isb
    msr     sctlr_el2, x5
    isb
    address x7, exception_vectors
    cbz     x24, 3f
    msr     vbar_el2, x7                // on cold boot's stacks
    isb
    bl      {finish}
    cbnz    x0, refuse
    b       booted
3:  ldr     x0, ={exception_stack_top}
    msr     sp_el0, x0
    ldr     x0, ={stack_top}
    mov     sp, x0
    msr     vbar_el2, x7
    isb
    mov     x0, x19
    mov     x1, x20
    bl      {warm}
    cbnz    x0, refuse

    // From here on this CPU is on its own stacks, from their top.
booted:
    ldr     x0, ={exception_stack_top}
    msr     sp_el0, x0
    ldr     x0, ={stack_top}
    mov     sp, x0
    sub     sp, sp, #96                 // x0-x7 of the call; then its service: two arguments, and who handles it
    add     x0, sp, #64
    bl      {service}
    tbz     w0, #0, refuse_unknown      // bool: the bits above are undefined
    mov     x2, #0                      // activation token: none needed, the CPU index says all
    mov     x1, #0
    ldr     x21, [sp, #80]              // the handler: no call changes it
    ldr     x0, ={boot_complete}
rmi_loop:
    smc     #0
    // EL3 returns here with each RMI call of the host.
    stp     x0, x1, [sp]
    stp     x2, x3, [sp, #16]
    stp     x4, x5, [sp, #32]
    stp     x6, x7, [sp, #48]
    ldp     x0, x1, [sp, #64]
    mov     x2, sp
    blr     x21
answer:
    ldp     x1, x2, [sp]
    ldp     x3, x4, [sp, #16]
    ldp     x5, x6, [sp, #32]
    ldp     x7, x8, [sp, #48]
    ldr     x0, ={request_complete}
    b       rmi_loop

    // handle_exception goes on here when this CPU gives up its call, because another has died.
    .global rmi_given_up
rmi_given_up:
    ldr     x0, ={stack_top}
    mov     sp, x0
    sub     sp, sp, #96
    ldr     x21, [sp, #80]
    mov     x0, #-1
    str     x0, [sp]
    b       answer

refuse_unknown:
    mov     x0, #STATUS_UNKNOWN
    b       refuse
refuse_cpu_id:
    mov     x0, #STATUS_CPU_ID
refuse:
    mov     x1, x0
    mov     x2, #0
    ldr     x0, ={boot_complete}
    smc     #0
8:  wfi                                 // EL3 does not come back after a refusal
    b       8b

    // x0 = 64 bits that are not 0: from the CPU's source of random numbers where it has one and that
    // delivers, from the counter, and from x5, spread over all bits. Clobbers x1 and x2.
    .equ    RANDOM_TRIES, 64
random:
    mrs     x0, cntpct_el0
    mrs     x1, id_aa64isar0_el1
    ubfx    x1, x1, #60, #4
    cbz     x1, 2f
    mov     x1, #RANDOM_TRIES
1:  mrs     x2, s3_3_c2_c4_0            // RNDR: sets Z and gives 0 when it has none
    b.ne    3f
    sub     x1, x1, #1
    cbnz    x1, 1b
    b       2f
3:  eor     x0, x0, x2
2:  add     x0, x0, x5
    eor     x0, x0, x0, lsr #30
    ldr     x1, =0xbf58476d1ce4e5b9
    mul     x0, x0, x1
    eor     x0, x0, x0, lsr #27
    ldr     x1, =0x94d049bb133111eb
    mul     x0, x0, x1
    eor     x0, x0, x0, lsr #31
    cmp     x0, #0
    cinc    x0, x0, eq
    ret

    // Maps the page at x0 by the early tables. Clobbers x1-x3; x25 is the next free table.
    .macro  early_level shift
    ubfx    x2, x0, #\shift, #9
    ldr     x3, [x1, x2, lsl #3]
    cbnz    x3, 9f
    orr     x3, x25, #3
    str     x3, [x1, x2, lsl #3]
    add     x25, x25, #4096
9:  and     x1, x3, #0x0000fffffffff000
    .endm
early_map_page:
    mov     x1, x26
    early_level 39
    early_level 30
    early_level 21
    ubfx    x2, x0, #12, #9
    orr     x3, x0, x27
    str     x3, [x1, x2, lsl #3]
    ret

    .ltorg
