// SPDX-License-Identifier: BSD-3-Clause
//! Commands of RMI 2.0 that read and write the host's memory, which may not be the host's any more.

use rmm_test_firmware::options::GRANULE;

use crate::check::{self, Every};
use crate::memory::granule;
use crate::probe;
use crate::rmi::{self, Status};

/// What a page holds before the RMM fills it.
const BEFORE: u64 = 0x1111_2222_3333_4444;
/// The configuration, word by word, is 0 throughout: granules are tracked by the GiB, RMI granules are 4 KiB.
const CONFIGURATION: u64 = 0;

/// The configuration is read to and set from pages of the host's. Others are refused: most because of what the RMM knows of them, those that EL3 keeps
/// (options `secure`, `root`) only by the fault that the access takes.
pub fn configuration() {
    let page = granule(8);
    let filled = [probe::fill_granule(page, BEFORE), probe::fill_granule(page + GRANULE, BEFORE)];
    check::equal("the host fills a page and the next", filled, [Ok(()); 2]);
    check::equal("RMI_RMM_CONFIG_GET succeeds", rmi::rmm_config_get(page), Status::SUCCESS);
    check::equal("it wrote the whole page", probe::granule_holds(page, CONFIGURATION), Ok(true));
    check::equal("and not the next", probe::granule_holds(page + GRANULE, BEFORE), Ok(true));
    check::equal("RMI_RMM_CONFIG_SET takes it back", rmi::rmm_config_set(page), Status::SUCCESS);
    for (offset, value) in [(0, 1), (8, 1), (8, u64::MAX), (0, 1 << 63)] {
        let written = probe::write(page + offset, value);
        let set = (written, rmi::rmm_config_set(page), probe::write(page + offset, CONFIGURATION));
        check::equal(
            format_args!("{value:#x} at {offset} is refused"),
            set,
            (Ok(()), Status::ERROR_INPUT, Ok(())),
        );
    }

    let delegated = granule(9);
    check::equal("a granule is delegated", rmi::delegate(delegated), Status::SUCCESS);
    let options = crate::options();
    let kept = |range: Option<rmm_test_firmware::options::Range>| range.map_or(0, |range| range.base);
    let mut every = Every::new("a page that is not the host's is an input error");
    for round in 0..3 {
        for (what, address) in [
            ("delegated", delegated),
            ("EL3's", kept(options.root)),
            ("the Secure world's", kept(options.secure)),
            ("the RMM's", options.carve_out.base),
            ("unaligned", page + 8),
            ("a device", 0x0900_0000),
            ("beyond memory", 1 << 47),
            ("at the end", !0xfff),
            ("all ones", u64::MAX),
        ] {
            let statuses = (rmi::rmm_config_get(address), rmi::rmm_config_set(address));
            every.equal(
                format_args!("{what}, round {round}"),
                statuses,
                (Status::ERROR_INPUT, Status::ERROR_INPUT),
            );
        }
    }
    drop(every);
    check::equal("the granule comes back", rmi::undelegate(delegated), Status::SUCCESS);
    check::equal("and is as good as any", rmi::rmm_config_get(delegated), Status::SUCCESS);
    rmi::activate();
    check::equal("the configuration is read afterwards", rmi::rmm_config_get(page), Status::SUCCESS);
    check::equal("and not set", rmi::rmm_config_set(page), Status::ERROR_GLOBAL);
}
