// SPDX-License-Identifier: BSD-3-Clause
//! The configuration that a Realm reads of itself.

use core::cell::UnsafeCell;

use rmm_abi::rsi::RsiRealmConfig;
use zerocopy::{FromZeros, IntoBytes};

use super::{WORDS, results};
use crate::rsi;

struct Page(UnsafeCell<core::mem::MaybeUninit<RsiRealmConfig>>);

// SAFETY: the host lets one REC at a time run this program.
unsafe impl Sync for Page {}

static PAGE: Page = Page(UnsafeCell::new(core::mem::MaybeUninit::uninit()));

/// RSI_REALM_CONFIG: status, the fields, and the number of other bytes that have changed.
pub fn run() -> [u64; WORDS] {
    const MARK: u8 = 0x77;
    // SAFETY: as for `Sync`.
    let config = unsafe { (*PAGE.0.get()).write(RsiRealmConfig::new_zeroed()) };
    config.as_mut_bytes().fill(MARK);
    let status = rsi::realm_config(config);
    let RsiRealmConfig { ipa_width, hash_algo, rpv, .. } = *config;
    (config.ipa_width, config.hash_algo, config.rpv) = (0, 0, [0; 8]);
    let changed = config.as_bytes().iter().filter(|byte| !matches!(**byte, 0 | MARK)).count();
    let [r0, r1, r2, r3, r4, r5, r6, r7] = rpv;
    results([status, ipa_width, hash_algo, changed as u64, r0, r1, r2, r3, r4, r5, r6, r7])
}
