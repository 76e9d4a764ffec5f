// SPDX-License-Identifier: BSD-3-Clause
//! One row of the scenario table, and the words to write a row with.

use std::time::Duration;

use rmm_plat::{Machine, qemu_virt};

/// Which build of the RMM a scenario boots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Image {
    /// The one that ships.
    Rmm,
    /// The one with deliberate faults.
    SelfTest,
    /// None: the image that tests the translation tables, without a monitor and a host.
    Xlat,
}

/// A scenario that takes longer hangs.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// Judges the lines of a log.
pub type Judge = fn(&[String]) -> anyhow::Result<()>;

/// A run of QEMU and what must come of it. Every scenario must end with status 0, or with
/// its last lines, and print no failed check.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Unique name; `--filter` looks here.
    pub name: String,
    /// What a pass shows, as one sentence.
    pub asserts: String,
    /// CPUs of the machine.
    pub cpus: u32,
    /// DRAM of the machine in GiB.
    pub memory_gib: u32,
    /// Properties of the CPUs, beyond those of QEMU's `max` with RME.
    pub cpu_properties: &'static str,
    /// Count instructions instead of time.
    pub instruction_count: bool,
    /// Where the RMM is loaded.
    pub load_address: u64,
    /// Which build of the RMM.
    pub image: Image,
    /// The host's scenario.
    pub host: String,
    /// Options of the test firmware, besides those that follow from the fields above.
    pub options: Vec<String>,
    /// Regular expressions that must each match a line.
    pub expected: Vec<String>,
    /// Regular expressions that no line may match.
    pub forbidden: Vec<String>,
    /// Regular expressions of the last lines, where the machine does not end by itself: once each
    /// has matched a line, it is ended.
    pub last_lines: Vec<String>,
    /// What the log as a whole must hold.
    pub judge: Option<Judge>,
    /// Say in the log which functions the addresses in the RMM's reports are in.
    pub symbolized: bool,
    /// Run under a debugger that follows this script, from the root of the tree.
    pub debugger: Option<&'static str>,
    /// How long it may take: `TIME_LIMIT` unless the row says otherwise.
    pub time_limit: Duration,
}

impl Scenario {
    /// A row with all defaults: one CPU, 3 GiB, the RMM at TF-A's address under interface 0.8.
    pub fn new(name: impl Into<String>, host: &str, asserts: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            asserts: asserts.into(),
            cpus: 1,
            memory_gib: 3,
            cpu_properties: "",
            instruction_count: false,
            load_address: qemu_virt::MACHINE.load_address(),
            image: Image::Rmm,
            host: host.into(),
            options: Vec::new(),
            expected: Vec::new(),
            // No scenario but those with deliberate faults may kill the RMM.
            forbidden: vec![r"\[RMM .*FATAL\]".into()],
            last_lines: Vec::new(),
            judge: None,
            symbolized: false,
            debugger: None,
            time_limit: TIME_LIMIT,
        }
    }

    /// Adds an option of the test firmware.
    pub fn option(mut self, word: impl Into<String>) -> Self {
        self.options.push(word.into());
        self
    }

    /// Boots under another interface version.
    pub fn interface(self, version: &str) -> Self {
        self.option(format!("interface={version}"))
    }

    /// A line must match.
    pub fn expect(mut self, pattern: impl Into<String>) -> Self {
        self.expected.push(pattern.into());
        self
    }

    /// No line may match.
    pub fn forbid(mut self, pattern: impl Into<String>) -> Self {
        self.forbidden.push(pattern.into());
        self
    }

    /// The run lasts until this line and every other such line are there, whichever CPU is first.
    pub fn ends_with(self, pattern: impl Into<String>) -> Self {
        let pattern = pattern.into();
        let mut row = self.expect(pattern.clone());
        row.last_lines.push(pattern);
        row
    }

    /// The log as a whole must pass `judge`.
    pub fn judge(mut self, judge: Judge) -> Self {
        self.judge = Some(judge);
        self
    }

    /// The RMM must refuse to boot with this code.
    pub fn refusal(self, code: i32) -> Self {
        self.option(format!("argument={}", code.unsigned_abs()))
            .expect(format!(r"^EL3: RMM failed to boot on CPU 0: code {code}$"))
    }

    /// CPUs of the machine.
    pub fn cpus(mut self, cpus: u32) -> Self {
        self.cpus = cpus;
        self
    }

    /// DRAM of the machine.
    pub fn memory_gib(mut self, memory_gib: u32) -> Self {
        self.memory_gib = memory_gib;
        self
    }

    /// Has EL3 say that this is another machine, and loads the RMM where EL3 has it there.
    pub fn machine(mut self, machine: &Machine) -> Self {
        self.load_address = machine.load_address();
        self.option(format!("machine={}", machine.name))
    }

    /// Loads the RMM elsewhere, into a carve-out of this many bytes.
    pub fn carve_out(mut self, address: u64, size: u64) -> Self {
        self.load_address = address;
        self.option(format!("carve-out={address:#x}+{size:#x}"))
    }

    /// Gives the CPUs properties, `,name=value` each.
    pub fn cpu_properties(mut self, properties: &'static str) -> Self {
        self.cpu_properties = properties;
        self
    }

    /// Counts instructions.
    pub fn instruction_count(mut self) -> Self {
        self.instruction_count = true;
        self
    }

    /// Names the functions in the RMM's reports, by the ELF file beside the image.
    pub fn symbolized(mut self) -> Self {
        self.symbolized = true;
        self
    }

    /// Runs under a debugger that follows `script`.
    pub fn debugger(mut self, script: &'static str) -> Self {
        self.debugger = Some(script);
        self
    }

    /// Gives the run more time, or less, than the usual.
    pub fn time_limit(mut self, time_limit: Duration) -> Self {
        self.time_limit = time_limit;
        self
    }

    /// Boots the build with deliberate faults, which may be fatal.
    pub fn self_test_image(mut self) -> Self {
        self.image = Image::SelfTest;
        self.forbidden.clear();
        self
    }

    /// Boots the image that tests the translation tables instead.
    pub fn xlat_image(mut self) -> Self {
        self.image = Image::Xlat;
        self
    }

    /// The words on the firmware's command line.
    pub fn words(&self) -> Vec<String> {
        let mut words = vec![
            format!("scenario={}", self.host),
            format!("memory={}G", self.memory_gib),
            format!("machine-cpus={}", self.cpus),
        ];
        words.extend(self.options.iter().cloned());
        words
    }
}
