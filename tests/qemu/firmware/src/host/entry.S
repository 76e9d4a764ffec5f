// SPDX-License-Identifier: BSD-3-Clause
// Entry of the host on each CPU, its exception vectors, and the probes, which are the accesses that
// may fault.

    .section .text.entry, "ax"
    .global entry
entry:
    clear_bss
    mov     x19, #0
    bl      set_up
    bl      host_main

// Entry of the other CPUs after CPU_ON; x0 = linear index.
    .global secondary_entry
secondary_entry:
    mov     x19, x0
    bl      set_up
    mov     x0, x19
    bl      host_secondary_main

// Sets up stack of CPU x19, vectors and MMU. No Rust runs before this.
set_up:
    ldr     x0, =vectors
    msr     vbar_el2, x0
    mov     x0, #(1 << 31)                  // HCR_EL2.RW
    msr     hcr_el2, x0
    own_stack x19, {STACK_SIZE}
    ldr     x0, ={MAIR}
    msr     mair_el2, x0
    ldr     x0, ={TCR}
    msr     tcr_el2, x0
    ldr     x0, ={LEVEL_1}
    msr     ttbr0_el2, x0
    isb
    tlbi    alle2
    dsb     sy
    isb
    ldr     x0, ={SCTLR}
    msr     sctlr_el2, x0
    isb
    ret
    .pool

    .text
    .balign 2048
vectors:
    unexpected host_unexpected, 0x000, 0x080, 0x100, 0x180

// A probe that faults resumes after its access with the syndrome in x1. Probes do not need x2 and
// x3.
    .balign 128
    mrs     x2, elr_el2
    ldr     x3, =probe_load
    cmp     x2, x3
    b.eq    3f
    ldr     x3, =probe_store
    cmp     x2, x3
    b.eq    3f
    mov     x0, #0x200
    bl      host_unexpected
3:  add     x2, x2, #4
    msr     elr_el2, x2
    mrs     x1, esr_el2
    eret

    unexpected host_unexpected, 0x280, 0x300, 0x380, 0x400
    unexpected host_unexpected, 0x480, 0x500, 0x580, 0x600
    unexpected host_unexpected, 0x680, 0x700, 0x780

// x0 = address. Returns x0 = the word, x1 = 0, or x1 = the syndrome of the fault.
    .global host_probe_read
host_probe_read:
    mov     x1, #0
probe_load:
    ldr     x0, [x0]
    ret

// x0 = address, x1 = value. Returns x1 = 0, or x1 = the syndrome of the fault.
    .global host_probe_write
host_probe_write:
    mov     x2, x1
    mov     x1, #0
probe_store:
    str     x2, [x0]
    ret

// x0 = array of 31 words. Loads x0-x30 from it, makes an SMC, and stores them there again.
// Preserves the caller's registers.
    .global host_smc
host_smc:
    smc_with_all_registers

    .section .uncleared, "aw", %nobits
    .balign 16
stacks:
    .space  {MAX_CPUS} * {STACK_SIZE}
