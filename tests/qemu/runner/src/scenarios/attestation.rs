// SPDX-License-Identifier: BSD-3-Clause
//! Attestation: what EL3 gives at boot, and the tokens of Realms.

use crate::scenario::Scenario;

/// What EL3 may answer when the RMM asks for key and platform token. The RMM boots whatever it is,
/// and nothing stays in the page shared with EL3.
pub fn platform() -> Vec<Scenario> {
    let boots = |name: &str, what: &str| {
        Scenario::new(name, "boots", format!("the RMM boots: {what}"))
            .expect("^EL3: the page shared with the RMM is zero$")
    };
    let given = |name: &str, what: &str| {
        boots(name, what).expect(r"^\[RMM cpu0 INFO \] attestation: platform token of 1518 bytes$")
    };
    let refused = |name: &str, what: &str, why: &str| {
        boots(name, what).expect(format!(r"^\[RMM cpu0 WARN \] no attestation: {why}$"))
    };
    let token = |word: &str| format!("platform-token={word}");
    let length = "the platform token is empty or too long";
    vec![
        given("attestation-boot", "the platform token comes at once"),
        given("attestation-boot-0.2", "EL3 knows no hunks").interface("0.2"),
        given("attestation-boot-2.0", "interface 2.0").interface("2.0"),
        given("attestation-hunks", "the token comes in hunks, each after E_RMM_AGAIN")
            .option(token("hunks")),
        refused("attestation-again", "EL3 never has a token", "EL3 refuses: Again")
            .option(token("again")),
        refused("attestation-breaks", "EL3 fails at the second hunk", r"EL3 refuses: Other\(-1\)")
            .option(token("breaks")),
        refused("attestation-endless", "there are hunks without end", length)
            .option(token("endless")),
        refused("attestation-empty", "there is an empty hunk", length).option(token("empty")),
        refused("attestation-no-key", "EL3 has no key", r"EL3 refuses: Other\(-1\)")
            .option("realm-key=unknown"),
        refused("attestation-key-zero", "the key is 0", "the key is not one of P-384")
            .option("realm-key=zero"),
        refused("attestation-key-short", "the key is too short", "the key is not one of P-384")
            .option("realm-key=short"),
    ]
}
