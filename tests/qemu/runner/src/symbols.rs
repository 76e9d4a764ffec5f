// SPDX-License-Identifier: BSD-3-Clause
//! What the debug information of a linked image says of an address in it: functions, files and
//! lines, and where the function that is there keeps its return address.

use std::path::Path;

use addr2line::gimli::{
    AArch64, BaseAddresses, CfaRule, Dwarf, EhFrame, EndianSlice, LittleEndian, RegisterRule,
    SectionId, UnwindContext, UnwindSection, Vendor,
};
use anyhow::{Context, Result};
use object::{Object, ObjectSection, ObjectSymbol};

type Bytes<'data> = EndianSlice<'data, LittleEndian>;

/// Where the return address of a function is, while one of its instructions is about to be
/// executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReturnAddress {
    /// In x30.
    LinkRegister,
    /// So many bytes above the stack pointer.
    Stack(i64),
}

/// How to get from a function to its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Bytes from the stack pointer to that of the caller.
    pub size: i64,
    /// Where to look for the address in the caller.
    pub return_address: ReturnAddress,
}

/// What is known of the code of an image. Addresses are those that it is linked at.
pub trait Code {
    /// The functions at `address` as `name at file:line`, the innermost of those that were inlined
    /// first.
    fn functions(&self, address: u64) -> Vec<String>;

    /// The frame of the function at `address`; `None` where none is described, as in assembly.
    fn frame(&self, address: u64) -> Option<Frame>;
}

/// The debug information of an ELF file.
pub struct Symbols<'data> {
    lines: addr2line::Context<Bytes<'data>>,
    frames: EhFrame<Bytes<'data>>,
    /// The labels of the code and their addresses, ascending.
    labels: Vec<(u64, &'data str)>,
}

impl<'data> Symbols<'data> {
    /// Finds the debug information of `file`.
    ///
    /// # Errors
    ///
    /// One line: it is no well-formed ELF file, or its debug information is not well-formed.
    pub fn of(file: &'data [u8]) -> Result<Self> {
        let elf = object::File::parse(file)?;
        let section = |name: &str| -> Bytes<'data> {
            let data = elf.section_by_name(name).and_then(|section| section.data().ok());
            EndianSlice::new(data.unwrap_or_default(), LittleEndian)
        };
        let dwarf =
            Dwarf::load(|id: SectionId| Ok::<_, addr2line::gimli::Error>(section(id.name())));
        let lines = dwarf
            .and_then(addr2line::Context::from_dwarf)
            .context("the debug information is of no use")?;
        let mut frames = EhFrame::from(section(SectionId::EhFrame.name()));
        frames.set_vendor(Vendor::AArch64);
        let text = elf.section_by_name(".text").map(|section| section.index());
        let in_text =
            elf.symbols().filter(|symbol| text.is_some() && symbol.section_index() == text);
        // Those that begin with a dollar sign tell code from data (ELF for the Arm 64-bit
        // Architecture, 4.5.4).
        let mut labels: Vec<_> = in_text
            .filter_map(|symbol| Some((symbol.address(), symbol.name().ok()?)))
            .filter(|(_, name)| !name.is_empty() && !name.starts_with('$'))
            .collect();
        labels.sort_unstable();
        Ok(Self { lines, frames, labels })
    }
}

impl Code for Symbols<'_> {
    fn functions(&self, address: u64) -> Vec<String> {
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
            // Assembly has no more than labels.
            functions.push(format!("{name} + {:#x}", address - label));
        }
        functions
    }

    fn frame(&self, address: u64) -> Option<Frame> {
        let bases = BaseAddresses::default().set_eh_frame(0).set_text(0);
        let mut context = UnwindContext::new();
        let row = self
            .frames
            .unwind_info_for_address(&bases, &mut context, address, EhFrame::cie_from_offset)
            .ok()?;
        // Without frame pointers nothing but the stack pointer can be the base.
        let &CfaRule::RegisterAndOffset { register: AArch64::SP, offset: size } = row.cfa() else {
            return None;
        };
        let return_address = match row.register(AArch64::X30) {
            Some(RegisterRule::Offset(offset)) => ReturnAddress::Stack(size + offset),
            _ => ReturnAddress::LinkRegister,
        };
        Some(Frame { size, return_address })
    }
}

/// A demangled name without the hash that legacy mangling ends with.
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

/// A file by its path in this tree, or in the sources of `core`, or whatever it is.
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
