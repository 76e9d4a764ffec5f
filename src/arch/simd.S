// SPDX-License-Identifier: BSD-3-Clause
//
// Saving and loading the SIMD registers. The image is compiled without them: no compiled code uses
// them. The caller has opened their traps.

    .arch_extension fp
    .arch_extension simd
    .arch_extension sve

    .macro  each_pair what, base
    .irp    pair, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
    .altmacro
    one_pair \what, \base, \pair, %(\pair + 1)
    .noaltmacro
    .endr
    .endm

    .macro  one_pair what, base, first, second
    \what   q\first, q\second, [\base, #(\first * 16)]
    .endm

    .macro  each_z what
    .irp    number, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    \what   z\number, [x0, #\number, mul vl]
    .endr
    .altmacro
    .irp    number, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    upper_z \what, %(\number + 16), \number
    .endr
    .noaltmacro
    .endm

    .macro  upper_z what, register, number
    \what   z\register, [x1, #\number, mul vl]
    .endm

    .macro  each_p what
    .irp    number, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    \what   p\number, [x0, #\number, mul vl]
    .endr
    .endm

    .section .text.simd, "ax"
// x0 = 32 vectors of 16 bytes.
    .global simd_save_v
simd_save_v:
    each_pair stp, x0
    ret

    .global simd_load_v
simd_load_v:
    each_pair ldp, x0
    ret

// x0 = Z0 to Z15, x1 = Z16 to Z31, contiguous at the current length.
    .global simd_save_z
simd_save_z:
    each_z  str
    ret

    .global simd_load_z
simd_load_z:
    each_z  ldr
    ret

// x0 = 16 predicates, contiguous at the current length.
    .global simd_save_p
simd_save_p:
    each_p  str
    ret

    .global simd_load_p
simd_load_p:
    each_p  ldr
    ret

// x0 = a predicate: the First Fault Register. Clobbers P0.
    .global simd_save_ffr
simd_save_ffr:
    rdffr   p0.b
    str     p0, [x0]
    ret

    .global simd_load_ffr
simd_load_ffr:
    ldr     p0, [x0]
    wrffr   p0.b
    ret

// Zeroes all predicates and the First Fault Register.
    .global simd_clear_p
simd_clear_p:
    .irp    number, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    pfalse  p\number\().b
    .endr
    wrffr   p0.b
    ret

// Returns the bytes of a vector.
    .global simd_vector_bytes
simd_vector_bytes:
    rdvl    x0, #1
    ret

    .arch_extension nosve
