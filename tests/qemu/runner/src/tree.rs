// SPDX-License-Identifier: BSD-3-Clause
//! A copy of the source tree that can be broken, with images built by the targets of its own
//! Makefile.
//!
//! The copy keeps its build products, and unchanged files keep their time, so a build takes only as
//! long as a change needs. Nothing is written outside the copy.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::qemu::Images;
use crate::scenario::{Image, Scenario};

/// A target of the Makefile that builds images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// The RMM that ships.
    Rmm,
    /// The RMM with deliberate faults.
    SelfTest,
    /// The EL3 monitor and the host.
    Firmware,
    /// The test image for translation tables.
    Xlat,
}

impl Target {
    /// All targets.
    pub const ALL: [Self; 4] = [Self::Rmm, Self::SelfTest, Self::Firmware, Self::Xlat];

    const fn name(self) -> &'static str {
        match self {
            Self::Rmm => "build",
            Self::SelfTest => "build-self-test",
            Self::Firmware => "firmware",
            Self::Xlat => "xlat-test",
        }
    }

    /// Whether the file goes into the images of this target.
    pub fn depends_on(self, file: &str) -> bool {
        let is_in = |folders: &[&str]| folders.iter().any(|folder| file.starts_with(folder));
        let is_product = !is_in(&["tests/"]);
        match self {
            Self::Rmm => is_product,
            Self::SelfTest => is_product || is_in(&["tests/qemu/self_test/"]),
            Self::Firmware => is_in(&["tests/qemu/firmware/", "plat/", "src/abi/"]),
            Self::Xlat => is_product || is_in(&["tests/qemu/firmware/src/", "tests/qemu/xlat/"]),
        }
    }

    /// Whether a scenario needs the images of this target.
    pub fn serves(self, scenario: &Scenario) -> bool {
        match self {
            Self::Rmm => scenario.image == Image::Rmm,
            Self::SelfTest => scenario.image == Image::SelfTest,
            Self::Firmware => scenario.image != Image::Xlat,
            Self::Xlat => scenario.image == Image::Xlat,
        }
    }
}

/// A copy of the tree.
#[derive(Debug)]
pub struct Tree {
    root: PathBuf,
}

impl Tree {
    /// Makes `root` a copy of the tree at `source`: the files that git tracks or would add.
    ///
    /// # Errors
    ///
    /// One line: git cannot be run, or a file cannot be copied or removed.
    pub fn copy(source: &Path, root: PathBuf) -> Result<Self> {
        let list = |folder: &Path, what: &[&str]| -> Result<BTreeSet<PathBuf>> {
            let output = Command::new("git")
                .arg("-C")
                .arg(folder)
                .args(["ls-files", "-z"])
                .args(what)
                .output()
                .context("cannot run git")?;
            ensure!(output.status.success(), "git ls-files failed in {}", folder.display());
            let text = String::from_utf8(output.stdout).context("a file name is not valid text")?;
            Ok(text.split_terminator('\0').map(PathBuf::from).collect())
        };
        let wanted: BTreeSet<PathBuf> =
            list(source, &["--cached", "--others", "--exclude-standard"])?
                .into_iter()
                .filter(|file| source.join(file).is_file())
                .collect();
        for file in &wanted {
            copy_if_changed(&source.join(file), &root.join(file))?;
        }
        // Files of a former copy that are neither in the tree nor built.
        let manifest = root.join("build/.files");
        if let Ok(former) = fs::read_to_string(&manifest) {
            for file in former.lines().map(PathBuf::from).filter(|file| !wanted.contains(file)) {
                let _ = fs::remove_file(root.join(file));
            }
        }
        let names: String = wanted.iter().map(|file| format!("{}\n", file.display())).collect();
        fs::create_dir_all(root.join("build")).context("cannot make a folder in the copy")?;
        fs::write(&manifest, names).context("cannot write to the copy")?;
        // The tools are not built from the copy, since they are not under test.
        let tool = std::env::current_exe()
            .context("this program cannot find itself")?
            .with_file_name("elf2bin");
        let place = root.join("target/tools");
        fs::create_dir_all(&place).context("cannot make a folder in the copy")?;
        fs::copy(&tool, place.join("elf2bin"))
            .with_context(|| format!("cannot copy {}", tool.display()))?;
        Ok(Self { root })
    }

    /// The content of a file.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub fn read(&self, file: &str) -> Result<String> {
        fs::read_to_string(self.root.join(file)).with_context(|| format!("cannot read {file}"))
    }

    /// Replaces the content of a file.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub fn write(&self, file: &str, content: &str) -> Result<()> {
        fs::write(self.root.join(file), content)
            .with_context(|| format!("cannot write {file} in the copy"))
    }

    /// Builds the images of a target.
    ///
    /// # Errors
    ///
    /// The build failed. The error has the compiler's output.
    pub fn build(&self, target: Target) -> Result<()> {
        let output = Command::new("make")
            .arg("-C")
            .arg(&self.root)
            .args(["--no-print-directory", "--assume-old=tools", target.name()])
            // They belong to the Makefile that started this program, not to the copy's.
            .env_remove("MAKEFLAGS")
            .env_remove("MAKELEVEL")
            .output()
            .context("cannot run make")?;
        if !output.status.success() {
            bail!("make {} failed:\n{}", target.name(), String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }

    /// The paths of the images.
    pub fn images(&self) -> Images {
        let image = |name: &str| self.root.join("build").join(name);
        Images {
            rmm: image("rmm.bin"),
            rmm_self_test: Some(image("rmm-self-test.bin")),
            el3: image("el3.bin"),
            host: image("host.bin"),
            realm: Some(image("realm.bin")),
            xlat: Some(image("xlat.bin")),
        }
    }
}

/// Copies a file and its permissions, unless the copy has the same content.
fn copy_if_changed(from: &Path, to: &Path) -> Result<()> {
    let content = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    if fs::read(to).is_ok_and(|present| present == content) {
        return Ok(());
    }
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    fs::copy(from, to).with_context(|| format!("cannot write {}", to.display()))?;
    Ok(())
}
