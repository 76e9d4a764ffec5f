// SPDX-License-Identifier: BSD-3-Clause
//! Attestation: EL3's answers at boot, and the tokens of Realms.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use verifier::{Format, Verified, verify};

use crate::rim::of_the_test_realm;
use crate::scenario::Scenario;

/// EL3's possible answers when the RMM asks for key and platform token. The RMM boots with each of
/// them, and the page shared with EL3 keeps nothing.
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
        refused("attestation-again", "EL3 never has a token", "EL3 refuses: it is busy")
            .option(token("again")),
        refused("attestation-breaks", "EL3 fails at the second hunk", "EL3 refuses: status -1")
            .option(token("breaks")),
        refused("attestation-endless", "there are hunks without end", length)
            .option(token("endless")),
        refused("attestation-empty", "there is an empty hunk", length).option(token("empty")),
        refused("attestation-no-key", "EL3 has no key", "EL3 refuses: status -1")
            .option("realm-key=unknown"),
        refused("attestation-key-zero", "the key is 0", "the key is not one of P-384")
            .option("realm-key=zero"),
        refused("attestation-key-short", "the key is too short", "the key is not one of P-384")
            .option("realm-key=short"),
    ]
}

/// The public half of the key that signs the platform token of the test EL3.
const PLATFORM_KEY: &str = concat!(
    "04",
    "676f66e93c91d20d236dd6a22806d0ee1f86b2fae40f2bb774852ba237a030eb",
    "852f2137efa3202c4612294b992ec85cd0a44c97b6f8801b319ce564324c4f4b",
    "9b2c446deabeff84c77800aa2e1635ee51fb4b78972681212797b8c023162164",
);

/// Tokens of Realms.
pub fn tokens() -> Vec<Scenario> {
    let row = |name: &str, host: &str, what: &str| {
        Scenario::new(name, host, what).option("host-interrupts=1").instruction_count()
    };
    let interrupts = [1, 2, 4].map(|cpus| {
        let what = "tokens are signed while thousands of interrupts move the REC from CPU to CPU";
        row(&format!("token-interrupts-{cpus}"), "token-interrupts", what)
            .option("argument=2")
            .cpus(cpus)
            .judge(judge_tokens)
    });
    let mut rows = vec![
        row("token", "token", "a Realm gets tokens, which independent software verifies")
            .judge(judge_tokens),
        row("token-2.0", "token", "tokens of RMI 2.0, of its profile and format")
            .interface("2.0")
            .judge(judge_tokens_2_0),
        row(
            "token-steps",
            "token-steps",
            "an interrupt at each instruction of the calls for a token",
        )
        .expect(r"^INIT: \d{4,} interrupts, each one instruction behind the last$")
        .judge(judge_tokens),
        row("token-abandoned", "token-abandoned", "nothing of key and nonce is left after a token"),
        row("token-timing", "token-timing", "all signatures take the same number of instructions")
            .option("argument=20"),
        row(
            "token-timing-keys",
            "token-timing-keys",
            "signatures take the same number of instructions for all keys",
        )
        .option("argument=10")
        .self_test_image(),
        row("token-by-el3", "token-by-el3", "EL3 keeps the key and signs, for several RECs")
            .option("el3-signs=1")
            .expect(r"^\[RMM cpu0 INFO \] attestation: EL3 signs$")
            .judge(judge_tokens_of_three),
        row("token-without-key", "token-without-key", "EL3 has no key: Realms run without tokens")
            .option("realm-key=unknown"),
    ];
    rows.extend(interrupts);
    rows
}

/// The long scenarios.
pub fn long() -> Vec<Scenario> {
    let row = |name: &str, host: &str, what: &str| {
        Scenario::new(name, host, what)
            .instruction_count()
            .option("argument=1000")
            .time_limit(Duration::from_secs(1200))
    };
    vec![
        row(
            "token-timing-1000",
            "token-timing",
            "1,000 signatures take the same number of instructions",
        ),
        row(
            "token-timing-keys-1000",
            "token-timing-keys",
            "signatures by 1,000 keys take the same number of instructions",
        )
        .self_test_image(),
    ]
}

/// The platform key as bytes.
///
/// # Errors
///
/// The key is not hexadecimal.
pub fn platform_key() -> Result<Vec<u8>> {
    bytes(PLATFORM_KEY)
}

/// Converts pairs of hexadecimal digits to bytes.
///
/// # Errors
///
/// There is another character, or a single digit.
pub fn bytes(digits: &str) -> Result<Vec<u8>> {
    let pairs = (0..digits.len()).step_by(2);
    let byte =
        |at| Ok(u8::from_str_radix(digits.get(at..at + 2).context("digits are in pairs")?, 16)?);
    pairs.map(byte).collect()
}

/// The bytes after `name` in the lines of the log that begin with it: one item per run of lines.
fn named(log: &[String], name: &str) -> Result<Vec<Vec<u8>>> {
    let mut items: Vec<String> = Vec::new();
    let mut continues = false;
    for line in log {
        match line.strip_prefix(name).and_then(|rest| rest.strip_prefix(": ")) {
            Some(digits) if continues => items.last_mut().context("an item")?.push_str(digits),
            Some(digits) => items.push(digits.into()),
            None => {}
        }
        continues = line.starts_with(name);
    }
    items.iter().map(|digits| bytes(digits)).collect()
}

/// Checks tokens of RMM 1.0.
fn judge_tokens(log: &[String]) -> Result<()> {
    judge_tokens_of(log, 1)
}

/// Checks tokens of RMM 1.0 for a Realm with three RECs.
fn judge_tokens_of_three(log: &[String]) -> Result<()> {
    judge_tokens_of(log, 3)
}

fn judge_tokens_of(log: &[String], recs: u64) -> Result<()> {
    judge_each(log, true, recs, |token| {
        ensure!(token.profile == "tag:arm.com,2023:realm#1.0.0", "profile {}", token.profile);
        ensure!(token.format == Format::Tag399, "format {:?}", token.format);
        ensure!((token.instance.as_ref(), token.mec_policy) == (None, None), "claims of 2.0");
        Ok(())
    })
}

/// Checks tokens of RMM 2.0, all of one Realm.
fn judge_tokens_2_0(log: &[String]) -> Result<()> {
    let mut instances = BTreeSet::new();
    judge_each(log, false, 1, |token| {
        ensure!(token.profile == "tag:arm.com,2024:realm#2.0.0", "profile {}", token.profile);
        ensure!(token.format == Format::Tag907, "format {:?}", token.format);
        ensure!(token.mec_policy == Some(0), "MEC policy {:?}", token.mec_policy);
        let instance = token.instance.as_ref().context("an instance")?;
        ensure!(instance.len() == 33 && instance.starts_with(&[1]), "instance {instance:?}");
        instances.insert(instance.clone());
        Ok(())
    })?;
    ensure!(instances.len() == 1, "one Realm, several instances");
    Ok(())
}

/// Checks each token against the claims that the host prints before it.
fn judge_each(
    log: &[String],
    measures_ripas: bool,
    recs: u64,
    mut judge: impl FnMut(&Verified) -> Result<()>,
) -> Result<()> {
    let expected = |name: &str| named(log, name);
    let tokens = expected("token")?;
    ensure!(!tokens.is_empty(), "no token in the log");
    let key = platform_key()?;
    let (challenges, values) = (expected("challenge")?, expected("RPV")?);
    let measurements = [0, 1, 2, 3, 4].map(|index| expected(&format!("measurement {index}")));
    let rim = of_the_test_realm("build/realm.bin", measures_ripas, recs)?;
    for (number, token) in tokens.iter().enumerate() {
        let verified = verify(token, &key).with_context(|| format!("token {number}"))?;
        judge(&verified).with_context(|| format!("token {number}"))?;
        let Verified { challenge, personalization, algorithm, initial, extensible, .. } = verified;
        ensure!(algorithm == "sha-256", "algorithm {algorithm}");
        ensure!(initial == rim, "the RIM of token {number} is not the one computed here");
        ensure!(Some(&challenge) == challenges.get(number), "challenge of token {number}");
        ensure!(Some(&personalization) == values.get(number), "RPV of token {number}");
        for (value, read) in std::iter::once(&initial).chain(&extensible).zip(&measurements) {
            let read = read.as_ref().ok().and_then(|read| read.get(number)).context("measured")?;
            ensure!(read.starts_with(value), "measurement in token {number}");
            ensure!(read.iter().skip(value.len()).all(|byte| *byte == 0), "zeros behind a hash");
        }
    }
    Ok(())
}
