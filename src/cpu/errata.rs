// SPDX-License-Identifier: BSD-3-Clause
//! Errata of CPUs that the RMM works around while it runs, by MIDR_EL1.
//!
//! `docs/security/errata.md` lists every erratum that concerns a firmware of this kind.

use core::sync::atomic::{AtomicBool, Ordering};

use tock_registers::interfaces::Readable;

use crate::arch::barrier::dsb_ish;
use crate::arch::sysreg::MIDR_EL1;

/// Implementer, architecture and part number in MIDR_EL1: all but variant and revision.
const PART: u64 = 0xff0f_fff0;

/// The parts that CVE-2025-10263 affects, in every revision. Affected parts without FEAT_RME are
/// left out: they have no Realm world for the RMM to run in.
const TLBI_COMPLETES_EARLY: [u64; 6] = [
    0x410f_d820, // Cortex-X4
    0x410f_d830, // Neoverse V3AE
    0x410f_d840, // Neoverse V3
    0x410f_d850, // Cortex-X925
    0x410f_d8c0, // C1-Ultra
    0x410f_d900, // C1-Premium
];

/// Whether shared TLB invalidations are repeated: a build option, the environment variable
/// `RMM_REPEAT_TLBI`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repetition {
    /// As soon as an affected CPU has booted.
    Auto,
    /// Always.
    Always,
    /// Never: for machines whose CPUs have the erratum fixed.
    Never,
}

const REPETITION: Repetition = match option_env!("RMM_REPEAT_TLBI") {
    None => Repetition::Auto,
    Some(word) => match word.as_bytes() {
        b"auto" => Repetition::Auto,
        b"always" => Repetition::Always,
        b"never" => Repetition::Never,
        _ => panic!("RMM_REPEAT_TLBI is auto, always or never"),
    },
};

/// Whether a CPU that CVE-2025-10263 affects has booted.
static AFFECTED: AtomicBool = AtomicBool::new(false);

/// Notes the errata of the running CPU. Every CPU whose ID registers are not those of the CPU that
/// booted cold calls this in its boot, before it runs a Realm.
pub fn note_this_cpu() {
    if has_early_tlbi_completion(MIDR_EL1.get()) {
        AFFECTED.store(true, Ordering::Relaxed);
        // Orders the store before any translation that this CPU makes for a Realm. An invalidation
        // that does not observe the store then completes before such a translation: it needs no
        // repetition for this CPU.
        dsb_ish();
    }
}

/// Whether CVE-2025-10263 affects the CPU with this MIDR_EL1.
fn has_early_tlbi_completion(midr: u64) -> bool {
    TLBI_COMPLETES_EARLY.contains(&(midr & PART))
}

/// Whether the last Inner Shareable TLBI and its DSB must be repeated.
///
/// Call this after the first DSB, which pairs with the barrier in [`note_this_cpu`].
pub fn repeats_invalidations() -> bool {
    match REPETITION {
        Repetition::Auto => AFFECTED.load(Ordering::Relaxed),
        Repetition::Always => true,
        Repetition::Never => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_concerned_in_every_variant_and_revision_and_its_neighbors_are_not() {
        // Neoverse V3 r0p0 and r0p1, C1-Premium r1p0.
        for midr in [0x410f_d840, 0x410f_d841, 0x411f_d900] {
            assert!(has_early_tlbi_completion(midr), "{midr:#x}");
        }
        // QEMU's max, Neoverse E1 and N3, Cortex-A720, and the number of V3 by another implementer.
        for midr in [0x000f_0510, 0x410f_d4a0, 0x410f_d8e0, 0x410f_d810, 0x480f_d840] {
            assert!(!has_early_tlbi_completion(midr), "{midr:#x}");
        }
    }
}
