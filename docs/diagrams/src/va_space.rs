// SPDX-License-Identifier: BSD-3-Clause
//! The whole address space of the RMM: both VA ranges with everything mapped in them, from `low_va`
//! and `high_va`.

use rmm::address::PhysAddr;
use rmm::mem::high_va::{self, PARTS};
use rmm::mem::linker;
use rmm::mem::low_va::{self, LowVaPart};
use rmm::mem::slot_layout::SlotIndex;

use crate::parts::{LEGEND, attributes, paint};
use crate::style::{Align, Area, Canvas, Paint, TOP, Type, count, hex};

/// The height of one part on the right.
const ROW: i32 = 42;
/// The height of a hole between two of them.
const HOLE: i32 = 14;

pub fn draw() -> Canvas {
    let max_pa = PhysAddr::new((1 << low_va::FORMAT.address_bits()) - 1);
    let high_bits = high_va::space(max_pa).map_or(0, |space| space.address_bits());
    let low_bits = low_va::LEAST_ADDRESS_BITS..=low_va::FORMAT.address_bits();

    let image = linker::PARTS.iter().map(|(part, ..)| *part);
    let elsewhere =
        LowVaPart::ALL.into_iter().filter(|part| !image.clone().any(|other| other == *part));
    // From the bottom, with a hole before each.
    let groups: Vec<Vec<LowVaPart>> =
        [image.clone().collect()].into_iter().chain(elsewhere.map(|part| vec![part])).collect();
    let rows = |count: usize| i32::try_from(count).unwrap_or(0) * ROW;
    let holes = i32::try_from(groups.len() + 1).unwrap_or(0) * HOLE;
    let low_height = rows(LowVaPart::ALL.len()) + holes;
    let high_height = rows(PARTS.len() + 1);
    let neither = 40;

    let height = TOP + high_height + neither + low_height + 60;
    let mut canvas = Canvas::new(
        height,
        "The address space of the RMM",
        "Two ranges of virtual addresses, each with a table base register of its own; an access \
            to any other address faults",
        "A column with the whole address space, the highest address on top: the High VA range, \
            which each CPU has for itself, nothing, and the Low VA range, \
         which all share. On the right what is mapped in each.",
    );
    let column = Area { x: 176, y: TOP, width: 220, height: high_height };
    let boundary = |canvas: &mut Canvas, y, address| {
        canvas.text((column.x - 8, y), Align::End, Type::Code, hex(address))
    };

    // The High VA range.
    canvas.area(column, Paint::Frame);
    let (x, y) = column.center();
    canvas.text((x, y - 26), Align::Middle, Type::Name, "High VA range");
    for (line, text) in (0..).zip([
        format!("TTBR1, 2^{high_bits} bytes"),
        "each CPU's own".to_owned(),
        "the same layout on all".to_owned(),
    ]) {
        canvas.text((x, y - 4 + 18 * line), Align::Middle, Type::Faint, text);
    }
    boundary(&mut canvas, column.y + 10, u64::MAX);
    boundary(&mut canvas, column.bottom() - 3, high_va::BASE);
    let right = Area { x: 470, y: TOP, width: 386, height: ROW };
    let mut area = right;
    canvas.mapped(
        area,
        Paint::Teal,
        format!("slots, of {}", count(SlotIndex::ALL.len(), "kind")),
        "transient: mapped while in use",
    );
    for own in PARTS.iter().rev() {
        area.y = area.bottom();
        canvas.mapped(area, Paint::Amber, own.name, high_va::ATTRIBUTES);
    }
    join(&mut canvas, column, Area { height: high_height, ..right });

    // Addresses in neither range.
    let column = Area { y: column.bottom(), height: neither, ..column };
    canvas.labeled(column, Paint::Empty, Type::Plain, "in neither range");

    // The Low VA range.
    let column = Area { y: column.bottom(), height: low_height, ..column };
    canvas.area(column, Paint::Frame);
    let (x, y) = column.center();
    canvas.text((x, y - 26), Align::Middle, Type::Name, "Low VA range");
    for (line, text) in (0..).zip([
        format!("TTBR0, 2^{} to 2^{} bytes,", low_bits.start(), low_bits.end()),
        "as the highest mapping needs".to_owned(),
        "flat, the same for all CPUs".to_owned(),
    ]) {
        canvas.text((x, y - 4 + 18 * line), Align::Middle, Type::Faint, text);
    }
    boundary(&mut canvas, column.y + 10, max_pa.get());
    boundary(&mut canvas, column.bottom() - 3, 0);
    let low = Area { y: column.y, height: low_height, ..right };
    canvas.area(low, Paint::Empty);
    join(&mut canvas, column, low);
    let mut bottom = low.bottom();
    for group in &groups {
        bottom -= HOLE;
        for own in group {
            bottom -= ROW;
            let area = Area { y: bottom, ..right };
            canvas.mapped(area, paint(*own), own, attributes(*own));
        }
    }
    let mut legend = LEGEND.to_vec();
    legend.push((Paint::Teal, "a granule's or the host's, for a time"));
    legend.push((Paint::Empty, "not mapped"));
    canvas.legend(height - 20, &legend);
    canvas
}

/// Shows that the right area is a detail of the left one.
fn join(canvas: &mut Canvas, left: Area, right: Area) {
    canvas.line(&[(left.right(), left.y), (right.x, right.y)]);
    canvas.line(&[(left.right(), left.bottom()), (right.x, right.bottom())]);
}
