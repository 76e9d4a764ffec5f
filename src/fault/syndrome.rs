// SPDX-License-Identifier: BSD-3-Clause
//! An exception syndrome, ESR_EL2, in words (Arm ARM D24.2.40). Pure: it formats a number.

use core::fmt;

/// A value of ESR_EL2 of a synchronous exception or SError; `Display` says what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Syndrome(pub u64);

impl Syndrome {
    /// EC, bits 31:26.
    const fn class(self) -> u64 {
        self.0 >> 26 & 0x3F
    }

    const fn bit(self, number: u32) -> bool {
        self.0 >> number & 1 != 0
    }
}

impl Syndrome {
    /// Whether it is an instruction or data abort, so that FAR_EL2 is about it.
    pub const fn is_abort(self) -> bool {
        matches!(self.class(), 0x20 | 0x21 | 0x24 | 0x25)
    }

    /// Whether it is an abort because nothing is mapped at the address, at whatever level.
    pub const fn is_translation_fault(self) -> bool {
        self.is_abort() && matches!(self.0 & 0x3F, 0x04..=0x07 | 0x2A | 0x2B)
    }
}

impl fmt::Display for Syndrome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(name) = class_name(self.class()) else {
            return write!(f, "reserved exception class {:#04x}", self.class());
        };
        f.write_str(name)?;
        match self.class() {
            0x0D => write!(f, " with BTYPE {}", self.0 & 0b11),
            0x1C => {
                let address = if self.bit(1) { "data" } else { "instruction" };
                let key = if self.bit(0) { 'B' } else { 'A' };
                write!(f, " with {address} key {key}")
            }
            0x20 | 0x21 => self.abort(f),
            0x24 | 0x25 => {
                self.abort(f)?;
                f.write_str(match (self.bit(8), self.bit(6)) {
                    (true, _) => ", by cache maintenance or address translation",
                    (false, true) => ", by a write",
                    (false, false) => ", by a read",
                })
            }
            0x3C => write!(f, " with immediate {:#x}", self.0 & 0xFFFF),
            _ => Ok(()),
        }
    }
}

impl Syndrome {
    /// What instruction and data aborts have in common: fault status, bits 5:0, S1PTW, bit 7, and
    /// FnV, bit 10.
    fn abort(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, ", {}", FaultStatus(self.0 & 0x3F))?;
        if self.bit(7) {
            f.write_str(", on a stage 2 translation for a stage 1 walk")?;
        }
        // FnV means something for one fault status only: a synchronous External abort that is not
        // on a walk.
        if self.0 & 0x3F == 0x10 && self.bit(10) {
            f.write_str(", FAR not valid")?;
        }
        Ok(())
    }
}

/// The name of an exception class; `None` for a reserved one.
const fn class_name(class: u64) -> Option<&'static str> {
    Some(match class {
        0x00 => "undefined instruction or unknown reason",
        0x01 => "trapped WFI or WFE",
        0x03 => "trapped MCR or MRC, coprocessor 15",
        0x04 => "trapped MCRR or MRRC, coprocessor 15",
        0x05 => "trapped MCR or MRC, coprocessor 14",
        0x06 => "trapped LDC or STC",
        0x07 => "trapped SVE, Advanced SIMD or floating-point access",
        0x08 => "trapped VMRS",
        0x09 => "trapped pointer authentication",
        0x0A => "trapped instruction of another class",
        0x0C => "trapped MRRC, coprocessor 14",
        0x0D => "branch target exception (BTI)",
        0x0E => "illegal execution state",
        0x11 => "SVC in AArch32",
        0x12 => "HVC in AArch32",
        0x13 => "SMC in AArch32",
        0x14 => "trapped MSRR, MRRS or 128-bit system instruction",
        0x15 => "SVC in AArch64",
        0x16 => "HVC in AArch64",
        0x17 => "SMC in AArch64",
        0x18 => "trapped MSR, MRS or system instruction",
        0x19 => "trapped SVE access",
        0x1A => "trapped ERET",
        0x1B => "TSTART exception",
        0x1C => "pointer authentication failure (FPAC)",
        0x1D => "trapped SME access",
        0x1E => "granule protection check exception",
        0x1F => "IMPLEMENTATION DEFINED exception to EL3",
        0x20 => "instruction abort from a lower EL",
        0x21 => "instruction abort from the current EL",
        0x22 => "PC alignment fault",
        0x24 => "data abort from a lower EL",
        0x25 => "data abort from the current EL",
        0x26 => "SP alignment fault",
        0x27 => "memory operation exception",
        0x28 => "floating-point exception in AArch32",
        0x2C => "floating-point exception in AArch64",
        0x2D => "Guarded Control Stack exception",
        0x2F => "SError",
        0x30 => "breakpoint from a lower EL",
        0x31 => "breakpoint from the current EL",
        0x32 => "software step from a lower EL",
        0x33 => "software step from the current EL",
        0x34 => "watchpoint from a lower EL",
        0x35 => "watchpoint from the current EL",
        0x38 => "BKPT instruction in AArch32",
        0x3A => "vector catch in AArch32",
        0x3C => "BRK instruction",
        0x3D => "PMU exception",
        _ => return None,
    })
}

/// A fault status code, IFSC or DFSC, less than 64.
struct FaultStatus(u64);

impl fmt::Display for FaultStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Levels 0 to 3 are the two low bits; the levels below 0 came later and have codes of their
        // own.
        let level = self.0 & 0b11;
        match self.0 {
            0x00..=0x03 => write!(f, "address size fault at level {level}"),
            0x04..=0x07 => write!(f, "translation fault at level {level}"),
            0x08..=0x0B => write!(f, "access flag fault at level {level}"),
            0x0C..=0x0F => write!(f, "permission fault at level {level}"),
            0x10 => f.write_str("synchronous External abort"),
            0x11 => f.write_str("synchronous tag check fault"),
            0x12 => f.write_str("synchronous External abort on a walk at level -2"),
            0x13 => f.write_str("synchronous External abort on a walk at level -1"),
            0x14..=0x17 => write!(f, "synchronous External abort on a walk at level {level}"),
            0x18 => f.write_str("synchronous parity or ECC error"),
            0x1A => f.write_str("synchronous parity or ECC error on a walk at level -2"),
            0x1B => f.write_str("synchronous parity or ECC error on a walk at level -1"),
            0x1C..=0x1F => write!(f, "synchronous parity or ECC error on a walk at level {level}"),
            0x21 => f.write_str("alignment fault"),
            0x22 => f.write_str("Granule Protection Fault on a walk at level -2"),
            0x23 => f.write_str("Granule Protection Fault on a walk at level -1"),
            0x24..=0x27 => write!(f, "Granule Protection Fault on a walk at level {level}"),
            0x28 => f.write_str("Granule Protection Fault"),
            0x29 => f.write_str("address size fault at level -1"),
            0x2A => f.write_str("translation fault at level -2"),
            0x2B => f.write_str("translation fault at level -1"),
            0x2C => f.write_str("address size fault at level -2"),
            0x30 => f.write_str("TLB conflict"),
            0x31 => f.write_str("unsupported atomic hardware update"),
            0x34 => f.write_str("IMPLEMENTATION DEFINED fault (lockdown)"),
            0x35 => {
                f.write_str("IMPLEMENTATION DEFINED fault (unsupported exclusive or atomic access)")
            }
            code => write!(f, "reserved fault status {code:#04x}"),
        }
    }
}

#[cfg(test)]
mod tests;
