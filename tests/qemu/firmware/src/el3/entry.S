// SPDX-License-Identifier: BSD-3-Clause
// Reset, exception vectors, and the return to the worlds. Everything else is Rust.
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

    own_stack x19, {STACK_SIZE}
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
2:  clear_bss
    bl      el3_build_translation_tables
    bl      el3_set_up_interrupts
    dsb     sy
    bl      enable_mmu
    bl      el3_cold_boot
    b       leave

    // Memory does not hold this value by chance. It is not cleared, since that could race with the
    // primary CPU.
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

// Tells the other CPUs that they may continue.
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
    x4_to_x29 ldp, x0
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

// The number of monitor instructions between two readings of the counter: from the reading before
// the ERET to the ERET, and from the vector to the reading after it. The lower level has executed
// the others.
    .global monitor_overhead
    .equ    monitor_overhead, ((leave_end - leave_clock) + (enter_clock - vector_lower_sync)) / 4

    .balign 2048
vectors:
    unexpected el3_unexpected, 0x000, 0x080, 0x100, 0x180
    unexpected el3_unexpected, 0x200, 0x280, 0x300, 0x380

    .balign 128
vector_lower_sync:
    str     x30, [sp, #-16]!
    mrs     x30, tpidr_el3
    ldr     x30, [x30, #{CPU_FRAME}]
    stp     x0, x1, [x30]
enter_clock:
    mrs     x0, cntpct_el0
    stp     x2, x3, [x30, #16]
    x4_to_x29 stp, x30
    ldr     x1, [sp], #16
    b       enter_rest

    unexpected el3_unexpected, 0x480, 0x500, 0x580, 0x600
    unexpected el3_unexpected, 0x680, 0x700, 0x780

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
