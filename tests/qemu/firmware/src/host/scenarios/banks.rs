// SPDX-License-Identifier: BSD-3-Clause
//! Several banks of DRAM. Granules whose addresses differ only in high bits are different granules.

use rmm_test_firmware::options::GRANULE;

use crate::check::{self, Every};
use crate::memory::{GPI_NONSECURE, GPI_REALM};
use crate::probe;
use crate::rmi::{self, Status};
use crate::smc;

const PATTERN: u64 = 0xba2c_ba2c_ba2c_ba2c;

/// Granules at equal offsets in two banks are independent.
pub fn apart() {
    rmi::activate();
    let banks = crate::options().banks();
    check::that("there are two banks", banks.len() >= 2);
    let mut every =
        Every::new("what happens to a granule of one bank does not happen to that of another");
    for (index, one) in banks.iter().enumerate() {
        for other in banks.iter().skip(index + 1) {
            let size = one.size.min(other.size);
            for offset in [0, GRANULE, size / 2 / GRANULE * GRANULE, size - GRANULE] {
                let (a, b) = (one.base + offset, other.base + offset);
                for (a, b) in [(a, b), (b, a)] {
                    pair(&mut every, a, b);
                }
            }
        }
    }
}

fn pair(every: &mut Every<'_>, a: u64, b: u64) {
    let case = format_args!("{a:#x}, {b:#x}");
    every.equal(case, probe::fill_granule(b, PATTERN), Ok(()));
    every.equal(case, rmi::delegate(a), Status::SUCCESS);
    every.equal(case, (smc::granule_gpi(a), smc::granule_gpi(b)), (GPI_REALM, GPI_NONSECURE));
    every.equal(case, rmi::undelegate(b), Status::ERROR_INPUT);
    every.equal(case, rmi::undelegate(a), Status::SUCCESS);
    every.equal(case, probe::granule_holds(a, 0), Ok(true));
    every.equal(case, probe::granule_holds(b, PATTERN), Ok(true));
    every.equal(case, (rmi::delegate(a), rmi::delegate(b)), (Status::SUCCESS, Status::SUCCESS));
    every.equal(case, rmi::undelegate(a), Status::SUCCESS);
    every.equal(case, (smc::granule_gpi(a), smc::granule_gpi(b)), (GPI_NONSECURE, GPI_REALM));
    every.equal(case, rmi::undelegate(b), Status::SUCCESS);
    every.equal(case, probe::granule_holds(b, 0), Ok(true));
}
