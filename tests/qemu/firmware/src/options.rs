// SPDX-License-Identifier: BSD-3-Clause
//! The options of a run: `key=value` words on the semihosting command line, for all images.
//!
//! The defaults make the monitor do what TF-A does on the machine of the option `machine`, which is
//! QEMU `virt` by default. An unknown key or an invalid value is an error: a misspelled option must
//! not let a test pass.

use core::fmt;

pub use rmm_plat::Range;
use rmm_plat::{MACHINES, Machine, qemu_virt};

use crate::semihosting;

/// The most banks of the `banks` option.
pub const MAX_BANKS: usize = 8;
/// Size of a granule, and of the shared page, in bytes.
pub const GRANULE: u64 = 4096;
/// The first address of the emulated machine's DRAM, which does not depend on the option `machine`.
pub const DRAM_BASE: u64 = qemu_virt::MACHINE.dram[0].base;

/// Longest command line.
const COMMAND_LINE: usize = 1024;
/// Longest scenario name.
const NAME: usize = 32;

/// The version of the RMM-EL3 interface that the RMM gets. The major number also determines the
/// monitor's behavior.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interface(pub u32);

impl Interface {
    /// Bits 30:16.
    #[must_use]
    pub const fn major(self) -> u32 {
        (self.0 >> 16) & 0x7fff
    }

    /// The number of the caller's registers that an RMI answer changes, from x0 on. The others are
    /// preserved.
    #[must_use]
    pub const fn return_registers(self) -> usize {
        if self.major() >= 2 { 8 } else { 5 }
    }

    /// Whether EL3 switches the GIC's EL2 registers between worlds.
    #[must_use]
    pub const fn switches_gic(self) -> bool {
        self.major() == 0
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major(), self.0 & 0xffff)
    }
}

/// Defines an enum whose values are words of the command line.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $value:ident = $word:literal,)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$doc])* $value,)* }

        impl $name {
            fn from_word(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$value),)*
                    _ => None,
                }
            }
        }
    };
}

words! {
    /// EL3's answer to RESERVE_MEMORY.
    ReserveMemory {
        /// E_RMM_NOMEM, as TF-A on QEMU.
        NoMemory = "nomem",
        /// E_RMM_UNK, as in releases without this service.
        Unknown = "unknown",
        /// Memory, from below the shared page downwards, as TF-A on FVP.
        Grant = "grant",
    }
}

words! {
    /// EL3's answer to ATTEST_GET_REALM_KEY.
    RealmKey {
        /// The key that TF-A has on QEMU.
        Sample = "sample",
        /// E_RMM_UNK.
        Unknown = "unknown",
        /// A key that is 0.
        Zero = "zero",
        /// A key of 32 bytes.
        Short = "short",
    }
}

words! {
    /// EL3's answer to ATTEST_GET_PLAT_TOKEN.
    PlatformToken {
        /// The whole token at once, as TF-A on QEMU.
        Whole = "whole",
        /// Hunks of 500 bytes, each after a few answers of E_RMM_AGAIN.
        Hunks = "hunks",
        /// E_RMM_AGAIN forever.
        Again = "again",
        /// E_RMM_UNK after the first hunk.
        Breaks = "breaks",
        /// Hunks without end.
        Endless = "endless",
        /// An empty hunk.
        Empty = "empty",
    }
}

words! {
    /// A deliberate mistake in the boot manifest. Everything else is valid.
    ManifestFault {
        /// The DRAM list's sum is not zero.
        DramChecksum = "dram-checksum",
        /// The console list's sum is not zero.
        ConsoleChecksum = "console-checksum",
        /// The non-coherent device list's sum is not zero.
        NonCoherentChecksum = "ncoh-checksum",
        /// The coherent device list's sum is not zero.
        CoherentChecksum = "coh-checksum",
        /// The SMMU list's sum is not zero.
        SmmuChecksum = "smmu-checksum",
        /// The root complex list's sum is not zero.
        RootComplexChecksum = "root-complex-checksum",
        /// The second bank starts inside the first.
        BanksOverlap = "banks-overlap",
        /// The second bank lies below the first.
        BanksUnsorted = "banks-unsorted",
        /// A bank's base is not granule aligned.
        BankBaseUnaligned = "bank-base-unaligned",
        /// A bank's size is not a multiple of the granule.
        BankSizeUnaligned = "bank-size-unaligned",
        /// A bank's base plus size passes 2^64.
        BankWraps = "bank-wraps",
        /// A bank of size 0.
        BankEmpty = "bank-empty",
        /// 2^60 banks, so that the length in bytes wraps to zero.
        BankCountAbsurd = "bank-count-absurd",
        /// One bank more than fits between the list and the end of the page.
        BankCountPastPage = "bank-count-past-page",
        /// The last bank straddles the end of the page.
        BanksTruncated = "banks-truncated",
        /// The DRAM list is at address 0.
        BanksNull = "banks-null",
        /// The DRAM list is outside the shared page.
        BanksOutside = "banks-outside",
        /// The DRAM list is not 8-byte aligned.
        BanksUnaligned = "banks-unaligned",
        /// There is no bank.
        NoBanks = "no-banks",
        /// 2^60 consoles.
        ConsoleCountAbsurd = "console-count-absurd",
        /// The console list is outside the shared page.
        ConsolesOutside = "consoles-outside",
        /// The console straddles the end of the page.
        ConsolesTruncated = "consoles-truncated",
        /// A root complex's root ports are outside the shared page.
        RootPortsOutside = "root-ports-outside",
        /// A root port's device mappings are outside the shared page.
        MappingsOutside = "mappings-outside",
        /// The SMMU list is outside the shared page.
        SmmusOutside = "smmus-outside",
    }
}

/// The options of a run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// `machine=qemu_virt|fvp`: the machine that the monitor claims to run on. All other defaults
    /// follow from it.
    pub machine: &'static Machine,
    /// `interface=0.8`: the interface version in x1. A plain number is used as it is.
    pub interface: Interface,
    /// `cpus=`: the number of CPUs in x2.
    pub cpus: u64,
    /// `cpu=0`: overrides the CPU index in x0 of the cold boot.
    pub cpu: Option<u64>,
    /// `buffer=0`: overrides the shared buffer's address in x3. The manifest stays in the shared
    /// page.
    pub buffer: Option<u64>,
    /// `token=0`: the activation token in x4 of the cold boot.
    pub token: u64,
    /// `warm-token=0`: the activation token in x1 of the first warm boot of each CPU.
    pub warm_token: u64,
    /// `forgive-warm-boots=0`: with 1, a failed warm boot does not end the service on other CPUs,
    /// as it would with TF-A.
    pub forgive_warm_boots: u64,
    /// `carve-out=BASE+SIZE`: the RMM's memory, with the image at its start and the shared page at
    /// its end.
    pub carve_out: Range,
    /// `memory=3G`: the DRAM size of the emulated machine, for the Granule Protection Table.
    pub memory: u64,
    /// `banks=BASE+SIZE:BASE+SIZE`: the DRAM banks in the manifest.
    banks: [Range; MAX_BANKS],
    bank_count: usize,
    /// `manifest-version=0.5`.
    pub manifest_version: u32,
    /// `coherent=BASE+SIZE`: a coherent device region in the manifest, which no real machine has.
    pub coherent: Option<Range>,
    /// `fault=NAME`: a deliberate mistake in the manifest.
    pub fault: Option<ManifestFault>,
    /// `reserve-memory=nomem|unknown|grant`.
    pub reserve_memory: ReserveMemory,
    /// `realm-key=sample|unknown|zero|short`.
    pub realm_key: RealmKey,
    /// Whether EL3 keeps the key and signs Realm tokens.
    pub el3_signs: u64,
    /// `platform-token=whole|hunks|again|breaks|endless|empty`.
    pub platform_token: PlatformToken,
    /// `payload=`: the size of the part of the carve-out that RESERVE_MEMORY never gives out.
    pub payload: u64,
    /// `secure=BASE+SIZE`: DRAM that EL3 keeps in the Secure PAS.
    pub secure: Option<Range>,
    /// `root=BASE+SIZE`: DRAM that EL3 keeps in the Root PAS.
    pub root: Option<Range>,
    /// `seed=1`: the seed of the host's random numbers.
    pub seed: u64,
    /// `machine-cpus=1`: CPUs the emulated machine has, for the host.
    pub machine_cpus: u64,
    /// `test-memory=0x70000000`: the first byte of the host's test memory.
    pub test_memory: u64,
    /// `share=64`: one in this many steps of the stress scenario is on a granule that all CPUs use.
    pub share: u64,
    /// `poison=0`: with 1, EL3 sets bits in every control register of R-EL2 before it enters the
    /// RMM to boot, and prints the registers when the boot is complete.
    pub poison: u64,
    /// `rndr=0`: EL3 answers each read of RNDR in the RMM's image, and delivers a number once in
    /// this many reads; with 0 never. Without the option the CPU answers.
    pub rndr: Option<u64>,
    /// `host-interrupts=0`: with 1, the host may configure every interrupt of the machine.
    pub host_interrupts: u64,
    /// `realms=1`: the number of Realms that run a guest.
    pub realms: u64,
    /// `recs=1`: the number of RECs of each.
    pub recs: u64,
    /// `ram=512M`: the RAM of each.
    pub ram: u64,
    /// `kernel=BASE+SIZE`: the memory with the guest's kernel.
    pub kernel: Range,
    /// `initrd=BASE+SIZE`: the memory with its initial file system.
    pub initrd: Range,
    /// `dtb=BASE+SIZE`: the memory with its device tree.
    pub dtb: Range,
    /// `preempt=0`: how often per second RECs of a guest are preempted, at random; 0 for never.
    pub preempt: u64,
    /// `patience=0`: the number of exits without console output after which a guest has failed; 0
    /// for no limit.
    pub patience: u64,
    scenario: [u8; NAME],
    scenario_length: usize,
    /// `argument=0`: a number for the scenario.
    pub argument: u64,
}

impl Options {
    /// The defaults of a machine.
    fn of(machine: &'static Machine) -> Self {
        let mut banks = [Range::default(); MAX_BANKS];
        banks[..machine.dram.len()].copy_from_slice(machine.dram);
        Self {
            machine,
            interface: Interface(0x8),
            cpus: machine.cpus,
            cpu: None,
            buffer: None,
            token: 0,
            warm_token: 0,
            forgive_warm_boots: 0,
            carve_out: machine.carve_out,
            memory: 0xC000_0000,
            banks,
            bank_count: machine.dram.len(),
            manifest_version: 5,
            coherent: None,
            fault: None,
            reserve_memory: if machine.reserves_memory {
                ReserveMemory::Grant
            } else {
                ReserveMemory::NoMemory
            },
            realm_key: RealmKey::Sample,
            el3_signs: 0,
            platform_token: PlatformToken::Whole,
            payload: rmm_plat::LIMITS.image,
            secure: None,
            root: machine.root,
            seed: 1,
            machine_cpus: 1,
            test_memory: 0x7000_0000,
            share: 64,
            poison: 0,
            rndr: None,
            host_interrupts: 0,
            realms: 1,
            recs: 1,
            ram: 512 << 20,
            kernel: Range::default(),
            initrd: Range::default(),
            dtb: Range::default(),
            preempt: 0,
            patience: 0,
            scenario: [0; NAME],
            scenario_length: 0,
            argument: 0,
        }
    }
}

/// An invalid word of the command line.
#[derive(Debug, PartialEq, Eq)]
pub enum OptionsError<'a> {
    /// The command line could not be read.
    Unreadable,
    /// The key is unknown, or there is no `=`.
    UnknownKey(&'a str),
    /// The value is not valid for the key.
    BadValue(&'a str),
}

impl fmt::Display for OptionsError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable => write!(f, "the semihosting command line cannot be read"),
            Self::UnknownKey(word) => write!(f, "unknown option: {word}"),
            Self::BadValue(word) => write!(f, "bad value: {word}"),
        }
    }
}

impl Options {
    /// Reads the command line through semihosting.
    ///
    /// # Errors
    ///
    /// The text of the first [`OptionsError`], already printed on the console.
    #[must_use]
    pub fn from_command_line() -> Option<Self> {
        let mut buffer = [0; COMMAND_LINE];
        let parsed = match semihosting::command_line(&mut buffer) {
            Some(line) => Self::parse(line),
            None => Err(OptionsError::Unreadable),
        };
        parsed.inspect_err(|error| crate::say!("FAILED: {error}")).ok()
    }

    /// Parses a command line.
    ///
    /// # Errors
    ///
    /// [`OptionsError`] for the first invalid word.
    pub fn parse(line: &str) -> Result<Self, OptionsError<'_>> {
        let named = line.split_ascii_whitespace().find_map(|word| word.strip_prefix("machine="));
        let mut options = match named {
            Some(name) => Self::of(machine(name).ok_or(OptionsError::BadValue(name))?),
            None => Self::of(&qemu_virt::MACHINE),
        };
        for word in line.split_ascii_whitespace() {
            let (key, value) = word.split_once('=').ok_or(OptionsError::UnknownKey(word))?;
            options
                .set(key, value)
                .ok_or(OptionsError::UnknownKey(word))?
                .ok_or(OptionsError::BadValue(word))?;
        }
        Ok(options)
    }

    /// Sets one option. `None` for an unknown key, `Some(None)` for an invalid value.
    fn set(&mut self, key: &str, value: &str) -> Option<Option<()>> {
        Some(match key {
            // Read before all others, whose defaults depend on it.
            "machine" => machine(value).map(|_| ()),
            "interface" => version(value).map(|value| self.interface = Interface(value)),
            "cpus" => number(value).map(|value| self.cpus = value),
            "cpu" => number(value).map(|value| self.cpu = Some(value)),
            "buffer" => number(value).map(|value| self.buffer = Some(value)),
            "token" => number(value).map(|value| self.token = value),
            "warm-token" => number(value).map(|value| self.warm_token = value),
            "forgive-warm-boots" => number(value).map(|value| self.forgive_warm_boots = value),
            "carve-out" => range(value).map(|value| self.carve_out = value),
            "memory" => number(value).map(|value| self.memory = value),
            "banks" => self.set_banks(value),
            "manifest-version" => version(value).map(|value| self.manifest_version = value),
            "coherent" => range(value).map(|value| self.coherent = Some(value)),
            "fault" => ManifestFault::from_word(value).map(|value| self.fault = Some(value)),
            "reserve-memory" => {
                ReserveMemory::from_word(value).map(|value| self.reserve_memory = value)
            }
            "el3-signs" => number(value).map(|value| self.el3_signs = value),
            "realm-key" => RealmKey::from_word(value).map(|value| self.realm_key = value),
            "platform-token" => {
                PlatformToken::from_word(value).map(|value| self.platform_token = value)
            }
            "payload" => number(value).map(|value| self.payload = value),
            "secure" => range(value).map(|value| self.secure = Some(value)),
            "root" => range(value).map(|value| self.root = Some(value)),
            "seed" => number(value).map(|value| self.seed = value),
            "machine-cpus" => number(value).map(|value| self.machine_cpus = value),
            "test-memory" => number(value).map(|value| self.test_memory = value),
            "share" => number(value).map(|value| self.share = value),
            "poison" => number(value).map(|value| self.poison = value),
            "rndr" => number(value).map(|value| self.rndr = Some(value)),
            "host-interrupts" => number(value).map(|value| self.host_interrupts = value),
            "realms" => number(value).map(|value| self.realms = value),
            "recs" => number(value).map(|value| self.recs = value),
            "ram" => number(value).map(|value| self.ram = value),
            "kernel" => range(value).map(|value| self.kernel = value),
            "initrd" => range(value).map(|value| self.initrd = value),
            "dtb" => range(value).map(|value| self.dtb = value),
            "preempt" => number(value).map(|value| self.preempt = value),
            "patience" => number(value).map(|value| self.patience = value),
            "scenario" => self.set_scenario(value),
            "argument" => number(value).map(|value| self.argument = value),
            _ => return None,
        })
    }

    fn set_banks(&mut self, value: &str) -> Option<()> {
        self.bank_count = 0;
        for bank in value.split(':') {
            *self.banks.get_mut(self.bank_count)? = range(bank)?;
            self.bank_count += 1;
        }
        Some(())
    }

    fn set_scenario(&mut self, value: &str) -> Option<()> {
        self.scenario.get_mut(..value.len())?.copy_from_slice(value.as_bytes());
        self.scenario_length = value.len();
        Some(())
    }

    /// The DRAM banks of the manifest.
    #[must_use]
    pub fn banks(&self) -> &[Range] {
        &self.banks[..self.bank_count]
    }

    /// The name of the host's scenario.
    #[must_use]
    pub fn scenario(&self) -> &str {
        core::str::from_utf8(&self.scenario[..self.scenario_length]).unwrap_or("")
    }

    /// The physical address of the page EL3 and the RMM share.
    #[must_use]
    pub const fn shared_page(&self) -> u64 {
        self.carve_out.end() - GRANULE
    }
}

/// `12`, `0x40`, each with an optional suffix K, M or G.
fn number(text: &str) -> Option<u64> {
    let (digits, shift) = match text.as_bytes().last()? {
        b'K' => (&text[..text.len() - 1], 10),
        b'M' => (&text[..text.len() - 1], 20),
        b'G' => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let value = match digits.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => digits.parse(),
    };
    value.ok()?.checked_mul(1 << shift)
}

/// The machine of this name.
fn machine(name: &str) -> Option<&'static Machine> {
    MACHINES.into_iter().find(|machine| machine.name == name)
}

/// `BASE+SIZE`.
fn range(text: &str) -> Option<Range> {
    let (base, size) = text.split_once('+')?;
    Some(Range { base: number(base)?, size: number(size)? })
}

/// `MAJOR.MINOR`, or the 32-bit version word itself.
fn version(text: &str) -> Option<u32> {
    match text.split_once('.') {
        Some((major, minor)) => Some(
            u32::from(major.parse::<u16>().ok()?) << 16 | u32::from(minor.parse::<u16>().ok()?),
        ),
        None => u32::try_from(number(text)?).ok(),
    }
}
