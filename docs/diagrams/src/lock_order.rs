// SPDX-License-Identifier: BSD-3-Clause
//! The order in which granules are locked: the ranks, and the states of each.

use rmm::granule::State;
use rmm::granule::lock_order::Rank;

use crate::style::{Align, Area, Canvas, MARGIN, Paint, TOP, Type, WIDTH};

pub fn draw() -> Canvas {
    let mut canvas = Canvas::new(
        TOP + 174,
        "The order of locks",
        "A CPU that holds the lock of a granule takes only such as come later; so no CPUs ever \
            wait for each other in a circle",
        "One box for each rank of locks, the first to be taken on the left, with the states of \
            granules that are of this rank.",
    );
    let gap = 130;
    let ranks = i32::try_from(Rank::ALL.len()).unwrap_or(1);
    let width = (WIDTH - 2 * MARGIN - gap * (ranks - 1)) / ranks;
    let mut frame = Area { x: MARGIN, y: TOP, width, height: 150 };
    for (place, rank) in Rank::ALL.into_iter().enumerate() {
        if place > 0 {
            let y = frame.y + 60;
            canvas.arrow(&[(frame.x - gap + 6, y), (frame.x - 6, y)]);
            canvas.text((frame.x - gap / 2, y - 10), Align::Middle, Type::Plain, "then");
            canvas.text((frame.x - gap / 2, y + 22), Align::Middle, Type::Faint, "never back");
        }
        canvas.area(frame, Paint::Frame);
        canvas.text(
            (frame.x + 16, frame.y + 26),
            Align::Start,
            Type::Name,
            format!("{}. {rank}", place + 1),
        );
        let mut state_area = Area { x: frame.x + 16, y: frame.y + 46, width: 0, height: 34 };
        for state in State::ALL.into_iter().filter(|state| state.rank() == rank) {
            let name = format!("{state:?}");
            state_area.width = Type::Plain.width(&name) + 16;
            canvas.labeled(state_area, Paint::Blue, Type::Plain, name);
            state_area.x = state_area.right() + 8;
        }
        let within = if rank.is_ascending() {
            "Among them: in ascending order of address"
        } else {
            "Among them: each before those it leads to"
        };
        canvas.text((frame.x + 16, frame.bottom() - 24), Align::Start, Type::Faint, within);
        frame.x = frame.right() + gap;
    }
    canvas
}
