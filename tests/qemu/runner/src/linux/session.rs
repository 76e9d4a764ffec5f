// SPDX-License-Identifier: BSD-3-Clause
//! An unattended guest: types commands when its shell asks for one.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// The shell's prompt.
const PROMPT: &str = "/ # ";
/// Without output for this long, the emulator has died or the machine sleeps.
const SILENCE: Duration = Duration::from_secs(300);

/// A guest that runs.
pub struct Session {
    child: Child,
    input: ChildStdin,
    output: Receiver<Vec<u8>>,
    /// All output so far, with that of the monitor and the RMM.
    pub log: String,
    /// The part of the log that has been searched.
    seen: usize,
    live: bool,
    /// Commands typed so far.
    typed: u32,
}

impl Session {
    /// Starts the emulator. With `live`, prints the output as it comes.
    ///
    /// # Errors
    ///
    /// The emulator does not start.
    pub fn start(mut command: Command, live: bool) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {}", command.get_program().display()))?;
        let (sender, output) = mpsc::channel();
        let input = child.stdin.take().context("no pipe to the emulator")?;
        forward(child.stdout.take().context("no pipe from the emulator")?, sender.clone());
        forward(child.stderr.take().context("no pipe from the emulator")?, sender);
        Ok(Self { child, input, output, log: String::new(), seen: 0, live, typed: 0 })
    }

    /// Waits for `text`, and returns the output before it.
    ///
    /// # Errors
    ///
    /// The text does not come: the emulator has ended or prints nothing.
    pub fn expect(&mut self, text: &str) -> Result<String> {
        loop {
            if let Some(at) = self.log[self.seen..].find(text) {
                let before = self.log[self.seen..self.seen + at].to_owned();
                self.seen += at + text.len();
                return Ok(before);
            }
            ensure!(self.receive()?, "the machine ended before it printed {text:?}");
        }
    }

    /// Types a command when the shell asks for one, and returns its output.
    ///
    /// # Errors
    ///
    /// The shell does not ask, or the command does not end.
    pub fn command(&mut self, command: &str) -> Result<String> {
        self.expect(PROMPT)?;
        self.typed += 1;
        // The end mark differs from the command's echo.
        let number = self.typed;
        writeln!(self.input, "{command}; echo end-$(({number}+0)).").context("typing")?;
        self.input.flush().context("typing")?;
        self.expect("+0)).")?;
        let printed = self
            .expect(&format!("end-{number}."))
            .with_context(|| format!("the command {command:?}"))?;
        Ok(printed.replace('\r', ""))
    }

    /// Powers the guest off, and waits until the emulator ends.
    ///
    /// # Errors
    ///
    /// The guest does not power off.
    pub fn power_off(&mut self) -> Result<ExitStatus> {
        self.expect(PROMPT)?;
        writeln!(self.input, "poweroff").context("typing")?;
        self.input.flush().context("typing")?;
        self.end()
    }

    /// Waits until the emulator ends.
    ///
    /// # Errors
    ///
    /// The emulator does not end.
    pub fn end(&mut self) -> Result<ExitStatus> {
        while self.receive()? {}
        self.child.wait().context("QEMU vanished")
    }

    /// Receives output. Gives false if there will be no more.
    fn receive(&mut self) -> Result<bool> {
        let started = Instant::now();
        match self.output.recv_timeout(SILENCE) {
            Ok(bytes) => {
                let text = String::from_utf8_lossy(&bytes);
                if self.live {
                    print!("{text}");
                    std::io::stdout().flush().context("printing")?;
                }
                self.log.push_str(&text);
                Ok(true)
            }
            Err(RecvTimeoutError::Disconnected) => Ok(false),
            Err(RecvTimeoutError::Timeout) => {
                bail!("the machine has been silent for {} s", started.elapsed().as_secs())
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // It has already ended unless something went wrong.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Forwards the output of a pipe until it closes or the receiver is gone.
fn forward(mut pipe: impl Read + Send + 'static, sender: Sender<Vec<u8>>) {
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = pipe.read(&mut buffer) {
            if sender.send(buffer[..length].to_vec()).is_err() {
                break;
            }
        }
    });
}
