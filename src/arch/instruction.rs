// SPDX-License-Identifier: BSD-3-Clause
//! The macro behind every one-instruction function of `arch`.
//!
//! It takes the instruction's text once: the target assembles it, and a host hands the same text to
//! the fake hardware.

/// Defines functions of one instruction each, without an operand or with one 64-bit register
/// operand, and the extension that the assembler must know of, if it is not of the base.
///
/// The instruction is assembled without `nomem`, so it is a compiler barrier as well: the compiler
/// moves no memory access across it.
macro_rules! instructions {
    ($(
        $(#[$doc:meta])*
        fn $name:ident($($operand:ident: u64)?) = $text:literal $(of $extension:literal)?;
    )*) => {$(
        $(#[$doc])*
        pub fn $name($($operand: u64)?) {
            #[cfg(target_os = "none")]
            // SAFETY: barriers and maintenance by address change no memory content and no register
            // the compiler knows of; what they order or invalidate is stated by each caller.
            unsafe {
                core::arch::asm!(
                    concat!(
                        $(".arch_extension ", $extension, "\n",)?
                        $text $(, ", {", stringify!($operand), "}")?
                    ),
                    $($operand = in(reg) $operand,)?
                    options(nostack, preserves_flags)
                )
            };
            #[cfg(not(target_os = "none"))]
            $crate::host::execute($text, $crate::arch::instruction::operand!($($operand)?));
        }
    )*};
}

/// The operand as an `Option`.
#[cfg(not(target_os = "none"))]
macro_rules! operand {
    () => {
        None
    };
    ($operand:ident) => {
        Some($operand)
    };
}

pub(super) use instructions;
#[cfg(not(target_os = "none"))]
pub(super) use operand;
