// SPDX-License-Identifier: BSD-3-Clause
//! The dispatcher between the host and the RMM: boots the RMM, forwards RMI calls and returns its
//! answers. `rmmd_services` serves the RMM's own calls of EL3.

use core::sync::atomic::{AtomicBool, Ordering};

use rmm_test_firmware::say;
use rmm_test_firmware::smccc::{self, SVE_HINT};

use crate::boot::options;
use crate::cpu::{Cpu, RmmPhase};
use crate::random;
use crate::world::{Frame, World, print_control_registers};

use crate::rmmd_services::shared_page_is_zero;

pub use rmm_abi::el3::{BOOT_COMPLETE, REQ_COMPLETE};

/// Function numbers of the RMI, as TF-A forwards them.
const RMI_RANGES: [core::ops::RangeInclusive<u64>; 2] =
    [0xC400_0150..=0xC400_018F, 0xC400_01D0..=0xC400_02CF];

/// Set permanently when the RMM fails to boot on any CPU.
static RMM_BOOT_FAILED: AtomicBool = AtomicBool::new(false);

/// Whether the RMM has failed to boot on some CPU.
pub fn boot_failed() -> bool {
    RMM_BOOT_FAILED.load(Ordering::Acquire)
}

/// Enters the RMM for the first time on the primary CPU.
pub fn enter_cold(cpu: &mut Cpu) -> *mut Frame {
    let options = options();
    let index = options.cpu.unwrap_or(cpu.index as u64);
    let buffer = options.buffer.unwrap_or(options.shared_page());
    let version = u64::from(options.interface.0);
    say!(
        "EL3: RMM entered at {:#x}, interface {}, CPU {index} of {}, shared buffer {buffer:#x}",
        options.carve_out.base,
        options.interface,
        options.cpus
    );
    enter_boot(cpu, &[index, version, options.cpus, buffer, options.token])
}

/// Enters the RMM on a CPU that has come on, or the host if the RMM has failed to boot.
pub fn enter_warm(cpu: &mut Cpu) -> *mut Frame {
    if boot_failed() {
        say!("EL3: RMM ignored on CPU {}", cpu.index);
        return cpu.load(World::Nonsecure);
    }
    let token = if cpu.was_booted { cpu.token } else { options().warm_token };
    enter_boot(cpu, &[cpu.index as u64, token, 0, 0])
}

fn enter_boot(cpu: &mut Cpu, arguments: &[u64]) -> *mut Frame {
    cpu.phase = RmmPhase::Booting;
    cpu.start_visit();
    cpu.world(World::Realm).reset(options().carve_out.base, arguments);
    if options().poison != 0 {
        cpu.world(World::Realm).poison();
    }
    cpu.load(World::Realm)
}

/// The RMM has ended its boot on this CPU, successfully or not. The host runs next.
pub fn boot_complete(cpu: &mut Cpu, code: u64, token: u64) -> *mut Frame {
    assert!(cpu.phase == RmmPhase::Booting, "BOOT_COMPLETE on CPU {} outside a boot", cpu.index);
    cpu.phase = RmmPhase::Ready;
    cpu.boot_code = code;
    cpu.token = token;
    cpu.was_booted = true;
    cpu.end_boot_visit();
    if options().poison != 0 {
        let pstate = cpu.world(World::Realm).frame.spsr;
        say!("EL3: CPU {} has DIT {} SSBS {}", cpu.index, pstate >> 24 & 1, pstate >> 12 & 1);
        print_control_registers(cpu);
    }
    random::judge(cpu);
    if code == 0 && cpu.index == 0 {
        let left = if shared_page_is_zero() { "is zero" } else { "still holds something" };
        say!("EL3: the page shared with the RMM {left}");
    }
    if code == 0 {
        say!("EL3: RMM booted on CPU {}", cpu.index);
    } else {
        say!("EL3: RMM failed to boot on CPU {}: code {}", cpu.index, code.cast_signed());
        if cpu.index == 0 || options().forgive_warm_boots == 0 {
            RMM_BOOT_FAILED.store(true, Ordering::Release);
        }
    }
    cpu.switch_to(World::Nonsecure)
}

/// Whether the RMM serves this function.
pub fn is_rmi(fid: u64) -> bool {
    RMI_RANGES.iter().any(|range| range.contains(&fid))
}

/// Hands the host's call to the RMM.
pub fn forward(cpu: &mut Cpu, fid: u64, sve_hint: u64) -> *mut Frame {
    if boot_failed() {
        let host = &mut cpu.world(World::Nonsecure).frame;
        host.x[0] = smccc::UNKNOWN;
        return host;
    }
    let mut arguments = [0; 8];
    arguments.copy_from_slice(&cpu.world(World::Nonsecure).frame.x[..8]);
    arguments[0] = fid | (sve_hint & SVE_HINT);
    cpu.start_visit();
    cpu.world(World::Realm).frame.x[..8].copy_from_slice(&arguments);
    cpu.switch_to(World::Realm)
}

/// Hands the RMM's answer to the host.
pub fn answer(cpu: &mut Cpu) -> *mut Frame {
    assert!(
        cpu.phase == RmmPhase::Ready,
        "RMI_REQ_COMPLETE on CPU {} before BOOT_COMPLETE",
        cpu.index
    );
    let count = options().interface.return_registers();
    let mut results = [0; 8];
    results.copy_from_slice(&cpu.world(World::Realm).frame.x[1..9]);
    cpu.world(World::Nonsecure).frame.x[..count].copy_from_slice(&results[..count]);
    cpu.switch_to(World::Nonsecure)
}

impl Cpu {
    fn start_visit(&mut self) {
        self.visits.current = 0;
        self.visits.services = 0;
    }

    fn end_boot_visit(&mut self) {
        // Only CPU 0 boots the RMM cold, and only once.
        if self.index == 0 && self.visits.cold_boot == 0 {
            self.visits.cold_boot = self.visits.current;
        } else {
            self.visits.warm_boot = self.visits.current;
        }
    }
}
