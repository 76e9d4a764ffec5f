// SPDX-License-Identifier: BSD-3-Clause
//! Mutations: small changes that each break one thing, and the scenarios that must notice.
//!
//! The lists are TOML files. A mutation that does not fit the tree, names an unknown scenario, or
//! has the name of another one is an error. See `tests/qemu/mutations/README.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::scenario::Scenario;

/// A change of the tree, and the scenarios that must fail with it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mutation {
    /// A unique name: what is broken, in a few words with dashes.
    pub name: String,
    /// The changes, at least one. Several only if one alone breaks nothing, since other code guards
    /// the same thing.
    pub edit: Vec<Edit>,
    /// The names of the scenarios that must fail. `*` at the end of a name stands for any rest.
    pub breaks: Vec<String>,
    /// Whether a run that reaches its time limit counts as failed. Otherwise it must end by itself.
    #[serde(default)]
    pub hangs: bool,
}

/// A change of one file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// The path of the file from the root of the tree.
    pub file: String,
    /// The text to replace. It must be in the file exactly once.
    pub find: String,
    /// The new text.
    pub replace: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    mutation: Vec<Mutation>,
}

/// Reads every `*.toml` of a folder, in the order of file names.
///
/// # Errors
///
/// One line: a file cannot be read or parsed, or two mutations have the same name.
pub fn read_all(folder: &Path) -> Result<Vec<Mutation>> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        files.push(entry.context("cannot read the folder of mutations")?.path());
    }
    files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    let mut all: Vec<Mutation> = Vec::new();
    for file in files {
        let name = file.display();
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {name}"))?;
        let list: List = toml::from_str(&text).with_context(|| format!("cannot parse {name}"))?;
        all.extend(list.mutation);
    }
    let mut names = BTreeSet::new();
    for mutation in &all {
        ensure!(names.insert(&mutation.name), "two mutations are named {}", mutation.name);
    }
    Ok(all)
}

impl Edit {
    /// `content`, the content of the file, with the change made.
    ///
    /// # Errors
    ///
    /// The text to replace is not there exactly once, or the change changes nothing.
    pub fn apply(&self, content: &str) -> Result<String> {
        let Self { file, find, replace } = self;
        ensure!(find != replace, "a change of {file} changes nothing");
        match content.matches(find.as_str()).count() {
            1 => Ok(content.replacen(find.as_str(), replace, 1)),
            0 => bail!("{file} has no {find:?}"),
            count => bail!("{file} has {find:?} {count} times"),
        }
    }
}

impl Mutation {
    /// The files that are changed, by name, with their new content. `read` gives the present
    /// content.
    ///
    /// # Errors
    ///
    /// As for [`Edit::apply`]; or there is no change, or a file cannot be read.
    pub fn apply(&self, read: impl Fn(&str) -> Result<String>) -> Result<BTreeMap<&str, String>> {
        let mut files: BTreeMap<&str, String> = BTreeMap::new();
        for edit in &self.edit {
            let content = match files.remove(edit.file.as_str()) {
                Some(content) => content,
                None => read(&edit.file).with_context(|| self.name.clone())?,
            };
            files.insert(&edit.file, edit.apply(&content).with_context(|| self.name.clone())?);
        }
        ensure!(!files.is_empty(), "{}: changes nothing", self.name);
        Ok(files)
    }

    /// The scenarios that must fail.
    ///
    /// # Errors
    ///
    /// There are none, or a name matches no scenario.
    pub fn victims<'a>(&self, scenarios: &'a [Scenario]) -> Result<Vec<&'a Scenario>> {
        ensure!(!self.breaks.is_empty(), "{}: breaks nothing", self.name);
        let mut victims = BTreeMap::new();
        for pattern in &self.breaks {
            let fits = |name: &str| match pattern.strip_suffix('*') {
                Some(beginning) => name.starts_with(beginning),
                None => name == pattern,
            };
            let before = victims.len();
            victims
                .extend(scenarios.iter().enumerate().filter(|(_, scenario)| fits(&scenario.name)));
            ensure!(victims.len() > before, "{}: {pattern} names no further scenario", self.name);
        }
        Ok(victims.into_values().collect())
    }
}

/// The scenarios that no mutation breaks.
///
/// # Errors
///
/// As for [`Mutation::victims`].
pub fn unproven<'a>(mutations: &[Mutation], scenarios: &'a [Scenario]) -> Result<Vec<&'a str>> {
    let mut proven = BTreeSet::new();
    for mutation in mutations {
        proven.extend(
            mutation.victims(scenarios)?.into_iter().map(|scenario| scenario.name.as_str()),
        );
    }
    let names = scenarios.iter().map(|scenario| scenario.name.as_str());
    Ok(names.filter(|name| !proven.contains(name)).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Edit, Mutation, unproven};
    use crate::scenario::Scenario;

    fn edit(file: &str, find: &str) -> Edit {
        Edit { file: file.into(), find: find.into(), replace: "b".into() }
    }

    fn mutation(edit: &[Edit], breaks: &[&str]) -> Mutation {
        let breaks = breaks.iter().map(|&name| name.into()).collect();
        Mutation { name: "it".into(), edit: edit.into(), breaks, hangs: false }
    }

    fn scenarios() -> [Scenario; 3] {
        ["boots", "boots-high", "refused"].map(|name| Scenario::new(name, "host", "it works"))
    }

    fn victims(breaks: &[&str]) -> Option<Vec<String>> {
        let scenarios = scenarios();
        let victims = mutation(&[], breaks).victims(&scenarios).ok()?;
        Some(victims.into_iter().map(|scenario| scenario.name.clone()).collect())
    }

    #[test]
    fn a_text_that_is_there_once_is_replaced() {
        assert_eq!(edit("file", "a").apply("xay").ok().as_deref(), Some("xby"));
    }

    #[test]
    fn a_text_that_is_missing_ambiguous_or_unchanged_is_refused() {
        for (find, content) in [("a", "xy"), ("a", "aa"), ("b", "xby")] {
            assert!(edit("file", find).apply(content).is_err(), "{find} in {content}");
        }
    }

    #[test]
    fn edits_of_one_file_add_up() {
        let read = |file: &str| Ok(format!("{file}: xay"));
        let edits = [edit("one", "x"), edit("two", "y"), edit("one", "a")];
        let both = mutation(&edits, &[]);
        assert_eq!(
            both.apply(read).ok(),
            Some(BTreeMap::from([("one", "one: bby".into()), ("two", "two: xab".into())]))
        );
        assert!(mutation(&[], &[]).apply(read).is_err());
    }

    #[test]
    fn victims_are_named_wholly_or_by_their_beginning() {
        assert_eq!(victims(&["boots"]), Some(vec!["boots".into()]));
        assert_eq!(victims(&["boots*"]), Some(vec!["boots".into(), "boots-high".into()]));
        assert_eq!(victims(&["refused", "boots"]), Some(vec!["boots".into(), "refused".into()]));
    }

    #[test]
    fn names_that_are_unknown_repeated_or_absent_are_refused() {
        for breaks in [&["boot"][..], &["x*"], &["boots*", "boots-high"], &[]] {
            assert_eq!(victims(breaks), None, "{breaks:?}");
        }
    }

    #[test]
    fn scenarios_that_nothing_breaks_are_unproven() {
        let scenarios = scenarios();
        let some = unproven(&[mutation(&[], &["boots*"])], &scenarios);
        assert_eq!(some.ok(), Some(vec!["refused"]));
        assert_eq!(
            unproven(&[mutation(&[], &["boots*", "refused"])], &scenarios).ok(),
            Some(vec![])
        );
    }
}
