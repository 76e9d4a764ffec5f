// SPDX-License-Identifier: BSD-3-Clause
//! The stages of a cold and of a warm boot, as in `cpu::Stage`. Test images stop a boot that takes
//! them in another order.

use rmm::cpu::{Map, Stage};
use rmm::el3::services::BOOT_COMPLETE;

use crate::style::{Align, Area, Canvas, MARGIN, Paint, TOP, Type, WIDTH};

const HEIGHT: i32 = 46;
const GAP: i32 = 28;
/// The distance between the two columns.
const LANE_GAP: i32 = 32;

fn paint(map: Map) -> Paint {
    match map {
        Map::Off => Paint::Empty,
        Map::Early => Paint::Amber,
        Map::Low => Paint::Green,
        Map::LowAndHigh => Paint::Blue,
    }
}

pub fn draw() -> Canvas {
    let rows = i32::try_from(Stage::COLD.len()).unwrap_or(0);
    let height = TOP + GAP + rows * (HEIGHT + GAP) + 70;
    let mut canvas = Canvas::new(
        height,
        "The stages of a boot",
        "TPIDR_EL2 holds the number of the stage that a CPU is in. A failure before the last one \
            refuses its boot to EL3",
        "A flow from the entry of a CPU, on the left through the stages of a cold boot, \
            on the right through those of a warm one, to where both serve calls.",
    );
    let whole = Area { x: MARGIN, y: TOP + GAP, width: WIDTH - 2 * MARGIN, height: HEIGHT };
    let cold = Area { width: (whole.width - LANE_GAP) * 3 / 5, ..whole };
    let warm =
        Area { x: cold.right() + LANE_GAP, width: whole.width - LANE_GAP - cold.width, ..whole };
    let last = Area { y: whole.y + (rows - 1) * (HEIGHT + GAP), ..whole };
    for (lane, path, name) in
        [(cold, Stage::COLD.as_slice(), "cold boot"), (warm, &Stage::WARM, "warm boot")]
    {
        let [first, between @ .., end] = path else {
            panic!("a boot has a first and a last stage")
        };
        assert!(
            *first == Stage::COLD[0] && Some(end) == Stage::COLD.last(),
            "both ways begin and end alike"
        );
        let steps = i32::try_from(between.len()).unwrap_or(1);
        let x = lane.x + lane.width * 2 / 5;
        canvas.text((x - 10, whole.bottom() + 18), Align::End, Type::Name, name);
        let mut from = (*first, whole);
        for (row, stage) in (1..).zip(between) {
            // Evenly, between the rows that both columns share.
            let y = whole.y + (last.y - whole.y) * row / (steps + 1);
            let area = Area { y, ..lane };
            arrow(&mut canvas, x, from, (*stage, area));
            draw_stage(&mut canvas, area, *stage);
            from = (*stage, area);
        }
        arrow(&mut canvas, x, from, (*end, last));
    }
    draw_stage(&mut canvas, whole, Stage::COLD[0]);
    draw_stage(&mut canvas, last, Stage::COLD[Stage::COLD.len() - 1]);
    let (x, _) = whole.center();
    canvas.arrow(&[(x, TOP), (x, whole.y)]);
    canvas.text(
        (x + 10, TOP + 16),
        Align::Start,
        Type::Faint,
        "EL3, at the first byte of the image",
    );
    canvas.arrow(&[(x, last.bottom()), (x, last.bottom() + GAP)]);
    canvas.text(
        (x + 10, last.bottom() + 20),
        Align::Start,
        Type::Faint,
        format!("EL3, by SMC {BOOT_COMPLETE:#x}"),
    );
    let mut maps: Vec<(Paint, String)> = Vec::new();
    for stage in Stage::COLD {
        let entry = (paint(stage.map()), stage.map().to_string());
        if !maps.contains(&entry) {
            maps.push(entry);
        }
    }
    let legend: Vec<_> = maps.iter().map(|(paint, name)| (*paint, name.as_str())).collect();
    canvas.legend(height - 20, &legend);
    canvas
}

/// Draws a stage: its name, its work, its number.
fn draw_stage(canvas: &mut Canvas, area: Area, stage: Stage) {
    canvas.area(area, paint(stage.map()));
    canvas.text((area.x + 14, area.y + 20), Align::Start, Type::Name, format!("{stage:?}"));
    canvas.text((area.x + 14, area.y + 37), Align::Start, Type::Faint, stage);
    canvas.text(
        (area.right() - 14, area.y + 20),
        Align::End,
        Type::Code,
        format!("{:#04x}", stage as u8),
    );
}

/// Draws the arrow from a stage to the next, with the new map if it changes.
fn arrow(canvas: &mut Canvas, x: i32, (before, from): (Stage, Area), (next, to): (Stage, Area)) {
    canvas.arrow(&[(x, from.bottom()), (x, to.y)]);
    if before.map() != next.map() {
        let middle = i32::midpoint(from.bottom(), to.y);
        canvas.text(
            (x + 10, middle + 4),
            Align::Start,
            Type::Faint,
            format!("now: {}", next.map()),
        );
    }
}
