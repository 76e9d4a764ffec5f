// SPDX-License-Identifier: BSD-3-Clause
//
// Fills the SIMD registers, and stores them for checks that they are preserved.

    .arch_extension sve

    .macro  every_z what
    .irp    number, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    \what   \number
    .endr
    .irp    number, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    \what   \number
    .endr
    .endm

    .macro  fill number
    add     x0, x0, #(\number + 1)
    index   z\number\().b, w0, #3
    .endm

    .macro  show number
    str     z\number, [x0, #\number, mul vl]
    .endm

    .text
// x0 = first of the numbers. Fills all vectors, predicates, and outside streaming mode (x1 = 0)
// FFR.
    .global simd_fill
simd_fill:
    every_z fill
    ptrue   p7.b
    .irp    number, 0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15
    cmpgt   p\number\().b, p7/z, z\number\().b, #\number
    .endr
    cbnz    x1, 1f
    wrffr   p3.b
1:  ret

// x0 = room for 32 vectors of 256 bytes, x1 = room for 17 predicates of 32 bytes, x2 = x1 of
// simd_fill.
    .global simd_show
simd_show:
    every_z show
    mov     x0, x1
    .irp    number, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    str     p\number, [x0, #\number, mul vl]
    .endr
    cbnz    x2, 1f
    rdffr   p0.b
    str     p0, [x0, #16, mul vl]
    ldr     p0, [x0]
1:  ret
