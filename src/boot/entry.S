// SPDX-License-Identifier: BSD-3-Clause
//
// The first instruction of the image, the way to Rust with MMU and caches on, and the loop that
// serves RMI calls.
//
// Cold boot, MMU off: relocate, build an identity map of the image and of the page shared with EL3,
// turn the MMU on. No Rust code runs before that, so all of it can rely on caches and atomics. Warm
// boot: load the values that cold boot left in BOOT_CONFIGURATION.

    .equ    STATUS_UNKNOWN, -1
    .equ    STATUS_CPU_ID, -4

    // x\reg = runtime address of a symbol of the image
    .macro  address reg, symbol
    adrp    \reg, \symbol
    add     \reg, \reg, :lo12:\symbol
    .endm

    // Spreads the entropy of \reg over all its bits. Clobbers x3.
    .macro  spread reg
    eor     \reg, \reg, \reg, lsr #30
    ldr     x3, =0xbf58476d1ce4e5b9
    mul     \reg, \reg, x3
    eor     \reg, \reg, \reg, lsr #27
    ldr     x3, =0x94d049bb133111eb
    mul     \reg, \reg, x3
    eor     \reg, \reg, \reg, lsr #31
    .endm

    // Adds a random number of the CPU to \reg. Clobbers x2 and x3.
    .equ    RANDOM_TRIES, 64
    .macro  add_random reg
    mov     x3, #RANDOM_TRIES
1:  mrs     x2, s3_3_c2_c4_0            // RNDR: sets Z and gives 0 when it has none
    b.ne    2f
    sub     x3, x3, #1
    cbnz    x3, 1b
    spread  \reg
2:  add     \reg, \reg, x2
    .endm

    // Turns the MMU on: TTBR0_EL2 in x2, TCR_EL2 in x3, TTBR1_EL2 in x6. Clobbers x0.
    .macro  enter_maps
    ldr     x0, ={mair}
    msr     mair_el2, x0
    msr     tcr_el2, x3
    msr     ttbr0_el2, x2
    msr     s3_4_c2_c0_1, x6            // TTBR1_EL2
    ldr     x0, ={sctlr}
    isb
    tlbi    alle1                       // this CPU may have missed invalidations for Realms
    tlbi    alle2
    ic      iallu
    dsb     nsh
    isb
    msr     sctlr_el2, x0
    isb
    .endm

    // Only in images with deliberate faults: faults if the activation token asks for it at this
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
    msr     tpidr_el2, xzr              // index not known yet; the first stage of the boot

    // A CPU with the ID registers of the one that booted cold has the same control registers.
    address x4, BOOT_CONFIGURATION
    ldr     x6, [x4, #{CPU_COUNT}]      // 0 on a cold boot
    cbz     x6, 1f
    add     x1, x4, #{FEATURES}
    bl      compare_cpu_features
    cset    x25, eq
    ldr     x1, [x4, #{CONTROL_REGISTERS}]
    b.eq    2f
1:  bl      find_control_registers
2:  bl      write_control_registers     // HCR_EL2.E2H gives the registers used here their layout
    cbnz    x6, 3f
    // Written with the MMU off and before the caches are invalidated: the registers found, and the
    // secret that is part of the keys of all CPUs.
    str     x1, [x4, #{CONTROL_REGISTERS}]
    mov     x0, xzr
    mov     x1, xzr
    bl      make_key
    stp     x0, x1, [x4, #{SECRET}]
3:  ldp     x0, x1, [x4, #{SECRET}]
    bl      make_key
    orr     x0, x0, #1                  // no key is 0
    msr     s3_0_c2_c1_0, x0            // APIAKeyLo_EL1: this CPU's key for signed return addresses
    msr     s3_0_c2_c1_1, x1            // APIAKeyHi_EL1
    isb
    cbnz    x6, warm

    // ---- Cold boot ----
    deliberate_fault x23, 1
    adr     x24, rmm_entry              // linked at 0: also the difference to the link address
    address x28, __image_end
    tst     x24, #0xfff
    b.ne    refuse_unknown

    // Adds x24 to every address in the image. An even word of .relr.dyn is the place of one
    // address. In an odd word, bits 1 to 63 stand for the 63 words that follow: a set bit marks an
    // address.
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
    // W^X: the Low VA map is.
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
    // The shared page, if its address is possible; Rust refuses any other.
    cbz     x22, 5f
    tst     x22, #0xfff
    b.ne    5f
    lsr     x0, x22, #48
    cbnz    x0, 5f
    mov     x0, x22
    bl      early_map_page
5:
    // Stale cache lines must not hide what was written with the MMU off: the content of the image
    // file, and the tables. All other memory is first written with caches on.
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
    // From the early map to the Low VA map. The MMU is off in between: two maps with different
    // block sizes are never live at once. Meanwhile only code and BOOT_CONFIGURATION are read,
    // which are clean to the PoC. No Rust frame is on the stack: the number of address bits changes
    // here, and with it the position of the signature in a signed return address.
    address x0, early_vectors
    msr     vbar_el2, x0
    mrs     x0, sctlr_el2
    bic     x0, x0, #1
    dsb     sy
    msr     sctlr_el2, x0
    isb
    address x4, BOOT_CONFIGURATION
    ldp     x2, x3, [x4, #{TTBR0_AND_TCR}]
    orr     x3, x3, #{tcr_no_high}      // the High VA map is yet to be built
    mov     x6, #0
    enter_maps
    address x0, exception_vectors
    msr     vbar_el2, x0                // on cold boot's stacks
    isb
    bl      {finish}
    cbnz    x0, refuse
    ldr     x0, ={exception_stack_top}
    msr     sp_el0, x0
    ldr     x0, ={stack_top}
    mov     sp, x0
    b       booted

    // ---- Warm boot ----
    // x4 is the address of BOOT_CONFIGURATION, x6 the number of CPUs. x25 is one if the ID
    // registers are those of the CPU that booted cold.
warm:
    deliberate_fault x20, 1
    cmp     x19, x6
    b.hs    refuse_cpu_id
    ldp     x2, x3, [x4, #{TTBR0_AND_TCR}]
    ldr     x6, [x4, #{FIRST_CPU}]
    ldr     x7, ={per_cpu_size}
    madd    x6, x19, x7, x6             // this CPU's memory: its table comes first
    enter_maps
    ldr     x0, ={exception_stack_top}
    msr     sp_el0, x0
    ldr     x0, ={stack_top}
    mov     sp, x0
    address x0, exception_vectors
    msr     vbar_el2, x0
    isb
    mov     x0, x19
    mov     x1, x20
    mov     x2, x25
    bl      {warm}
    cbnz    x0, refuse

    // From here on this CPU is on its own stacks, from their top.
booted:
    sub     sp, sp, #96                 // x0-x7 of the call, `Service`, a word of run/retreat.rs
    add     x0, sp, #64
    bl      {service}
    tbz     w0, #0, refuse_unknown      // bool: the bits above are undefined
    mov     x2, #0                      // activation token: not used
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

    // handle_exception resumes here when this CPU gives up its call because another has died.
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

    // Makes a 128-bit key from x0 and x1: adds the counter, and random numbers of the CPU. A half
    // that gets no random number is spread over all bits. Clobbers x2 and x3.
make_key:
    mrs     x2, cntpct_el0
    add     x0, x0, x2
    sub     x1, x1, x2
    mrs     x2, id_aa64isar0_el1
    lsr     x2, x2, #60
    cbz     x2, 3f
    add_random x0
    add_random x1
    ret
3:  spread  x0
    spread  x1
    ret

    // Maps the page at x0 in the early tables. Clobbers x1-x3; x25 is the next free table.
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
