// SPDX-License-Identifier: BSD-3-Clause
//! The functions at an address of a linked image, with files and lines, from its debug information.

use std::path::Path;

use addr2line::gimli::{Dwarf, EndianSlice, LittleEndian, SectionId};
use anyhow::{Context, Result};
use object::{Object, ObjectSection, ObjectSymbol};

/// The debug information of an ELF file.
pub struct Symbols<'data> {
    lines: addr2line::Context<EndianSlice<'data, LittleEndian>>,
    /// The labels of the code with their addresses, ascending.
    labels: Vec<(u64, &'data str)>,
}

impl<'data> Symbols<'data> {
    /// Finds the debug information of `file`.
    ///
    /// # Errors
    ///
    /// One line: the file is not a well-formed ELF file, or its debug information is not
    /// well-formed.
    pub fn of(file: &'data [u8]) -> Result<Self> {
        let elf = object::File::parse(file)?;
        let dwarf = Dwarf::load(|id: SectionId| {
            let data = elf.section_by_name(id.name()).and_then(|section| section.data().ok());
            Ok::<_, addr2line::gimli::Error>(EndianSlice::new(
                data.unwrap_or_default(),
                LittleEndian,
            ))
        });
        let lines = dwarf
            .and_then(addr2line::Context::from_dwarf)
            .context("the debug information is of no use")?;
        let text = elf.section_by_name(".text").map(|section| section.index());
        let in_text =
            elf.symbols().filter(|symbol| text.is_some() && symbol.section_index() == text);
        // Labels that begin with a dollar sign mark code and data (ELF for the Arm 64-bit
        // Architecture, 4.5.4).
        let mut labels: Vec<_> = in_text
            .filter_map(|symbol| Some((symbol.address(), symbol.name().ok()?)))
            .filter(|(_, name)| !name.is_empty() && !name.starts_with('$'))
            .collect();
        labels.sort_unstable();
        Ok(Self { lines, labels })
    }

    /// The functions at `address` as `name at file:line`, the innermost inlined one first. The
    /// address is that of the linked image.
    pub fn functions(&self, address: u64) -> Vec<String> {
        let mut functions = Vec::new();
        let Ok(mut frames) = self.lines.find_frames(address).skip_all_loads() else {
            return functions;
        };
        while let Ok(Some(frame)) = frames.next() {
            let name = frame.function.as_ref().and_then(|function| function.demangle().ok());
            let name = without_hash(name.as_deref().unwrap_or("?")).to_owned();
            functions.push(match frame.location {
                Some(location) => {
                    let file = location.file.unwrap_or("?");
                    format!("{name} at {}:{}", short(file), location.line.unwrap_or(0))
                }
                None => name,
            });
        }
        let above = self.labels.partition_point(|(label, _)| *label <= address);
        if functions.is_empty()
            && let Some((label, name)) = above.checked_sub(1).and_then(|last| self.labels.get(last))
        {
            // Assembly has only labels.
            functions.push(format!("{name} + {:#x}", address - label));
        }
        functions
    }
}

/// A demangled name without the hash of legacy mangling.
fn without_hash(name: &str) -> &str {
    match name.rsplit_once("::h") {
        Some((path, hash))
            if hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) =>
        {
            path
        }
        _ => name,
    }
}

/// A file by its path in this tree or in the sources of `core`; any other file as it is.
fn short(file: &str) -> &str {
    let tree = std::env::current_dir().unwrap_or_default();
    let inside = Path::new(file).strip_prefix(tree).ok().and_then(Path::to_str);
    let library = file.find("/library/").and_then(|at| file.get(at + 1..));
    inside.or(library).unwrap_or(file)
}

#[cfg(test)]
mod tests {
    use super::{short, without_hash};

    #[test]
    fn names_lose_their_hash_and_nothing_else() {
        assert_eq!(without_hash("a::b::h0123456789abcdef"), "a::b");
        assert_eq!(without_hash("a::b::hash"), "a::b::hash");
    }

    #[test]
    fn files_are_named_from_the_root_of_their_tree() {
        let here = std::env::current_dir().unwrap().join("src/a.rs");
        assert_eq!(short(here.to_str().unwrap()), "src/a.rs");
        assert_eq!(short("/x/rust/library/core/src/b.rs"), "library/core/src/b.rs");
        assert_eq!(short("/x/c.rs"), "/x/c.rs");
    }
}
