// SPDX-License-Identifier: BSD-3-Clause
//! Explains the RMM's fatal reports in a log: the exception, and the functions at the addresses of
//! the image.

use std::sync::LazyLock;

use aarch64_esr_decoder::FieldInfo;
use regex::Regex;

/// A vector and ESR_EL2.
static EXCEPTION: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"exception at vector (\d+): ESR 0x([0-9a-f]+)"));
/// An address of the image. For a return address, also the number of its frame, or x30.
static ADDRESS: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"\[RMM cpu\S+ FATAL\] (?:(#\d+|x30) +)?.*image \+ 0x([0-9a-f]+)"));

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the pattern is valid")
}

/// `log` with explanatory lines added. `functions` gives the functions at an address of the linked
/// image, the innermost inlined one first.
pub fn annotate(log: &[String], functions: impl Fn(u64) -> Vec<String>) -> Vec<String> {
    let hexadecimal = |digits: &str| u64::from_str_radix(digits, 16).ok();
    let mut annotated = Vec::new();
    for line in log {
        annotated.push(line.clone());
        if let Some(found) = EXCEPTION.captures(line) {
            let syndrome = hexadecimal(&found[2]).and_then(syndrome);
            let vector = found[1].parse().ok().and_then(vector);
            annotated.extend(vector.into_iter().chain(syndrome).map(|text| format!("    {text}")));
        }
        let Some(found) = ADDRESS.captures(line) else { continue };
        let Some(address) = hexadecimal(&found[2]) else { continue };
        let (title, address) = match found.get(1) {
            // The call itself. The instruction after it may belong to another line or function.
            Some(title) => (title.as_str(), address.saturating_sub(1)),
            None => ("at", address),
        };
        for (depth, function) in functions(address).iter().enumerate() {
            let title = if depth == 0 { title } else { "inlined in" };
            annotated.push(format!("    {title:10} {function}"));
        }
    }
    annotated
}

/// The name of an exception vector (Arm ARM D1.3.1.4). `None` if ESR_EL2 tells everything, or there
/// is no such vector.
fn vector(number: usize) -> Option<String> {
    let from = ["with SP_EL0", "with SP_EL2", "of a lower EL", "of a lower EL in AArch32"];
    let kind = ["synchronous", "IRQ", "FIQ", "SError"];
    Some(format!("{} {}", kind[number % 4], from.get(number / 4)?))
}

/// The meaning of an ESR_EL2 value; `None` for a reserved one.
fn syndrome(value: u64) -> Option<String> {
    fn described(field: &FieldInfo, into: &mut Vec<String>) {
        if !["IL", "ISV", "FnV"].contains(&field.name) || (field.name == "FnV" && field.value != 0)
        {
            into.extend(field.description.clone());
        }
        field.subfields.iter().for_each(|field| described(field, into));
    }
    let mut words = Vec::new();
    for field in aarch64_esr_decoder::decode(value).ok()? {
        described(&field, &mut words);
    }
    Some(words.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn annotated(lines: &[&str]) -> Vec<String> {
        let functions = |address: u64| match address >> 8 {
            1 => vec!["leaf at a.rs:1".to_owned()],
            2 => vec!["inner at a.rs:2".into(), "outer at b.rs:3".into()],
            _ => vec![],
        };
        let log: Vec<String> =
            lines.iter().map(|line| format!("[RMM cpu0 FATAL] {line}")).collect();
        let lines = annotate(&log, functions);
        lines.into_iter().filter(|line| !log.contains(line)).collect()
    }

    #[test]
    fn addresses_get_their_functions_and_return_addresses_those_of_the_call() {
        assert_eq!(
            annotated(&[
                "ELR 0x0000000040100200 (image + 0x200)  SPSR 0x3c9",
                "x30 image + 0x200",
                "#1  image + 0x210",
                "#2  image + 0x900",
                "x0  0x0000000000000110",
            ]),
            [
                "    at         inner at a.rs:2",
                "    inlined in outer at b.rs:3",
                "    x30        leaf at a.rs:1",
                "    #1         inner at a.rs:2",
                "    inlined in outer at b.rs:3",
            ]
        );
    }

    #[test]
    fn an_exception_is_put_into_words() {
        let lines = annotated(&["exception at vector 4: ESR 0x000000009600004f  FAR 0x0"]);
        assert_eq!(lines[0], "    synchronous with SP_EL2");
        assert!(lines[1].contains("Data Abort taken without a change"), "{lines:?}");
        assert!(lines[1].contains("Permission fault, level 3"), "{lines:?}");
        assert!(lines[1].contains("writing"), "{lines:?}");
        assert!(annotated(&["exception at vector 99: ESR 0x00000000ff000000  FAR 0x0"]).is_empty());
    }
}
