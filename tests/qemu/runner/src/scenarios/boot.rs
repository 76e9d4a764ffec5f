// SPDX-License-Identifier: BSD-3-Clause
//! Boots: what EL3 may pass to the RMM, and what the RMM must refuse with which code (EL3
//! interface, boot codes). After a refusal EL3 and the host continue, and every RMI call is
//! unknown.

use rmm_plat::fvp;

use crate::protection::Protection;
use crate::scenario::Scenario;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Boot codes.
const UNKNOWN: i32 = -1;
const VERSION_MISMATCH: i32 = -2;
const CPUS_OUT_OF_RANGE: i32 = -3;
const CPU_ID_OUT_OF_RANGE: i32 = -4;
const INVALID_SHARED_BUFFER: i32 = -5;
const MANIFEST_VERSION: i32 = -6;
const MANIFEST_DATA: i32 = -7;

/// A boot that the RMM must refuse.
fn refused(name: String, code: i32, what: &str) -> Scenario {
    Scenario::new(
        name,
        "refused",
        format!("the RMM refuses {what} with code {code}; EL3 and the host go on"),
    )
    .refusal(code)
}

/// Versions of the RMM-EL3 interface.
pub fn interface_versions() -> Vec<Scenario> {
    let accepted = ["0.2", "0.3", "0.4", "0.6", "0.8", "0.9", "2.0", "2.1"].map(|version| {
        let sentence =
            format!("the RMM boots under interface {version} and reports its RMI version");
        Scenario::new(format!("interface-{version}"), "boots", sentence).interface(version)
    });
    let refused = ["0.1", "1.0", "3.0"].map(|version| {
        refused(format!("interface-{version}"), VERSION_MISMATCH, &format!("interface {version}"))
            .interface(version)
    });
    accepted.into_iter().chain(refused).collect()
}

/// Versions and kinds of the boot manifest.
pub fn manifest_versions() -> Vec<Scenario> {
    let accepted = ["0.2", "0.3", "0.4", "0.5", "0.6"].map(|version| {
        let sentence = format!("the RMM boots with a boot manifest of version {version}");
        Scenario::new(format!("manifest-{version}"), "boots", sentence)
            .option(format!("manifest-version={version}"))
    });
    let refused = ["0.1", "1.0"].map(|version| {
        refused(
            format!("manifest-{version}"),
            MANIFEST_VERSION,
            &format!("a manifest of version {version}"),
        )
        .option(format!("manifest-version={version}"))
    });
    accepted.into_iter().chain(refused).collect()
}

/// Load addresses, memory layouts and EL3 memory. The same file boots everywhere.
pub fn places() -> Vec<Scenario> {
    let high = |scenario: Scenario| {
        scenario
            .memory_gib(6)
            .option(format!("banks={GIB:#x}+{:#x}", 6 * GIB))
            .carve_out(0x1_4000_7000, 24 * MIB)
    };
    vec![
        Scenario::new(
            "load-default",
            "bad-addresses",
            "at TF-A's address only the RMM's own memory is refused",
        ),
        Scenario::new(
            "load-unaligned",
            "bad-addresses",
            "the same file boots at a merely granule-aligned address",
        )
        .carve_out(0x8000_3000, 24 * MIB),
        high(Scenario::new(
            "load-high",
            "bad-addresses",
            "the same file boots above 4 GiB, with 6 GiB of DRAM",
        )),
        high(Scenario::new(
            "load-high-granules",
            "random-granules",
            "granules below and above an RMM that is loaded above 4 GiB follow the model",
        )),
        Scenario::new(
            "banks-two",
            "bad-addresses",
            "between two banks of DRAM nothing is delegable",
        )
        .option("banks=0x40000000+0x28000000:0x70000000+0x10000000"),
        Scenario::new("banks-adjacent", "bad-addresses", "two banks without a gap serve as one")
            .option("banks=0x40000000+0x40000000:0x80000000+0x80000000"),
        Scenario::new(
            "banks-elsewhere",
            "granules",
            "an RMM outside all banks serves the granules in them",
        )
        .option("banks=0x70000000+0x10000000"),
        Scenario::new("cpu-count-least", "boots", "the RMM boots on a machine of one CPU")
            .option("cpus=1"),
        Scenario::new(
            "cpu-id-highest",
            "boots",
            "the RMM boots on the highest CPU index there may be",
        )
        .option("cpu=31"),
    ]
}

/// Memory in proportion to the machine's: from EL3, or from the image.
pub fn memory() -> Vec<Scenario> {
    let source = |scenario: Scenario, whose: &str, source: &str| {
        scenario.expect(format!(r"^\[RMM cpu0 INFO \] memory of the {whose}: .*, {source}$"))
    };
    let granted = |scenario: Scenario| {
        let scenario = source(scenario.option("reserve-memory=grant"), "CPUs", "reserved by EL3");
        source(scenario, "granules", "reserved by EL3")
            .expect("^EL3: .* bytes reserved for the RMM at ")
    };
    let own = |scenario: Scenario| {
        source(source(scenario, "CPUs", "in the image"), "granules", "in the image")
    };
    let large = |scenario: Scenario| scenario.carve_out(0x4010_0000, 64 * MIB);
    let new = Scenario::new;
    vec![
        own(new(
            "memory-own",
            "granules",
            "the RMM uses memory of its own if EL3 has none to reserve",
        )),
        own(new(
            "memory-own-unknown",
            "granules",
            "the RMM uses memory of its own if EL3 cannot reserve any",
        )
        .option("reserve-memory=unknown")
        .interface("0.4")),
        granted(new(
            "memory-reserved",
            "granules",
            "the RMM takes memory that EL3 reserves for it",
        )),
        granted(
            new(
                "memory-reserved-2.0",
                "granules",
                "the RMM takes memory that EL3 reserves under interface 2.0",
            )
            .interface("2.0"),
        ),
        granted(
            new(
                "memory-reserved-high",
                "granules",
                "the RMM takes memory above 4 GiB that EL3 reserves",
            )
            .memory_gib(6)
            .option(format!("banks={GIB:#x}+{:#x}", 6 * GIB))
            .carve_out(0x1_4000_7000, 24 * MIB),
        ),
        granted(
            new(
                "memory-reserved-warm-boots",
                "warm-boots",
                "CPUs come and go on memory that EL3 reserved",
            )
            .cpus(4),
        ),
        source(
            source(
                new(
                    "memory-reserved-first",
                    "granules",
                    "of two areas EL3 reserves the first, and the second is memory of the image",
                )
                .option("reserve-memory=grant")
                .carve_out(0x4010_0000, 8 * MIB),
                "CPUs",
                "reserved by EL3",
            ),
            "granules",
            "in the image",
        ),
        refused("memory-reserved-bad".into(), UNKNOWN, "reserved memory that overlaps the image")
            .option("reserve-memory=grant")
            .option("payload=0")
            .carve_out(0x4010_0000, 7 * MIB)
            .expect(r"^\[RMM cpu0 ERROR\] .*reserved by EL3 at .*overlaps"),
        granted(large(new(
            "cpus-512",
            "warm-boots",
            "the RMM boots for 512 CPUs, and serves those there are",
        )))
        .option("cpus=512")
        .cpus(4),
        refused(
            "cpus-512-no-memory".into(),
            CPUS_OUT_OF_RANGE,
            "512 CPUs when there is memory for fewer",
        )
        .option("cpus=512")
        .expect(r"^\[RMM cpu0 ERROR\] .*memory of the CPUs: \d+ bytes needed, \d+ available$"),
        refused("granules-no-memory".into(), UNKNOWN, "more DRAM than there is memory to track it")
            .option("banks=0x40000000+0x1000000000")
            .expect(r"^\[RMM cpu0 ERROR\] .*granule array: \d+ bytes needed, \d+ available$"),
        granted(large(new(
            "granules-64-gib",
            "granules",
            "what EL3 reserves tracks 64 GiB of DRAM",
        )))
        .option("banks=0x40000000+0x1000000000"),
    ]
}

/// Boot arguments out of range.
pub fn bad_arguments() -> Vec<Scenario> {
    let mut rows = Vec::new();
    for cpus in ["0", "513", "0x100000001", "0xffffffffffffffff"] {
        let name = format!("cpu-count-{cpus}");
        rows.push(
            refused(name, CPUS_OUT_OF_RANGE, &format!("a count of {cpus} CPUs"))
                .option(format!("cpus={cpus}")),
        );
    }
    for cpu in ["32", "0x100000000", "0xffffffffffffffff"] {
        let name = format!("cpu-id-{cpu}");
        let what = format!("CPU index {cpu} of 32 CPUs");
        rows.push(refused(name, CPU_ID_OUT_OF_RANGE, &what).option(format!("cpu={cpu}")));
    }
    for buffer in [
        "0",
        "0x418ff001",
        "0x418ff008",
        "0x418ff800",
        "0x1000000000000",
        "0x10000000000000",
        "0xfffffffffffff000",
        "0xffffffffffffffff",
    ] {
        let name = format!("shared-buffer-{buffer}");
        let what = format!("a shared buffer at {buffer}");
        rows.push(refused(name, INVALID_SHARED_BUFFER, &what).option(format!("buffer={buffer}")));
    }
    rows
}

/// Mistakes in the boot manifest, one at a time.
pub fn manifest_faults() -> Vec<Scenario> {
    /// Faults of lists that FVP's manifest has. An empty list can also have a wrong checksum.
    const IN_FULL: &[(&str, &str)] = &[
        ("ncoh-checksum", "a non-coherent region list with a wrong checksum"),
        ("coh-checksum", "a coherent region list with a wrong checksum"),
        ("smmu-checksum", "an SMMU list with a wrong checksum"),
        ("root-complex-checksum", "a root complex list with a wrong checksum"),
        ("smmus-outside", "an SMMU list outside the shared page"),
        ("root-ports-outside", "root ports outside the shared page"),
        ("mappings-outside", "a root port's device mappings outside the shared page"),
    ];
    const IN_EITHER: &[(&str, &str)] = &[
        ("dram-checksum", "a DRAM list with a wrong checksum"),
        ("console-checksum", "a console list with a wrong checksum"),
        ("ncoh-checksum", "an empty non-coherent region list with a wrong checksum"),
        ("coh-checksum", "an empty coherent region list with a wrong checksum"),
        ("smmu-checksum", "an empty SMMU list with a wrong checksum"),
        ("root-complex-checksum", "an empty root complex list with a wrong checksum"),
        ("banks-overlap", "overlapping banks"),
        ("banks-unsorted", "banks out of order"),
        ("bank-base-unaligned", "a bank whose base is no granule"),
        ("bank-size-unaligned", "a bank whose size is no number of granules"),
        ("bank-wraps", "a bank that passes the end of the address space"),
        ("bank-empty", "a bank of no size"),
        ("bank-count-absurd", "2^60 banks"),
        ("bank-count-past-page", "one bank more than the shared page holds"),
        ("banks-truncated", "a bank that straddles the end of the shared page"),
        ("banks-null", "a DRAM list at address 0"),
        ("banks-outside", "a DRAM list outside the shared page"),
        ("banks-unaligned", "a DRAM list that is not 8-byte aligned"),
        ("no-banks", "no DRAM at all"),
        ("console-count-absurd", "2^60 consoles"),
        ("consoles-outside", "a console list outside the shared page"),
        ("consoles-truncated", "a console that straddles the end of the shared page"),
    ];
    let row = |name: String, fault: &str, what: &str| {
        refused(name, MANIFEST_DATA, what).option(format!("fault={fault}"))
    };
    let in_full = IN_FULL.iter().map(|(fault, what)| {
        row(format!("manifest-full-{fault}"), fault, what)
            .machine(&fvp::MACHINE)
            .option("coherent=0x7000000000+0x10000000")
    });
    let in_either =
        IN_EITHER.iter().map(|(fault, what)| row(format!("manifest-{fault}"), fault, what));
    in_either.chain(in_full).collect()
}

/// An activation token that makes the self-test image cause a fault
/// (`tests/qemu/self_test/faults.rs`) at some point of the boot.
fn fault_token(place: u64, fault: u64) -> String {
    const REQUEST: u64 = 0x7e57_fa17_0000_0000;
    format!("{:#x}", REQUEST ^ place << 8 ^ fault)
}

/// Boots that fail by a fault inside the RMM. EL3 is notified of each, and the host continues.
pub fn failures() -> Vec<Scenario> {
    const BEFORE_MMU: u64 = 1;
    const BEFORE_MAPS: u64 = 2;
    const AFTER_MAPS: u64 = 3;
    const UNDEFINED: u64 = 5;
    const PANIC: u64 = 6;
    const REPORT: &str = r"^\[RMM cpu\d FATAL\] ";
    let places = [
        ("assembly", BEFORE_MMU, 0, "an exception before the MMU is on", None),
        ("early-exception", BEFORE_MAPS, UNDEFINED, "an exception before there is a console", None),
        ("early-panic", BEFORE_MAPS, PANIC, "a panic before there is a console", None),
        (
            "exception",
            AFTER_MAPS,
            UNDEFINED,
            "an exception, which is reported",
            Some("exception at vector 4: ESR 0x0000000002000000 "),
        ),
        ("panic", AFTER_MAPS, PANIC, "a panic, which is reported", Some("panic")),
    ];
    let report = |scenario: Scenario, words: Option<&str>, stage: &str| match words {
        Some(words) => scenario
            .expect(format!("{REPORT}.*{words}"))
            .expect(format!("{REPORT}CPU stopped while {stage} ")),
        None => scenario,
    };
    let cold = places.iter().map(|&(name, place, fault, what, words)| {
        let sentence =
            format!("a cold boot with {what} ends with code {UNKNOWN}; EL3 and the host go on");
        let row = Scenario::new(format!("cold-boot-{name}"), "refused", sentence)
            .refusal(UNKNOWN)
            .self_test_image()
            .option(format!("token={}", fault_token(place, fault)));
        report(row, words, "taking the console into use")
    });
    let warm = places.iter().filter(|(_, place, ..)| *place != BEFORE_MAPS).map(
        |&(name, place, fault, what, words)| {
            let row = warm_failure(format!("warm-boot-{name}"), what)
                .self_test_image()
                .option(format!("warm-token={}", fault_token(place, fault)));
            report(row, words, "checking a warm boot")
        },
    );
    let mut rows: Vec<_> = cold.chain(warm).collect();
    rows.push(
        refused("carve-out-small".into(), UNKNOWN, "memory that is smaller than the image")
            .carve_out(0x4010_0000, MIB),
    );
    rows.push(
        refused("cold-boot-token".into(), UNKNOWN, "the token of another RMM")
            .option("token=0x418ff000"),
    );
    rows.push(
        warm_failure("warm-boot-token".into(), "a token that the RMM has not given out")
            .option("warm-token=1")
            .expect(r"\[RMM cpu.*activation token: 0x1"),
    );
    rows
}

/// A single warm boot that must fail with code -1.
fn warm_failure(name: String, what: &str) -> Scenario {
    let sentence = format!(
        "a warm boot with {what} ends with code {UNKNOWN}; the other CPU is served on, and the \
         next boot succeeds"
    );
    Scenario::new(name, "warm-failure", sentence)
        .cpus(2)
        .option("forgive-warm-boots=1")
        .option(format!("argument={}", UNKNOWN.unsigned_abs()))
        .expect(format!(r"^EL3: RMM failed to boot on CPU 1: code {UNKNOWN}$"))
}

/// Values of EL2 control registers after a boot of the image that ships. All other bits are 0.
const CONTROL_REGISTERS: [(&str, u64); 24] = [
    ("HCR_EL2", 0x304_8000_0000),
    // Six counters; HPMD and HCCD, and every trap that QEMU supports.
    ("MDCR_EL2", 0x188a_4e66),
    ("CPTR_EL2", 0),
    ("HSTR_EL2", 0),
    ("CNTHCTL_EL2", 0),
    ("CNTVOFF_EL2", 0),
    ("CNTPOFF_EL2", 0),
    ("CONTEXTIDR_EL2", 0),
    ("AMAIR_EL2", 0),
    ("MAIR_EL2", 0x44_04ff),
    ("VTCR_EL2", 0x8000_0000),
    ("VTTBR_EL2", 0),
    ("VPIDR_EL2", 0),
    ("VMPIDR_EL2", 0x8000_0000),
    ("HFGRTR_EL2", 0),
    ("HFGWTR_EL2", 0),
    ("HFGITR_EL2", 0),
    ("HDFGRTR_EL2", 0),
    ("HDFGWTR_EL2", 0),
    ("HCRX_EL2", 0x800),
    ("SCXTNUM_EL2", 0),
    ("VSESR_EL2", 0),
    ("VDISR_EL2", 0),
    ("DIT", 1),
];

/// Boots with an EL3 that sets other bits in every control register, on different kinds of CPUs,
/// and with a host whose counters count.
pub fn control_registers(protection: Protection) -> Vec<Scenario> {
    let sctlr: u64 = match protection {
        Protection::Plain => 0x30ed_183d,
        Protection::Hardened => 0x10_b0ed_183d,
    };
    let poisoned = Scenario::new(
        "control-registers",
        "warm-boots",
        "each boot of each CPU gives every control register its value, whatever EL3 left there",
    )
    .cpus(2)
    .option("poison=1");
    let values = CONTROL_REGISTERS.into_iter().chain([("SCTLR_EL2", sctlr)]);
    let poisoned = [0, 1].into_iter().fold(poisoned, |row, cpu| {
        values.clone().fold(row, |row, (name, value)| {
            let value = if name == "DIT" { "1 SSBS 0".into() } else { format!("{value:#x}") };
            row.expect(format!("^EL3: CPU {cpu} has {name} {value}$"))
        })
    });
    vec![
        poisoned,
        Scenario::new(
            "cpu-no-lpa2",
            "granules",
            "the RMM boots on CPUs with 52 address bits and without LPA2",
        )
        .cpu_properties(",lpa2=off"),
        refused("cpu-no-pmu".to_owned(), UNKNOWN, "CPUs without a PMU").cpu_properties(",pmu=off"),
        Scenario::new("pmu", "pmu", "the host's PMU counts nothing inside the RMM")
            .instruction_count(),
    ]
}

/// Boots with a source of random numbers that fails. A cold boot draws the two halves of the RMM's
/// secret and those of a key, a warm boot those of a key.
pub fn random_numbers() -> Vec<Scenario> {
    let row = |name: &str, every: u64, reads: u64, what: &str| {
        let sentence =
            format!("where RNDR {what} each key for return addresses is new and never 0");
        Scenario::new(name, "warm-boots", sentence)
            .cpus(4)
            .option(format!("rndr={every}"))
            .expect(format!("^EL3: CPU 0 read RNDR {} times in its boot$", 4 * reads))
            .expect(format!("^EL3: CPU 3 read RNDR {} times in its boot$", 2 * reads))
            // One cold boot, and thirteen warm boots of each other CPU.
            .expect("^EL3: 40 keys are not 0 and differ$")
    };
    vec![
        row("rndr-delivers-nothing", 0, 64, "never delivers a number"),
        row("rndr-delivers-late", 3, 3, "delivers a number at every third read"),
    ]
}

/// The cost of boots. The host has the bounds (`boot::costs`), for the image that ships.
pub fn costs() -> Vec<Scenario> {
    let row = |name: &str, what: &str| {
        Scenario::new(name, "boot-costs", format!("boots take few instructions {what}"))
            .cpus(2)
            .instruction_count()
            .expect(r"^instructions: the third warm boot: \d+$")
    };
    vec![
        row("boot-instructions", "for 32 CPUs and 3 GiB of DRAM")
            .option("realm-key=unknown")
            .expect(r"^instructions: cold boot: \d+$"),
        row("boot-instructions-reserved", "in memory that EL3 reserves")
            .option("realm-key=unknown")
            .option("reserve-memory=grant")
            .expect(r"^instructions: cold boot: \d+$"),
        row("boot-instructions-attestation", "to set up the key for attestation")
            .option("argument=1")
            .expect(r"^figure: Attestation, instructions \| cold boot with a key \| \d+$"),
    ]
}
