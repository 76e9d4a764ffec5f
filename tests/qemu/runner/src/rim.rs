// SPDX-License-Identifier: BSD-3-Clause
//! Computes the Realm Initial Measurement of a Realm from the steps in which a host builds it, with
//! the firmware's code.

use anyhow::{Context, Result, bail, ensure};
use rmm::mem::GRANULE_WORDS;
use rmm::realm::measurement::{
    HashAlgorithm, InitialMeasurement, MeasuredRealmParameters, MeasuredRecParameters,
};

/// Bytes of a granule.
const GRANULE: u64 = 4096;
/// RMI_DATA_CREATE measures the content.
const MEASURE_CONTENT: u64 = 1;

/// The words for [`compute`], in the order in which the host builds the Realm.
pub const USAGE: &str = "\
hash=sha-256|sha-512 s2sz=BITS flags=N sve=VL bps=N wps=N pmu=N   parameters of the Realm, first
ripas=BASE+SIZE           RMI_RTT_INIT_RIPAS of RMI 1.0, page by page; 2.0 does not measure it
data=IPA:FILE             RMI_DATA_CREATE with its content measured, page by page, zero-padded
data=IPA+SIZE:FILE        the same for SIZE bytes
unmeasured=IPA+SIZE       RMI_DATA_CREATE without the content, page by page
rec=PC:X0,X1,...          RMI_REC_CREATE of a runnable REC; registers not given are 0";

/// Computes the measurement of a Realm that is built with these words. Gives the bytes of the hash.
///
/// # Errors
///
/// A word is invalid, or a file cannot be read.
pub fn compute<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Vec<u8>> {
    let mut parameters = MeasuredRealmParameters {
        flags: 0,
        s2sz: 0,
        sve_vl: 0,
        num_bps: 0,
        num_wps: 0,
        pmu_num_ctrs: 0,
        algorithm: HashAlgorithm::Sha256,
    };
    let mut measurement = None;
    for word in words {
        let (key, value) = word.split_once('=').with_context(|| format!("{word}: no ="))?;
        if parameter(&mut parameters, key, value).with_context(|| word.to_owned())? {
            ensure!(measurement.is_none(), "{word}: parameters come first");
            continue;
        }
        let measurement = measurement.get_or_insert_with(|| InitialMeasurement::new(&parameters));
        step(measurement, key, value).with_context(|| word.to_owned())?;
    }
    let measurement = measurement.unwrap_or_else(|| InitialMeasurement::new(&parameters));
    let (_, size) = measurement.algorithm().name_and_size();
    Ok(measurement.value().iter().flat_map(|word| word.to_le_bytes()).take(size).collect())
}

fn parameter(parameters: &mut MeasuredRealmParameters, key: &str, value: &str) -> Result<bool> {
    let small = |value| anyhow::Ok(u32::try_from(number(value)?)?);
    match key {
        "hash" => {
            parameters.algorithm = match value {
                "sha-256" => HashAlgorithm::Sha256,
                "sha-512" => HashAlgorithm::Sha512,
                _ => bail!("no such hash"),
            }
        }
        "flags" => parameters.flags = number(value)?,
        "s2sz" => parameters.s2sz = small(value)?,
        "sve" => parameters.sve_vl = small(value)?,
        "bps" => parameters.num_bps = small(value)?,
        "wps" => parameters.num_wps = small(value)?,
        "pmu" => parameters.pmu_num_ctrs = small(value)?,
        _ => return Ok(false),
    }
    Ok(true)
}

fn step(measurement: &mut InitialMeasurement, key: &str, value: &str) -> Result<()> {
    match key {
        "ripas" => {
            for page in pages(value)? {
                measurement.extend_with_ripas(page, page + GRANULE);
            }
        }
        "unmeasured" => {
            for page in pages(value)? {
                measurement.extend_with_data(page, 0, None);
            }
        }
        "data" => {
            let (place, path) = value.split_once(':').context("IPA:FILE")?;
            let content = std::fs::read(path).context("the file cannot be read")?;
            let place = match place.split_once('+') {
                Some(_) => place.to_owned(),
                None => format!("{place}+{}", content.len().next_multiple_of(4096)),
            };
            for (index, page) in pages(&place)?.enumerate() {
                let bytes = content.iter().skip(index * 4096).copied().chain(std::iter::repeat(0));
                let bytes: Vec<u8> = bytes.take(4096).collect();
                let (chunks, _) = bytes.as_chunks();
                let mut words = [0; GRANULE_WORDS];
                for (word, chunk) in words.iter_mut().zip(chunks) {
                    *word = u64::from_le_bytes(*chunk);
                }
                measurement.extend_with_data(page, MEASURE_CONTENT, Some(&words));
            }
        }
        "rec" => {
            let (pc, registers) = value.split_once(':').unwrap_or((value, ""));
            let mut gprs = [0; 8];
            let given = registers.split(',').filter(|digits| !digits.is_empty());
            ensure!(given.clone().count() <= gprs.len(), "X0 to X7");
            for (register, digits) in gprs.iter_mut().zip(given) {
                *register = number(digits)?;
            }
            /// RmiRecCreateFlags: runnable.
            const RUNNABLE: u64 = 1;
            let parameters = MeasuredRecParameters { flags: RUNNABLE, pc: number(pc)?, gprs };
            measurement.extend_with_rec(&parameters);
        }
        _ => bail!("no such word; these there are:\n{USAGE}"),
    }
    Ok(())
}

/// `BASE+SIZE` as pages.
fn pages(range: &str) -> Result<impl Iterator<Item = u64>> {
    let (base, size) = range.split_once('+').context("BASE+SIZE")?;
    let (base, size) = (number(base)?, number(size)?);
    ensure!((base | size).is_multiple_of(GRANULE), "not whole pages");
    let end = base.checked_add(size).context("beyond the last address")?;
    Ok((base..end).step_by(4096))
}

fn number(text: &str) -> Result<u64> {
    Ok(match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16)?,
        None => text.parse()?,
    })
}

/// The test firmware's Realm with this many RECs and its payload. RMI 1.0 measures RIPAS.
///
/// # Errors
///
/// As [`compute`].
pub fn of_the_test_realm(payload: &str, measures_ripas: bool, recs: u64) -> Result<Vec<u8>> {
    let data = format!("data=0x80000000+0x40000:{payload}");
    let ripas = measures_ripas.then_some("ripas=0x80000000+0x40000");
    let parameters = ["s2sz=40", "bps=1", "wps=1"];
    let recs: Vec<String> = (0..recs).map(|rec| format!("rec=0x80000000:{rec}")).collect();
    let recs = recs.iter().map(String::as_str);
    compute(parameters.into_iter().chain(ripas).chain([&*data]).chain(recs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_mean_nothing_are_refused() {
        for word in ["", "hash=md5", "ripas=1+4096", "ripas=0x1000", "data=0x1000", "rec=x", "x=1"]
        {
            assert!(compute([word]).is_err(), "{word}");
        }
        assert!(compute(["ripas=0+4096", "s2sz=40"]).is_err());
        assert_eq!(compute(["hash=sha-512"]).unwrap().len(), 64);
    }
}
