// SPDX-License-Identifier: BSD-3-Clause
//! SMCs with every general register checked.

use rmm_test_firmware::realm_protocol::CALL_REGISTERS;

/// X0 to X30.
const REGISTERS: usize = 31;

unsafe extern "C" {
    fn realm_smc(registers: *mut [u64; REGISTERS]);
}

/// Calls with these values in X0 and up, and marks in all other registers. Gives the registers
/// before and after.
fn smc(x: &[u64]) -> ([u64; REGISTERS], [u64; REGISTERS]) {
    const MARK: u64 = 0x5ea1_0000_0000_0000;
    let mut registers: [u64; REGISTERS] = core::array::from_fn(|index| MARK | index as u64);
    for (register, value) in registers.iter_mut().zip(x) {
        *register = *value;
    }
    let passed = registers;
    // SAFETY: the routine preserves the registers that it must. A call changes only memory that the
    // caller passes in its arguments, which it has borrowed.
    unsafe { realm_smc(&raw mut registers) };
    (passed, registers)
}

/// Calls with these values in X0 and up. Gives X0 to X17 after the call, and how many of X18 to X30
/// have changed.
pub fn call_with(x: &[u64]) -> ([u64; CALL_REGISTERS], u64) {
    let (passed, returned) = smc(x);
    let changed = passed.iter().zip(&returned).skip(CALL_REGISTERS).filter(|(was, is)| was != is);
    let changed = changed.count() as u64;
    (core::array::from_fn(|index| returned[index]), changed)
}

/// Calls a function. Gives X0 and up after the call.
pub fn call(function: u32, arguments: &[u64]) -> [u64; 9] {
    let mut x = [0; 11];
    let [x0, rest @ ..] = &mut x;
    *x0 = u64::from(function);
    let given = arguments.len().min(rest.len());
    rest[..given].copy_from_slice(&arguments[..given]);
    let (_, returned) = smc(&x[..=given]);
    core::array::from_fn(|index| returned[index])
}
