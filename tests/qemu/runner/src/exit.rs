// SPDX-License-Identifier: BSD-3-Clause
//! How the programs of this package end.

use std::process::ExitCode;

use anyhow::Result;

/// The exit code of the program `name`: success only for `Ok(true)`. Prints an error as one line.
pub fn code(name: &str, result: Result<bool>) -> ExitCode {
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{name}: {error:#}");
            ExitCode::FAILURE
        }
    }
}
