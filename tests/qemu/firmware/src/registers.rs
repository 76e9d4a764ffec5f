// SPDX-License-Identifier: BSD-3-Clause
//! System-register access by name. If the assembler does not know it, it is `s3_4_c2_c0_1`.

/// Reads the named system register.
#[macro_export]
macro_rules! read_register {
    ($name:literal) => {{
        let value: u64;
        // SAFETY: reading a system register changes nothing. The images run at an exception level
        // that may read the registers they name.
        unsafe {
            core::arch::asm!(
                concat!("mrs {}, ", $name), out(reg) value, options(nomem, nostack, preserves_flags)
            )
        };
        value
    }};
}

/// Writes the named system register. The compiler does not move memory accesses across it.
///
/// Expands to an unsafe operation: the caller is responsible for the effects of the new value.
#[macro_export]
macro_rules! write_register {
    ($name:literal, $value:expr) => {{
        let value: u64 = $value;
        core::arch::asm!(
            concat!("msr ", $name, ", {}"),
            in(reg) value,
            options(nostack, preserves_flags)
        )
    }};
}

/// Lists registers that neither the host at EL2 nor the payload at EL1 uses, with the bits that can
/// hold any value. Calls the macro `$list` with them, followed by registers of its own.
#[macro_export]
macro_rules! unused_registers {
    ($list:ident { $($own:tt)* }) => {
        $list! {
            "sp_el0" & 0xffff_ffff_ffff_ffff,
            "tpidr_el0" & 0xffff_ffff_ffff_ffff,
            "tpidrro_el0" & 0xffff_ffff_ffff_ffff,
            "csselr_el1" & 0x3,
            "ttbr0_el1" & 0xffff_ffff_ffff_fffe,
            "ttbr1_el1" & 0xffff_ffff_ffff_fffe,
            "far_el1" & 0xffff_ffff_ffff_ffff,
            "mair_el1" & 0xffff_ffff_ffff_ffff,
            "contextidr_el1" & 0xffff_ffff,
            "cntkctl_el1" & 0x3ff,
            "cntp_cval_el0" & 0xffff_ffff_ffff_ffff,
            "cntv_cval_el0" & 0xffff_ffff_ffff_ffff,
            "s3_0_c2_c1_0" & 0xffff_ffff_ffff_ffff,
            "s3_0_c2_c1_1" & 0xffff_ffff_ffff_ffff,
            "s3_0_c2_c1_2" & 0xffff_ffff_ffff_ffff,
            "s3_0_c2_c1_3" & 0xffff_ffff_ffff_ffff,
            "s3_0_c2_c2_0" & 0xffff_ffff_ffff_ffff,
            "s3_0_c2_c2_1" & 0xffff_ffff_ffff_ffff,
            "s3_0_c2_c2_2" & 0xffff_ffff_ffff_ffff,
            "s3_0_c2_c2_3" & 0xffff_ffff_ffff_ffff,
            "s3_0_c2_c3_0" & 0xffff_ffff_ffff_ffff,
            "s3_0_c2_c3_1" & 0xffff_ffff_ffff_ffff,
            $($own)*
        }
    };
}

/// The linear CPU index of this platform: affinity level 1 times 16 plus affinity level 0.
#[must_use]
pub const fn linear_index(mpidr: u64) -> u64 {
    ((mpidr >> 8) & 0xff) * 16 + (mpidr & 0xff)
}

/// The MPIDR affinity fields of the CPU with this linear index.
#[must_use]
pub const fn affinity(index: u64) -> u64 {
    ((index / 16) << 8) | (index % 16)
}

/// The linear index of the CPU this runs on.
#[must_use]
pub fn linear_index_of_this_cpu() -> u64 {
    linear_index(read_register!("mpidr_el1"))
}
