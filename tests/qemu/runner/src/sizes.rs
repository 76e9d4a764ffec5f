// SPDX-License-Identifier: BSD-3-Clause
//! What a linked image is made of: its sections, and its largest symbols by their demangled names.
//! Called by `size` only.

use std::fmt;

use object::elf::SHF_ALLOC;
use object::{Object, ObjectSection, ObjectSymbol, SectionFlags, SectionIndex, SymbolKind};

/// A section that is in memory when the image runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Its name.
    pub name: String,
    /// The address it is linked at.
    pub address: u64,
    /// Its bytes in memory.
    pub size: u64,
    /// Whether those bytes are in the file.
    pub in_file: bool,
}

/// A function or an object of the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// Its demangled name, without hash.
    pub name: String,
    /// The section it is in.
    pub section: String,
    /// Its bytes.
    pub size: u64,
}

/// The sections of an image by address, and its symbols, the largest first.
#[derive(Debug)]
pub struct Sizes {
    /// Every section that takes memory.
    pub sections: Vec<Section>,
    /// Every symbol that has a size.
    pub symbols: Vec<Symbol>,
}

impl Sizes {
    /// Reads them off an ELF file.
    ///
    /// # Errors
    ///
    /// The file is no well-formed ELF file.
    pub fn of(file: &[u8]) -> Result<Self, object::Error> {
        let elf = object::File::parse(file)?;
        let mut sections = Vec::new();
        for section in elf.sections() {
            let SectionFlags::Elf { sh_flags } = section.flags() else { continue };
            if sh_flags & u64::from(SHF_ALLOC) != 0 && section.size() > 0 {
                let (address, size) = (section.address(), section.size());
                let in_file = section.file_range().is_some();
                sections.push(Section { name: section.name()?.to_owned(), address, size, in_file });
            }
        }
        sections.sort_by_key(|section| section.address);

        let section_name = |index: Option<SectionIndex>| -> Result<String, object::Error> {
            let Some(index) = index else { return Ok("-".into()) };
            Ok(elf.section_by_index(index)?.name()?.to_owned())
        };
        let mut symbols = Vec::new();
        for symbol in elf.symbols() {
            if symbol.size() > 0 && matches!(symbol.kind(), SymbolKind::Text | SymbolKind::Data) {
                let name = format!("{:#}", rustc_demangle::demangle(symbol.name()?));
                let section = section_name(symbol.section_index())?;
                symbols.push(Symbol { name, section, size: symbol.size() });
            }
        }
        symbols.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.name.cmp(&b.name)));
        Ok(Self { sections, symbols })
    }

    /// The two tables as text, with at most `largest` symbols.
    pub fn table(&self, largest: usize) -> impl fmt::Display + '_ {
        fmt::from_fn(move |f| {
            writeln!(f, "{:<16} {:>10} {:>9}", "section", "address", "bytes")?;
            for Section { name, address, size, in_file } in &self.sections {
                let note = if *in_file { "" } else { "  not in the file" };
                writeln!(f, "{name:<16} {address:>#10x} {size:>9}{note}")?;
            }
            let total = |wanted: fn(&&Section) -> bool| -> u64 {
                self.sections.iter().filter(wanted).map(|section| section.size).sum()
            };
            writeln!(f, "{:<16} {:>10} {:>9}", "all", "", total(|_| true))?;
            writeln!(
                f,
                "{:<16} {:>10} {:>9}",
                "in the file",
                "",
                total(|section| section.in_file)
            )?;
            writeln!(f, "\n{:>9} {:<16} symbol", "bytes", "section")?;
            for Symbol { name, section, size } in self.symbols.iter().take(largest) {
                writeln!(f, "{size:>9} {section:<16} {name}")?;
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Sizes;

    #[used]
    static OF_A_KNOWN_SIZE: [u8; 54_321] = [1; 54_321];

    fn own() -> Sizes {
        let program = std::env::current_exe().expect("a program has a file");
        Sizes::of(&std::fs::read(program).expect("the file can be read"))
            .expect("the file is well-formed")
    }

    #[test]
    fn symbols_have_their_names_and_sizes_and_come_largest_first() {
        let sizes = own();
        let known = sizes
            .symbols
            .iter()
            .find(|symbol| symbol.name.ends_with("sizes::tests::OF_A_KNOWN_SIZE"));
        assert_eq!(known.map(|symbol| symbol.size), Some(54_321));
        assert!(sizes.symbols.is_sorted_by(|a, b| a.size >= b.size));
    }

    #[test]
    fn sections_come_by_address_and_say_whether_they_are_in_the_file() {
        let sizes = own();
        assert!(sizes.sections.is_sorted_by(|a, b| a.address <= b.address));
        let in_file = |name: &str| {
            sizes.sections.iter().find(|section| section.name == name).map(|s| s.in_file)
        };
        assert_eq!((in_file(".text"), in_file(".bss")), (Some(true), Some(false)));
        assert_eq!(in_file(".symtab"), None);
    }

    #[test]
    fn the_table_has_so_many_symbols() {
        let text = own().table(3).to_string();
        let (_, symbols) = text.split_once("symbol\n").expect("there is a table of symbols");
        assert_eq!(symbols.lines().count(), 3);
    }
}
