// SPDX-License-Identifier: BSD-3-Clause
//
// SHA-256 and SHA-512 by the instructions of FEAT_SHA256 and FEAT_SHA512 (FIPS 180-4).
//
// The SIMD registers belong to the host or a Realm: the functions save those that they use on the
// stack. If the CPU has SVE they save whole Z registers at the current length, since a write to V
// clears the upper bits of Z.
//
// Both take x0 = the state, x1 = blocks, x2 = number of blocks, not 0, x3 = 1 if the CPU has SVE,
// else 0.

    .arch_extension fp
    .arch_extension simd
    .arch_extension sve
    .arch_extension sha2
    .arch_extension sha3

// Stores or loads the vectors that a function uses: 0 to 7 and 16 to \last.
    .macro  sha2_z operation, last
    .irp    number, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27
    .if     \number < 8
    \operation z\number, [sp, #\number, mul vl]
    .elseif \number <= \last
    \operation z\number, [sp, #(\number - 8), mul vl]
    .endif
    .endr
    .endm

    .macro  sha2_q operation, last
    .irp    number, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27
    .if     \number < 8
    \operation q\number, [sp, #(16 * \number)]
    .elseif \number <= \last
    \operation q\number, [sp, #(16 * (\number - 8))]
    .endif
    .endr
    .endm

    .macro  keep_vectors count, last
    cbz     x3, 1f
    addvl   sp, sp, #-\count
    sha2_z  str, \last
    b       2f
1:  sub     sp, sp, #(16 * \count)
    sha2_q  str, \last
2:
    .endm

    .macro  give_back_vectors count, last
    cbz     x3, 1f
    sha2_z  ldr, \last
    addvl   sp, sp, #\count
    b       2f
1:  sha2_q  ldr, \last
    add     sp, sp, #(16 * \count)
2:
    .endm

// Four rounds of SHA-256: v0 = a to d, v1 = e to h. \m0 holds the message words of these rounds,
// \m1 to \m3 the twelve after them. If \more is 1, \m0 gets the words for 16 rounds later.
    .macro  quad m0, m1, m2, m3, k, more
    add     v2.4s, v\m0\().4s, v\k\().4s
    .if     \more
    sha256su0 v\m0\().4s, v\m1\().4s
    .endif
    mov     v3.16b, v0.16b
    sha256h q0, q1, v2.4s
    sha256h2 q1, q3, v2.4s
    .if     \more
    sha256su1 v\m0\().4s, v\m2\().4s, v\m3\().4s
    .endif
    .endm

// Two rounds of SHA-512: a and b in \ab and so on. Afterwards \gh holds a and b, \free e and f. \m0
// holds the message words of these rounds. If \more is 1, \m0 gets the words for 16 rounds later,
// made from the other message operands.
    .macro  pair ab, cd, ef, gh, free, m0, m1, m4, m5, m7, k, more
    add     v5.2d, v\m0\().2d, v\k\().2d
    ext     v6.16b, v\ef\().16b, v\gh\().16b, #8
    ext     v5.16b, v5.16b, v5.16b, #8
    ext     v7.16b, v\cd\().16b, v\ef\().16b, #8
    add     v\gh\().2d, v\gh\().2d, v5.2d
    .if     \more
    sha512su0 v\m0\().2d, v\m1\().2d
    ext     v5.16b, v\m4\().16b, v\m5\().16b, #8
    sha512su1 v\m0\().2d, v\m7\().2d, v5.2d
    .endif
    sha512h q\gh, q6, v7.2d
    add     v\free\().2d, v\cd\().2d, v\gh\().2d
    sha512h2 q\gh, q\cd, v\ab\().2d
    .endm

    .section .text.sha2, "ax"
    .global sha256_compress
sha256_compress:
    keep_vectors 12, 19
    ld1     {v0.4s, v1.4s}, [x0]
3:  adrp    x4, sha256_constants
    add     x4, x4, :lo12:sha256_constants
    ld1     {v4.16b-v7.16b}, [x1], #64
    rev32   v4.16b, v4.16b
    rev32   v5.16b, v5.16b
    rev32   v6.16b, v6.16b
    rev32   v7.16b, v7.16b
    ld1     {v16.4s-v19.4s}, [x4], #64
    quad    4, 5, 6, 7, 16, 1
    quad    5, 6, 7, 4, 17, 1
    quad    6, 7, 4, 5, 18, 1
    quad    7, 4, 5, 6, 19, 1
    ld1     {v16.4s-v19.4s}, [x4], #64
    quad    4, 5, 6, 7, 16, 1
    quad    5, 6, 7, 4, 17, 1
    quad    6, 7, 4, 5, 18, 1
    quad    7, 4, 5, 6, 19, 1
    ld1     {v16.4s-v19.4s}, [x4], #64
    quad    4, 5, 6, 7, 16, 1
    quad    5, 6, 7, 4, 17, 1
    quad    6, 7, 4, 5, 18, 1
    quad    7, 4, 5, 6, 19, 1
    ld1     {v16.4s-v19.4s}, [x4], #64
    quad    4, 5, 6, 7, 16, 0
    quad    5, 6, 7, 4, 17, 0
    quad    6, 7, 4, 5, 18, 0
    quad    7, 4, 5, 6, 19, 0
    ld1     {v4.4s, v5.4s}, [x0]
    add     v0.4s, v0.4s, v4.4s
    add     v1.4s, v1.4s, v5.4s
    st1     {v0.4s, v1.4s}, [x0]
    subs    x2, x2, #1
    b.ne    3b
    give_back_vectors 12, 19
    ret

    .global sha512_compress
sha512_compress:
    keep_vectors 20, 27
    ld1     {v0.2d-v3.2d}, [x0]
3:  adrp    x4, sha512_constants
    add     x4, x4, :lo12:sha512_constants
    ld1     {v16.16b-v19.16b}, [x1], #64
    ld1     {v20.16b-v23.16b}, [x1], #64
    .irp    number, 16, 17, 18, 19, 20, 21, 22, 23
    rev64   v\number\().16b, v\number\().16b
    .endr
    ld1     {v24.2d-v27.2d}, [x4], #64
    pair    0, 1, 2, 3, 4, 16, 17, 20, 21, 23, 24, 1
    pair    3, 0, 4, 2, 1, 17, 18, 21, 22, 16, 25, 1
    pair    2, 3, 1, 4, 0, 18, 19, 22, 23, 17, 26, 1
    pair    4, 2, 0, 1, 3, 19, 20, 23, 16, 18, 27, 1
    ld1     {v24.2d-v27.2d}, [x4], #64
    pair    1, 4, 3, 0, 2, 20, 21, 16, 17, 19, 24, 1
    pair    0, 1, 2, 3, 4, 21, 22, 17, 18, 20, 25, 1
    pair    3, 0, 4, 2, 1, 22, 23, 18, 19, 21, 26, 1
    pair    2, 3, 1, 4, 0, 23, 16, 19, 20, 22, 27, 1
    ld1     {v24.2d-v27.2d}, [x4], #64
    pair    4, 2, 0, 1, 3, 16, 17, 20, 21, 23, 24, 1
    pair    1, 4, 3, 0, 2, 17, 18, 21, 22, 16, 25, 1
    pair    0, 1, 2, 3, 4, 18, 19, 22, 23, 17, 26, 1
    pair    3, 0, 4, 2, 1, 19, 20, 23, 16, 18, 27, 1
    ld1     {v24.2d-v27.2d}, [x4], #64
    pair    2, 3, 1, 4, 0, 20, 21, 16, 17, 19, 24, 1
    pair    4, 2, 0, 1, 3, 21, 22, 17, 18, 20, 25, 1
    pair    1, 4, 3, 0, 2, 22, 23, 18, 19, 21, 26, 1
    pair    0, 1, 2, 3, 4, 23, 16, 19, 20, 22, 27, 1
    ld1     {v24.2d-v27.2d}, [x4], #64
    pair    3, 0, 4, 2, 1, 16, 17, 20, 21, 23, 24, 1
    pair    2, 3, 1, 4, 0, 17, 18, 21, 22, 16, 25, 1
    pair    4, 2, 0, 1, 3, 18, 19, 22, 23, 17, 26, 1
    pair    1, 4, 3, 0, 2, 19, 20, 23, 16, 18, 27, 1
    ld1     {v24.2d-v27.2d}, [x4], #64
    pair    0, 1, 2, 3, 4, 20, 21, 16, 17, 19, 24, 1
    pair    3, 0, 4, 2, 1, 21, 22, 17, 18, 20, 25, 1
    pair    2, 3, 1, 4, 0, 22, 23, 18, 19, 21, 26, 1
    pair    4, 2, 0, 1, 3, 23, 16, 19, 20, 22, 27, 1
    ld1     {v24.2d-v27.2d}, [x4], #64
    pair    1, 4, 3, 0, 2, 16, 17, 20, 21, 23, 24, 1
    pair    0, 1, 2, 3, 4, 17, 18, 21, 22, 16, 25, 1
    pair    3, 0, 4, 2, 1, 18, 19, 22, 23, 17, 26, 1
    pair    2, 3, 1, 4, 0, 19, 20, 23, 16, 18, 27, 1
    ld1     {v24.2d-v27.2d}, [x4], #64
    pair    4, 2, 0, 1, 3, 20, 21, 16, 17, 19, 24, 1
    pair    1, 4, 3, 0, 2, 21, 22, 17, 18, 20, 25, 1
    pair    0, 1, 2, 3, 4, 22, 23, 18, 19, 21, 26, 1
    pair    3, 0, 4, 2, 1, 23, 16, 19, 20, 22, 27, 1
    ld1     {v24.2d-v27.2d}, [x4], #64
    pair    2, 3, 1, 4, 0, 16, 17, 20, 21, 23, 24, 0
    pair    4, 2, 0, 1, 3, 17, 18, 21, 22, 16, 25, 0
    pair    1, 4, 3, 0, 2, 18, 19, 22, 23, 17, 26, 0
    pair    0, 1, 2, 3, 4, 19, 20, 23, 16, 18, 27, 0
    ld1     {v24.2d-v27.2d}, [x4], #64
    pair    3, 0, 4, 2, 1, 20, 21, 16, 17, 19, 24, 0
    pair    2, 3, 1, 4, 0, 21, 22, 17, 18, 20, 25, 0
    pair    4, 2, 0, 1, 3, 22, 23, 18, 19, 21, 26, 0
    pair    1, 4, 3, 0, 2, 23, 16, 19, 20, 22, 27, 0
    ld1     {v16.2d-v19.2d}, [x0]
    add     v0.2d, v0.2d, v16.2d
    add     v1.2d, v1.2d, v17.2d
    add     v2.2d, v2.2d, v18.2d
    add     v3.2d, v3.2d, v19.2d
    st1     {v0.2d-v3.2d}, [x0]
    subs    x2, x2, #1
    b.ne    3b
    give_back_vectors 20, 27
    ret

    .section .rodata.sha2, "a"
    .balign 64
sha256_constants:
    .word   0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5
    .word   0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174
    .word   0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da
    .word   0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967
    .word   0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85
    .word   0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070
    .word   0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3
    .word   0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2
sha512_constants:
    .quad   0x428a2f98d728ae22, 0x7137449123ef65cd, 0xb5c0fbcfec4d3b2f, 0xe9b5dba58189dbbc
    .quad   0x3956c25bf348b538, 0x59f111f1b605d019, 0x923f82a4af194f9b, 0xab1c5ed5da6d8118
    .quad   0xd807aa98a3030242, 0x12835b0145706fbe, 0x243185be4ee4b28c, 0x550c7dc3d5ffb4e2
    .quad   0x72be5d74f27b896f, 0x80deb1fe3b1696b1, 0x9bdc06a725c71235, 0xc19bf174cf692694
    .quad   0xe49b69c19ef14ad2, 0xefbe4786384f25e3, 0x0fc19dc68b8cd5b5, 0x240ca1cc77ac9c65
    .quad   0x2de92c6f592b0275, 0x4a7484aa6ea6e483, 0x5cb0a9dcbd41fbd4, 0x76f988da831153b5
    .quad   0x983e5152ee66dfab, 0xa831c66d2db43210, 0xb00327c898fb213f, 0xbf597fc7beef0ee4
    .quad   0xc6e00bf33da88fc2, 0xd5a79147930aa725, 0x06ca6351e003826f, 0x142929670a0e6e70
    .quad   0x27b70a8546d22ffc, 0x2e1b21385c26c926, 0x4d2c6dfc5ac42aed, 0x53380d139d95b3df
    .quad   0x650a73548baf63de, 0x766a0abb3c77b2a8, 0x81c2c92e47edaee6, 0x92722c851482353b
    .quad   0xa2bfe8a14cf10364, 0xa81a664bbc423001, 0xc24b8b70d0f89791, 0xc76c51a30654be30
    .quad   0xd192e819d6ef5218, 0xd69906245565a910, 0xf40e35855771202a, 0x106aa07032bbd1b8
    .quad   0x19a4c116b8d2d0c8, 0x1e376c085141ab53, 0x2748774cdf8eeb99, 0x34b0bcb5e19b48a8
    .quad   0x391c0cb3c5c95a63, 0x4ed8aa4ae3418acb, 0x5b9cca4f7763e373, 0x682e6ff3d6b2b8a3
    .quad   0x748f82ee5defb2fc, 0x78a5636f43172f60, 0x84c87814a1f0ab72, 0x8cc702081a6439ec
    .quad   0x90befffa23631e28, 0xa4506cebde82bde9, 0xbef9a3f7b2c67915, 0xc67178f2e372532b
    .quad   0xca273eceea26619c, 0xd186b8c721c0c207, 0xeada7dd6cde0eb1e, 0xf57d4f7fee6ed178
    .quad   0x06f067aa72176fba, 0x0a637dc5a2c898a6, 0x113f9804bef90dae, 0x1b710b35131c471b
    .quad   0x28db77f523047d84, 0x32caab7b40c72493, 0x3c9ebe0a15c9bebc, 0x431d67c49c100d4c
    .quad   0x4cc5d4becb3e42b6, 0x597f299cfc657e2a, 0x5fcb6fab3ad6faec, 0x6c44198c4a475817

    .arch_extension nosha3
    .arch_extension nosha2
    .arch_extension nosve
