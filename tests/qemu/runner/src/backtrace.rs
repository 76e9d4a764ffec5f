// SPDX-License-Identifier: BSD-3-Clause
//! Reads the RMM's fatal reports in a log, and says after each line with an address of the image
//! which functions are there.
//!
//! Of the words on a stack that may be return addresses it finds those that are: from the
//! instruction at which the report was made, the unwind tables tell where each function keeps the
//! address of its caller. The others are left over from functions that have returned.

use std::collections::HashMap;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use crate::symbols::{Code, ReturnAddress};

/// The first line of a backtrace: who reports, where in the image it was, and its stack pointer.
static START: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(\[RMM cpu\S+ FATAL\]) backtrace from image \+ (0x[0-9a-f]+)"));
/// A word that may be a return address: who reports, where the word is, and what it says.
static WORD: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(\[RMM cpu\S+ FATAL\])   (x30|sp \+ (0x[0-9a-f]+)): image \+ (0x[0-9a-f]+)")
});
/// Any other address of the image.
static ADDRESS: LazyLock<Regex> = LazyLock::new(|| pattern(r"\(image \+ (0x[0-9a-f]+)\)"));

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the pattern is valid")
}

/// What is left on the line of a word when it was no return address any more.
const LEFT_OVER: &str = "left over:";

/// The number in a group of hexadecimal digits.
fn number(found: &Captures<'_>, group: usize) -> Option<u64> {
    let digits = found.get(group)?.as_str();
    u64::from_str_radix(digits.strip_prefix("0x")?, 16).ok()
}

/// `log` with lines added that say what the addresses in it are.
pub fn annotate(log: &[String], code: &impl Code) -> Vec<String> {
    let mut numbers = HashMap::new();
    let mut annotated = Vec::new();
    for (at, line) in log.iter().enumerate() {
        annotated.push(line.clone());
        let (title, address) = if let Some(found) = START.captures(line) {
            let Some(address) = number(&found, 2) else { continue };
            numbers.extend(frames(&words(log, at, &found[1]), address, code));
            ("#0".to_owned(), address)
        } else if let Some(found) = WORD.captures(line) {
            let Some(address) = number(&found, 4) else { continue };
            let title = numbers.get(&at).map_or(LEFT_OVER.into(), |frame| format!("#{frame}"));
            // The call, not what follows it, which may be in another line or function.
            (title, address - 1)
        } else if let Some(address) = ADDRESS.captures(line).and_then(|found| number(&found, 1)) {
            (String::new(), address)
        } else {
            continue;
        };
        let mut functions = code.functions(address);
        if title == LEFT_OVER {
            // Of little interest: the function alone, without those that were inlined in it.
            functions.drain(..functions.len().saturating_sub(1));
        }
        for (depth, function) in functions.iter().enumerate() {
            let title = if depth == 0 { &*title } else { "" };
            let inlined = if depth + 1 < functions.len() { ", inlined in" } else { "" };
            annotated.push(format!("    {title:10} {function}{inlined}"));
        }
        if functions.is_empty() {
            annotated.push(format!("    {title:10} no function is known here"));
        }
    }
    annotated
}

/// A word of a backtrace: in which line it is, and what it says.
struct Word {
    line: usize,
    address: u64,
}

/// The words of the backtrace that begins in line `start`, as `reporter` tells it, by their places:
/// the stack, by distance from the stack pointer, and x30.
fn words(log: &[String], start: usize, reporter: &str) -> (HashMap<i64, Word>, Option<Word>) {
    let mut stack = HashMap::new();
    let mut link = None;
    // Other CPUs may print in between.
    let own = log.iter().enumerate().skip(start + 1).filter(|(_, text)| text.contains(reporter));
    for (line, text) in own {
        let Some(found) = WORD.captures(text) else { break };
        let Some(address) = number(&found, 4) else { break };
        match number(&found, 3).and_then(|distance| i64::try_from(distance).ok()) {
            Some(distance) => drop(stack.insert(distance, Word { line, address })),
            None => link = Some(Word { line, address }),
        }
    }
    (stack, link)
}

/// Which lines have frames, and the number of each, from 1 on: those that follow from the
/// instruction at `address`.
fn frames(
    (stack, link): &(HashMap<i64, Word>, Option<Word>),
    address: u64,
    code: &impl Code,
) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let (mut address, mut pointer) = (address, 0);
    // Each caller's frame is higher up, so that this ends.
    while let Some(frame) = code.frame(address) {
        let word = match frame.return_address {
            ReturnAddress::Stack(distance) => stack.get(&(pointer + distance)),
            // Only of the innermost function; all others have called one.
            ReturnAddress::LinkRegister if found.is_empty() => link.as_ref(),
            ReturnAddress::LinkRegister => None,
        };
        let Some(word) = word else { break };
        found.push((word.line, found.len() + 1));
        pointer += frame.size;
        address = word.address - 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::symbols::Frame;

    /// A program of functions, 0x100 bytes each: `leaf` calls nobody, the others have frames of
    /// 0x20 bytes, `main` is assembly.
    struct Program;

    impl Code for Program {
        fn functions(&self, address: u64) -> Vec<String> {
            match address >> 8 {
                1 => vec!["leaf at a.rs:1".into()],
                2 => vec!["inner at a.rs:2".into(), "outer at b.rs:3".into()],
                3 => vec!["caller at b.rs:4".into()],
                4 => vec!["main at c.S:5".into()],
                _ => vec![],
            }
        }

        fn frame(&self, address: u64) -> Option<Frame> {
            match address >> 8 {
                1 => Some(Frame { size: 0, return_address: ReturnAddress::LinkRegister }),
                2 | 3 => Some(Frame { size: 0x20, return_address: ReturnAddress::Stack(0x8) }),
                _ => None,
            }
        }
    }

    fn annotated(lines: &[&str]) -> Vec<String> {
        let report = |line: &&str| format!("[RMM cpu0 FATAL] {line}");
        let log: Vec<String> = lines.iter().map(report).collect();
        let added = |line: &String| !log.contains(line);
        annotate(&log, &Program)
            .into_iter()
            .filter(added)
            .map(|line| line.trim().to_owned())
            .collect()
    }

    #[test]
    fn callers_are_told_from_what_was_left_over() {
        let lines = annotated(&[
            "ELR 0x0000000040100110 (image + 0x110)  SPSR 0x3c9",
            "backtrace from image + 0x110, sp 0x1000: what may be return addresses",
            "  x30: image + 0x210",
            "  sp + 0x0: image + 0x110",
            "  sp + 0x8: image + 0x310",
            "  sp + 0x18: image + 0x110",
            "  sp + 0x28: image + 0x410",
            "  sp + 0x30: image + 0x910",
            "  sp + 0x38: image + 0x220",
            "CPU stopped",
        ]);
        assert_eq!(
            lines,
            [
                "leaf at a.rs:1",
                "#0         leaf at a.rs:1",
                "#1         inner at a.rs:2, inlined in",
                "outer at b.rs:3",
                "left over: leaf at a.rs:1",
                "#2         caller at b.rs:4",
                "left over: leaf at a.rs:1",
                "#3         main at c.S:5",
                "left over: no function is known here",
                "left over: outer at b.rs:3",
            ]
        );
    }

    #[test]
    fn a_call_that_ends_its_function_belongs_to_it() {
        let lines =
            annotated(&["backtrace from image + 0x250, sp 0x0:", "  sp + 0x8: image + 0x400"]);
        assert_eq!(lines.last().map(String::as_str), Some("#1         caller at b.rs:4"));
    }

    #[test]
    fn another_cpu_in_between_changes_nothing() {
        let log = [
            "[RMM cpu0 FATAL] backtrace from image + 0x250, sp 0x0:",
            "[RMM cpu1 FATAL]   sp + 0x8: image + 0x210",
            "ok: served",
            "[RMM cpu0 FATAL]   sp + 0x8: image + 0x310",
        ]
        .map(str::to_owned);
        let lines = annotate(&log, &Program);
        assert!(
            lines.iter().any(|line| line.contains("#1 ") && line.contains("caller")),
            "{lines:#?}"
        );
        assert!(
            lines.iter().any(|line| line.contains(LEFT_OVER) && line.contains("outer")),
            "{lines:#?}"
        );
    }

    #[test]
    fn what_has_no_address_is_left_alone() {
        assert_eq!(annotated(&["panic at x.rs:1:1: no", "x0  0x0000000000000110"]), [""; 0]);
    }
}
