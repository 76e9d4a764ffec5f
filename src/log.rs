// SPDX-License-Identifier: BSD-3-Clause
//! Log lines on the console: `[RMM cpu0 INFO ] text`.
//!
//! The macros [`error!`](crate::error), [`warn!`](crate::warn), [`info!`](crate::info) and
//! [`debug!`](crate::debug) may be used wherever [`console::write`] may. What a host or Realm
//! controls must not be able to make them print without bound.

use core::fmt;

use crate::{console, cpu};

/// How grave a line is, gravest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// This CPU stops; only fatal reports.
    Fatal,
    /// Something that was asked for cannot be done.
    Error,
    /// Something is odd, and is worked around.
    Warn,
    /// What a user of the firmware wants to know.
    Info,
    /// What its developer wants to know.
    Debug,
}

/// The least grave level that is printed: an option of the build, the environment variable
/// `RMM_LOG`; where it is not given, all by a debug build and up to `info` by a release build.
/// Lines beyond it are not in the image.
pub const MAX_LEVEL: Level = max_level(
    option_env!("RMM_LOG"),
    if cfg!(debug_assertions) { Level::Debug } else { Level::Info },
);

/// The level that a build option names; `default` where it is not given, or empty.
const fn max_level(option: Option<&str>, default: Level) -> Level {
    let Some(name) = option else { return default };
    match name.as_bytes() {
        b"" => default,
        b"error" => Level::Error,
        b"warn" => Level::Warn,
        b"info" => Level::Info,
        b"debug" => Level::Debug,
        _ => panic!("RMM_LOG is one of error, warn, info, debug"),
    }
}

impl Level {
    const fn name(self) -> &'static str {
        match self {
            Self::Fatal => "FATAL",
            Self::Error => "ERROR",
            Self::Warn => "WARN",
            Self::Info => "INFO",
            Self::Debug => "DEBUG",
        }
    }
}

/// A line of this CPU as it is printed, with its end.
#[derive(Debug)]
pub struct Line<'a> {
    /// How grave it is.
    pub level: Level,
    /// What it says.
    pub text: fmt::Arguments<'a>,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[RMM cpu")?;
        match cpu::this_index() {
            Some(number) => write!(f, "{number}")?,
            None => f.write_str("?")?,
        }
        writeln!(f, " {:5}] {}", self.level.name(), self.text)
    }
}

/// Prints a line, unless it is less grave than [`MAX_LEVEL`]. To be used through the macros.
pub fn write(level: Level, text: fmt::Arguments<'_>) {
    if level <= MAX_LEVEL {
        console::write(format_args!("{}", Line { level, text }));
    }
}

/// Logs that something which was asked for cannot be done.
#[macro_export]
macro_rules! error {
    ($($text:tt)+) => { $crate::log::write($crate::log::Level::Error, format_args!($($text)+)) };
}

/// Logs something odd.
#[macro_export]
macro_rules! warn {
    ($($text:tt)+) => { $crate::log::write($crate::log::Level::Warn, format_args!($($text)+)) };
}

/// Logs what a user of the firmware wants to know.
#[macro_export]
macro_rules! info {
    ($($text:tt)+) => { $crate::log::write($crate::log::Level::Info, format_args!($($text)+)) };
}

/// Logs what a developer of the firmware wants to know.
#[macro_export]
macro_rules! debug {
    ($($text:tt)+) => { $crate::log::write($crate::log::Level::Debug, format_args!($($text)+)) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::preset_register;

    #[test]
    fn a_line_names_cpu_and_level() {
        preset_register("TPIDR_EL2", 0x80_0001);
        assert_eq!(
            Line { level: Level::Info, text: format_args!("up: {}", 1) }.to_string(),
            "[RMM cpu0 INFO ] up: 1\n"
        );
        preset_register("TPIDR_EL2", 0x200);
        assert_eq!(
            Line { level: Level::Fatal, text: format_args!("x") }.to_string(),
            "[RMM cpu511 FATAL] x\n"
        );
    }

    #[test]
    fn a_cpu_without_a_number_is_a_question_mark() {
        preset_register("TPIDR_EL2", 0x80_0000);
        assert_eq!(
            Line { level: Level::Error, text: format_args!("x") }.to_string(),
            "[RMM cpu? ERROR] x\n"
        );
    }

    #[test]
    fn the_build_option_names_the_least_grave_level() {
        let options = [
            ("error", Level::Error),
            ("warn", Level::Warn),
            ("info", Level::Info),
            ("debug", Level::Debug),
        ];
        for (name, level) in options {
            assert_eq!(max_level(Some(name), Level::Fatal), level);
        }
        for absent in [None, Some("")] {
            assert_eq!(max_level(absent, Level::Warn), Level::Warn);
        }
    }

    #[test]
    #[should_panic(expected = "RMM_LOG is one of error, warn, info, debug")]
    fn a_level_that_there_is_not_stops_the_build() {
        max_level(Some("verbose"), Level::Info);
    }

    #[test]
    fn levels_are_ordered_from_the_gravest() {
        assert!(Level::Fatal < Level::Error && Level::Error < Level::Warn);
        assert!(Level::Warn < Level::Info && Level::Info < Level::Debug);
    }
}
