// SPDX-License-Identifier: BSD-3-Clause
//! Tables of commands: one row for each function that a host or a Realm can call.
//!
//! RMI, RSI and PSCI have tables made by `commands!`. A row holds a command's name, its arguments
//! with their types, its outputs and its handler. The handler takes decoded arguments. Each
//! interface defines the type of its handlers' result, and encodes that result in registers.

use core::fmt;

use log::{LevelFilter, STATIC_MAX_LEVEL};

use crate::abi::smccc::SVE_HINT;

/// Whether every call is logged. False in a release image, and in tests on a host.
pub const TRACES: bool =
    cfg!(target_os = "none") && STATIC_MAX_LEVEL as usize >= LevelFilter::Debug as usize;

/// An argument as a handler takes it.
pub trait Argument: Sized {
    /// Decodes a register; `None` if the value is not valid for this argument.
    fn decode(register: u64) -> Option<Self>;
}

/// A number that only the command can judge: an IPA, an index, a descriptor.
impl Argument for u64 {
    fn decode(register: u64) -> Option<Self> {
        Some(register)
    }
}

/// The argument of an SMC32 call: a W register (SMCCC 2.5).
impl Argument for u32 {
    fn decode(register: u64) -> Option<Self> {
        let [b0, b1, b2, b3, ..] = register.to_le_bytes();
        Some(Self::from_le_bytes([b0, b1, b2, b3]))
    }
}

/// A command: a row of its table. `S` is the type of the function that serves a call: it decodes
/// the arguments, calls the handler and encodes the result.
#[derive(Clone, Copy)]
pub struct Command<S> {
    /// The interface: the prefix of the name.
    pub interface: &'static str,
    /// The name, without that prefix.
    pub name: &'static str,
    /// The function identifier.
    pub function: u32,
    /// Name and type of each argument, from x1 on.
    pub arguments: &'static [(&'static str, &'static str)],
    /// Name of each output.
    pub outputs: &'static [&'static str],
    /// Serves a call.
    pub serve: S,
}

impl<S> fmt::Debug for Command<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.interface, self.name)
    }
}

/// Makes a table, `COMMANDS`.
///
/// Each row is `NAME(argument: Type, ...) -> [output, ...] = handler;`. If a row ends with
/// `, with no_live_sve` its handler also takes the SVE hint, last. Above the rows stands the module
/// of the interface, with the names of the values that `Serve` and the handlers take first. The
/// module has
///
/// - `INTERFACE`, the prefix of the names, and `function`, the identifiers by name;
/// - `Serve`, the type of the function that serves a call;
/// - `INVALID_ARGUMENT`, the error of a call with an argument that cannot be decoded;
/// - `answer`, which takes the registers and a closure that calls the handler.
macro_rules! commands {
    (
        $interface:ident $contexts:tt:
        $(
            $name:ident($($argument:ident: $type:ident),*) $(-> [$($output:ident),*])?
                = $handler:path $(, with $hint:ident)?;
        )*
    ) => {
        /// The commands of this table.
        pub const COMMANDS: &[$crate::command::Command<$interface::Serve>] = &[
            $($crate::command::Command {
                interface: $interface::INTERFACE,
                name: stringify!($name),
                function: $interface::function::$name,
                arguments: &[$((stringify!($argument), stringify!($type))),*],
                outputs: &[$($(stringify!($output)),*)?],
                serve: $crate::command::commands!(
                    @serve $interface $contexts
                    ($($argument: $type),*) [$($(stringify!($output)),*)?] $handler $(, $hint)?
                ),
            }),*
        ];
    };
    (
        @serve $interface:ident ($($context:ident),*)
        ($($argument:ident: $type:ident),*) $outputs:tt $handler:path $(, $hint:ident)?
    ) => {
        |$($context,)* registers| {
            const OUTPUTS: usize = <[&str]>::len(&$outputs);
            let [_x0, $($argument,)* ..] = *registers;
            $interface::answer::<OUTPUTS>(registers, || {
                $(let $argument = <$type as $crate::command::Argument>::decode($argument)
                    .ok_or($interface::INVALID_ARGUMENT)?;)*
                $handler($($context,)* $($argument,)* $($crate::command::$hint(_x0))?)
            })
        }
    };
}
pub(crate) use commands;

/// What serves each function identifier, for `N` identifiers from `FIRST` on. `N` is a power of
/// two, so an index modulo `N` stays in the table, in speculation as well.
#[derive(Debug)]
pub struct Dispatch<S, const FIRST: u32, const N: usize>([Option<S>; N]);

impl<S: Copy, const FIRST: u32, const N: usize> Dispatch<S, FIRST, N> {
    /// The dispatch for these commands. Evaluated at compile time.
    pub const fn new(commands: &[Command<S>]) -> Self {
        const { assert!(N.is_power_of_two()) };
        let mut table = [None; N];
        let mut row = 0;
        while row < commands.len() {
            let function = commands[row].function;
            assert!(Self::covers(function), "a function beyond the table");
            let index = function as usize % N;
            assert!(table[index].is_none(), "a function has two rows");
            table[index] = Some(commands[row].serve);
            row += 1;
        }
        Self(table)
    }

    const fn covers(function: u32) -> bool {
        (function.wrapping_sub(FIRST) as usize) < N
    }

    /// What serves a function; `None` if no row has this identifier.
    pub const fn find(&self, function: u32) -> Option<S> {
        if Self::covers(function) { self.0[function as usize % N] } else { None }
    }
}

/// The function identifier in x0, without the SVE hint.
pub fn function(x0: u64) -> u32 {
    // W0 alone names the function (SMCCC 2.5): the upper 32 bits of x0 are ignored.
    let [b0, b1, b2, b3, ..] = (x0 & !SVE_HINT).to_le_bytes();
    u32::from_le_bytes([b0, b1, b2, b3])
}

/// Whether x0 says that the caller has no live state of SVE (SMCCC 1.4).
pub const fn no_live_sve(x0: u64) -> bool {
    x0 & SVE_HINT != 0
}

/// A call and its answer, as a line of the log. Outputs begin at x1.
#[derive(Debug)]
pub struct Trace<'a, S> {
    /// The table.
    pub commands: &'a [Command<S>],
    /// Registers of the call, from x0 on.
    pub before: &'a [u64],
    /// Registers of the answer, from x0 on.
    pub after: &'a [u64],
}

impl<S> fmt::Display for Trace<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ([x0, before @ ..], [result, after @ ..]) = (self.before, self.after) else {
            return Ok(());
        };
        let function = function(*x0);
        let Some(command) = self.commands.iter().find(|command| command.function == function)
        else {
            return write!(f, "unknown function {function:#x}");
        };
        write!(f, "{command:?}")?;
        for ((name, _), value) in command.arguments.iter().zip(before) {
            write!(f, " {name}={value:#x}")?;
        }
        write!(f, " -> {result:#x}")?;
        for (name, value) in command.outputs.iter().zip(after) {
            write!(f, " {name}={value:#x}")?;
        }
        Ok(())
    }
}
