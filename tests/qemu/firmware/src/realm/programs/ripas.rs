// SPDX-License-Identifier: BSD-3-Clause
//! Sets and queries the RIPAS of ranges, as a guest does: repeatedly, until the end of the range.

use rmm_abi::rsi::status::SUCCESS;

use super::{WORDS, results};
use crate::rsi;

/// RSI_IPA_STATE_SET from base to top. Gives the last status, the address reached, the last
/// response, and the number of calls.
pub fn set(arguments: &[u64]) -> [u64; WORDS] {
    let [mut base, top, ripas, flags, ..] = *arguments else { return [!0; WORDS] };
    let mut calls = 0;
    loop {
        let (status, next, response) = rsi::ipa_state_set(base, top, ripas, flags);
        calls += 1;
        if status != SUCCESS || response != 0 || next == base || next == top {
            return results([status, next, response, calls]);
        }
        base = next;
    }
}

/// RSI_IPA_STATE_GET from base to top. Gives the last status, the number of calls, the number of
/// runs of one RIPAS, and for each run its end and the RIPAS.
pub fn get(arguments: &[u64]) -> [u64; WORDS] {
    let [mut base, top, ..] = *arguments else { return [!0; WORDS] };
    let mut results = [0; WORDS];
    let [last, calls, ranges, rest @ ..] = &mut results;
    let mut found = rest.chunks_exact_mut(2);
    let mut before = None;
    let mut current: Option<&mut [u64]> = None;
    while base < top {
        let (status, next, ripas) = rsi::ipa_state_get(base, top);
        (*last, *calls) = (status, *calls + 1);
        if status != SUCCESS || next <= base {
            break;
        }
        if before != Some(ripas) {
            *ranges += 1;
            (before, current) = (Some(ripas), found.next());
        }
        if let Some([end, value]) = current.as_deref_mut() {
            (*end, *value) = (next, ripas);
        }
        base = next;
    }
    results
}
