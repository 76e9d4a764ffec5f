// SPDX-License-Identifier: BSD-3-Clause
//! The attributes of a mapping, independent of their encoding.
//!
//! Start from a constructor ([`Attributes::code`], [`Attributes::read_write`], ...) and refine it.
//! Combinations that make no sense can be written down; encoding them for a regime fails.

use core::fmt;

use super::error::AttributeRule;

/// Memory type and cacheability (Arm ARM (DDI 0487 L.a) D8.6.1). `mmu::MAIR` holds each.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum MemoryType {
    /// Normal, inner and outer write-back, read and write allocate.
    NormalWriteBack,
    /// Device-nGnRE.
    Device,
    /// Device-nGnRnE: writes are acknowledged by the device itself.
    DeviceNGnRnE,
    /// Normal, inner and outer non-cacheable.
    NormalNonCacheable,
}

/// Data access permission.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum DataAccess {
    /// Loads only.
    ReadOnly,
    /// Loads and stores.
    ReadWrite,
}

/// The Exception levels that may access, and to which [`Attributes::executable`] applies.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Privilege {
    /// The privileged Exception level of the regime only.
    Privileged,
    /// EL0 as well, in regimes that have it. If executable, then at EL0 only.
    User,
}

/// A physical address space.
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

impl PhysicalAddressSpace {
    /// All four.
    pub const ALL: [Self; 4] = [Self::Secure, Self::NonSecure, Self::Root, Self::Realm];
}

/// Shareability domain (Arm ARM (DDI 0487 L.a) D8.6.2).
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
    /// Data access permission.
    pub access: DataAccess,
    /// Instructions may be fetched, at the Exception level that `privilege` names.
    pub executable: bool,
    /// Indirect branches must land on a landing pad (FEAT_BTI). Executable pages only.
    pub guarded: bool,
    /// Exception levels that may access.
    pub privilege: Privilege,
    /// Physical address space of the output address.
    pub pas: PhysicalAddressSpace,
    /// Shareability. Device and Non-cacheable memory is always Outer Shareable.
    pub shareability: Shareability,
    /// TLB entries match every ASID.
    pub global: bool,
}

/// The attributes that can change whatever memory is mapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Permissions {
    /// Data access permission.
    pub access: DataAccess,
    /// Instructions may be fetched, at the Exception level that `privilege` names.
    pub executable: bool,
    /// Indirect branches must land on a landing pad (FEAT_BTI).
    pub guarded: bool,
    /// Exception levels that may access.
    pub privilege: Privilege,
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

    /// Read-write Device-nGnRnE memory; Realm, privileged, global.
    pub const fn device_ngnrne() -> Self {
        Self { memory: MemoryType::DeviceNGnRnE, ..Self::device() }
    }

    /// Read-write Normal Non-cacheable memory; Realm, privileged, global.
    pub const fn non_cacheable() -> Self {
        Self {
            memory: MemoryType::NormalNonCacheable,
            shareability: Shareability::Outer,
            ..Self::read_write()
        }
    }

    /// These attributes in `pas`.
    pub const fn in_pas(self, pas: PhysicalAddressSpace) -> Self {
        Self { pas, ..self }
    }

    /// These attributes, with TLB entries for the ASID of the context only.
    pub const fn non_global(self) -> Self {
        Self { global: false, ..self }
    }

    /// These attributes, with branch targets guarded (FEAT_BTI).
    pub const fn guarded(self) -> Self {
        Self { guarded: true, ..self }
    }

    /// These attributes, for EL0 as well.
    pub const fn user(self) -> Self {
        Self { privilege: Privilege::User, ..self }
    }

    /// These attributes in another shareability domain.
    pub const fn shareable(self, shareability: Shareability) -> Self {
        Self { shareability, ..self }
    }

    /// The permissions in these attributes.
    pub const fn permissions(self) -> Permissions {
        let Self { access, executable, guarded, privilege, .. } = self;
        Permissions { access, executable, guarded, privilege }
    }

    /// These attributes with other permissions.
    pub const fn with_permissions(self, permissions: Permissions) -> Self {
        let Permissions { access, executable, guarded, privilege } = permissions;
        Self { access, executable, guarded, privilege, ..self }
    }

    /// Checks what holds in every regime.
    ///
    /// # Errors
    /// The rule that they break.
    pub const fn check(self) -> Result<(), AttributeRule> {
        let device_like = !matches!(self.memory, MemoryType::NormalWriteBack);
        if self.executable && matches!(self.access, DataAccess::ReadWrite) {
            return Err(AttributeRule::WritableAndExecutable);
        }
        let device = matches!(self.memory, MemoryType::Device | MemoryType::DeviceNGnRnE);
        if self.executable && device {
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
            Self::DeviceNGnRnE => "device-nGnRnE",
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
            Attributes::device_ngnrne(),
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
            (
                Attributes {
                    access: DataAccess::ReadOnly,
                    ..executable(Attributes::device_ngnrne())
                },
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
