// SPDX-License-Identifier: BSD-3-Clause
//! The instructions of an image by function, for each visit: from its first instruction in the
//! image to the first one outside. Inlined code counts for its caller.
//!
//! Reads the log of QEMU with `-d exec,nochain` and one instruction per block: a line for each,
//! with its address. Only `profile` uses it.

use std::collections::BTreeMap;
use std::fmt;
use std::io::BufRead;
use std::ops::Range;

use anyhow::{Context, Result};
use object::{Object, ObjectSection, ObjectSymbol};

/// The functions of an image, by linked address.
#[derive(Debug)]
pub struct Functions {
    text: Range<u64>,
    names: BTreeMap<u64, String>,
}

/// The instructions of one visit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Visit {
    /// The number of instructions in each function.
    pub functions: BTreeMap<String, usize>,
}

impl Visit {
    /// The number of all instructions.
    pub fn instructions(&self) -> usize {
        self.functions.values().sum()
    }
}

impl fmt::Display for Visit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:>9} instructions", self.instructions())?;
        let mut functions: Vec<_> = self.functions.iter().collect();
        functions.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), *name));
        functions.iter().try_for_each(|(name, count)| writeln!(f, "{count:>17} {name}"))
    }
}

impl Functions {
    /// Reads the functions of an ELF file.
    ///
    /// # Errors
    ///
    /// The file is not a well-formed ELF file, or has no code.
    pub fn of(file: &[u8]) -> Result<Self> {
        let elf = object::File::parse(file)?;
        let section = elf.section_by_name(".text").context("there is no section .text")?;
        let text = section.address()..section.address() + section.size();
        let mut names = BTreeMap::new();
        for symbol in elf.symbols().filter(|symbol| symbol.section_index() == Some(section.index()))
        {
            // Mapping symbols ($x, $d) mark code and data, and are not functions.
            let name = symbol.name()?;
            if !name.is_empty() && !name.starts_with('$') {
                names.insert(symbol.address(), format!("{:#}", rustc_demangle::demangle(name)));
            }
        }
        Ok(Self { text, names })
    }

    /// The name of the function at `address`.
    fn at(&self, address: u64) -> &str {
        self.names.range(..=address).next_back().map_or("?", |(_, name)| name)
    }

    /// The visits in `log` to the image loaded at `base`.
    ///
    /// # Errors
    ///
    /// The log cannot be read, or a line has no instruction.
    pub fn visits(&self, log: impl BufRead, base: u64) -> Result<Vec<Visit>> {
        let (mut visits, mut visit) = (Vec::new(), Visit::default());
        let mut lines = log.lines().peekable();
        while let Some(line) = lines.next() {
            let line = line?;
            if is_stop(&line) {
                continue;
            }
            let address = address(&line).with_context(|| format!("no instruction: {line:?}"))?;
            // An interrupt came first. The log has the instruction again when it is executed.
            let stopped =
                lines.peek().is_some_and(|next| next.as_ref().is_ok_and(|next| is_stop(next)));
            match address.checked_sub(base).filter(|address| self.text.contains(address)) {
                Some(_) if stopped => {}
                Some(address) => {
                    *visit.functions.entry(self.at(address).to_owned()).or_default() += 1
                }
                None if visit.functions.is_empty() => {}
                None => visits.push(std::mem::take(&mut visit)),
            }
        }
        if !visit.functions.is_empty() {
            visits.push(visit);
        }
        Ok(visits)
    }
}

/// Whether a line says that the instruction of the previous line was not executed.
fn is_stop(line: &str) -> bool {
    line.starts_with("Stopped execution of TB chain before ")
}

/// The program counter in a line of the log: `Trace 0: 0x7f... [flags/pc/flags/flags] name`.
fn address(line: &str) -> Option<u64> {
    let (_, state) = line.strip_prefix("Trace ")?.split_once('[')?;
    u64::from_str_radix(state.split('/').nth(1)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::{Functions, Visit};

    fn functions() -> Functions {
        let names = [(0x0, "entry"), (0x10, "command"), (0x20, "hash")];
        Functions {
            text: 0..0x30,
            names: names.map(|(address, name)| (address, name.into())).into(),
        }
    }

    fn log(addresses: &[u64]) -> String {
        let line =
            |pc: &u64| format!("Trace 0: 0x7fdcaec00100 [0030000c/{pc:016x}/00000471/ff022201] \n");
        addresses.iter().map(line).collect()
    }

    fn visit(functions: &[(&str, usize)]) -> Visit {
        Visit {
            functions: functions.iter().map(|(name, count)| ((*name).into(), *count)).collect(),
        }
    }

    #[test]
    fn instructions_count_for_the_function_that_they_stand_in_and_a_visit_ends_outside() {
        let log = log(&[0x0, 0x1000, 0x1010, 0x1014, 0x1020, 0x9000, 0x9004, 0x102c]);
        let visits = functions().visits(log.as_bytes(), 0x1000).expect("the log is well-formed");
        assert_eq!(
            visits,
            [visit(&[("entry", 1), ("command", 2), ("hash", 1)]), visit(&[("hash", 1)])]
        );
        assert_eq!(visits[0].instructions(), 4);
    }

    #[test]
    fn an_instruction_that_was_stopped_does_not_count() {
        let stop = "Stopped execution of TB chain before 0x7fdcaec00100 [0000000000001010] \n";
        let log = log(&[0x1000, 0x1010]) + stop + &log(&[0x1010, 0x9000]);
        let visits = functions().visits(log.as_bytes(), 0x1000).expect("the log is well-formed");
        assert_eq!(visits, [visit(&[("entry", 1), ("command", 1)])]);
    }

    #[test]
    fn a_visit_is_printed_with_what_took_most_first() {
        let printed = visit(&[("a", 1), ("b", 30), ("c", 1)]).to_string();
        assert_eq!(
            printed,
            "       32 instructions\n               30 b\n                1 a\n                1 c\n"
        );
    }

    #[test]
    fn a_line_of_another_kind_is_an_error_that_shows_it() {
        let error = functions().visits("Linking TBs\n".as_bytes(), 0).expect_err("it is none");
        assert!(format!("{error}").contains("Linking TBs"), "{error}");
    }
}
