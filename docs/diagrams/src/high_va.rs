// SPDX-License-Identifier: BSD-3-Clause
//! The High VA range of a CPU, from `high_va` and `slot_layout`, drawn from the top down.

use rmm::address::{GRANULE_SIZE, PhysAddr};
use rmm::mem::high_va::{self, BASE, PARTS};
use rmm::mem::slot_layout::{self, SlotIndex};

use crate::style::{Align, Area, Canvas, Paint, TOP, Type, count, hex};

/// Consecutive pages of one kind.
struct Run {
    name: String,
    base: u64,
    pages: u64,
    paint: Paint,
}

impl Run {
    fn new(name: impl ToString, base: u64, end: u64, paint: Paint) -> Self {
        Self { name: name.to_string(), base, pages: end.wrapping_sub(base) / GRANULE_SIZE, paint }
    }

    fn height(&self) -> i32 {
        match self.paint {
            Paint::Empty => 48,
            Paint::Teal => 112,
            _ => 14 + 12 * i32::try_from(self.pages).unwrap_or(0),
        }
    }
}

/// The whole range, from the bottom.
fn runs() -> Vec<Run> {
    let slots = slot_layout::BASE.get();
    let slots_end = slots + slot_layout::SIZE;
    let mut runs = Vec::new();
    let mut end = BASE;
    for part in PARTS {
        runs.push(Run::new("guard", end, part.base, Paint::Red));
        runs.push(Run::new(part.name, part.base, part.top, Paint::Amber));
        end = part.top;
    }
    runs.push(Run::new("nothing", end, slots, Paint::Empty));
    runs.push(Run::new("slots", slots, slots_end, Paint::Teal));
    // The range ends at the end of the address space.
    runs.push(Run::new("nothing", slots_end, 0, Paint::Empty));
    runs
}

/// Every slot, from the bottom.
fn slots() -> Vec<Run> {
    let bases = SlotIndex::ALL.map(|slot| slot.address().get());
    let ends = bases.into_iter().skip(1).chain([slot_layout::BASE.get() + slot_layout::SIZE]);
    let slots = SlotIndex::ALL.into_iter().zip(bases).zip(ends);
    slots.map(|((slot, base), end)| Run::new(format!("{slot:?}"), base, end, Paint::Teal)).collect()
}

pub fn draw() -> Canvas {
    let bits = high_va::space(PhysAddr::new((1 << 48) - 1)).map_or(0, |space| space.address_bits());
    let height = TOP + runs().iter().map(Run::height).sum::<i32>() + 60;
    let mut canvas = Canvas::new(
        height,
        "The High VA range of a CPU",
        &format!(
            "TTBR1, 2^{bits} bytes at the top of the address space: the same addresses on every CPU, \
            each with a table of its own"
        ),
        "Two columns of memory, the highest address on top. The left one \
            shows the stacks and the context of a CPU between guard pages, and the \
         slots; the right one shows the slots one by one.",
    );
    let mut area = Area { x: 176, y: TOP, width: 220, height: 0 };
    let mut whole_slots = area;
    for run in runs().iter().rev() {
        area.height = run.height();
        if run.name == "slots" {
            whole_slots = area;
        }
        canvas.labeled(
            area,
            run.paint,
            Type::Plain,
            format!("{}: {}", run.name, count(run.pages, "page")),
        );
        area.y = area.bottom();
        canvas.text((area.x - 8, area.y - 3), Align::End, Type::Code, hex(run.base));
    }

    let slots = slots();
    let slot_height = |slot: &Run| if slot.pages > 1 { 44 } else { 24 };
    let mut area = Area { x: 500, y: TOP, width: 200, height: 0 };
    let bottom = area.y + slots.iter().map(slot_height).sum::<i32>();
    canvas.line(&[(whole_slots.right(), whole_slots.y), (area.x, area.y)]);
    canvas.line(&[(whole_slots.right(), whole_slots.bottom()), (area.x, bottom)]);
    for slot in slots.iter().rev() {
        area.height = slot_height(slot);
        let pages =
            if slot.pages > 1 { format!(": {}", count(slot.pages, "page")) } else { String::new() };
        canvas.labeled(area, slot.paint, Type::Plain, format!("{}{pages}", slot.name));
        area.y = area.bottom();
        canvas.text((area.right() + 8, area.y - 3), Align::Start, Type::Code, hex(slot.base));
    }
    canvas.legend(
        height - 20,
        &[
            (Paint::Amber, "mapped for good"),
            (Paint::Red, "never mapped: whoever runs over faults"),
            (Paint::Teal, "mapped while in use"),
            (Paint::Empty, "never mapped"),
        ],
    );
    canvas
}
