// SPDX-License-Identifier: BSD-3-Clause
//! An SError of the Realm exits to the host, and the Realm takes it when it unmasks SErrors. A
//! debugger turns an SMC into the SError.

use crate::check;
use crate::guest::{Guest, field, reason};
use crate::rmi::Status;

/// SMC #0x11. The immediate gives the syndrome of the SError: uncontained.
const SMC: u32 = 0xd400_0223;
const ISS: u64 = 0x11;
const RSI_VERSION: u64 = 0xC400_0190;
const NOP: u32 = 0xd503_201f;
/// `msr daifclr, #4`: SErrors are taken.
const UNMASK: u32 = 0xd503_44ff;

/// An SError stays pending until the Realm takes it.
pub fn serror() {
    let guest = Guest::start(1);
    let entered = guest.begin(0, SMC, [RSI_VERSION, 0x1_0000, 0, 0]);
    check::equal("an SError leaves the Realm", entered, Status::SUCCESS);
    let words = [(field::REASON, reason::SERROR), (field::ESR, 0x17 << 26 | ISS)];
    guest.run(0).expect("an SError", &words);
    guest.run(0).prepare(0, &[]);
    check::equal("the REC goes on", guest.enter(0), Status::SUCCESS);
    let executed = guest.executed(0);
    check::equal("where it was", (executed.exceptions, executed.x[0]), (0, 0));
    let executed = guest.execute(0, NOP, [0; 4]);
    check::equal("and does not take what it masks", executed.exceptions, 0);
    let executed = guest.execute(0, UNMASK, [0; 4]);
    let taken = (executed.exceptions, executed.vector, executed.esr);
    check::equal("until it unmasks it", taken, (1, 0x380, 0x2f << 26 | 1 << 25 | ISS));
    let executed = guest.execute(0, UNMASK, [0; 4]);
    check::equal("and once only", executed.exceptions, 0);
    guest.destroy();
}
