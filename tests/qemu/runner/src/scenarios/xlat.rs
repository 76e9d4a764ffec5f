// SPDX-License-Identifier: BSD-3-Clause
//! The translation tables library by itself: the MMU walks its tables, and its instructions are
//! counted.

use crate::scenario::Scenario;

/// Regimes, VA sizes from 21 to 52 bits, and both descriptor formats; then the cost of operations.
pub fn xlat() -> Vec<Scenario> {
    let sentence = "in EL3, EL2&0, EL2 and EL1&0, with and without LPA2, every access meets what \
                    was mapped, changed or unmapped before it, and the walker finds what the \
                    library says";
    let mut regimes = Scenario::new("xlat-regimes", "regimes", sentence).xlat_image();
    for regime in ["EL3", "EL2&0", "EL2", "EL1&0"] {
        regimes = regimes
            .expect(format!("^-- {regime} Low VA range of 48 bits, Bits48, from level 0$"))
            .expect(format!("^-- {regime} Low VA range of 52 bits, Lpa2, from level -1$"));
    }
    for regime in ["EL2&0", "EL1&0"] {
        regimes =
            regimes.expect(format!("^-- {regime} High VA range of 52 bits, Lpa2, from level -1$"));
    }
    let costs = Scenario::new(
        "xlat-costs",
        "costs",
        "the cost of each operation on translation tables is printed",
    )
    .xlat_image()
    .instruction_count()
    .expect(r"^figure: Translation tables \| init, 10000 regions in any order \| \d+$")
    .expect(r"^figure: Translation tables \| unmap a transient page \| \d+$");
    vec![regimes, costs]
}
