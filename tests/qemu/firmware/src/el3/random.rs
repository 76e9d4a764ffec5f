// SPDX-License-Identifier: BSD-3-Clause
//! A source of random numbers that fails, as QEMU's never does.
//!
//! With the option `rndr`, EL3 replaces each read of RNDR in the RMM's image by an SMC and answers
//! it as the register would. FEAT_RNG_TRAP would serve, but QEMU does not have it.

use core::sync::atomic::{AtomicU64, Ordering};

use rmm_test_firmware::options::GRANULE;
use rmm_test_firmware::{read_register, say};
use spin::Mutex;

use crate::boot::options;
use crate::cpu::{Cpu, MAX_CPUS};
use crate::mmu;
use crate::world::World;

/// `mrs x0, rndr`; the number of the register is in bits 4:0.
const READ: u32 = 0xd53b_2400;
const REGISTER: u32 = 0x1f;
/// `smc #0`; the immediate is in bits 20:5.
const SMC: u32 = 0xd400_0003;
/// The immediate of these SMCs, with bits 4:0 clear.
const IMMEDIATE: u32 = 0x5240;
/// PSTATE.NZCV, and its value after a read that delivers no number.
const FLAGS: u64 = 0xf << 28;
const NOTHING: u64 = 0b0100 << 28;
/// The number that a successful read delivers.
const NUMBER: u64 = 0x5eed;
/// The number of boots whose keys are kept.
const BOOTS: usize = 64;

/// Reads of each CPU since its boot began.
static READS: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];
/// The pointer authentication keys of all boots so far, and their number.
static KEYS: Mutex<([[u64; 2]; BOOTS], usize)> = Mutex::new(([[0; 2]; BOOTS], 0));

/// Replaces the reads of RNDR in the image, if the option says so.
pub fn replace() {
    if options().rndr.is_none() {
        return;
    }
    let mut replaced = 0;
    for page in (0..options().payload).step_by(GRANULE as usize) {
        replaced += mmu::with_realm_granule(options().carve_out.base + page, |granule| {
            let instructions = granule.cast::<u32>();
            let mut replaced = 0;
            for index in 0..GRANULE as usize / size_of::<u32>() {
                // SAFETY: within the granule that the window maps. The RMM does not run yet.
                unsafe {
                    let instruction = instructions.add(index);
                    let register = instruction.read() & REGISTER;
                    if instruction.read() == READ | register {
                        instruction.write(SMC | (IMMEDIATE | register) << 5);
                        replaced += 1;
                    }
                }
            }
            replaced
        });
    }
    say!("EL3: {replaced} reads of RNDR are EL3's");
}

/// Answers the SMC that the RMM has just made, if it replaces a read of RNDR. Gives whether it
/// does.
pub fn serve(cpu: &mut Cpu) -> bool {
    let immediate = read_register!("esr_el3") as u32 & 0xffff;
    if options().rndr.is_none() || immediate & !REGISTER != IMMEDIATE {
        return false;
    }
    let read = READS[cpu.index].fetch_add(1, Ordering::Relaxed) + 1;
    let delivers = options().rndr.is_some_and(|every| every != 0 && read.is_multiple_of(every));
    let frame = &mut cpu.world(World::Realm).frame;
    frame.spsr = frame.spsr & !FLAGS | if delivers { 0 } else { NOTHING };
    if let Some(register) = frame.x.get_mut((immediate & REGISTER) as usize) {
        *register = if delivers { NUMBER } else { 0 };
    }
    true
}

/// After a boot of the RMM on this CPU: prints how often it has read RNDR, and checks its key. The
/// key differs from that of every other boot, and neither half is 0.
pub fn judge(cpu: &Cpu) {
    if options().rndr.is_none() {
        return;
    }
    let reads = READS[cpu.index].swap(0, Ordering::Relaxed);
    say!("EL3: CPU {} read RNDR {reads} times in its boot", cpu.index);
    let key = [read_register!("s3_0_c2_c1_0"), read_register!("s3_0_c2_c1_1")];
    let mut keys = KEYS.lock();
    let (known, count) = &mut *keys;
    let (known, free) = known.split_at_mut(*count);
    if key.contains(&0) || known.contains(&key) {
        say!("EL3: FAILED: CPU {} has the key {key:x?}", cpu.index);
    }
    match free.first_mut() {
        Some(free) => *free = key,
        None => say!("EL3: FAILED: there are more boots than EL3 keeps keys of"),
    }
    *count += 1;
    say!("EL3: {count} keys are not 0 and differ");
}
