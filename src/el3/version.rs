// SPDX-License-Identifier: BSD-3-Clause
//! Versions: of the RMM-EL3 interface, which EL3 passes in x1 of a cold boot, and of structures
//! with the same encoding.
//!
//! An [`InterfaceVersion`] exists only if this RMM accepts it, so its [`Dialect`] needs no further
//! check. Pure code.

use core::fmt;

/// A version as the RMM-EL3 interface encodes it in 32 bits: bit 31 RES0, major in bits 30:16,
/// minor in bits 15:0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// Increases with an incompatible change; at most 0x7fff.
    pub major: u16,
    /// Increases with a compatible addition.
    pub minor: u16,
}

impl Version {
    /// Decodes a version word; `None` when the reserved bit 31 is set.
    pub const fn from_word(word: u32) -> Option<Self> {
        let [minor_low, minor_high, major_low, major_high] = word.to_le_bytes();
        let major = u16::from_le_bytes([major_low, major_high]);
        if major >> 15 != 0 {
            return None;
        }
        Some(Self { major, minor: u16::from_le_bytes([minor_low, minor_high]) })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// The RMI that EL3 forwards for the host. It determines the commands and the registers of results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// RMI 1.0, of interface major 0: results in x1 to x5.
    V1_0,
    /// RMI 2.0, of interface major 2: results in x1 to x8. The host gets its own x4 to x7 back
    /// unless they are outputs.
    V2_0,
}

/// The version of the RMM-EL3 interface that EL3 offers and this RMM accepts: 0.2 and later of
/// major 0, and all of major 2. A minor version only adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterfaceVersion {
    dialect: Dialect,
    minor: u16,
}

/// Why the interface version in x1 is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// Bits 63:31 are reserved, and not 0.
    #[error("the version {0:#x} has reserved bits set")]
    Reserved(u64),
    /// Well formed, but not a version that this RMM supports.
    #[error("the version {0} is neither 0.2 or a later 0.x, nor 2.x")]
    Unsupported(Version),
}

impl InterfaceVersion {
    /// Decodes x1 of a cold boot.
    ///
    /// # Errors
    ///
    /// [`VersionError`], in the order of its variants.
    pub fn from_register(x1: u64) -> Result<Self, VersionError> {
        let version = u32::try_from(x1)
            .ok()
            .and_then(Version::from_word)
            .ok_or(VersionError::Reserved(x1))?;
        let dialect = match version {
            Version { major: 0, minor: 2.. } => Dialect::V1_0,
            Version { major: 2, .. } => Dialect::V2_0,
            _ => return Err(VersionError::Unsupported(version)),
        };
        Ok(Self { dialect, minor: version.minor })
    }

    /// The dialect of RMI that EL3 carries.
    pub const fn dialect(self) -> Dialect {
        self.dialect
    }

    /// Whether EL3 has RMM_RESERVE_MEMORY: from 0.7 on. An earlier EL3 may panic when it is called.
    pub const fn has_reserve_memory(self) -> bool {
        self.is_at_least_0(7)
    }

    /// Whether a platform token can come in several hunks: from 0.3 on.
    pub const fn has_token_hunks(self) -> bool {
        self.is_at_least_0(3)
    }

    /// Whether EL3 can be asked for its features: from 0.4 on.
    pub const fn has_features(self) -> bool {
        self.is_at_least_0(4)
    }

    /// Whether x4 of a cold boot and x1 of a warm one are an activation token: from 0.8 on.
    pub const fn has_token(self) -> bool {
        self.is_at_least_0(8)
    }

    const fn is_at_least_0(self, minor: u16) -> bool {
        match self.dialect {
            Dialect::V1_0 => self.minor >= minor,
            Dialect::V2_0 => true,
        }
    }

    /// The version as EL3 gave it.
    pub const fn version(self) -> Version {
        let major = match self.dialect {
            Dialect::V1_0 => 0,
            Dialect::V2_0 => 2,
        };
        Version { major, minor: self.minor }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_version_that_tf_a_releases_is_accepted_with_the_dialect_of_its_major() {
        for (x1, dialect, text) in [
            (0x0000_0002, Dialect::V1_0, "0.2"),
            (0x0000_0004, Dialect::V1_0, "0.4"),
            (0x0000_0006, Dialect::V1_0, "0.6"),
            (0x0000_0008, Dialect::V1_0, "0.8"),
            (0x0000_ffff, Dialect::V1_0, "0.65535"),
            (0x0002_0000, Dialect::V2_0, "2.0"),
            (0x0002_ffff, Dialect::V2_0, "2.65535"),
        ] {
            let accepted = InterfaceVersion::from_register(x1).unwrap();
            assert_eq!(accepted.dialect(), dialect);
            assert_eq!(accepted.version().to_string(), text);
        }
    }

    #[test]
    fn services_and_arguments_are_there_from_the_version_on_that_defines_them() {
        for (x1, reserve_memory, token) in [
            (0x2, false, false),
            (0x6, false, false),
            (0x7, true, false),
            (0x8, true, true),
            (0x2_0000, true, true),
        ] {
            let version = InterfaceVersion::from_register(x1).unwrap();
            assert_eq!(
                (version.has_reserve_memory(), version.has_token()),
                (reserve_memory, token)
            );
        }
    }

    #[test]
    fn other_versions_are_refused_by_number() {
        for (x1, major, minor) in [
            (0, 0, 0),
            (1, 0, 1),
            (0x0001_0000, 1, 0),
            (0x0003_0000, 3, 0),
            (0x7fff_0002, 0x7fff, 2),
        ] {
            let refused = VersionError::Unsupported(Version { major, minor });
            assert_eq!(InterfaceVersion::from_register(x1), Err(refused));
        }
        let sentence = InterfaceVersion::from_register(0x0001_0003).unwrap_err().to_string();
        assert_eq!(sentence, "the version 1.3 is neither 0.2 or a later 0.x, nor 2.x");
    }

    #[test]
    fn reserved_bits_refuse_a_version_that_is_otherwise_fine() {
        for bit in 31..64 {
            let x1 = 0x0002_0000 | 1 << bit;
            assert_eq!(InterfaceVersion::from_register(x1), Err(VersionError::Reserved(x1)));
        }
    }
}
