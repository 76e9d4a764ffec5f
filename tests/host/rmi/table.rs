// SPDX-License-Identifier: BSD-3-Clause
//! The table of commands in `docs/design/rmi.md` equals the table from which the RMM dispatches.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use rmm::command::Command;
use rmm::rmi::{Serve, function, v1, v2};

/// The page. The table ends at the first empty line after its first row.
const PAGE: &str = "docs/design/rmi.md";
const HEAD: &str =
    "| Command | Function | RMI | Arguments | Outputs |\n| --- | --- | --- | --- | --- |\n";

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

/// The table, generated from the code.
fn table() -> String {
    let is_in = |commands: &[Command<Serve>], (name, number): &(&str, u32)| {
        let is_it =
            |command: &&Command<Serve>| command.function == *number && command.name == *name;
        commands.iter().find(is_it).copied()
    };
    let mut table = HEAD.to_owned();
    for row @ (name, number) in function::ALL {
        let (command, dialect) = match (is_in(v1::COMMANDS, row), is_in(v2::COMMANDS, row)) {
            (Some(command), None) => (command, "1.0"),
            (None, Some(command)) => (command, "2.0"),
            (Some(command), Some(_)) => (command, "both"),
            (None, None) => panic!("RMI_{name} is not served"),
        };
        let arguments = list(command.arguments.iter().map(|(name, _)| *name));
        let outputs = list(command.outputs.iter().copied());
        let cell = |text: String| if text.is_empty() { " ".into() } else { format!(" {text} ") };
        let function = format!("0xC400_{:04X}", number & 0xffff);
        let (arguments, outputs) = (cell(arguments), cell(outputs));
        writeln!(table, "| RMI_{name} | {function} | {dialect} |{arguments}|{outputs}|")
            .expect("a string takes everything");
    }
    table
}

#[test]
fn the_page_has_the_table_that_the_rmm_dispatches_by() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    let page = fs::read_to_string(&path).expect("the page can be read");
    let start = page.find(HEAD).expect("the page has the table");
    let length = page[start..].find("\n\n").map_or(page.len() - start, |end| end + 1);
    let (is, should) = (&page[start..start + length], table());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let updated = [&page[..start], &should, &page[start + length..]].concat();
        fs::write(&path, updated).expect("the page can be written");
    } else {
        assert_eq!(is, should, "run this test with UPDATE_DOCS=1 to write the table");
    }
}
