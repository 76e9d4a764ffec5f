// SPDX-License-Identifier: BSD-3-Clause
//! A row of the scenario table, and functions to write one.

use std::time::Duration;

use rmm_plat::{Machine, qemu_virt};

/// Which build of the RMM a scenario boots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Image {
    /// The image that ships.
    Rmm,
    /// The image with deliberate faults.
    SelfTest,
    /// No RMM: the test image for translation tables, without a monitor and a host.
    Xlat,
}

/// A scenario that takes longer has failed.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// A check of the lines of a log.
pub type Judge = fn(&[String]) -> anyhow::Result<()>;

/// A run of QEMU and its expected result. Every scenario must end with status 0 or with its last
/// lines, and must not print a failed check.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// A unique name, which `--filter` searches.
    pub name: String,
    /// What a pass shows, as one sentence.
    pub asserts: String,
    /// CPUs of the machine.
    pub cpus: u32,
    /// DRAM of the machine in GiB.
    pub memory_gib: u32,
    /// Properties of the CPUs, beyond those of QEMU's `max` with RME.
    pub cpu_properties: &'static str,
    /// Whether instructions are counted instead of time.
    pub instruction_count: bool,
    /// The address at which the RMM is loaded.
    pub load_address: u64,
    /// Which build of the RMM.
    pub image: Image,
    /// The host's scenario.
    pub host: String,
    /// Options of the test firmware, in addition to those that follow from the fields above.
    pub options: Vec<String>,
    /// Regular expressions that must each match a line.
    pub expected: Vec<String>,
    /// Regular expressions that no line may match.
    pub forbidden: Vec<String>,
    /// Regular expressions of the last lines, if the machine does not end by itself. It is stopped
    /// when each has matched a line.
    pub last_lines: Vec<String>,
    /// A check of the whole log.
    pub judge: Option<Judge>,
    /// Whether the log gets the functions at the addresses in the RMM's reports.
    pub symbolized: bool,
    /// The script of the debugger, if there is one, by its path from the root of the tree.
    pub debugger: Option<&'static str>,
    /// The longest duration, `TIME_LIMIT` by default.
    pub time_limit: Duration,
}

impl Scenario {
    /// A row with all defaults: one CPU, 3 GiB, the RMM at TF-A's address with interface 0.8.
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
            // Only scenarios with deliberate faults may stop the RMM.
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

    /// Boots with another interface version.
    pub fn interface(self, version: &str) -> Self {
        self.option(format!("interface={version}"))
    }

    /// Requires a line that matches.
    pub fn expect(mut self, pattern: impl Into<String>) -> Self {
        self.expected.push(pattern.into());
        self
    }

    /// Forbids lines that match.
    pub fn forbid(mut self, pattern: impl Into<String>) -> Self {
        self.forbidden.push(pattern.into());
        self
    }

    /// The run lasts until this line and all other last lines have come, in any order.
    pub fn ends_with(self, pattern: impl Into<String>) -> Self {
        let pattern = pattern.into();
        let mut row = self.expect(pattern.clone());
        row.last_lines.push(pattern);
        row
    }

    /// Checks the whole log.
    pub fn judge(mut self, judge: Judge) -> Self {
        self.judge = Some(judge);
        self
    }

    /// The RMM must refuse to boot with this code.
    pub fn refusal(self, code: i32) -> Self {
        self.option(format!("argument={}", code.unsigned_abs()))
            .expect(format!(r"^EL3: RMM failed to boot on CPU 0: code {code}$"))
    }

    /// Sets the number of CPUs.
    pub fn cpus(mut self, cpus: u32) -> Self {
        self.cpus = cpus;
        self
    }

    /// Sets the size of the DRAM.
    pub fn memory_gib(mut self, memory_gib: u32) -> Self {
        self.memory_gib = memory_gib;
        self
    }

    /// Makes EL3 report another machine, and loads the RMM at its address on that machine.
    pub fn machine(mut self, machine: &Machine) -> Self {
        self.load_address = machine.load_address();
        self.option(format!("machine={}", machine.name))
    }

    /// Loads the RMM at another address, into a carve-out of this many bytes.
    pub fn carve_out(mut self, address: u64, size: u64) -> Self {
        self.load_address = address;
        self.option(format!("carve-out={address:#x}+{size:#x}"))
    }

    /// Gives the CPUs properties, each as `,name=value`.
    pub fn cpu_properties(mut self, properties: &'static str) -> Self {
        self.cpu_properties = properties;
        self
    }

    /// Counts instructions instead of time.
    pub fn instruction_count(mut self) -> Self {
        self.instruction_count = true;
        self
    }

    /// Adds the functions to the RMM's reports, from the ELF file beside the image.
    pub fn symbolized(mut self) -> Self {
        self.symbolized = true;
        self
    }

    /// Runs with a debugger that runs `script`.
    pub fn debugger(mut self, script: &'static str) -> Self {
        self.debugger = Some(script);
        self
    }

    /// Sets the time limit.
    pub fn time_limit(mut self, time_limit: Duration) -> Self {
        self.time_limit = time_limit;
        self
    }

    /// Boots the image with deliberate faults, which may be fatal.
    pub fn self_test_image(mut self) -> Self {
        self.image = Image::SelfTest;
        self.forbidden.clear();
        self
    }

    /// Boots the test image for translation tables instead.
    pub fn xlat_image(mut self) -> Self {
        self.image = Image::Xlat;
        self
    }

    /// The words of the firmware's command line.
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
