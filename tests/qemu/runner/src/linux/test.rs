// SPDX-License-Identifier: BSD-3-Clause
//! The unattended tests of Linux guests.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::attestation::{appraise, challenge, initial_measurement};
use super::session::Session;
use super::{Guest, Rmi};
use crate::scenarios::attestation::bytes;

/// A machine and its Realms.
pub struct Case {
    /// Its name.
    pub name: &'static str,
    rmi: Rmi,
    realms: u32,
    recs: u32,
    cpus: u32,
    preempt: u32,
    /// Rounds of the load.
    rounds: u32,
    /// Whether a bit of the kernel is changed, which only a verifier detects.
    changed: bool,
}

/// All cases.
pub const CASES: &[Case] = &[
    Case {
        name: "four-recs",
        rmi: Rmi::One,
        realms: 1,
        recs: 4,
        cpus: 4,
        preempt: 0,
        rounds: 12,
        changed: false,
    },
    Case {
        name: "rmi-2.0",
        rmi: Rmi::Two,
        realms: 1,
        recs: 4,
        cpus: 2,
        preempt: 50,
        rounds: 4,
        changed: true,
    },
    Case {
        name: "preempted",
        rmi: Rmi::One,
        realms: 1,
        recs: 4,
        cpus: 2,
        preempt: 200,
        rounds: 40,
        changed: true,
    },
    Case {
        name: "two-realms",
        rmi: Rmi::One,
        realms: 2,
        recs: 2,
        cpus: 2,
        preempt: 50,
        rounds: 4,
        changed: false,
    },
];

/// A guest that exits this often without output has failed. The load of a test takes about a tenth.
const PATIENCE: u64 = 1_000_000;

impl Case {
    /// Boots the guest, makes it work, and powers it off. Leaves the log in `folder`.
    ///
    /// # Errors
    ///
    /// The first check that failed.
    pub fn run(&self, guest: &Guest, qemu: &Path, folder: &Path, live: bool) -> Result<()> {
        let guest = Guest {
            rmi: self.rmi,
            realms: self.realms,
            recs: self.recs,
            cpus: self.cpus,
            preempt: self.preempt,
            patience: PATIENCE,
            virtio: true,
            arguments: if self.realms > 1 {
                format!("{} load={}", guest.arguments, self.rounds)
            } else {
                guest.arguments.clone()
            },
            ..guest.clone()
        };
        let changed = with_changed_kernel(&guest, folder)?;
        let (guest, other) = if self.changed { (changed, guest) } else { (guest, changed) };
        let mut session = Session::start(guest.command(qemu, folder)?, live)?;
        let measure = |guest| initial_measurement(guest, folder);
        let result = self.follow(&mut session, &measure(&guest)?, &measure(&other)?);
        let log = folder.join(format!("{}.log", self.name));
        std::fs::write(&log, &session.log)
            .with_context(|| format!("cannot write {}", log.display()))?;
        result.with_context(|| format!("{}, see {}", self.name, log.display()))
    }

    fn follow(&self, session: &mut Session, rim: &[u8], other: &[u8]) -> Result<()> {
        if self.realms == 1 {
            self.type_commands(session)?;
            if self.rmi == Rmi::Two {
                turn_off_and_on(session, self.recs)?;
            }
            check_token(session, rim, other)?;
        }
        let status = if self.realms == 1 { session.power_off()? } else { session.end()? };
        ensure!(status.success(), "the monitor found something wrong: {status}");
        for wrong in ["FAILED", "FATAL", "Call trace"] {
            ensure!(!session.log.contains(wrong), "the log has a line with {wrong}");
        }
        let right = session.log.matches("load: 0 wrong").count();
        ensure!(right == self.realms as usize, "{right} of {} loads went well", self.realms);
        let withheld = session.log.contains("shared pages unmapped: 0\n");
        ensure!(self.preempt == 0 || !withheld, "no shared page was unmapped under a Realm");
        let silent = session.log.matches("warnings: 0").count();
        ensure!(self.realms == 1 || silent == self.realms as usize, "a guest's log has warnings");
        Ok(())
    }

    /// The checks of the guest in a single Realm.
    fn type_commands(&self, session: &mut Session) -> Result<()> {
        let knows = session.command("dmesg | grep -c 'RME: Using RSI'")?;
        ensure!(knows.trim() == "1", "the kernel does not know that it is in a Realm");
        let cpus = session.command("nproc")?;
        ensure!(cpus.trim() == self.recs.to_string(), "the guest has {} CPUs", cpus.trim());
        let load = session.command(&format!("load {}", self.rounds))?;
        ensure!(load.contains("\nload: 0 wrong\n"), "the load went wrong: {load}");
        let interrupts = session.command("cat /proc/interrupts")?;
        self.check_interrupts(&interrupts)?;
        let warnings = session.command("warnings")?;
        ensure!(warnings.trim().is_empty(), "the guest's log has warnings: {warnings}");
        Ok(())
    }

    /// Asserts that every CPU has had interrupts of its timer and from other CPUs, and the console
    /// some.
    fn check_interrupts(&self, table: &str) -> Result<()> {
        for (name, on_each) in [
            ("arch_timer", true),
            ("Rescheduling", true),
            ("uart-pl011", false),
            ("virtio0", false),
        ] {
            let line = table
                .lines()
                .find(|line| line.contains(name))
                .with_context(|| format!("no interrupt is {name}: {table}"))?;
            let counts: Vec<u64> = line
                .split_whitespace()
                .skip(1)
                .take(self.recs as usize)
                .map_while(|word| word.parse().ok())
                .collect();
            let enough = counts.iter().filter(|count| **count > 0).count();
            let needed = if on_each { self.recs as usize } else { 1 };
            ensure!(enough >= needed, "too few CPUs had the interrupt: {line}");
        }
        Ok(())
    }
}

/// The guest with another kernel, whose header has a reserved bit set.
fn with_changed_kernel(guest: &Guest, folder: &Path) -> Result<Guest> {
    const RESERVED: usize = 0x20;
    let mut image = std::fs::read(&guest.image).context("the kernel")?;
    *image.get_mut(RESERVED).context("the kernel is too short")? ^= 1;
    let changed = folder.join("Image.changed");
    std::fs::write(&changed, image).context("the changed kernel")?;
    Ok(Guest { image: changed, ..guest.clone() })
}

/// A CPU of the guest goes off, which the kernel checks with PSCI, and comes on again.
fn turn_off_and_on(session: &mut Session, recs: u32) -> Result<()> {
    for (state, left) in [(0, recs - 1), (1, recs)] {
        session.command(&format!("echo {state} >/sys/devices/system/cpu/cpu1/online"))?;
        let cpus = session.command("nproc")?;
        ensure!(cpus.trim() == left.to_string(), "the guest has {} CPUs", cpus.trim());
    }
    let killed = session.command("dmesg | grep -c 'psci: CPU1 killed'")?;
    ensure!(killed.trim() == "1", "the kernel does not see that the CPU is off");
    Ok(())
}

/// The guest gets a token for a challenge from outside. A verifier that expects the RIM of this
/// guest accepts it; one that expects another kernel or another challenge does not.
fn check_token(session: &mut Session, rim: &[u8], other: &[u8]) -> Result<()> {
    let challenge = challenge()?;
    let digits: String = challenge.iter().map(|byte| format!("{byte:02x}")).collect();
    let report = "/sys/kernel/config/tsm/report/test";
    let printed = session.command(&format!(
        "mkdir {report}; echo {digits} | xxd -r -p >{report}/inblob; xxd -p -c 64 {report}/outblob"
    ))?;
    let token: String = printed.lines().map(str::trim).collect();
    let token = bytes(&token).with_context(|| format!("no token: {printed}"))?;
    appraise(&token, &challenge, rim)?;
    ensure!(appraise(&token, &challenge, other).is_err(), "any RIM is accepted");
    ensure!(appraise(&token, &[0; 64], rim).is_err(), "any challenge is accepted");
    Ok(())
}
