// SPDX-License-Identifier: BSD-3-Clause
//! Mapped parts in the pictures: a color for what the mapping allows, and its attributes in words.

use rmm::mem::low_va::LowVaPart;
use rmm::xlat::{Attributes, DataAccess, MemoryType};

use crate::style::Paint;

/// The meaning of the colors.
pub const LEGEND: [(Paint, &str); 4] = [
    (Paint::Blue, "executable"),
    (Paint::Green, "read-only"),
    (Paint::Amber, "writable"),
    (Paint::Violet, "device"),
];

/// The attributes in a hardened image.
pub fn attributes(part: LowVaPart) -> Attributes {
    part.attributes(true)
}

/// The color of the part.
pub fn paint(part: LowVaPart) -> Paint {
    let attributes = attributes(part);
    match (attributes.memory, attributes.executable, attributes.access) {
        (MemoryType::Device, _, _) => Paint::Violet,
        (_, true, _) => Paint::Blue,
        (_, false, DataAccess::ReadOnly) => Paint::Green,
        (_, false, DataAccess::ReadWrite) => Paint::Amber,
    }
}
