// SPDX-License-Identifier: BSD-3-Clause
//! The sections of `linker.lds`, in order, and the symbols in and after each.

/// A section of the image.
#[derive(Debug)]
pub struct Section {
    pub name: &'static str,
    /// Its alignment in bytes, as in the script.
    pub alignment: &'static str,
    /// Whether the file has its content.
    pub is_loaded: bool,
    /// The symbols in it, or between it and the next section, in order.
    pub symbols: Vec<&'static str>,
}

/// All sections. The first one is at the start of the image.
pub fn sections() -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    for line in include_str!("../../../linker.lds").lines().map(str::trim) {
        if line.starts_with("/DISCARD/") {
            break;
        }
        if let Some((head, alignment)) = line.split_once(" : ALIGN(") {
            let (name, kind) = head.split_once(' ').unwrap_or((head, ""));
            let alignment = alignment.split(')').next().unwrap_or_default();
            sections.push(Section {
                name,
                alignment,
                is_loaded: kind != "(NOLOAD)",
                symbols: Vec::new(),
            });
        } else if let (Some(symbol), Some(section)) =
            (line.strip_suffix(" = .;"), sections.last_mut())
        {
            section.symbols.push(symbol);
        }
    }
    sections
}
