// SPDX-License-Identifier: BSD-3-Clause
//! What the pictures share: canvas, colors, type, arrows. All positions and sizes are whole pixels,
//! so a picture has the same bytes wherever it is drawn.
//!
//! A text that would leave the canvas or overlap another text panics. Widths are estimated
//! generously, for all fonts.

use std::fmt;

use svg::Document;
use svg::node::element::{
    Description, Group, Marker, Path, Polyline, Rectangle, Text as TextNode, Title,
};
use svg::node::{Node, Text as Words};

/// The width of every picture.
pub const WIDTH: i32 = 960;
/// The margin on each side.
pub const MARGIN: i32 = 24;
/// The first row below title and subtitle.
pub const TOP: i32 = 84;

const INK: &str = "#1f2937";
const FAINT: &str = "#566070";

/// A rectangle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Area {
    pub x: i32,
    pub y: i32,
    pub width: i32,
    pub height: i32,
}

impl Area {
    /// The point in the middle.
    pub const fn center(self) -> (i32, i32) {
        (self.x + self.width / 2, self.y + self.height / 2)
    }

    pub const fn right(self) -> i32 {
        self.x + self.width
    }

    pub const fn bottom(self) -> i32 {
        self.y + self.height
    }

    const fn overlaps(self, other: Self) -> bool {
        self.x < other.right()
            && other.x < self.right()
            && self.y < other.bottom()
            && other.y < self.bottom()
    }
}

/// The meaning of an area, as a color.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// Executable, or at the center of the picture.
    Blue,
    /// Read-only, or done.
    Green,
    /// Writable, or in use.
    Amber,
    /// Transient.
    Teal,
    /// Of a device.
    Violet,
    /// Must not be reached.
    Red,
    /// Nothing is there.
    Empty,
    /// A frame around others.
    Frame,
}

impl Paint {
    const fn fill_and_stroke(self) -> (&'static str, &'static str) {
        match self {
            Self::Blue => ("#dbeafe", "#1d4ed8"),
            Self::Green => ("#dcfce7", "#15803d"),
            Self::Amber => ("#fef3c7", "#b45309"),
            Self::Teal => ("#cffafe", "#0e7490"),
            Self::Violet => ("#ede9fe", "#6d28d9"),
            Self::Red => ("#fee2e2", "#b91c1c"),
            Self::Empty => ("#f3f4f6", "#9ca3af"),
            Self::Frame => ("#fafafa", "#9ca3af"),
        }
    }
}

/// The style of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    Heading,
    Name,
    Plain,
    Faint,
    Code,
}

impl Type {
    const fn size(self) -> i32 {
        match self {
            Self::Heading => 18,
            Self::Name | Self::Plain => 13,
            Self::Faint => 12,
            Self::Code => 11,
        }
    }

    /// A width that `text` does not exceed in common fonts.
    pub fn width(self, text: &str) -> i32 {
        let hundredths = match self {
            Self::Heading | Self::Name => 66,
            Self::Plain | Self::Faint => 59,
            Self::Code => 61,
        };
        i32::try_from(text.chars().count()).unwrap_or(i32::MAX / 1000) * self.size() * hundredths
            / 100
    }
}

/// The point of a text that is at the given position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    Start,
    Middle,
    End,
}

/// A picture that is being drawn.
#[derive(Debug)]
pub struct Canvas {
    title: String,
    description: String,
    height: i32,
    content: Group,
    texts: Vec<(Area, String)>,
}

impl Canvas {
    /// An empty picture with a title, a subtitle, and a description for those who cannot see it.
    pub fn new(height: i32, title: &str, subtitle: &str, description: &str) -> Self {
        let mut canvas = Self {
            title: title.to_owned(),
            description: description.to_owned(),
            height,
            content: Group::new(),
            texts: Vec::new(),
        };
        canvas.text((MARGIN, 36), Align::Start, Type::Heading, title);
        canvas.text((MARGIN, 60), Align::Start, Type::Faint, subtitle);
        canvas
    }

    /// Draws an area.
    pub fn area(&mut self, area: Area, paint: Paint) {
        let (fill, stroke) = paint.fill_and_stroke();
        let mut rectangle = rectangle(area, 3).set("fill", fill).set("stroke", stroke);
        if paint == Paint::Empty {
            rectangle = rectangle.set("stroke-dasharray", "4 3");
        }
        self.content.append(rectangle);
    }

    /// Draws an area with a text in its middle.
    pub fn labeled(&mut self, area: Area, paint: Paint, style: Type, label: impl fmt::Display) {
        let label = label.to_string();
        assert!(style.width(&label) <= area.width, "{label:?} is wider than its area");
        self.area(area, paint);
        let (x, y) = area.center();
        self.text((x, y + style.size() * 36 / 100), Align::Middle, style, label);
    }

    /// Draws an area of memory with its content and its mapping.
    pub fn mapped(
        &mut self,
        area: Area,
        paint: Paint,
        name: impl fmt::Display,
        how: impl fmt::Display,
    ) {
        const INDENT: i32 = 14;
        self.area(area, paint);
        let lines = [(18, Type::Plain, name.to_string()), (34, Type::Code, how.to_string())];
        for (y, style, line) in lines {
            assert!(
                style.width(&line) + 2 * INDENT <= area.width,
                "{line:?} is wider than its area"
            );
            self.text((area.x + INDENT, area.y + y), Align::Start, style, line);
        }
    }

    /// Writes a text on a base line. It begins, ends or is centered at `at`.
    pub fn text(&mut self, at: (i32, i32), align: Align, style: Type, text: impl fmt::Display) {
        let text = text.to_string();
        let (x, y) = at;
        let width = style.width(&text);
        let (anchor, left) = match align {
            Align::Start => ("start", x),
            Align::Middle => ("middle", x - width / 2),
            Align::End => ("end", x - width),
        };
        let size = style.size();
        let area = Area { x: left, y: y - size * 3 / 4, width, height: size };
        assert!(
            left >= 0 && area.right() <= WIDTH && area.bottom() <= self.height,
            "{text:?} is off the canvas"
        );
        if let Some((_, other)) = self.texts.iter().find(|(other, _)| area.overlaps(*other)) {
            panic!("{text:?} lies on {other:?}");
        }
        self.texts.push((area, text.clone()));
        let mut node = TextNode::new(text).set("x", x).set("y", y).set("font-size", size);
        if align != Align::Start {
            node.assign("text-anchor", anchor);
        }
        match style {
            Type::Heading | Type::Name => node.assign("font-weight", "bold"),
            Type::Plain => {}
            Type::Faint => node.assign("fill", FAINT),
            Type::Code => node.assign("font-family", "monospace"),
        }
        self.content.append(node);
    }

    /// Draws a line through `points`.
    pub fn line(&mut self, points: &[(i32, i32)]) {
        self.content.append(polyline(points).set("stroke", "#9ca3af"));
    }

    /// Draws a line through `points` with a head at its end.
    pub fn arrow(&mut self, points: &[(i32, i32)]) {
        self.content.append(
            polyline(points)
                .set("stroke", INK)
                .set("stroke-width", "1.5")
                .set("marker-end", "url(#head)"),
        );
    }

    /// Explains the colors, in a row on `y`.
    pub fn legend(&mut self, y: i32, entries: &[(Paint, &str)]) {
        let mut x = MARGIN;
        for (paint, meaning) in entries {
            self.area(Area { x, y: y - 11, width: 16, height: 14 }, *paint);
            self.text((x + 24, y), Align::Start, Type::Faint, meaning);
            x += 24 + Type::Faint.width(meaning) + 20;
        }
    }

    /// The picture as the text of an SVG file.
    pub fn finish(self) -> String {
        let head = Marker::new()
            .set("id", "head")
            .set("viewBox", "0 0 10 10")
            .set("refX", 9)
            .set("refY", 5)
            .set("markerWidth", 7)
            .set("markerHeight", 7)
            .set("orient", "auto")
            .add(Path::new().set("d", "M0 0 10 5 0 10Z").set("fill", INK));
        let whole = Area { x: 0, y: 0, width: WIDTH, height: self.height };
        let document = Document::new()
            .set("viewBox", format!("0 0 {WIDTH} {}", self.height))
            .set("width", WIDTH)
            .set("height", self.height)
            .set("font-family", "sans-serif")
            .set("fill", INK)
            .set("role", "img")
            .add(Title::new(self.title))
            .add(Description::new().add(Words::new(self.description)))
            .add(head)
            // A background of its own, so that it looks the same on pages of any color.
            .add(rectangle(whole, 8).set("fill", "#ffffff"))
            .add(self.content);
        format!(
            "<!-- SPDX-License-Identifier: BSD-3-Clause -->\n<!-- Drawn from the code by `make diagrams`. -->\n{document}\n"
        )
    }
}

fn rectangle(area: Area, radius: i32) -> Rectangle {
    Rectangle::new()
        .set("x", area.x)
        .set("y", area.y)
        .set("width", area.width)
        .set("height", area.height)
        .set("rx", radius)
}

fn polyline(points: &[(i32, i32)]) -> Polyline {
    let points: Vec<_> = points.iter().map(|(x, y)| format!("{x},{y}")).collect();
    Polyline::new().set("points", points.join(" ")).set("fill", "none")
}

/// An address, its digits in groups of four.
pub fn hex(address: u64) -> String {
    let groups: Vec<_> =
        [48, 32, 16, 0].iter().map(|shift| format!("{:04x}", address >> shift & 0xffff)).collect();
    format!("0x{}", groups.join("_"))
}

/// A number of things.
pub fn count(number: impl fmt::Display, thing: &str) -> String {
    let number = number.to_string();
    let plural = if number == "1" { "" } else { "s" };
    format!("{number} {thing}{plural}")
}
