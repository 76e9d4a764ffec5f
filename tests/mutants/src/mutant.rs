// SPDX-License-Identifier: BSD-3-Clause
//! The mutants that `cargo mutants --list --json` names, and where they are in their files.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// A place in a file; both numbers count from 1, columns in characters.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

/// What a mutant replaces; the end is the place after it.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Span {
    pub start: Position,
    pub end: Position,
}

/// The kinds of change that cargo-mutants makes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
pub enum Genre {
    FnValue,
    BinaryOperator,
    UnaryOperator,
    MatchArm,
    MatchArmGuard,
    StructField,
}

/// One change to one file.
#[derive(Clone, Debug, Deserialize)]
pub struct Mutant {
    /// File, line, column and what is changed: what cargo-mutants calls it.
    pub name: String,
    /// The file, from the root of the tree.
    pub file: String,
    /// What the change is in; none for that of a constant.
    pub function: Option<Function>,
    pub span: Span,
    pub replacement: String,
    pub genre: Genre,
}

/// The function that a mutant changes.
#[derive(Clone, Debug, Deserialize)]
pub struct Function {
    /// As written, with the arrow; empty for none.
    pub return_type: String,
}

/// The mutants of `tree` that cargo-mutants lists with these more `arguments`.
///
/// # Errors
///
/// When cargo-mutants is not there or fails.
pub fn list(tree: &Path, arguments: &[String]) -> Result<Vec<Mutant>> {
    let output = Command::new("cargo")
        .args(["mutants", "--list", "--json"])
        .args(arguments)
        .current_dir(tree)
        .output()
        .context("cannot run cargo")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "`cargo mutants --list` fails (`scripts/cargo-tool.sh cargo-mutants` installs it): {said}"
    );
    serde_json::from_slice(&output.stdout).context("this is not a list of mutants")
}

/// Has cargo-mutants try `mutants` of `tree`, each with a build of its own; its outcome is in
/// `build/mutants.out`.
///
/// # Errors
///
/// When it cannot run the tests. That some mutant is missed is none.
pub fn try_apart(tree: &Path, mutants: &[&Mutant]) -> Result<()> {
    let names = mutants.iter().map(|mutant| format!("^{}$", regex::escape(&mutant.name)));
    let status = Command::new("cargo")
        .args(["mutants", "--output", "build"])
        .args(names.flat_map(|name| ["--re".to_owned(), name]))
        .current_dir(tree)
        .status()
        .context("cannot run cargo")?;
    // 2 is for mutants that no test misses, 3 for tests that take too long.
    ensure!(matches!(status.code(), Some(0 | 2 | 3)), "`cargo mutants` fails");
    Ok(())
}

/// A file's text, in which places are found by line and column.
pub struct Text<'t> {
    pub text: &'t str,
    /// Where each line begins.
    lines: Vec<usize>,
}

impl<'t> Text<'t> {
    pub fn new(text: &'t str) -> Self {
        let lines =
            std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { text, lines }
    }

    /// The byte at `position`.
    pub fn offset(&self, position: Position) -> usize {
        let start = self.lines[position.line - 1];
        let line = &self.text[start..];
        start + line.char_indices().nth(position.column - 1).map_or(line.len(), |(at, _)| at)
    }

    /// The bytes of `span`.
    pub fn range(&self, span: Span) -> (usize, usize) {
        (self.offset(span.start), self.offset(span.end))
    }
}
