// SPDX-License-Identifier: BSD-3-Clause
//! The copy of the tree that holds all mutants: written, built, and tested with one of them chosen.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::mutant::Mutant;
use crate::schema;

/// What is known of a mutant.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Verdict {
    /// A test fails.
    Caught,
    /// No test fails.
    Missed,
    /// It does not compile.
    Unviable,
    /// It cannot be chosen at run time: cargo-mutants has to build it.
    Apart,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Caught => "caught",
            Self::Missed => "MISSED",
            Self::Unviable => "unviable",
            Self::Apart => "apart",
        })
    }
}

/// What of the tree the tests need.
const COPIED: [&str; 9] = [
    "Cargo.toml",
    "Cargo.lock",
    "build.rs",
    "rust-toolchain.toml",
    "src",
    "plat",
    "tests",
    "benches",
    "docs",
];

/// Inputs that each property test tries.
const CASES: &str = "16";

/// A test program, and the seconds of processor time that it may take.
pub struct Program {
    path: PathBuf,
    limit: u32,
}

pub struct Copy {
    root: PathBuf,
}

/// A message of cargo's, as far as it matters.
#[derive(Deserialize)]
struct Message {
    reason: String,
    message: Option<Diagnostic>,
    executable: Option<PathBuf>,
    target: Option<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Diagnostic {
    level: String,
    rendered: Option<String>,
    spans: Vec<DiagnosticSpan>,
    children: Vec<Diagnostic>,
}

#[derive(Deserialize)]
struct DiagnosticSpan {
    file_name: String,
    line_start: usize,
}

impl Copy {
    /// A copy of `source` at `root`.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    pub fn new(source: &Path, root: &Path) -> Result<Self> {
        fs::create_dir_all(root).with_context(|| format!("cannot make {}", root.display()))?;
        for name in COPIED {
            copy(&source.join(name), &root.join(name))?;
        }
        let path = root.join("src/lib.rs");
        let text = fs::read_to_string(&path)?;
        let at = text.find("#![").context("the library has no attributes")?;
        let (before, after) = schema::ROOT;
        write_if_new(&path, &[&text[..at], before, &text[at..], after].concat())?;
        Ok(Self { root: root.to_owned() })
    }

    /// Writes the `mutants` of `source` that are not in `left_out`; gives those that cannot be
    /// written.
    fn write_all(
        &self,
        mutants: &[Mutant],
        source: &Path,
        left_out: impl Fn(usize) -> bool,
    ) -> Result<Vec<usize>> {
        let mut of_file: BTreeMap<&str, Vec<(usize, &Mutant)>> = BTreeMap::new();
        for (number, mutant) in mutants.iter().enumerate() {
            let list = of_file.entry(&mutant.file).or_default();
            if !left_out(number) {
                list.push((number, mutant));
            }
        }
        let mut apart = Vec::new();
        for (file, mutants) in of_file {
            let text = fs::read_to_string(source.join(file))
                .with_context(|| format!("cannot read {file}"))?;
            let (text, left) = schema::write(&text, &mutants).with_context(|| file.to_owned())?;
            write_if_new(&self.root.join(file), &text)?;
            apart.extend(left);
        }
        Ok(apart)
    }

    /// Writes the mutants; the verdicts are on those that cannot be.
    ///
    /// # Errors
    ///
    /// When a file cannot be read, parsed or written.
    pub fn write(&self, mutants: &[Mutant], source: &Path) -> Result<BTreeMap<usize, Verdict>> {
        let apart = self.write_all(mutants, source, |_| false)?;
        Ok(apart.into_iter().map(|number| (number, Verdict::Apart)).collect())
    }

    /// Builds the test programs of these names, in that order, and takes out the mutants that do
    /// not compile.
    ///
    /// # Errors
    ///
    /// When it does not compile for any other reason.
    pub fn build(
        &self,
        mutants: &[Mutant],
        verdicts: &mut BTreeMap<usize, Verdict>,
        source: &Path,
        tests: &[String],
    ) -> Result<Vec<PathBuf>> {
        loop {
            let messages = self.cargo(tests)?;
            let mut wrong = BTreeSet::new();
            let mut other = String::new();
            for diagnostic in messages.iter().filter_map(|message| message.message.as_ref()) {
                if diagnostic.level != "error" || diagnostic.spans.is_empty() {
                    continue;
                }
                let found = self.mutants_of(diagnostic)?;
                if found.is_empty() {
                    other += diagnostic.rendered.as_deref().unwrap_or_default();
                }
                wrong.extend(found);
            }
            if wrong.is_empty() {
                ensure!(other.is_empty(), "the copy does not compile:\n{other}");
                return programs(&messages, tests);
            }
            println!("{} mutants do not compile", wrong.len());
            for number in wrong {
                let there = verdicts.insert(number, Verdict::Unviable);
                ensure!(there.is_none(), "`{}` was taken out already", mutants[number].name);
            }
            self.write_all(mutants, source, |number| verdicts.contains_key(&number))?;
        }
    }

    /// The test programs with how long they may take: some times as long as without any mutant.
    ///
    /// # Errors
    ///
    /// When one fails as it is.
    pub fn measure(&self, paths: Vec<PathBuf>, skip: &[String]) -> Result<Vec<Program>> {
        let measured = |path: PathBuf| {
            let output = Command::new("sh")
                .args(["-c", "\"$0\" -q \"$@\" >/dev/null 2>&1 || exit 1; times"])
                .arg(&path)
                .args(skip.iter().flat_map(|name| ["--skip", name]))
                .current_dir(&self.root)
                .env("PROPTEST_CASES", CASES)
                .output()
                .context("cannot run sh")?;
            ensure!(output.status.success(), "{} fails without any mutant", path.display());
            let times = String::from_utf8_lossy(&output.stdout);
            let user = times.lines().last().and_then(|line| line.split_whitespace().next());
            let (minutes, seconds) = user
                .and_then(|user| user.trim_end_matches('s').split_once('m'))
                .context("no times")?;
            let taken = minutes.parse::<f64>()? * 60.0 + seconds.parse::<f64>()?;
            // On a busy machine the same work takes some times as long.
            let limit =
                (1..).find(|limit| f64::from(*limit) > 3.0 + 4.0 * taken).context("too long")?;
            println!("{}: {taken} s, limit {limit} s", path.display());
            Ok(Program { path, limit })
        };
        paths.into_iter().map(measured).collect()
    }

    fn cargo(&self, tests: &[String]) -> Result<Vec<Message>> {
        let mut cargo = Command::new("cargo");
        cargo.args(["test", "--no-run", "--message-format=json"]).current_dir(&self.root);
        for test in tests {
            match test.as_str() {
                "lib" => cargo.arg("--lib"),
                test => cargo.args(["--test", test]),
            };
        }
        // The choice of a mutant needs to know whether it is compiled or run, which stable Rust
        // does not tell.
        cargo
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CARGO_PROFILE_TEST_DEBUG", "0")
            .stderr(Stdio::null());
        let output = cargo.output().context("cannot run cargo")?;
        let text = String::from_utf8(output.stdout).context("cargo writes no text")?;
        let messages = text.lines().filter(|line| line.starts_with('{')).map(serde_json::from_str);
        messages.collect::<Result<_, _>>().context("cargo writes messages of another form")
    }

    /// The mutants that an error is about.
    fn mutants_of(&self, diagnostic: &Diagnostic) -> Result<Vec<usize>> {
        let mut found = Vec::new();
        for span in
            diagnostic.spans.iter().chain(diagnostic.children.iter().flat_map(|child| &child.spans))
        {
            let Ok(text) = fs::read_to_string(self.root.join(&span.file_name)) else { continue };
            found.extend(text.lines().nth(span.line_start - 1).and_then(schema::number_of));
        }
        Ok(found)
    }

    /// Runs one test program after the other with the mutant of this number, until one fails.
    ///
    /// # Errors
    ///
    /// When a program cannot be run.
    pub fn test(&self, number: usize, programs: &[Program], skip: &[String]) -> Result<Verdict> {
        for Program { path, limit } in programs {
            // Processor time, not time: how busy the machine is does not matter.
            let script = format!("ulimit -c 0; ulimit -t {limit}; exec \"$0\" -q \"$@\"");
            let child = Command::new("sh")
                .args(["-c", &script])
                .arg(path)
                .args(skip.iter().flat_map(|name| ["--skip", name]))
                .current_dir(&self.root)
                .env("MUTANT", number.to_string())
                .env("PROPTEST_CASES", CASES)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .context("cannot run sh")?;
            if !succeeds(child)? {
                return Ok(Verdict::Caught);
            }
        }
        Ok(Verdict::Missed)
    }
}

/// Waits for a test program, which fails as well if its threads wait for each other for ever.
fn succeeds(mut child: Child) -> Result<bool> {
    const POLL: Duration = Duration::from_millis(20);
    /// Looks in a row that find every thread asleep: nothing that is tested sleeps this long.
    const ASLEEP: u32 = 150;
    let threads = PathBuf::from(format!("/proc/{}/task", child.id()));
    let mut asleep = 0;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.success());
        }
        asleep = if all_asleep(&threads) { asleep + 1 } else { 0 };
        if asleep > ASLEEP {
            child.kill()?;
            child.wait()?;
            return Ok(false);
        }
        sleep(POLL);
    }
}

/// Whether no thread of those listed at `threads` runs or wants to.
fn all_asleep(threads: &Path) -> bool {
    let Ok(list) = fs::read_dir(threads) else { return false };
    list.flatten().all(|thread| {
        // The state is the letter after the name, which is in parentheses.
        fs::read_to_string(thread.path().join("stat")).is_ok_and(|stat| {
            stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('S'))
        })
    })
}

/// The test programs of these names, in that order.
fn programs(messages: &[Message], tests: &[String]) -> Result<Vec<PathBuf>> {
    let of_test = |test: &String| {
        let built = messages.iter().find_map(|message| {
            let target =
                message.target.as_ref().filter(|_| message.reason == "compiler-artifact")?;
            let is_it = match test.as_str() {
                "lib" => target.kind.iter().any(|kind| kind == "lib"),
                name => target.name == name && target.kind.iter().any(|kind| kind == "test"),
            };
            message.executable.as_ref().filter(|_| is_it)
        });
        built.cloned().with_context(|| format!("`{test}` was not built"))
    };
    tests.iter().map(of_test).collect()
}

/// Copies a file or folder, but for what is built.
fn copy(from: &Path, to: &Path) -> Result<()> {
    if from.is_dir() {
        if from.file_name().is_some_and(|name| name == "target") {
            return Ok(());
        }
        fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
        for entry in
            fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))?
        {
            let entry = entry?;
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
        return Ok(());
    }
    let Ok(text) = fs::read(from) else { bail!("cannot read {}", from.display()) };
    if fs::read(to).is_ok_and(|there| there == text) {
        return Ok(());
    }
    fs::write(to, text).with_context(|| format!("cannot write {}", to.display()))
}

/// Writes `text` to `path` unless it is there already, so that it is not compiled again.
fn write_if_new(path: &Path, text: &str) -> Result<()> {
    if fs::read_to_string(path).is_ok_and(|there| there == text) {
        return Ok(());
    }
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
