// SPDX-License-Identifier: BSD-3-Clause
//! The branch protection of an RMM image, as the image itself reports it: hardened, or plain if
//! `core` could not be built from its sources. Scenarios that differ between the two ask here, so
//! none is skipped.

use std::path::Path;

use anyhow::{Context, Result, bail};

/// How an image is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// With branch target identification and signed return addresses, in `core` too.
    Hardened,
    /// Without both.
    Plain,
}

impl Protection {
    /// The beginning of the boot line of such an image. The other kind does not contain it.
    pub const fn boot_line(self) -> &'static str {
        match self {
            Self::Hardened => "hardened image: branch targets guarded",
            Self::Plain => "plain image: built without branch protection",
        }
    }

    /// Reads the protection from the image.
    ///
    /// # Errors
    ///
    /// One line: the image cannot be read, or contains the boot line of neither kind or of both.
    pub fn of(image: &Path) -> Result<Self> {
        let bytes =
            std::fs::read(image).with_context(|| format!("cannot read {}", image.display()))?;
        Self::of_bytes(&bytes).with_context(|| format!("cannot use {}", image.display()))
    }

    fn of_bytes(image: &[u8]) -> Result<Self> {
        let says = |kind: Self| {
            let line = kind.boot_line().as_bytes();
            image.windows(line.len()).any(|bytes| bytes == line)
        };
        match (says(Self::Hardened), says(Self::Plain)) {
            (true, false) => Ok(Self::Hardened),
            (false, true) => Ok(Self::Plain),
            (false, false) => bail!("it does not say whether it has branch protection"),
            (true, true) => {
                bail!("it says both that it has branch protection and that it has none")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Protection;

    #[test]
    fn an_image_is_what_its_boot_line_says() {
        for kind in [Protection::Hardened, Protection::Plain] {
            let image = [b"\0\x01", kind.boot_line().as_bytes(), b"\0"].concat();
            assert_eq!(Protection::of_bytes(&image).ok(), Some(kind));
        }
    }

    #[test]
    fn an_image_that_says_neither_or_both_is_refused() {
        let both = [Protection::Hardened, Protection::Plain].map(Protection::boot_line).concat();
        for image in [b"".as_slice(), b"hardened image", both.as_bytes()] {
            assert!(Protection::of_bytes(image).is_err());
        }
    }
}
