// SPDX-License-Identifier: BSD-3-Clause
//! Writes a file so that it holds all of its mutants at once, each chosen by its number when the
//! program runs.
//!
//! `a + b` becomes `(if chosen(7) { a - b } else { a + b })`. An operator is exchanged in the text,
//! as cargo-mutants does it, so that what is parsed anew is the whole of the operators around it,
//! not just its own two sides.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context, Result};
use proc_macro2::Span as Place;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::mutant::{Function, Genre, Mutant, Position, Span, Text};

/// What asks, in the text, whether the mutant with the number that follows is chosen.
const CHOSEN: &str = "crate::mutant_chosen";

/// Begins each line that only exists in one mutant, followed by its number, so that an error of the
/// compiler tells which.
const MARK: &str = "/*mutant ";

/// Where the text is changed.
#[derive(Default)]
struct Change {
    /// The mutants of an expression: number and text.
    instead: Vec<(usize, String)>,
    /// What is added before it.
    before: String,
}

/// The syntax of a file, as far as mutants are about it: ranges of bytes.
#[derive(Default)]
struct Syntax<'t> {
    text: Option<&'t Text<'t>>,
    /// For each operator, the expression that is parsed anew when it is exchanged; `None` where a
    /// `let` forbids that.
    operators: BTreeMap<usize, Option<(usize, usize)>>,
    /// The ends of the patterns of match arms, by where they begin.
    arms: BTreeMap<usize, usize>,
    /// Guards of match arms that are no `let`.
    guards: BTreeMap<usize, usize>,
    /// Struct expressions, outer ones first.
    structs: Vec<(usize, usize)>,
    /// The operators around the expression that is visited, and whether there is a `let` among
    /// them.
    around: Option<(usize, usize)>,
    has_let: bool,
    /// Whether all is evaluated when the program is compiled.
    constant: bool,
}

impl Syntax<'_> {
    fn range(&self, place: Place) -> (usize, usize) {
        let at = |at: proc_macro2::LineColumn| Position { line: at.line, column: at.column + 1 };
        let text = self.text.expect("set before any visit");
        text.range(Span { start: at(place.start()), end: at(place.end()) })
    }

    /// Notes the operator at `operator` of `expression`, and visits what is in it by `inside`.
    fn operator(&mut self, operator: Place, expression: Place, inside: impl FnOnce(&mut Self)) {
        let outermost = self.around;
        let around = outermost.unwrap_or_else(|| self.range(expression));
        let place = self.range(operator).0;
        self.operators.insert(place, (!self.has_let && !self.constant).then_some(around));
        self.around = Some(around);
        inside(self);
        self.around = outermost;
    }

    /// Visits by `inside` what is parsed by itself, whatever is around it.
    fn apart(&mut self, inside: impl FnOnce(&mut Self)) {
        let (around, has_let) = (self.around.take(), std::mem::take(&mut self.has_let));
        inside(self);
        (self.around, self.has_let) = (around, has_let);
    }

    fn in_constant(&mut self, inside: impl FnOnce(&mut Self)) {
        let before = std::mem::replace(&mut self.constant, true);
        inside(self);
        self.constant = before;
    }
}

/// Whether `expression`, a condition, has a `let` in it.
fn has_let(expression: &syn::Expr) -> bool {
    match expression {
        syn::Expr::Let(_) => true,
        syn::Expr::Binary(binary) => has_let(&binary.left) || has_let(&binary.right),
        _ => false,
    }
}

/// Whether `operator` changes its left side.
fn assigns(operator: &syn::BinOp) -> bool {
    use syn::BinOp::*;
    matches!(
        operator,
        AddAssign(_)
            | SubAssign(_)
            | MulAssign(_)
            | DivAssign(_)
            | RemAssign(_)
            | BitXorAssign(_)
            | BitAndAssign(_)
            | BitOrAssign(_)
            | ShlAssign(_)
            | ShrAssign(_)
    )
}

impl<'ast> Visit<'ast> for Syntax<'_> {
    fn visit_expr(&mut self, expression: &'ast syn::Expr) {
        match expression {
            syn::Expr::Binary(binary) => {
                let before = self.has_let;
                self.has_let |= has_let(expression);
                self.operator(binary.op.span(), binary.span(), |this| {
                    if assigns(&binary.op) {
                        this.apart(|this| visit::visit_expr_binary(this, binary));
                    } else {
                        visit::visit_expr_binary(this, binary);
                    }
                });
                self.has_let = before;
            }
            syn::Expr::Unary(unary) => {
                self.operator(unary.op.span(), unary.span(), |this| {
                    visit::visit_expr_unary(this, unary)
                });
            }
            syn::Expr::Cast(cast) => {
                let outermost = self.around;
                self.around = Some(outermost.unwrap_or_else(|| self.range(cast.span())));
                visit::visit_expr_cast(self, cast);
                self.around = outermost;
            }
            syn::Expr::Struct(structure) => {
                let range = self.range(structure.span());
                self.structs.push(range);
                self.apart(|this| visit::visit_expr_struct(this, structure));
            }
            syn::Expr::Const(_) => self.in_constant(|this| visit::visit_expr(this, expression)),
            _ => self.apart(|this| visit::visit_expr(this, expression)),
        }
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        let (start, _) = self.range(arm.span());
        let end = self.range(arm.pat.span()).1;
        self.arms.insert(start, end);
        if let syn::Pat::Guard(guarded) = &arm.pat
            && !has_let(&guarded.guard)
        {
            let (start, end) = self.range(guarded.guard.span());
            self.guards.insert(start, end);
        }
        visit::visit_arm(self, arm);
    }

    fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
        self.in_constant(|this| visit::visit_item_const(this, item));
    }

    fn visit_item_static(&mut self, item: &'ast syn::ItemStatic) {
        self.in_constant(|this| visit::visit_item_static(this, item));
    }

    fn visit_impl_item_const(&mut self, item: &'ast syn::ImplItemConst) {
        self.in_constant(|this| visit::visit_impl_item_const(this, item));
    }

    fn visit_trait_item_const(&mut self, item: &'ast syn::TraitItemConst) {
        self.in_constant(|this| visit::visit_trait_item_const(this, item));
    }

    fn visit_pat(&mut self, pattern: &'ast syn::Pat) {
        match pattern {
            syn::Pat::Lit(_) | syn::Pat::Range(_) => {
                self.in_constant(|this| visit::visit_pat(this, pattern));
            }
            _ => visit::visit_pat(self, pattern),
        }
    }

    fn visit_type(&mut self, item: &'ast syn::Type) {
        self.in_constant(|this| visit::visit_type(this, item));
    }
}

/// `text` with `mutants`, which are of this file, each with its number; and the numbers of those
/// that it cannot hold.
///
/// # Errors
///
/// When it is not Rust.
pub fn write(text: &str, mutants: &[(usize, &Mutant)]) -> Result<(String, Vec<usize>)> {
    let parsed = syn::parse_file(text).context("this is not Rust")?;
    let text = Text::new(text);
    let mut syntax = Syntax { text: Some(&text), ..Syntax::default() };
    syntax.visit_file(&parsed);

    let mut changes: BTreeMap<(usize, std::cmp::Reverse<usize>), Change> = BTreeMap::new();
    let mut left = Vec::new();
    for &(number, mutant) in mutants {
        let (start, end) = text.range(mutant.span);
        let scope = match mutant.genre {
            Genre::FnValue => Some((start, start)),
            Genre::BinaryOperator | Genre::UnaryOperator => {
                syntax.operators.get(&start).copied().flatten()
            }
            Genre::MatchArm => syntax.arms.get(&start).map(|&end| (end, end)),
            Genre::MatchArmGuard => syntax.guards.get(&start).map(|&end| (start, end)),
            Genre::StructField => syntax
                .structs
                .iter()
                .rfind(|&&(first, last)| first <= start && end <= last)
                .copied(),
        };
        // All that a function returns has one type, though it be opaque, and what a mutant returns
        // has another.
        let whole = |function: &Function| {
            mutant.genre != Genre::FnValue || !function.return_type.contains("impl ")
        };
        let Some((first, last)) = scope.filter(|_| mutant.function.as_ref().is_some_and(whole))
        else {
            left.push(number);
            continue;
        };
        let change = changes.entry((first, std::cmp::Reverse(last))).or_default();
        let replacement = &mutant.replacement;
        match mutant.genre {
            Genre::FnValue => {
                writeln!(
                    change.before,
                    "\n{MARK}{number}*/ if {CHOSEN}({number}) {{ return {}; }}",
                    one_line(replacement)
                )?;
            }
            Genre::MatchArm => write!(change.before, " if !{CHOSEN}({number}) ")?,
            _ => {
                let instead =
                    [&text.text[first..start], replacement, &text.text[end..last]].concat();
                change.instead.push((number, one_line(&instead)));
            }
        }
    }
    let mut writer =
        Writer { text: text.text, changes: changes.into_iter().peekable(), output: String::new() };
    writer.write(0, text.text.len());
    Ok((writer.output, left))
}

/// `text` without comments and line breaks.
fn one_line(text: &str) -> String {
    text.lines()
        .map(|line| line.split("//").next().unwrap_or("").trim())
        .collect::<Vec<_>>()
        .join(" ")
}

struct Writer<'t, C: Iterator> {
    text: &'t str,
    changes: std::iter::Peekable<C>,
    output: String,
}

impl<C: Iterator<Item = ((usize, std::cmp::Reverse<usize>), Change)>> Writer<'_, C> {
    /// Writes the bytes from `at` to `end` with the changes in them.
    fn write(&mut self, mut at: usize, end: usize) {
        while let Some(((first, std::cmp::Reverse(last)), change)) = self
            .changes
            .next_if(|((first, std::cmp::Reverse(last)), _)| *first < end && *last <= end)
        {
            self.output.push_str(&self.text[at..first]);
            self.output.push_str(&change.before);
            if !change.instead.is_empty() {
                self.output.push('(');
                for (number, instead) in &change.instead {
                    self.output.push_str(&format!(
                        "if {CHOSEN}({number}) {{\n{MARK}{number}*/ {instead}\n}} else "
                    ));
                }
                self.output.push_str("{ ");
                self.write(first, last);
                self.output.push_str(" })");
            }
            at = last;
        }
        self.output.push_str(&self.text[at..end]);
    }
}

/// The number of the mutant that `line` of a written file belongs to, if it is of only one.
pub fn number_of(line: &str) -> Option<usize> {
    line.trim_start().strip_prefix(MARK)?.split('*').next()?.parse().ok()
}

/// What the root of the library needs beside the modules: before the first item, and at the end.
pub const ROOT: (&str, &str) = (
    "#![feature(core_intrinsics, const_eval_select)]\n#![allow(internal_features, warnings)]\n",
    r#"
#[inline(never)]
#[doc(hidden)]
pub const fn mutant_chosen(number: u32) -> bool {
    const fn compiling(_: u32) -> bool {
        false
    }
    fn running(number: u32) -> bool {
        static CHOSEN: std::sync::OnceLock<Option<u32>> = std::sync::OnceLock::new();
        let chosen = CHOSEN.get_or_init(|| std::env::var("MUTANT").ok().and_then(|number| number.parse().ok()));
        *chosen == Some(number)
    }
    core::intrinsics::const_eval_select((number,), compiling, running)
}
"#,
);
