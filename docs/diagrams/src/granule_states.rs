// SPDX-License-Identifier: BSD-3-Clause
//! The states of a granule and its transitions: the table in `granule::state`.
//!
//! Non-secure is on the left. At the top and bottom are the states of unused granules, wiped or
//! not; between them, from left to right, the states of granules in use.

use rmm::granule::state::{StateType, TRANSITIONS, TYPES, TransitionRow};

use crate::style::{Align, Area, Canvas, MARGIN, Paint, TOP, Type, WIDTH};

/// The distance between rows, with room for the names of commands.
const GAP: i32 = 84;
const BOX_HEIGHT: i32 = 64;
const BAR_HEIGHT: i32 = 44;
/// The distance of two lines of text.
const LINE: usize = 15;

/// A state of a granule in use, with the transitions into it and out of it.
struct Use {
    known: &'static StateType,
    into: &'static TransitionRow,
    out: &'static TransitionRow,
    /// The transition into it from a granule that is not wiped.
    unwiped: Option<&'static TransitionRow>,
}

impl Use {
    /// The labels of the transition into the state and of the one out of it.
    fn labels(&self) -> [Vec<(Type, &'static str)>; 2] {
        let commands = |step: &'static TransitionRow| {
            step.by.iter().map(|command| (Type::Code, *command)).collect()
        };
        let mut labels: [Vec<_>; 2] = [commands(self.into), commands(self.out)];
        if self.known.max_references > 0 {
            labels[1].push((Type::Faint, "unreferenced"));
        }
        if let Some(unwiped) = self.unwiped {
            labels[1].push((Type::Faint, "and back by"));
            labels[1].extend(unwiped.by.iter().map(|command| (Type::Code, *command)));
        }
        labels
    }

    fn width(&self) -> i32 {
        let labels = self.labels().into_iter().flatten();
        let labels = labels.map(|(style, label)| style.width(label) + 22).max().unwrap_or(0);
        // Room for the second arrow into the state.
        labels.max(90) + if self.unwiped.is_some() { 18 } else { 0 }
    }
}

/// The only transition for which `is` holds.
fn step(is: impl Fn(&TransitionRow) -> bool) -> &'static TransitionRow {
    let mut found = TRANSITIONS.iter().filter(|step| is(step));
    let first = found.next().expect("the picture needs a transition that the table has not");
    assert!(found.next().is_none(), "the picture has one place for what the table has several of");
    first
}

fn known(name: &str) -> &'static StateType {
    TYPES
        .iter()
        .find(|known| known.name == name)
        .expect("the picture needs a state that there is not")
}

pub fn draw() -> Canvas {
    let [ns, delegated, wiped, unproven, lost] =
        ["Ns", "Delegated", "Wiped", "Unproven", "Lost"].map(known);
    let uses: Vec<_> = TYPES
        .iter()
        .filter(|known| ![ns.state, delegated.state, lost.state].contains(&known.state))
        .map(|known| Use {
            known,
            into: step(|step| step.to.state == known.state && step.from == *wiped),
            out: step(|step| step.from.state == known.state),
            unwiped: TRANSITIONS
                .iter()
                .find(|step| step.to.state == known.state && step.from == *delegated),
        })
        .collect();
    assert!(uses.iter().all(|way| way.out.to == *delegated), "ways that are not drawn");
    let unwiped = uses.iter().filter(|way| way.unwiped.is_some()).count();
    // One is a word in a bar, the other ends where a host begins.
    let prove = step(|step| step.from == *unproven);
    let lose = step(|step| step.to == *lost);
    assert!(prove.to == *ns && lose.from == *delegated, "ways that are not drawn");
    assert_eq!(TRANSITIONS.len(), 2 * uses.len() + 4 + unwiped, "ways that are not drawn");

    let mut canvas = Canvas::new(
        TOP + 2 * (BAR_HEIGHT + GAP) + BOX_HEIGHT + 64,
        "The states of a granule",
        "The RMI commands that make each transition. There are no other ones: \
            what is not in this table does not compile",
        "A diagram of states. From Non-secure a granule becomes Delegated, from there it is \
            wiped, and only from there it comes into use or goes back to \
         Non-secure. From each use it goes back to Delegated.",
    );
    let left = WIDTH - MARGIN - uses.iter().map(Use::width).sum::<i32>();
    let top_bar = Area { x: left, y: TOP, width: WIDTH - MARGIN - left, height: BAR_HEIGHT };
    let bottom_bar = Area { y: TOP + BAR_HEIGHT + 2 * GAP + BOX_HEIGHT, ..top_bar };
    let states_y = top_bar.bottom() + GAP;
    canvas.labeled(
        top_bar,
        Paint::Blue,
        Type::Name,
        format!(
            "{} (still {:?}, but known to be zero until it is unlocked)",
            wiped.name, wiped.state
        ),
    );
    canvas.labeled(
        bottom_bar,
        Paint::Blue,
        Type::Name,
        format!(
            "{} ({} for good if its memory does not answer when it is wiped)",
            delegated.name, lost.name
        ),
    );

    // Between the host and the Realm world.
    let host = Area { x: MARGIN, y: states_y, width: 106, height: BOX_HEIGHT };
    state(&mut canvas, host, Paint::Green, ns);
    let x = host.x + 10;
    let leave = step(|step| step.to == *ns && step.from != *unproven);
    let enter = step(|step| step.from == *ns);
    assert!(leave.from == *wiped && enter.to == *delegated, "ways that are not drawn");
    canvas.arrow(&[(top_bar.x, top_bar.y + 12), (x, top_bar.y + 12), (x, host.y)]);
    commands(&mut canvas, (x + 6, top_bar.y + 32), leave);
    canvas.arrow(&[
        (x, host.bottom()),
        (x, bottom_bar.bottom() - 12),
        (bottom_bar.x, bottom_bar.bottom() - 12),
    ]);
    commands(&mut canvas, (x + 6, bottom_bar.bottom() - 41), enter);

    // Wiping, which the two types of one state show.
    let x = left - 42;
    canvas.arrow(&[
        (bottom_bar.x, bottom_bar.y + 12),
        (x, bottom_bar.y + 12),
        (x, top_bar.bottom() - 12),
        (top_bar.x, top_bar.bottom() - 12),
    ]);
    canvas.text((x + 6, states_y + BOX_HEIGHT / 2), Align::Start, Type::Code, "wipe");

    let mut x = left;
    for way in &uses {
        let area = Area { x, y: states_y, width: way.width() - 10, height: BOX_HEIGHT };
        state(&mut canvas, area, Paint::Amber, way.known);
        for ((from, to), labels) in [(top_bar.bottom(), area.y), (area.bottom(), bottom_bar.y)]
            .into_iter()
            .zip(way.labels())
        {
            canvas.arrow(&[(x + 10, from), (x + 10, to)]);
            for (y, (style, label)) in (from + 26..).step_by(LINE).zip(labels) {
                canvas.text((x + 16, y), Align::Start, style, label);
            }
        }
        if way.unwiped.is_some() {
            let x = area.right() - 8;
            canvas.arrow(&[(x, bottom_bar.y), (x, area.bottom())]);
        }
        x += way.width();
    }
    canvas.legend(
        bottom_bar.bottom() + 44,
        &[
            (Paint::Green, "of the host, or of nobody here"),
            (Paint::Blue, "Realm memory that is not in use"),
            (Paint::Amber, "in use for a Realm"),
        ],
    );
    canvas
}

/// Draws a state with the references that it allows.
fn state(canvas: &mut Canvas, area: Area, paint: Paint, known: &StateType) {
    canvas.area(area, paint);
    let (x, _) = area.center();
    canvas.text((x, area.y + 22), Align::Middle, Type::Name, known.name);
    let references = match known.max_references {
        0 => "0".to_owned(),
        limit => format!("0 to {limit}"),
    };
    canvas.text((x, area.y + 40), Align::Middle, Type::Faint, "references:");
    canvas.text((x, area.y + 55), Align::Middle, Type::Faint, references);
}

/// Writes the commands of a transition, one below the other.
fn commands(canvas: &mut Canvas, (x, y): (i32, i32), step: &TransitionRow) {
    for (y, command) in (y..).step_by(LINE).zip(step.by) {
        canvas.text((x, y), Align::Start, Type::Code, command);
    }
}
