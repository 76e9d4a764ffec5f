// SPDX-License-Identifier: BSD-3-Clause
//! What a mapping allows: memory type, permissions, physical address space and the like, in no
//! regime's encoding.
//!
//! Start from a constructor ([`Attributes::code`], [`Attributes::read_write`], ...) and refine it.
//! Nonsense (writable and executable, executable device memory, ...) can be written down here, and
//! is refused when a regime encodes it ([`Attributes::check`]).

use core::fmt;

use super::error::AttributeRule;

/// Memory type and cacheability (Arm ARM D8.6.2), each with its place in MAIR (`mmu::MAIR`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum MemoryType {
    /// Normal, inner and outer write-back, read and write allocate.
    NormalWriteBack,
    /// Device-nGnRE.
    Device,
    /// Normal, inner and outer non-cacheable.
    NormalNonCacheable,
}

/// Data access.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum DataAccess {
    /// Stores fault.
    ReadOnly,
    /// Loads and stores.
    ReadWrite,
}

/// Who may access, and whose execution [`Attributes::executable`] speaks of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Privilege {
    /// The privileged Exception level of the regime only.
    Privileged,
    /// EL0 as well, in the regimes that have it. If executable, then at EL0 only.
    User,
}

/// A physical address space (Arm ARM D9.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum PhysicalAddressSpace {
    /// Secure.
    Secure,
    /// Non-secure.
    NonSecure,
    /// Root.
    Root,
    /// Realm.
    Realm,
}

/// Shareability domain (Arm ARM D8.6.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Shareability {
    /// Non-shareable.
    Non,
    /// Outer Shareable.
    Outer,
    /// Inner Shareable.
    Inner,
}

/// The attributes of a mapping.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Attributes {
    /// Memory type and cacheability.
    pub memory: MemoryType,
    /// Data access.
    pub access: DataAccess,
    /// Whether instructions may be fetched, by the privilege in `privilege`.
    pub executable: bool,
    /// Whether indirect branches must land on a landing pad (FEAT_BTI, GP bit). Of executable pages
    /// only.
    pub guarded: bool,
    /// Who may access.
    pub privilege: Privilege,
    /// Where the output address lies.
    pub pas: PhysicalAddressSpace,
    /// Shareability. Device and Non-cacheable memory is always Outer Shareable (Arm ARM D8.6.3).
    pub shareability: Shareability,
    /// Whether TLB entries match whatever the ASID is.
    pub global: bool,
}

impl Attributes {
    /// Executable, read-only Normal memory; Realm, privileged, global, Inner Shareable, not
    /// guarded.
    pub const fn code() -> Self {
        Self { executable: true, ..Self::read_only() }
    }

    /// Read-only Normal memory; Realm, privileged, global, Inner Shareable.
    pub const fn read_only() -> Self {
        Self { access: DataAccess::ReadOnly, ..Self::read_write() }
    }

    /// Read-write Normal memory; Realm, privileged, global, Inner Shareable.
    pub const fn read_write() -> Self {
        Self {
            memory: MemoryType::NormalWriteBack,
            access: DataAccess::ReadWrite,
            executable: false,
            guarded: false,
            privilege: Privilege::Privileged,
            pas: PhysicalAddressSpace::Realm,
            shareability: Shareability::Inner,
            global: true,
        }
    }

    /// Read-write Device memory; Realm, privileged, global.
    pub const fn device() -> Self {
        Self { memory: MemoryType::Device, shareability: Shareability::Outer, ..Self::read_write() }
    }

    /// Read-write Normal Non-cacheable memory; Realm, privileged, global.
    pub const fn non_cacheable() -> Self {
        Self {
            memory: MemoryType::NormalNonCacheable,
            shareability: Shareability::Outer,
            ..Self::read_write()
        }
    }

    /// The same, in `pas`.
    pub const fn in_pas(self, pas: PhysicalAddressSpace) -> Self {
        Self { pas, ..self }
    }

    /// The same, with TLB entries of the context's ASID only.
    pub const fn non_global(self) -> Self {
        Self { global: false, ..self }
    }

    /// The same, with branch targets guarded (FEAT_BTI).
    pub const fn guarded(self) -> Self {
        Self { guarded: true, ..self }
    }

    /// The same, for EL0 as well.
    pub const fn user(self) -> Self {
        Self { privilege: Privilege::User, ..self }
    }

    /// The same, in another shareability domain.
    pub const fn shareable(self, shareability: Shareability) -> Self {
        Self { shareability, ..self }
    }

    /// Whether they make sense in any regime at all.
    ///
    /// # Errors
    /// The rule broken.
    pub const fn check(self) -> Result<(), AttributeRule> {
        let device_like = !matches!(self.memory, MemoryType::NormalWriteBack);
        if self.executable && matches!(self.access, DataAccess::ReadWrite) {
            return Err(AttributeRule::WritableAndExecutable);
        }
        if self.executable && matches!(self.memory, MemoryType::Device) {
            return Err(AttributeRule::ExecutableDevice);
        }
        if self.guarded && !self.executable {
            return Err(AttributeRule::GuardedButNotExecutable);
        }
        if device_like && !matches!(self.shareability, Shareability::Outer) {
            return Err(AttributeRule::ShareabilityFixedByMemoryType);
        }
        Ok(())
    }
}

impl fmt::Display for MemoryType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NormalWriteBack => "normal",
            Self::Device => "device",
            Self::NormalNonCacheable => "non-cacheable",
        })
    }
}

impl fmt::Display for PhysicalAddressSpace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Secure => "secure",
            Self::NonSecure => "non-secure",
            Self::Root => "root",
            Self::Realm => "realm",
        })
    }
}

impl fmt::Display for Shareability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Non => "non-shareable",
            Self::Outer => "outer",
            Self::Inner => "inner",
        })
    }
}

impl fmt::Display for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let access = match self.access {
            DataAccess::ReadOnly => "ro",
            DataAccess::ReadWrite => "rw",
        };
        let execute = match (self.executable, self.guarded) {
            (false, _) => "xn",
            (true, false) => "x",
            (true, true) => "x guarded",
        };
        let privilege = match self.privilege {
            Privilege::Privileged => "",
            Privilege::User => " user",
        };
        let global = if self.global { "" } else { " non-global" };
        write!(
            f,
            "{} {} {}{} {} {}{}",
            self.memory, access, execute, privilege, self.pas, self.shareability, global
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constructors_make_sense() {
        for attributes in [
            Attributes::code(),
            Attributes::code().guarded(),
            Attributes::read_only(),
            Attributes::read_write().user(),
            Attributes::read_write().shareable(Shareability::Non),
            Attributes::device().in_pas(PhysicalAddressSpace::NonSecure),
            Attributes::non_cacheable().non_global(),
        ] {
            assert_eq!(attributes.check(), Ok(()), "{attributes}");
        }
    }

    #[test]
    fn nonsense_is_refused_by_the_rule_it_breaks() {
        let executable = |attributes| Attributes { executable: true, ..attributes };
        for (attributes, rule) in [
            (executable(Attributes::read_write()), AttributeRule::WritableAndExecutable),
            (executable(Attributes::device()), AttributeRule::WritableAndExecutable),
            (
                Attributes { access: DataAccess::ReadOnly, ..executable(Attributes::device()) },
                AttributeRule::ExecutableDevice,
            ),
            (Attributes::read_only().guarded(), AttributeRule::GuardedButNotExecutable),
            (
                Attributes::device().shareable(Shareability::Inner),
                AttributeRule::ShareabilityFixedByMemoryType,
            ),
            (
                Attributes::non_cacheable().shareable(Shareability::Non),
                AttributeRule::ShareabilityFixedByMemoryType,
            ),
        ] {
            assert_eq!(attributes.check(), Err(rule), "{attributes}");
        }
    }

    #[test]
    fn attributes_read_as_words() {
        assert_eq!(Attributes::code().guarded().to_string(), "normal ro x guarded realm inner");
        assert_eq!(
            Attributes::device()
                .in_pas(PhysicalAddressSpace::NonSecure)
                .non_global()
                .user()
                .to_string(),
            "device rw xn user non-secure outer non-global"
        );
    }
}
