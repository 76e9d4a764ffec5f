// SPDX-License-Identifier: BSD-3-Clause
//! The parameters of a REC (RmiRecParams): copied from the host's memory once, then a value. Most
//! rules depend on the Realm, and are the command's.

use super::Mpidr;
use crate::address::PhysAddr;
use crate::granule::GranuleAddress;
use crate::realm::measurement::MeasuredRecParameters;

/// The most auxiliary granules that the ABI lets a REC have.
pub const MAX_AUXILIARY: usize = 16;

/// Why parameters are wrong whatever the Realm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecParametersError {
    /// More than [`MAX_AUXILIARY`] auxiliary granules.
    AuxiliaryCount,
    /// The address of an auxiliary granule is not aligned.
    AuxiliaryAddress,
}

/// The parameters as the host wrote them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RmiRecParams {
    flags: [u64; 1],
    mpidr: [u64; 1],
    pc: [u64; 1],
    gprs: [u64; 8],
    /// The number of auxiliary granules, then their addresses.
    auxiliary: [u64; 1 + MAX_AUXILIARY],
}

/// The flag that makes a REC runnable.
const RUNNABLE: u64 = 1 << 0;

impl RmiRecParams {
    /// Reads the fields, each once, with `read`, which fills words from a byte offset of the
    /// structure.
    ///
    /// # Errors
    ///
    /// The first that `read` gives.
    pub fn read<E>(mut read: impl FnMut(u64, &mut [u64]) -> Result<(), E>) -> Result<Self, E> {
        let mut fields = Self::default();
        read(0x0, &mut fields.flags)?;
        read(0x100, &mut fields.mpidr)?;
        read(0x200, &mut fields.pc)?;
        read(0x300, &mut fields.gprs)?;
        read(0x800, &mut fields.auxiliary)?;
        Ok(fields)
    }

    /// The auxiliary granules, in the order in which the host names them.
    ///
    /// # Errors
    ///
    /// [`RecParametersError`]. Addresses beyond the number are not looked at.
    pub fn auxiliary(
        &self,
    ) -> Result<impl Iterator<Item = GranuleAddress> + Clone, RecParametersError> {
        let [count, addresses @ ..] = &self.auxiliary;
        let addresses = usize::try_from(*count)
            .ok()
            .and_then(|count| addresses.get(..count))
            .ok_or(RecParametersError::AuxiliaryCount)?;
        let granule = |address: &u64| GranuleAddress::new(PhysAddr::new(*address));
        if addresses.iter().any(|address| granule(address).is_none()) {
            return Err(RecParametersError::AuxiliaryAddress);
        }
        Ok(addresses.iter().filter_map(granule))
    }

    /// What names the REC within its Realm; `None` when reserved bits are set.
    pub fn mpidr(&self) -> Option<Mpidr> {
        let [mpidr] = self.mpidr;
        Mpidr::new(mpidr)
    }

    /// Whether the REC is runnable at first. Flags not defined are not looked at, though measured.
    pub fn is_runnable(&self) -> bool {
        let [flags] = self.flags;
        flags & RUNNABLE != 0
    }

    /// What is measured of a runnable REC, which is also what it starts with.
    pub fn measured(&self) -> MeasuredRecParameters {
        let ([flags], [pc]) = (self.flags, self.pc);
        MeasuredRecParameters { flags, pc, gprs: self.gprs }
    }
}
