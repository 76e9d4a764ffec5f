// SPDX-License-Identifier: BSD-3-Clause
//! The image in memory: the sections of `linker.lds`, and the parts of the Low VA map that
//! `mem::linker` derives from them.

use rmm::boot::stacks;
use rmm::mem::linker::PARTS;
use rmm::mem::low_va::LowVaPart;

use crate::linker_script::{Section, sections};
use crate::parts::{LEGEND, attributes, paint};
use crate::style::{Align, Area, Canvas, TOP, Type, count};

const ROW: i32 = 50;

/// The part that contains the section: the part's first and last symbols enclose those of the
/// section.
fn part_of(section: &Section, sections: &[Section]) -> LowVaPart {
    let symbols: Vec<_> = sections.iter().flat_map(|section| &section.symbols).collect();
    let place = |symbol: &str| symbols.iter().position(|other| **other == symbol);
    let own = section.symbols.first().and_then(|symbol| place(symbol));
    let found = PARTS.iter().find(|(_, start, end)| place(start) <= own && own < place(end));
    found.map(|(part, ..)| *part).expect("each section is in a part that is mapped")
}

pub fn draw() -> Canvas {
    let sections = sections();
    let rows = i32::try_from(sections.len()).unwrap_or(0);
    let height = TOP + rows * ROW + 60;
    let mut canvas = Canvas::new(
        height,
        "The image in memory",
        "Linked at 0 and run wherever EL3 loads it; on the right as the Low VA map has it. Sizes \
            are not to scale",
        "A column of the sections of the image, the highest address on top, each with its symbols \
            on the left, and on the right how it is mapped.",
    );
    let mut area = Area { x: 190, y: TOP, width: 300, height: ROW };
    let mut shown = None;
    for section in sections.iter().rev() {
        let part = part_of(section, &sections);
        canvas.area(area, paint(part));
        canvas.text((area.x + 14, area.y + 22), Align::Start, Type::Name, section.name);
        let loaded = if section.is_loaded { "in the file" } else { "not in the file" };
        canvas.text(
            (area.x + 14, area.y + 40),
            Align::Start,
            Type::Faint,
            format!("aligned to {}, {loaded}", count(section.alignment, "byte")),
        );
        for (y, symbol) in (0..).map(|line| area.bottom() - 5 - 15 * line).zip(&section.symbols) {
            canvas.text((area.x - 10, y), Align::End, Type::Code, symbol);
        }
        if section.name == ".boot_stacks" {
            let guards = format!("{} unmapped", count(stacks::GUARDS.len(), "guard page"));
            canvas.text((area.right() - 14, area.y + 22), Align::End, Type::Faint, guards);
        }
        if shown != Some(part) {
            shown = Some(part);
            let sections =
                sections.iter().filter(|other| part_of(other, &sections) == part).count();
            let bracket = area.y + 4..area.y + ROW * i32::try_from(sections).unwrap_or(1) - 4;
            let x = area.right() + 8;
            canvas.line(&[
                (x, bracket.start),
                (x + 8, bracket.start),
                (x + 8, bracket.end),
                (x, bracket.end),
            ]);
            let middle = i32::midpoint(bracket.start, bracket.end);
            canvas.text((x + 20, middle - 4), Align::Start, Type::Plain, part);
            canvas.text((x + 20, middle + 14), Align::Start, Type::Code, attributes(part));
        }
        area.y = area.bottom();
    }
    canvas.legend(height - 20, &LEGEND[..3]);
    canvas
}
