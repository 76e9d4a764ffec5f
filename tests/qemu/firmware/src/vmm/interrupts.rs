// SPDX-License-Identifier: BSD-3-Clause
//! Moves virtual interrupts to a REC and back: in its run page (RMI 1.0), or in the CPU's
//! registers, which the monitor writes before an entry and reads after it (RMI 2.0).

use core::arch::asm;
use core::mem::offset_of;

use rmm_abi::rmi_v1::{RecEnter, RecExit, RmiRecRun};
use rmm_test_firmware::{read_register, write_register};

use crate::gic::MAX_LRS;
use crate::rmi::{self, Dialect};
use crate::vcpu::RunPage;

/// ICH_HCR_EL2.En.
const ENABLED: u64 = 1 << 0;
/// ICH_HCR_EL2.UIE: an interrupt has found no list register.
const UNDERFLOW: u64 = 1 << 1;

/// The number of list registers.
pub fn count_list_registers() -> usize {
    let less_one = match Dialect::current() {
        Dialect::One => rmi::features(0).1 >> 34 & 0xf,
        // ICH_VTR_EL2.ListRegs.
        Dialect::Two => read_register!("s3_4_c12_c11_1") & 0x1f,
    };
    (less_one as usize + 1).min(MAX_LRS)
}

/// Reads and writes list registers by number.
macro_rules! list_registers {
    ($($number:literal $name:literal),*) => {
        fn read_list(number: usize) -> u64 {
            match number {
                $($number => read_register!($name),)*
                _ => 0,
            }
        }

        fn write_list(number: usize, value: u64) {
            match number {
                // SAFETY: virtual interrupts affect only a REC, and this CPU runs none now.
                $($number => unsafe { write_register!($name, value) },)*
                _ => {}
            }
        }
    };
}

list_registers! {
    0 "s3_4_c12_c12_0", 1 "s3_4_c12_c12_1", 2 "s3_4_c12_c12_2", 3 "s3_4_c12_c12_3",
    4 "s3_4_c12_c12_4", 5 "s3_4_c12_c12_5", 6 "s3_4_c12_c12_6", 7 "s3_4_c12_c12_7",
    8 "s3_4_c12_c13_0", 9 "s3_4_c12_c13_1", 10 "s3_4_c12_c13_2", 11 "s3_4_c12_c13_3",
    12 "s3_4_c12_c13_4", 13 "s3_4_c12_c13_5", 14 "s3_4_c12_c13_6", 15 "s3_4_c12_c13_7"
}

/// The state of a REC's virtual CPU interface between two runs, in RMI 2.0.
#[derive(Default)]
pub struct Interface {
    /// ICH_VMCR_EL2.
    control: u64,
    /// ICH_AP0R0_EL2 and ICH_AP1R0_EL2: the machine has 32 priorities.
    active: [u64; 2],
}

impl Interface {
    /// Passes list registers to the REC before an entry.
    pub fn load(&self, run: RunPage, lists: &[u64], underflow: bool) {
        let control = if underflow { UNDERFLOW } else { 0 };
        if Dialect::current() == Dialect::One {
            run.write(offset_of!(RecEnter, gicv3_hcr), control);
            for (number, value) in lists.iter().enumerate() {
                run.write(offset_of!(RecEnter, gicv3_lrs) + number * 8, *value);
            }
            return;
        }
        for (number, value) in lists.iter().enumerate() {
            write_list(number, *value);
        }
        // SAFETY: as in `write_list`.
        unsafe {
            write_register!("s3_4_c12_c11_7", self.control);
            write_register!("s3_4_c12_c8_0", self.active[0]);
            write_register!("s3_4_c12_c9_0", self.active[1]);
            write_register!("s3_4_c12_c11_0", ENABLED | control);
            asm!("isb", options(nostack, preserves_flags));
        }
    }

    /// Reads them after a run. Gives false if the RMM has left the interface on.
    pub fn store(&mut self, run: RunPage, lists: &mut [u64]) -> bool {
        if Dialect::current() == Dialect::One {
            const EXIT: usize = offset_of!(RmiRecRun, exit) + offset_of!(RecExit, gicv3_lrs);
            for (number, value) in lists.iter_mut().enumerate() {
                *value = run.read(EXIT + number * 8);
            }
            return true;
        }
        for (number, value) in lists.iter_mut().enumerate() {
            *value = read_list(number);
        }
        self.control = read_register!("s3_4_c12_c11_7");
        self.active = [read_register!("s3_4_c12_c8_0"), read_register!("s3_4_c12_c9_0")];
        read_register!("s3_4_c12_c11_0") & ENABLED == 0
    }
}
