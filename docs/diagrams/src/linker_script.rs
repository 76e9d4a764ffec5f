// SPDX-License-Identifier: BSD-3-Clause
//! What `linker.lds` says of the image: its sections, in order, and the symbols in and after each.

/// A section of the image.
#[derive(Debug)]
pub struct Section {
    pub name: &'static str,
    /// Bytes that it is aligned to, as the script has it.
    pub alignment: &'static str,
    /// Whether the file holds its content.
    pub is_loaded: bool,
    /// The symbols that stand in it, or between it and the next section, in order.
    pub symbols: Vec<&'static str>,
}

/// All sections, the first being at the start of the image.
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
