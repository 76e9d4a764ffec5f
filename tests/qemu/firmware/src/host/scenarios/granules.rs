// SPDX-License-Identifier: BSD-3-Clause
//! Delegate and undelegate, one granule at a time, in either dialect.

use rmm_test_firmware::options::{GRANULE, Range};

use crate::check::{self, Every};
use crate::memory::{GPI_NONSECURE, GPI_REALM, granule};
use crate::probe::{self, Fault};
use crate::random::Random;
use crate::rmi::{self, Status};
use crate::smc;

const PATTERN: u64 = 0xa5a5_5a5a_0ff0_f00f;

/// The life of a granule: delegated, undelegated, wiped. A step in the wrong state is an input
/// error and changes nothing.
pub fn life() {
    rmi::activate();
    let address = granule(3);
    let gpi = || smc::granule_gpi(address);
    check::equal(
        "undelegate of a granule never delegated",
        rmi::undelegate(address),
        Status::ERROR_INPUT,
    );
    check::equal("EL3 still has it Non-secure", gpi(), GPI_NONSECURE);
    check::equal("delegate succeeds", rmi::delegate(address), Status::SUCCESS);
    check::equal("EL3 has it in the Realm PAS", gpi(), GPI_REALM);
    check::equal("a second delegate", rmi::delegate(address), Status::ERROR_INPUT);
    check::equal("EL3 still has it in the Realm PAS", gpi(), GPI_REALM);
    check::equal("undelegate succeeds", rmi::undelegate(address), Status::SUCCESS);
    check::equal("EL3 has it Non-secure", gpi(), GPI_NONSECURE);
    check::equal("a second undelegate", rmi::undelegate(address), Status::ERROR_INPUT);

    let mut wiped = Every::new("a granule reads as zero after its time in the Realm world");
    let mut neighbors = Every::new("its neighbors keep their content");
    for index in [8, 9, 100, 511, 512, 4095] {
        for neighbor in [index - 1, index, index + 1] {
            check_probe(probe::fill_granule(granule(neighbor), PATTERN));
        }
        let statuses = (rmi::delegate(granule(index)), rmi::undelegate(granule(index)));
        wiped.equal(format_args!("granule {index}"), statuses, (Status::SUCCESS, Status::SUCCESS));
        wiped.equal(
            format_args!("granule {index}"),
            probe::granule_holds(granule(index), 0),
            Ok(true),
        );
        for neighbor in [index - 1, index + 1] {
            let kept = probe::granule_holds(granule(neighbor), PATTERN);
            neighbors.equal(format_args!("granule {neighbor}"), kept, Ok(true));
        }
    }
}

fn check_probe(result: Result<(), Fault>) {
    if let Err(fault) = result {
        check::equal("the host's own memory is accessible", Err(fault), Ok(()));
    }
}

/// Addresses that cannot be delegated.
pub fn bad_addresses() {
    rmi::activate();
    let options = crate::options();
    let carve_out = options.carve_out;
    let mut every =
        Every::new("neither delegate nor undelegate takes an address that is no delegable granule");
    let mut refuse = |what: &str, address: u64| {
        let before = smc::granule_gpi(address);
        every.equal(
            format_args!("delegate, {what} {address:#x}"),
            rmi::delegate(address),
            Status::ERROR_INPUT,
        );
        every.equal(
            format_args!("undelegate, {what} {address:#x}"),
            rmi::undelegate(address),
            Status::ERROR_INPUT,
        );
        every.equal(format_args!("GPI of {what} {address:#x}"), smc::granule_gpi(address), before);
    };
    for offset in [1, 2, 8, 0x10, 0x800, 0xfff] {
        refuse("unaligned", granule(5) + offset);
    }
    let own_end = carve_out.end() - GRANULE;
    for address in [
        carve_out.base,
        carve_out.base + GRANULE,
        carve_out.base + carve_out.size / 2 / GRANULE * GRANULE,
    ] {
        refuse("the RMM's memory", address);
    }
    refuse("the end of the RMM's memory", own_end - GRANULE);
    refuse("the shared page", own_end);
    for address in [0, 0x0900_0000, 0x0e00_0000, 0x0e00_1000, 0x0eff_f000, 0x1000_0000, 0x3fff_f000]
    {
        refuse("not DRAM", address);
    }
    let in_bank = |address| options.banks().iter().any(|bank| contains(bank, address));
    for bank in options.banks() {
        for (what, address) in [
            ("the granule before a bank", bank.base - GRANULE),
            ("the granule after a bank", bank.end()),
        ] {
            if !in_bank(address) {
                refuse(what, address);
            }
        }
    }
    for banks in options.banks().windows(2) {
        let (hole, end) = (banks[0].end(), banks[1].base);
        for eighth in 1..8 {
            let address = hole + (end - hole) / 8 * eighth / GRANULE * GRANULE;
            if hole < end {
                refuse("between two banks", address);
            }
        }
    }
    let machine = options.machine;
    for region in machine.non_coherent.iter().chain(machine.coherent) {
        refuse("device memory", region.base);
        refuse("the end of device memory", region.end() - GRANULE);
    }
    for smmu in machine.smmus {
        refuse("an SMMU", smmu.base);
        refuse("its Realm registers", smmu.realm_base);
    }
    for complex in machine.root_complexes {
        refuse("PCIe configuration space", complex.ecam);
    }
    if let Some(root) = machine.root {
        refuse("EL3's memory", root.base);
    }
    for shift in [40, 47, 48, 51, 52, 63] {
        refuse("beyond DRAM", 1 << shift);
        refuse("beyond DRAM", granule(5) | 1 << shift);
    }
    refuse("the last granule of all", !(GRANULE - 1));
    refuse("all ones", u64::MAX);
    let _ = refuse;
    drop(every);

    let mut edges = Every::new("the first and the last granule of each bank are delegable");
    for bank in options.banks() {
        for address in [bank.base, bank.end() - GRANULE] {
            let statuses = (rmi::delegate(address), rmi::undelegate(address));
            edges.equal(format_args!("{address:#x}"), statuses, (Status::SUCCESS, Status::SUCCESS));
        }
    }
    for (what, address) in [
        ("the granule before the RMM's memory", carve_out.base - GRANULE),
        ("the granule after the RMM's memory", carve_out.end()),
    ] {
        let statuses = (rmi::delegate(address), rmi::undelegate(address));
        let delegable = in_bank(address);
        let expected = if delegable { Status::SUCCESS } else { Status::ERROR_INPUT };
        let whether = if delegable { "is" } else { "is not" };
        check::equal(format_args!("{what} {whether} delegable"), statuses, (expected, expected));
    }
}

fn contains(range: &Range, address: u64) -> bool {
    range.base <= address && address < range.end()
}

/// The host cannot access a delegated granule, and can access all others.
pub fn host_access() {
    rmi::activate();
    let mut reads =
        Every::new("the host's read of a delegated granule takes a Granule Protection Fault");
    let mut writes =
        Every::new("the host's write to a delegated granule takes a Granule Protection Fault");
    let mut others = Every::new("the host reads the granules beside it");
    let mut again = Every::new("the host reads and writes a granule it got back");
    for index in [1, 16, 17, 255, 2048] {
        let address = granule(index);
        reads.equal(
            format_args!("granule {index} is delegated"),
            rmi::delegate(address),
            Status::SUCCESS,
        );
        for offset in [0, 8, 0x7f8, 0xff8] {
            let case = format_args!("granule {index}, offset {offset:#x}");
            reads.equal(
                case,
                probe::read(address + offset).map_err(Fault::is_granule_protection),
                Err(true),
            );
            let written =
                probe::write(address + offset, PATTERN).map_err(Fault::is_granule_protection);
            writes.equal(case, written, Err(true));
        }
        for neighbor in [index - 1, index + 1] {
            others.equal(format_args!("granule {neighbor}"), probe::read(granule(neighbor)), Ok(0));
        }
        again.equal(
            format_args!("granule {index} is undelegated"),
            rmi::undelegate(address),
            Status::SUCCESS,
        );
        again.equal(format_args!("granule {index} reads as zero"), probe::read(address), Ok(0));
        let written = probe::write(address, PATTERN).and_then(|()| probe::read(address));
        again.equal(format_args!("granule {index} takes a write"), written, Ok(PATTERN));
        check_probe(probe::write(address, 0));
    }
}

/// Granules inside a DRAM bank that EL3 keeps in the Root or Secure PAS (options `secure`, `root`).
pub fn refused_by_el3() {
    rmi::activate();
    let options = crate::options();
    for (name, range) in [("Secure", options.secure), ("Root", options.root)] {
        let Some(range) = range else {
            check::that(format_args!("EL3 keeps {name} DRAM"), false);
            continue;
        };
        let before = smc::granule_gpi(range.base);
        for attempt in ["first", "second"] {
            let status = rmi::delegate(range.base);
            check::equal(
                format_args!("{attempt} delegate of a {name} granule"),
                status,
                Status::ERROR_INPUT,
            );
        }
        check::equal("undelegate of it", rmi::undelegate(range.base), Status::ERROR_INPUT);
        check::equal("EL3 has it as before", smc::granule_gpi(range.base), before);
        let statuses = (rmi::delegate(range.end()), rmi::undelegate(range.end()));
        check::equal(
            "the granule after it is delegable",
            statuses,
            (Status::SUCCESS, Status::SUCCESS),
        );
    }
}

/// Thousands of random steps, compared with a model of each granule's state.
pub fn random_walk() {
    const GRANULES: usize = 64;
    const STEPS: u64 = 4000;
    rmi::activate();
    rmm_test_firmware::say!("seed={}", crate::options().seed);
    let mut random = Random::new(2);
    let mut delegated = [false; GRANULES];
    let mut every =
        Every::new("a random step succeeds exactly when the model allows it, and EL3 agrees");
    for step in 0..STEPS {
        let index = random.below(GRANULES as u64);
        let Some(state) = usize::try_from(index).ok().and_then(|index| delegated.get_mut(index))
        else {
            continue;
        };
        let address = granule(index);
        let delegate = random.below(2) == 0;
        let status = if delegate { rmi::delegate(address) } else { rmi::undelegate(address) };
        let allowed = *state != delegate;
        let expected = if allowed { Status::SUCCESS } else { Status::ERROR_INPUT };
        every.equal(
            format_args!("step {step}: granule {index}, delegate {delegate}"),
            status,
            expected,
        );
        *state = delegate;
        let gpi = if *state { GPI_REALM } else { GPI_NONSECURE };
        every.equal(
            format_args!("step {step}: GPI of granule {index}"),
            smc::granule_gpi(address),
            gpi,
        );
    }
    let mut last = Every::new("every granule can be brought back");
    for (index, state) in (0..).zip(delegated) {
        if state {
            last.equal(
                format_args!("granule {index}"),
                rmi::undelegate(granule(index)),
                Status::SUCCESS,
            );
        }
        last.equal(
            format_args!("GPI of granule {index}"),
            smc::granule_gpi(granule(index)),
            GPI_NONSECURE,
        );
    }
}
