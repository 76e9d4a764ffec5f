// SPDX-License-Identifier: BSD-3-Clause
//! RSI_REALM_CONFIG: the configuration of the calling Realm.

use core::mem::offset_of;

use super::call::{Answer, Outcome};
use super::memory::missing;
use crate::abi::rsi::RsiRealmConfig;
use crate::arch::atomic::Ordering;
use crate::realm::running::Caller;

/// RSI_REALM_CONFIG. Writes the fields of the page at `address`; reserved bytes keep their value.
pub(super) fn realm_config(caller: &mut Caller<'_, '_, '_>, address: u64) -> Outcome {
    const RPV: usize = offset_of!(RsiRealmConfig, rpv) / 8;
    let page = caller.realm.stage2().protected_granule(address)?;
    let ipa_width = u64::from(caller.realm.stage2().ipa_bits);
    let (algorithm, personalization) = caller
        .realm
        .with_descriptor(|realm| (realm.initial_measurement.algorithm(), realm.personalization));
    let head = [ipa_width, algorithm as u64];
    caller
        .realm
        .memory
        .with_page(page, |words| {
            let fields = words.iter().zip(head).chain(words[RPV..].iter().zip(personalization));
            for (word, value) in fields {
                word.store(value, Ordering::Relaxed);
            }
        })
        .map_err(|reason| missing(page, reason))?;
    Ok(Answer::Return([]))
}
