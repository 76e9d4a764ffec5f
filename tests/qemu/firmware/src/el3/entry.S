// SPDX-License-Identifier: BSD-3-Clause
// Reset, exception vectors and the way down to the worlds. Everything else is Rust.
//
// While a lower exception level runs, SP_EL3 is the top of the CPU's stack and TPIDR_EL3 points to
// its `Cpu`, whose first words are: the frame of the running world, the counter when it last
// entered EL3, the counter when it last left.

    .section .text.reset, "ax"
    .global reset
reset:
    mrs     x0, mpidr_el1
    and     x1, x0, #0xff
    ubfx    x0, x0, #8, #8
    add     x19, x1, x0, lsl #4             // linear CPU index
    cmp     x19, #{MAX_CPUS}
    b.hs    surplus_cpu

    ldr     x0, =vectors
    msr     vbar_el3, x0
    ldr     x0, ={SCTLR}
    msr     sctlr_el3, x0
    ldr     x0, ={SCR}
    msr     scr_el3, x0
    isb

    ldr     x0, =stacks
    add     x1, x19, #1
    mov     x2, #{STACK_SIZE}
    madd    x0, x1, x2, x0
    mov     sp, x0
    ldr     x20, =cold_boot_done
    ldr     x21, ={COLD_BOOT_DONE}
    cbnz    x19, wait_for_cold_boot

    ldr     x0, =__data_start
    ldr     x1, =__data_end
    ldr     x2, =__data_load
1:  cmp     x0, x1
    b.hs    2f
    ldp     x3, x4, [x2], #16
    stp     x3, x4, [x0], #16
    b       1b
2:  ldr     x0, =__bss_start
    ldr     x1, =__bss_end
3:  cmp     x0, x1
    b.hs    4f
    stp     xzr, xzr, [x0], #16
    b       3b
4:  bl      el3_build_translation_tables
    bl      el3_set_up_interrupts
    dsb     sy
    bl      enable_mmu
    bl      el3_cold_boot
    b       leave

    // The magic value cannot be there by chance; the memory is not cleared, so that nothing races
    // with it.
wait_for_cold_boot:
    ldr     x0, [x20]
    cmp     x0, x21
    b.eq    5f
    wfe
    b       wait_for_cold_boot
5:  dsb     sy
    bl      enable_mmu
    mov     x0, x19
    bl      el3_secondary_boot
    b       leave

surplus_cpu:
    wfi
    b       surplus_cpu

// Turns the MMU on with the tables built by `el3_build_translation_tables`.
enable_mmu:
    ldr     x0, ={MAIR}
    msr     mair_el3, x0
    ldr     x0, ={TCR}
    msr     tcr_el3, x0
    ldr     x0, ={LEVEL_1}
    msr     ttbr0_el3, x0
    tlbi    alle3
    dsb     sy
    isb
    mrs     x0, sctlr_el3
    ldr     x1, ={SCTLR_MMU_AND_CACHES}
    orr     x0, x0, x1
    msr     sctlr_el3, x0
    isb
    ret

// Tells the other CPUs that everything they need is in place.
    .global el3_release_secondaries
el3_release_secondaries:
    ldr     x0, =cold_boot_done
    ldr     x1, ={COLD_BOOT_DONE}
    str     x1, [x0]
    // The waiting CPUs still run with their caches off.
    dc      civac, x0
    dsb     sy
    sev
    ret

    .pool

// x0 = frame of the world to run, TPIDR_EL3 = this CPU.
    .balign 64
leave:
    mrs     x1, tpidr_el3
    str     x0, [x1, #{CPU_FRAME}]
    ldp     x2, x3, [x0, #{FRAME_ELR}]
    msr     elr_el3, x2
    msr     spsr_el3, x3
    ldr     x2, [x0, #{FRAME_SP_EL0}]
    msr     sp_el0, x2
    ldr     x3, [x0, #24]
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
leave_clock:
    mrs     x2, cntpct_el0
    str     x2, [x1, #{CPU_LEFT_AT}]
    ldr     x2, [x0, #16]
    ldp     x0, x1, [x0]
    eret
leave_end:
    dsb     nsh
    isb

// Instructions of the monitor between two readings of the counter: from the reading before the ERET
// to the ERET itself, and from the vector to the reading after it. What remains was executed by the
// lower level.
    .global monitor_overhead
    .equ    monitor_overhead, ((leave_end - leave_clock) + (enter_clock - vector_lower_sync)) / 4

    .macro unexpected offset
    .balign 128
    mov     x0, #\offset
    bl      el3_unexpected
    .endm

    .balign 2048
vectors:
    unexpected 0x000
    unexpected 0x080
    unexpected 0x100
    unexpected 0x180
    unexpected 0x200
    unexpected 0x280
    unexpected 0x300
    unexpected 0x380

    .balign 128
vector_lower_sync:
    str     x30, [sp, #-16]!
    mrs     x30, tpidr_el3
    ldr     x30, [x30, #{CPU_FRAME}]
    stp     x0, x1, [x30]
enter_clock:
    mrs     x0, cntpct_el0
    stp     x2, x3, [x30, #16]
    stp     x4, x5, [x30, #32]
    stp     x6, x7, [x30, #48]
    stp     x8, x9, [x30, #64]
    stp     x10, x11, [x30, #80]
    stp     x12, x13, [x30, #96]
    stp     x14, x15, [x30, #112]
    stp     x16, x17, [x30, #128]
    stp     x18, x19, [x30, #144]
    stp     x20, x21, [x30, #160]
    stp     x22, x23, [x30, #176]
    stp     x24, x25, [x30, #192]
    stp     x26, x27, [x30, #208]
    stp     x28, x29, [x30, #224]
    ldr     x1, [sp], #16
    b       enter_rest

    unexpected 0x480
    unexpected 0x500
    unexpected 0x580
    unexpected 0x600
    unexpected 0x680
    unexpected 0x700
    unexpected 0x780

enter_rest:
    str     x1, [x30, #240]
    mrs     x2, sp_el0
    str     x2, [x30, #{FRAME_SP_EL0}]
    mrs     x2, elr_el3
    mrs     x3, spsr_el3
    stp     x2, x3, [x30, #{FRAME_ELR}]
    mrs     x1, tpidr_el3
    str     x0, [x1, #{CPU_ENTERED_AT}]
    mrs     x0, esr_el3
    lsr     x0, x0, #26
    cmp     x0, #{EC_SMC64}
    b.ne    6f
    mov     x0, x1
    bl      el3_smc
    b       leave
6:  mov     x0, #0x400
    bl      el3_unexpected

    .section .uncleared, "aw", %nobits
    .balign 16
stacks:
    .space  {MAX_CPUS} * {STACK_SIZE}
cold_boot_done:
    .space  8
