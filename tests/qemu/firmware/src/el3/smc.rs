// SPDX-License-Identifier: BSD-3-Clause
//! Routes an SMC of the running world to its handler, and gives the frame to resume.

use rmm_test_firmware::smccc::{self, SVE_HINT, test_service};

use crate::cpu::Cpu;
use crate::gpt::gpt;
use crate::world::{Frame, World};
use crate::{psci, random, rmmd, rmmd_services};

/// Bits 23:17 of a function identifier must be zero.
const RESERVED: u64 = 0x00fe_0000;

/// Called by entry.S for every SMC, with the caller's registers saved in its frame.
///
/// # Safety
///
/// `cpu` is this CPU's own. Nothing else refers to it during an exception.
#[unsafe(no_mangle)]
unsafe extern "C" fn el3_smc(cpu: *mut Cpu) -> *mut Frame {
    // SAFETY: promised by the caller.
    let cpu = unsafe { &mut *cpu };
    match cpu.current {
        World::Nonsecure => from_host(cpu),
        World::Realm => from_rmm(cpu),
    }
}

fn from_host(cpu: &mut Cpu) -> *mut Frame {
    let frame = &mut cpu.world(World::Nonsecure).frame;
    let x0 = frame.x[0] & u64::from(u32::MAX);
    let (fid, sve_hint) = (x0 & !SVE_HINT, x0 & SVE_HINT);
    if x0 & RESERVED != 0 {
        frame.x[0] = smccc::UNKNOWN;
        return frame;
    }
    if rmmd::is_rmi(fid) {
        return rmmd::forward(cpu, fid, sve_hint);
    }
    if let Some(next) = psci::serve(cpu, fid) {
        return next;
    }
    test_services(cpu, fid);
    &raw mut cpu.world(World::Nonsecure).frame
}

fn test_services(cpu: &mut Cpu, fid: u64) {
    let argument = cpu.world(World::Nonsecure).frame.x[1];
    let results = match fid {
        test_service::VISIT => {
            let visits = cpu.visits;
            [visits.current, visits.cold_boot, visits.warm_boot, visits.services]
        }
        test_service::BOOT_STATUS => [cpu.boot_code, u64::from(rmmd::boot_failed()), 0, 0],
        test_service::GRANULE_GPI => [gpt().gpi(argument).unwrap_or(smccc::UNKNOWN), 0, 0, 0],
        test_service::GRANULE_SCAN => {
            let [words, of_key, fibers] = rmmd_services::scan(argument);
            [words, of_key, fibers, 0]
        }
        test_service::GRANULE_SEARCH => {
            let [.., x2, x3, x4, x5, x6, x7] = words_of(cpu);
            [rmmd_services::search(argument, [x2, x3, x4, x5, x6, x7]), 0, 0, 0]
        }
        test_service::GRANULE_FIBER => [rmmd_services::fiber(argument), 0, 0, 0],
        _ => {
            cpu.world(World::Nonsecure).frame.x[0] = smccc::UNKNOWN;
            return;
        }
    };
    cpu.world(World::Nonsecure).frame.x[..4].copy_from_slice(&results);
}

/// x0 to x7 of the host.
fn words_of(cpu: &mut Cpu) -> [u64; 8] {
    let x = &cpu.world(World::Nonsecure).frame.x;
    core::array::from_fn(|index| x[index])
}

fn from_rmm(cpu: &mut Cpu) -> *mut Frame {
    cpu.visits.current += cpu.instructions_below();
    if random::serve(cpu) {
        return &raw mut cpu.world(World::Realm).frame;
    }
    let [fid, x1, x2] = [0, 1, 2].map(|index| cpu.world(World::Realm).frame.x[index]);
    match fid {
        rmmd::BOOT_COMPLETE => rmmd::boot_complete(cpu, x1, x2),
        rmmd::REQ_COMPLETE => rmmd::answer(cpu),
        _ => {
            cpu.visits.services += 1;
            let frame = &mut cpu.world(World::Realm).frame;
            if rmmd::boot_failed() {
                frame.x[0] = smccc::UNKNOWN;
            } else {
                rmmd_services::serve(frame);
            }
            frame
        }
    }
}
