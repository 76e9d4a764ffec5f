// SPDX-License-Identifier: BSD-3-Clause
//! A QEMU plugin that counts the instructions of the EL3 monitor, the host, the RMM and the Realms,
//! and prints the counts at the end. It recognizes each by the virtual addresses at which it is
//! linked.
//!
//! QEMU counts blocks. A block that an exception ends early counts as a whole.

use std::ffi::{c_int, c_void};
use std::ops::Range;
use std::sync::OnceLock;

/// A counter in memory that QEMU keeps for each CPU.
#[repr(C)]
#[derive(Clone, Copy)]
struct Counter {
    board: *mut c_void,
    offset: usize,
}

// SAFETY: QEMU's functions may be called with it on any thread.
unsafe impl Send for Counter {}
// SAFETY: as above.
unsafe impl Sync for Counter {}

type Plugin = u64;

// QEMU's plugin interface, `qemu-plugin.h` of version 4.
unsafe extern "C" {
    fn qemu_plugin_scoreboard_new(size: usize) -> *mut c_void;
    fn qemu_plugin_register_vcpu_tb_trans_cb(
        plugin: Plugin,
        callback: extern "C" fn(Plugin, *mut c_void),
    );
    fn qemu_plugin_tb_n_insns(block: *const c_void) -> usize;
    fn qemu_plugin_tb_vaddr(block: *const c_void) -> u64;
    fn qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(
        block: *mut c_void,
        operation: c_int,
        counter: Counter,
        amount: u64,
    );
    fn qemu_plugin_u64_sum(counter: Counter) -> u64;
    fn qemu_plugin_register_atexit_cb(
        plugin: Plugin,
        callback: extern "C" fn(Plugin, *mut c_void),
        data: *mut c_void,
    );
}

/// The version of the interface.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals, reason = "the name is QEMU's")]
pub static qemu_plugin_version: c_int = 4;

const ADD: c_int = 0;

/// The addresses at which each program is linked. All others belong to a Realm.
const PROGRAMS: [(&str, Range<u64>); 4] = [
    ("EL3", 0..0x4_0000),
    ("RMM", 0x4010_0000..0x4190_0000),
    ("host", 0x6000_0000..0x6100_0000),
    ("Realms", 0..u64::MAX),
];

static COUNTERS: OnceLock<[Counter; PROGRAMS.len()]> = OnceLock::new();

/// Called by QEMU after it has loaded the plugin.
///
/// # Safety
///
/// Only QEMU may call it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qemu_plugin_install(
    plugin: Plugin,
    _machine: *const c_void,
    _count: c_int,
    _arguments: *const *const i8,
) -> c_int {
    // SAFETY: a counter for each program, in memory that QEMU keeps for the whole run.
    let board = unsafe { qemu_plugin_scoreboard_new(size_of::<[u64; PROGRAMS.len()]>()) };
    let counter = |index| Counter { board, offset: index * size_of::<u64>() };
    COUNTERS.get_or_init(|| std::array::from_fn(counter));
    // SAFETY: both functions have the types with which QEMU calls them.
    unsafe {
        qemu_plugin_register_vcpu_tb_trans_cb(plugin, translated);
        qemu_plugin_register_atexit_cb(plugin, print, std::ptr::null_mut());
    }
    0
}

/// Called before a block is executed for the first time.
extern "C" fn translated(_plugin: Plugin, block: *mut c_void) {
    let Some(counters) = COUNTERS.get() else { return };
    // SAFETY: QEMU passes a block of its own, which is valid for the call.
    let (address, length) = unsafe { (qemu_plugin_tb_vaddr(block), qemu_plugin_tb_n_insns(block)) };
    let program = PROGRAMS.iter().position(|(_, at)| at.contains(&address));
    let Some(counter) = program.and_then(|program| counters.get(program)) else { return };
    // SAFETY: as above; the counter is in the board.
    unsafe {
        qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(block, ADD, *counter, length as u64);
    }
}

/// Called when the machine ends.
extern "C" fn print(_plugin: Plugin, _data: *mut c_void) {
    let Some(counters) = COUNTERS.get() else { return };
    for ((name, _), counter) in PROGRAMS.iter().zip(counters) {
        // SAFETY: the counter is in the board.
        let count = unsafe { qemu_plugin_u64_sum(*counter) };
        eprintln!("instructions: {name}: {count}");
    }
}
