// SPDX-License-Identifier: BSD-3-Clause
//! A GiB of memory in blocks (RMI 2.0): the cost of each block, and an interrupt meanwhile.

use rmm_abi::rmi::{function as fid, status};
use rmm_abi::rmi_v2::{ADDRESS_SINGLE, GPT_PLATFORM, MAX_RANGE_COUNT, RANGE_COUNT_SHIFT};
use rmm_test_firmware::say;

use crate::check::{self, Every};
use crate::memory::granule;
use crate::realm::{self, Shape};
use crate::rmi::{self, Status};
use crate::tables::{self, Pool};
use crate::{gic, smc};

/// A GiB of DRAM that nothing else uses, aligned to its size.
const MEMORY: u64 = 0xC000_0000;
const GIB: u64 = 1 << 30;
const MIB_2: u64 = 2 << 20;
/// The most RMM instructions before a pending interrupt is served.
const BOUND: u64 = 10_000;

/// The cost of a command that is called until it is complete.
#[derive(Clone, Copy, Default)]
struct Cost {
    calls: u64,
    instructions: u64,
    most: u64,
}

impl Cost {
    fn add(&mut self) {
        let last = smc::last_visit().last;
        self.calls += 1;
        self.instructions += last;
        self.most = self.most.max(last);
    }

    fn figure(self, name: impl core::fmt::Display, per: u64) {
        say!("figure: Instructions, RMI 2.0 | {name} | {}", self.instructions / per);
    }
}

/// Calls a command on a range until it reaches `top`, and continues incomplete operations.
fn whole(cost: &mut Cost, base: u64, top: u64, command: impl Fn(u64) -> [u64; 3]) -> u64 {
    let mut every = Every::new("a range is done to its end");
    let (mut at, mut told) = (base, 0);
    while at < top {
        let [mut status, mut x1, mut x2] = command(at);
        cost.add();
        while Status(status) == Status::CONTINUE {
            let (next, to, range) = rmi::operation(fid::OP_CONTINUE, &[x1, 0]);
            (status, x1, x2) = (next.0, to, range);
            cost.add();
        }
        every.equal(format_args!("from {at:#x}"), Status(status), Status::SUCCESS);
        if Status(status) != Status::SUCCESS || x1 <= at {
            break;
        }
        told += (x2 >> 2 & 0x3ff) << (12 + 9 * (x2 & 3));
        at = x1;
    }
    drop(every);
    told
}

fn words((status, x1, x2): (Status, u64, u64)) -> [u64; 3] {
    [status.0, x1, x2]
}

/// Maps and unmaps the GiB in blocks of a level.
fn there_and_back(rd: u64, level: i64, name: &str) {
    let size = tables::size(level);
    let mut cost = Cost::default();
    whole(&mut cost, 0, GIB, |at| {
        let count = ((GIB - at) / size).min(MAX_RANGE_COUNT);
        let one = tables::range(level, MEMORY + at, 0);
        let range = one + ((count - 1) << RANGE_COUNT_SHIFT);
        let (status, next) = rmi::map(fid::RTT_DATA_MAP, rd, at, GIB, ADDRESS_SINGLE, range);
        [status.0, next, 0]
    });
    cost.figure(format_args!("RMI_RTT_DATA_MAP, a block of {name}"), GIB / size);
    let mut cost = Cost::default();
    let told = whole(&mut cost, 0, GIB, |at| words(rmi::unmap(fid::RTT_DATA_UNMAP, rd, at, GIB)));
    check::equal("all is told that was unmapped", told, GIB);
    cost.figure(format_args!("RMI_RTT_DATA_UNMAP, a block of {name}"), GIB / size);
}

/// The platform has created the Granule Protection Tables, and RMI commands on them say so.
fn granule_protection_tables() {
    let create = |base| Status(rmi::call(fid::GPT_L1_CREATE, &[base], 0)[0]);
    let exists = Status(u64::from(status::ERROR_GPT));
    check::equal("a table of level 1 is there", create(MEMORY), exists);
    check::equal("or cannot be", create(MEMORY + MIB_2), Status::ERROR_INPUT);
    let [x0, top, state, ..] = rmi::call(fid::GPT_INFO, &[MEMORY, MEMORY + GIB], 2);
    let expected = (Status::SUCCESS, MEMORY + GIB, GPT_PLATFORM);
    check::equal("the platform has made it", (Status(x0), top, state), expected);
}

/// A GiB is delegated, mapped and unmapped in blocks, and undelegated.
pub fn blocks() {
    rmi::activate();
    granule_protection_tables();
    let (parameters, rd, root, pool) = (granule(0), granule(1), granule(16), granule(32));
    let delegated = realm::delegate(rd, 1)
        && realm::delegate(root, 2)
        && realm::delegate(pool, Pool::GRANULES as u64);
    check::that("the granules are delegated", delegated);
    let mut pool = Pool::new(pool);
    let created = realm::create(rd, parameters, Shape::USUAL, root, 1);
    check::equal("a Realm is created", created, Status::SUCCESS);
    let mut cost = Cost::default();
    whole(&mut cost, MEMORY, MEMORY + GIB, |at| {
        let (status, next) = rmi::range_delegate(at, MEMORY + GIB);
        [status.0, next, 0]
    });
    cost.figure("RMI_GRANULE_RANGE_DELEGATE of 1 GiB, per granule, the first time", GIB >> 12);

    there_and_back(rd, 1, "1 GiB");
    let tables = tables::bring_tables(rd, &mut pool, 0, 2);
    check::equal("a table for smaller blocks", tables, Status::SUCCESS);
    there_and_back(rd, 2, "2 MiB");

    // Every call ends soon while an interrupt is pending, and the block is completed in the end.
    gic::enable();
    gic::set_pending(true);
    let range = tables::range(2, MEMORY, 0);
    let mut cost = Cost::default();
    whole(&mut cost, 0, MIB_2, |at| {
        let (status, x1) = rmi::map(fid::RTT_DATA_MAP, rd, at, MIB_2, ADDRESS_SINGLE, range);
        [status.0, x1, 0]
    });
    let mut back = Cost::default();
    whole(&mut back, 0, MIB_2, |at| words(rmi::unmap(fid::RTT_DATA_UNMAP, rd, at, MIB_2)));
    gic::set_pending(false);
    check::that("an interrupt parks a block", cost.calls > 1 && back.calls > 1);
    check::that("and is served soon", cost.most <= BOUND && back.most <= BOUND);
    say!("a pending interrupt waits {} and {} instructions", cost.most, back.most);
    say!(
        "figure: Instructions, RMI 2.0 | wait of an interrupt, a block on its way in | {}",
        cost.most
    );

    let tables = tables::destroy_tables(rd, &mut pool, 0, 2, Shape::USUAL.level);
    check::equal("its table goes", tables, Status::SUCCESS);
    check::equal("and the Realm", realm::destroy(rd), Status::SUCCESS);
    let mut cost = Cost::default();
    whole(&mut cost, MEMORY, MEMORY + GIB, |at| {
        let (status, next) = rmi::range_undelegate(at, MEMORY + GIB);
        [status.0, next, 0]
    });
    cost.figure("RMI_GRANULE_RANGE_UNDELEGATE of 1 GiB, per granule", GIB >> 12);
    let back = realm::undelegate(rd, 1)
        && realm::undelegate(root, 2)
        && realm::undelegate(granule(32), Pool::GRANULES as u64);
    check::that("all comes back, and zero", back);
}
