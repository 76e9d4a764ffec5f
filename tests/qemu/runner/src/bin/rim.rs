// SPDX-License-Identifier: BSD-3-Clause
//! Prints the Realm Initial Measurement of the Realm that the arguments describe.

use anyhow::{Result, ensure};
use rmm_test_system::rim;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    ensure!(!words.is_empty(), "what the Realm is built of, in order:\n{}", rim::USAGE);
    for byte in rim::compute(words.iter().map(String::as_str))? {
        print!("{byte:02x}");
    }
    println!();
    Ok(())
}
