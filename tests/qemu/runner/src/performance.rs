// SPDX-License-Identifier: BSD-3-Clause
//! The figures of the project: read from logs and from the document that keeps them, compared, and
//! written back.
//!
//! A log has lines `figure: SECTION | NAME | NUMBER` among others. The document is Markdown: a
//! heading of level 2 for each section, followed by a table with rows of name, number and bound,
//! which may be empty. Everything else in the document is prose and does not change. Only the
//! program `performance` uses it.

use std::collections::BTreeMap;
use std::fmt;

/// The beginning of a figure. Test programs may print something before it in the same line.
const MARK: &str = "figure: ";
/// A change of a figure by more than this percentage is pointed out.
const NOTABLE: u64 = 2;

/// A figure's section, and its name in the section.
type Key = (String, String);

/// Why figures cannot be compared.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum FigureError {
    /// A line has the mark of a figure but no figure.
    #[error("no figure: {0:?}")]
    Malformed(String),
    /// A figure was measured twice, with different results.
    #[error("{figure} does not repeat: {first}, then {other}")]
    NotRepeatable {
        /// Section and name.
        figure: String,
        /// The first result.
        first: u64,
        /// Another one.
        other: u64,
    },
}

/// The measured figures, in the order of their first measurement.
#[derive(Debug, Default)]
pub struct Measured {
    order: Vec<Key>,
    numbers: BTreeMap<Key, u64>,
}

impl Measured {
    /// Collects the figures in `text`.
    ///
    /// # Errors
    ///
    /// [`FigureError`]: a line is not a figure, or a figure has two different numbers.
    pub fn read(text: &str) -> Result<Self, FigureError> {
        let mut measured = Self::default();
        for (_, line) in text.lines().filter_map(|line| line.split_once(MARK)) {
            let malformed = || FigureError::Malformed(line.to_owned());
            let mut cells = line.split('|').map(str::trim);
            let (Some(section), Some(name), Some(number), None) =
                (cells.next(), cells.next(), cells.next(), cells.next())
            else {
                return Err(malformed());
            };
            let number: u64 = number.parse().map_err(|_| malformed())?;
            let key = (section.to_owned(), name.to_owned());
            match measured.numbers.get(&key) {
                None => {
                    measured.order.push(key.clone());
                    measured.numbers.insert(key, number);
                }
                Some(&first) if first != number => {
                    let figure = format!("{section}: {name}");
                    return Err(FigureError::NotRepeatable { figure, first, other: number });
                }
                Some(_) => {}
            }
        }
        Ok(measured)
    }
}

/// A figure in the document.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Kept {
    number: u64,
    bound: Option<u64>,
}

/// The document with the figures.
#[derive(Debug)]
pub struct Document {
    lines: Vec<Line>,
}

#[derive(Debug)]
enum Line {
    Prose(String),
    Section(String),
    Figure(Key, Kept),
}

/// The result for one figure.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    /// Equal to the document's, or nearly.
    Same,
    /// More than [`NOTABLE`] percent different from the document's.
    Changed(u64),
    /// Not in the document.
    New,
    /// In the document but not measured.
    Missing,
}

/// The comparison of measured figures with the document.
#[derive(Debug)]
pub struct Comparison {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    key: Key,
    number: Option<u64>,
    bound: Option<u64>,
    outcome: Outcome,
}

impl Row {
    fn is_beyond_bound(&self) -> bool {
        matches!((self.number, self.bound), (Some(number), Some(bound)) if number > bound)
    }
}

impl Document {
    /// Reads the document. A row without a number in its second cell is the head of a table, which
    /// is prose.
    pub fn read(text: &str) -> Self {
        let mut section = String::new();
        let lines = text.lines().map(|line| {
            if let Some(title) = line.strip_prefix("## ") {
                title.trim().clone_into(&mut section);
                return Line::Section(section.clone());
            }
            match row(line) {
                Some((name, kept)) => Line::Figure((section.clone(), name), kept),
                None => Line::Prose(line.to_owned()),
            }
        });
        Self { lines: lines.collect() }
    }

    fn figures(&self) -> impl Iterator<Item = (&Key, &Kept)> {
        self.lines.iter().filter_map(|line| match line {
            Line::Figure(key, kept) => Some((key, kept)),
            Line::Prose(_) | Line::Section(_) => None,
        })
    }

    /// Compares: first the figures of the document, in its order, then the new ones.
    pub fn compare(&self, measured: &Measured) -> Comparison {
        let mut rows: Vec<Row> = self
            .figures()
            .map(|(key, kept)| {
                let number = measured.numbers.get(key).copied();
                let outcome = match number {
                    None => Outcome::Missing,
                    Some(number) if is_notable(kept.number, number) => {
                        Outcome::Changed(kept.number)
                    }
                    Some(_) => Outcome::Same,
                };
                Row { key: key.clone(), number, bound: kept.bound, outcome }
            })
            .collect();
        let kept: Vec<&Key> = self.figures().map(|(key, _)| key).collect();
        for key in measured.order.iter().filter(|key| !kept.contains(key)) {
            let number = measured.numbers.get(key).copied();
            rows.push(Row { key: key.clone(), number, bound: None, outcome: Outcome::New });
        }
        Comparison { rows }
    }

    /// Updates the document: numbers change, new figures come at the end of their section, bounds
    /// do not change. Figures that were not measured stay, for a person to remove.
    pub fn update(&mut self, measured: &Measured) {
        for line in &mut self.lines {
            if let Line::Figure(key, kept) = line
                && let Some(&number) = measured.numbers.get(key)
            {
                kept.number = number;
            }
        }
        for key in &measured.order {
            if !self.figures().any(|(kept, _)| kept == key) {
                self.insert(key, measured.numbers.get(key).copied().unwrap_or_default());
            }
        }
    }

    fn insert(&mut self, key: &Key, number: u64) {
        let figure = Line::Figure(key.clone(), Kept { number, bound: None });
        let last = self
            .lines
            .iter()
            .rposition(|line| matches!(line, Line::Figure((section, _), _) if *section == key.0));
        if let Some(last) = last {
            self.lines.insert(last + 1, figure);
            return;
        }
        let head = ["", "| Figure | Value | Bound |", "| --- | ---: | ---: |"];
        let head = head.map(|line| Line::Prose(line.to_owned()));
        let place = self
            .lines
            .iter()
            .position(|line| matches!(line, Line::Section(section) if *section == key.0));
        match place {
            // After the prose at the beginning of the section.
            Some(place) => {
                let rest = self.lines.iter().skip(place + 1);
                let prose = rest.take_while(|line| !matches!(line, Line::Section(_))).count();
                let mut at = place + 1 + prose;
                while matches!(self.lines.get(at - 1), Some(Line::Prose(text)) if text.is_empty()) {
                    at -= 1;
                }
                self.lines.splice(at..at, head.into_iter().chain([figure]));
            }
            None => {
                self.lines.push(Line::Prose(String::new()));
                self.lines.push(Line::Section(key.0.clone()));
                self.lines.extend(head.into_iter().chain([figure]));
            }
        }
    }
}

impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.lines {
            match line {
                Line::Prose(text) => writeln!(f, "{text}")?,
                Line::Section(title) => writeln!(f, "## {title}")?,
                Line::Figure((_, name), Kept { number, bound }) => {
                    let bound = bound.map_or(String::new(), |bound| format!(" {bound}"));
                    writeln!(f, "| {name} | {number} |{bound} |")?;
                }
            }
        }
        Ok(())
    }
}

/// A row of a table: name, number, and bound.
fn row(line: &str) -> Option<(String, Kept)> {
    let cells: Vec<&str> =
        line.strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim).collect();
    let [name, number, bound] = cells[..] else { return None };
    Some((name.to_owned(), Kept { number: number.parse().ok()?, bound: bound.parse().ok() }))
}

fn is_notable(kept: u64, number: u64) -> bool {
    u128::from(kept.abs_diff(number)) * 100 > u128::from(kept) * u128::from(NOTABLE)
}

impl Comparison {
    /// Whether every figure of the document was measured and none exceeds its bound.
    pub fn holds(&self) -> bool {
        !self.rows.iter().any(|row| row.is_beyond_bound() || row.outcome == Outcome::Missing)
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.rows.iter().map(|row| row.key.1.len()).max().unwrap_or(0);
        let mut section = "";
        for row in &self.rows {
            if row.key.0 != section {
                section = &row.key.0;
                writeln!(f, "{section}")?;
            }
            let cell = |number: Option<u64>| {
                number.map_or_else(|| "-".to_owned(), |number| number.to_string())
            };
            let (number, bound) = (cell(row.number), cell(row.bound));
            write!(f, "  {:<width$} {number:>12} {bound:>12}", row.key.1)?;
            if row.is_beyond_bound() {
                write!(f, "  BEYOND ITS BOUND")?;
            }
            match row.outcome {
                Outcome::Same => {}
                Outcome::Changed(kept) => write!(f, "  changed, was {kept}")?,
                Outcome::New => write!(f, "  new")?,
                Outcome::Missing => write!(f, "  NOT MEASURED")?,
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Document, FigureError, Measured};

    const DOCUMENT: &str = "# Performance\n\nProse.\n\n## Calls\n\n\
                            | Figure | Value | Bound |\n| --- | ---: | ---: |\n\
                            | fast | 100 | 120 |\n| free | 7 | |\n\n## Other\n\nMore prose.\n";

    fn compare(text: &str) -> (bool, String) {
        let measured = Measured::read(text).expect("these are figures");
        let comparison = Document::read(DOCUMENT).compare(&measured);
        (comparison.holds(), comparison.to_string())
    }

    #[test]
    fn figures_are_found_among_other_lines() {
        let measured =
            Measured::read("ok: all\n.figure: A | b, c | 12\nfigure: A | b, c | 12\nnoise | 3\n");
        assert_eq!(
            measured.expect("right").numbers.into_iter().collect::<Vec<_>>(),
            [(("A".into(), "b, c".into()), 12)]
        );
    }

    #[test]
    fn a_figure_that_differs_the_second_time_is_refused() {
        let error = Measured::read("figure: A | b | 1\nfigure: A | b | 2").unwrap_err();
        assert_eq!(error, FigureError::NotRepeatable { figure: "A: b".into(), first: 1, other: 2 });
    }

    #[test]
    fn a_line_that_is_no_figure_but_claims_to_be_is_refused() {
        for line in
            ["figure: A | 1", "figure: A | b | x", "figure: A | b | 1 | 2", "figure: A | b | -1"]
        {
            assert!(matches!(Measured::read(line), Err(FigureError::Malformed(_))), "{line}");
        }
    }

    #[test]
    fn a_figure_beyond_its_bound_and_one_that_is_not_measured_fail() {
        assert!(compare("figure: Calls | fast | 120\nfigure: Calls | free | 7").0);
        assert!(compare("figure: Calls | fast | 120\nfigure: Calls | free | 7000").0);
        let (holds, text) = compare("figure: Calls | fast | 121\nfigure: Calls | free | 7");
        assert!(!holds && text.contains("BEYOND"), "{text}");
        let (holds, text) = compare("figure: Calls | fast | 100");
        assert!(!holds && text.contains("NOT MEASURED"), "{text}");
    }

    #[test]
    fn a_change_over_two_percent_is_pointed_out_and_one_of_two_is_not() {
        for (number, pointed_out) in
            [(97, true), (98, false), (100, false), (102, false), (103, true)]
        {
            let text =
                compare(&format!("figure: Calls | fast | {number}\nfigure: Calls | free | 7")).1;
            assert_eq!(text.contains("changed, was 100"), pointed_out, "{text}");
        }
    }

    #[test]
    fn an_update_changes_numbers_adds_what_is_new_and_keeps_all_else() {
        let mut document = Document::read(DOCUMENT);
        assert_eq!(document.to_string(), DOCUMENT);
        let text = "figure: Calls | fast | 90\nfigure: Calls | new | 1\n\
                    figure: Other | x | 2\nfigure: Third | y | 3";
        document.update(&Measured::read(text).expect("right"));
        let table = "| Figure | Value | Bound |\n| --- | ---: | ---: |\n";
        let expected = format!(
            "# Performance\n\nProse.\n\n## Calls\n\n{table}\
             | fast | 90 | 120 |\n| free | 7 | |\n| new | 1 | |\n\n## Other\n\n\
             More prose.\n\n{table}| x | 2 | |\n\n## Third\n\n{table}| y | 3 | |\n"
        );
        assert_eq!(document.to_string(), expected);
        let again = Document::read(&expected);
        assert_eq!(again.to_string(), expected);
    }
}
