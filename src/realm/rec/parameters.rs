// SPDX-License-Identifier: BSD-3-Clause
//! The parameters of a REC (RmiRecParams), copied from the host's memory once.
//!
//! Rules that depend on the Realm are checked when the REC is created.

use core::mem::offset_of;

use zerocopy::FromZeros;

use super::Mpidr;
use crate::abi::rmi_v1::{RecAuxiliary, RecFlags, RmiRecParams};
use crate::address::PhysAddr;
use crate::arch::speculation::bounded;
use crate::granule::GranuleAddress;
use crate::mem::words_of;
use crate::realm::measurement::MeasuredRecParameters;

/// Why parameters are wrong for any Realm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecParametersError {
    /// More than 16 auxiliary granules.
    AuxiliaryCount,
    /// The address of an auxiliary granule is not aligned.
    AuxiliaryAddress,
}

/// The fields of RmiRecParams, as the host wrote them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostRecParameters {
    flags: u64,
    mpidr: u64,
    pc: u64,
    gprs: [u64; 8],
    aux: RecAuxiliary,
}

impl HostRecParameters {
    /// Reads the fields, each once, with `read`, which fills words from a byte offset of the page.
    ///
    /// # Errors
    ///
    /// The first that `read` gives.
    pub fn read<E>(mut read: impl FnMut(usize, &mut [u64]) -> Result<(), E>) -> Result<Self, E> {
        let aux = RecAuxiliary::new_zeroed();
        let mut fields = Self { flags: 0, mpidr: 0, pc: 0, gprs: [0; 8], aux };
        read(offset_of!(RmiRecParams, flags), words_of(&mut fields.flags))?;
        read(offset_of!(RmiRecParams, mpidr), words_of(&mut fields.mpidr))?;
        read(offset_of!(RmiRecParams, pc), words_of(&mut fields.pc))?;
        read(offset_of!(RmiRecParams, gprs), &mut fields.gprs)?;
        read(offset_of!(RmiRecParams, aux), words_of(&mut fields.aux))?;
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
        let granules = &self.aux.granules;
        let addresses = usize::try_from(self.aux.count)
            .ok()
            .and_then(|count| granules.get(..bounded(count, granules.len() + 1)))
            .ok_or(RecParametersError::AuxiliaryCount)?;
        let granule = |address: &u64| GranuleAddress::new(PhysAddr::new(*address));
        if addresses.iter().any(|address| granule(address).is_none()) {
            return Err(RecParametersError::AuxiliaryAddress);
        }
        Ok(addresses.iter().filter_map(granule))
    }

    /// Its MPIDR; `None` if a reserved bit is set.
    pub fn mpidr(&self) -> Option<Mpidr> {
        Mpidr::new(self.mpidr)
    }

    /// Whether the REC is created runnable. Undefined flags have no effect, but are measured.
    pub fn is_runnable(&self) -> bool {
        RecFlags::from_bits_retain(self.flags).contains(RecFlags::RUNNABLE)
    }

    /// The parameters that are measured if the REC is runnable. It starts with these values.
    pub fn measured(&self) -> MeasuredRecParameters {
        MeasuredRecParameters { flags: self.flags, pc: self.pc, gprs: self.gprs }
    }
}
