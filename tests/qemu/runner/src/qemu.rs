// SPDX-License-Identifier: BSD-3-Clause
//! Runs one scenario on QEMU and collects its output. The RMM's console is QEMU's standard output;
//! the test firmware's semihosting output is standard error. Both go to one log, line by line.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::LazyLock;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use regex::Regex;

use crate::backtrace::annotate;
use crate::scenario::{Image, Scenario};
use crate::symbols::Symbols;

/// The first release with an `x-rme` CPU that runs the RMM.
const OLDEST: (u32, u32) = (9, 2);
/// The address at which the host's image is linked.
pub const HOST_ADDRESS: u64 = 0x6000_0000;
/// The address of the payload for Realms.
const REALM_ADDRESS: u64 = 0x6800_0000;
/// The address at which the test image for translation tables is linked.
const XLAT_ADDRESS: u64 = 0x4010_0000;
/// A run with a longer log is out of control.
const LONGEST_LOG: usize = 100_000;

/// The flat binaries of a run.
#[derive(Clone, Debug)]
pub struct Images {
    /// The RMM.
    pub rmm: PathBuf,
    /// The RMM with deliberate faults.
    pub rmm_self_test: Option<PathBuf>,
    /// The EL3 monitor.
    pub el3: PathBuf,
    /// The normal-world host.
    pub host: PathBuf,
    /// The payload of Realms.
    pub realm: Option<PathBuf>,
    /// The test image for translation tables.
    pub xlat: Option<PathBuf>,
}

impl Images {
    /// The image for a scenario.
    fn of(&self, image: Image) -> Result<&Path> {
        let path = match image {
            Image::Rmm => Some(&self.rmm),
            Image::SelfTest => self.rmm_self_test.as_ref(),
            Image::Xlat => self.xlat.as_ref(),
        };
        path.map(PathBuf::as_path)
            .with_context(|| format!("the image {image:?} is needed and was not given"))
    }
}

/// How a run ended.
#[derive(Debug)]
pub enum End {
    /// QEMU exited.
    Exited(ExitStatus),
    /// All last lines of the scenario have come.
    Complete,
    /// The time limit has passed.
    Hung,
    /// The log is too long.
    Flooded,
}

/// The result of a run.
#[derive(Debug)]
pub struct Run {
    /// How it ended.
    pub end: End,
    /// Every line, in the order of arrival.
    pub log: Vec<String>,
    /// How long it took.
    pub duration: Duration,
}

/// A QEMU that is recent enough.
pub struct Qemu {
    program: PathBuf,
    debugger: Option<PathBuf>,
}

impl Qemu {
    /// Checks the emulator.
    ///
    /// # Errors
    ///
    /// One line: the emulator is missing, unknown or too old.
    pub fn find(program: &Path) -> Result<Self> {
        let name = program.display();
        let output = Command::new(program).arg("--version").output().with_context(|| {
            format!("cannot run {name}: QEMU {}.{} or newer is needed", OLDEST.0, OLDEST.1)
        })?;
        check_version(&String::from_utf8_lossy(&output.stdout))
            .with_context(|| format!("cannot use {name}"))?;
        Ok(Self { program: program.into(), debugger: None })
    }

    /// Runs scenarios that need a debugger with this one.
    pub fn with_debugger(self, debugger: Option<PathBuf>) -> Self {
        Self { debugger, ..self }
    }

    /// Starts a scenario, stopped before its first instruction until a debugger attached to
    /// `socket` continues it. The machine's output goes to standard output and error.
    ///
    /// # Errors
    ///
    /// QEMU cannot be started, or the image for the scenario was not given.
    pub fn run_for_debugger(
        &self,
        scenario: &Scenario,
        images: &Images,
        socket: &Path,
    ) -> Result<ExitStatus> {
        let mut command = self.command(scenario, images)?;
        command.args(debugger_options(socket)).stdin(Stdio::null());
        command.status().with_context(|| format!("cannot run {}", self.program.display()))
    }

    /// Runs a scenario to its end, or to its time limit.
    ///
    /// # Errors
    ///
    /// QEMU cannot be started, or the image for the scenario was not given.
    pub fn run(&self, scenario: &Scenario, images: &Images, live: bool) -> Result<Run> {
        let start = Instant::now();
        let mut command = self.command(scenario, images)?;
        let mut session = None;
        if let Some(script) = scenario.debugger {
            let program = self.debugger.as_deref().context("needs a debugger, --gdb")?;
            let session = session.insert(Session::new(
                program,
                script,
                &scenario.name,
                images.of(scenario.image)?,
            ));
            command.args(debugger_options(&session.socket));
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {}", self.program.display()))?;
        let (sender, lines) = mpsc::channel();
        let mut readers = vec![
            child.stdout.take().map(|pipe| read_lines(pipe, sender.clone())),
            child.stderr.take().map(|pipe| read_lines(pipe, sender.clone())),
        ];
        let mut debugger = match &mut session {
            Some(session) => match session.attach(&mut child, scenario.time_limit) {
                Ok(debugger) => Some(debugger),
                Err(error) => {
                    stop(&mut child)?;
                    return Err(error);
                }
            },
            None => None,
        };
        readers.push(
            debugger
                .as_mut()
                .and_then(|child| child.stdout.take())
                .map(|pipe| read_lines(pipe, sender.clone())),
        );
        readers.push(
            debugger
                .as_mut()
                .and_then(|child| child.stderr.take())
                .map(|pipe| read_lines(pipe, sender)),
        );

        let mut log = Vec::new();
        let mut awaited = patterns(&scenario.last_lines)?;
        let cut = loop {
            let left = scenario.time_limit.saturating_sub(start.elapsed());
            match lines.recv_timeout(left) {
                Ok(line) => {
                    if live {
                        println!("{line}");
                    }
                    awaited.retain(|pattern| !pattern.is_match(&line));
                    log.push(line);
                    if awaited.is_empty() && !scenario.last_lines.is_empty() {
                        break Some(End::Complete);
                    }
                    if log.len() >= LONGEST_LOG {
                        break Some(End::Flooded);
                    }
                }
                Err(RecvTimeoutError::Timeout) => break Some(End::Hung),
                // Both pipes are closed: QEMU is about to exit.
                Err(RecvTimeoutError::Disconnected) => break None,
            }
        };
        let end = match cut {
            Some(end) => {
                stop(&mut child)?;
                end
            }
            None => End::Exited(child.wait().context("QEMU vanished")?),
        };
        if let Some(mut debugger) = debugger {
            // Without QEMU the debugger has nothing to do.
            stop(&mut debugger)?;
        }
        drop(lines);
        for reader in readers.into_iter().flatten() {
            // A reader ends with its pipe, which closes with QEMU.
            let _ = reader.join();
        }
        if scenario.symbolized {
            log = symbolize(&log, images.of(scenario.image)?)?;
        }
        Ok(Run { end, log, duration: start.elapsed() })
    }

    fn command(&self, scenario: &Scenario, images: &Images) -> Result<Command> {
        let mut command = Command::new(&self.program);
        machine_options(&mut command, scenario.cpus, scenario.memory_gib, scenario.cpu_properties);
        command
            .args(["-monitor", "none", "-serial", "stdio"])
            .args(["-semihosting-config", &semihosting_options(&scenario.words())]);
        let mut with_monitor = |rmm: &Path| {
            command
                .arg("-bios")
                .arg(&images.el3)
                .args(["-device", &loader(rmm, scenario.load_address)])
                .args(["-device", &loader(&images.host, HOST_ADDRESS)]);
            if let Some(realm) = &images.realm {
                command.args(["-device", &loader(realm, REALM_ADDRESS)]);
            }
        };
        match (scenario.image, images.of(scenario.image)?) {
            (Image::Rmm | Image::SelfTest, rmm) => with_monitor(rmm),
            (Image::Xlat, xlat) => {
                command
                    .args(["-device", &loader(xlat, XLAT_ADDRESS)])
                    .args(["-device", &format!("loader,addr={XLAT_ADDRESS:#x},cpu-num=0")]);
            }
        }
        if scenario.instruction_count {
            command.args(["-icount", "shift=0,sleep=off"]);
        }
        Ok(command)
    }
}

/// The options for the machine that runs the RMM.
pub fn machine_options(command: &mut Command, cpus: u32, memory_gib: u32, cpu_properties: &str) {
    command
        .args(["-M", "virt,virtualization=on,secure=on,gic-version=3,memory-backend=dram"])
        // Memory is not reserved before it is used, so a machine may have more than this one.
        .args(["-object", &format!("memory-backend-ram,id=dram,size={memory_gib}G,reserve=off")])
        .args(["-m", &format!("{memory_gib}G"), "-smp", &cpus.to_string()])
        .args(["-cpu", &format!("max,x-rme=on{cpu_properties}")])
        .args(["-nic", "none", "-display", "none"]);
}

/// The options for the firmware's command line.
pub fn semihosting_options(words: &[String]) -> String {
    let mut options = String::from("enable=on,target=native");
    for word in words {
        options.push_str(",arg=");
        options.push_str(&escape(word));
    }
    options
}

/// The option that loads a file at an address.
pub fn loader(file: &Path, address: u64) -> String {
    format!("loader,file={},addr={address:#x},force-raw=on", escape(&file.to_string_lossy()))
}

/// The options that make QEMU wait for a debugger at `socket`.
fn debugger_options(socket: &Path) -> [String; 3] {
    let socket = escape(&socket.to_string_lossy());
    ["-S".into(), "-gdb".into(), format!("unix:{socket},server=on,wait=off")]
}

/// A debugger that runs a script, with the commands for the RMM and the symbols of its image.
struct Session {
    command: Command,
    socket: PathBuf,
}

impl Session {
    fn new(program: &Path, script: &str, name: &str, image: &Path) -> Self {
        let socket = std::env::temp_dir().join(format!("rmm-{}-{name}.gdb", std::process::id()));
        let elf = image.with_extension("elf");
        let mut command = Command::new(program);
        command
            .args(["-nx", "--batch", "-ex", "set pagination off", "-ex"])
            .arg(format!("target remote {}", socket.display()))
            .args(["-x", "scripts/gdb/rmm.py", "-ex"])
            .arg(format!("rmm-load {}", elf.display()))
            .args(["-x", script])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Self { command, socket }
    }

    /// Starts the debugger when the machine waits for it.
    fn attach(&mut self, machine: &mut Child, time_limit: Duration) -> Result<Child> {
        let start = Instant::now();
        while !self.socket.exists() {
            ensure!(machine.try_wait()?.is_none(), "QEMU ended before a debugger could attach");
            ensure!(start.elapsed() < time_limit, "QEMU does not wait for a debugger");
            thread::sleep(Duration::from_millis(10));
        }
        self.command.spawn().context("cannot run the debugger")
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // The socket does not exist if QEMU did not start.
        let _ = std::fs::remove_file(&self.socket);
    }
}

/// The log with the functions at its addresses, from the linked file beside the flat binary.
fn symbolize(log: &[String], binary: &Path) -> Result<Vec<String>> {
    let path = binary.with_extension("elf");
    let elf = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let symbols = Symbols::of(&elf).with_context(|| format!("cannot use {}", path.display()))?;
    Ok(annotate(log, |address| symbols.functions(address)))
}

/// Checks the output of `--version`.
fn check_version(text: &str) -> Result<()> {
    static VERSION: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"version (\d+)\.(\d+)").expect("the pattern is valid"));
    let version: (u32, u32) = VERSION
        .captures(text)
        .and_then(|found| Some((found[1].parse().ok()?, found[2].parse().ok()?)))
        .context("it does not tell its version")?;
    if version < OLDEST {
        bail!(
            "it is version {}.{}, {}.{} or newer is needed",
            version.0,
            version.1,
            OLDEST.0,
            OLDEST.1
        );
    }
    Ok(())
}

/// Doubles commas, as QEMU requires inside the value of an option.
fn escape(value: &str) -> String {
    value.replace(',', ",,")
}

/// Compiles regular expressions.
fn patterns(sources: &[String]) -> Result<Vec<Regex>> {
    sources.iter().map(|source| Ok(Regex::new(source)?)).collect()
}

/// Stops a QEMU that does not exit by itself.
fn stop(child: &mut Child) -> Result<()> {
    child.kill().context("cannot end QEMU")?;
    child.wait().context("QEMU vanished")?;
    Ok(())
}

/// Forwards every line of a pipe, valid text or not, until it closes or the receiver is gone.
fn read_lines(pipe: impl Read + Send + 'static, lines: Sender<String>) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        let mut bytes = Vec::new();
        while let Ok(1..) = pipe.read_until(b'\n', &mut bytes) {
            let line = String::from_utf8_lossy(&bytes);
            if lines.send(line.trim_end_matches(['\r', '\n']).to_owned()).is_err() {
                break;
            }
            bytes.clear();
        }
    })
}

#[cfg(test)]
mod tests {
    use super::{check_version, escape};

    #[test]
    fn versions_from_the_oldest_on_are_accepted() {
        for version in ["9.2.0", "9.10.1", "10.0.2 (Debian 1:10.0.2+ds-2)", "11.0"] {
            let text = format!("QEMU emulator version {version}\nCopyright (c) 2003-2025");
            assert!(check_version(&text).is_ok(), "{version}");
        }
    }

    #[test]
    fn older_and_unrecognizable_versions_are_refused() {
        for text in
            ["QEMU emulator version 9.1.3", "QEMU emulator version 8.2.0", "", "version x.y"]
        {
            assert!(check_version(text).is_err(), "{text}");
        }
    }

    #[test]
    fn commas_in_values_are_doubled() {
        assert_eq!(escape("a,b"), "a,,b");
    }
}
