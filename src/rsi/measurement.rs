// SPDX-License-Identifier: BSD-3-Clause
//! RSI_MEASUREMENT_READ, RSI_MEASUREMENT_EXTEND. The RD is locked at most for one hash of 128
//! bytes.

use zerocopy::IntoBytes;

use super::call::{Answer, Outcome, Status};
use crate::arch::speculation::bounded;
use crate::realm::measurement::{MEASUREMENT_SLOTS, Measurement};
use crate::realm::running::Caller;

/// RSI_MEASUREMENT_READ. Outputs are the bytes of the measurement; a shorter hash is padded with
/// zeros.
pub(super) fn read(caller: &mut Caller<'_, '_, '_>, index: u64) -> Outcome<8> {
    let index = slot(index)?;
    let value = caller.realm.with_descriptor(|realm| realm.measurement(index).copied());
    Ok(Answer::Return(value.ok_or(Status::Input)?))
}

/// RSI_MEASUREMENT_EXTEND with the first `size` bytes of the value. A `size` of 0 is valid.
#[expect(clippy::too_many_arguments, reason = "they are the registers of the command")]
pub(super) fn extend(
    caller: &mut Caller<'_, '_, '_>,
    index: u64,
    size: u64,
    v0: u64,
    v1: u64,
    v2: u64,
    v3: u64,
    v4: u64,
    v5: u64,
    v6: u64,
    v7: u64,
) -> Outcome {
    let value = [v0, v1, v2, v3, v4, v5, v6, v7];
    let index = slot(index)?;
    let size = usize::try_from(size).map_err(|_| Status::Input)?;
    let size = bounded(size, size_of::<Measurement>() + 1);
    let value = value.as_bytes().get(..size).ok_or(Status::Input)?;
    let extended = caller.realm.with_descriptor(|realm| realm.extend_measurement(index, value));
    extended.ok_or(Status::Input)?;
    Ok(Answer::Return([]))
}

/// The index of a measurement that a Realm chooses, bounded in speculation as well. One that does
/// not exist gives an index that does not exist.
fn slot(index: u64) -> Result<usize, Status> {
    let index = usize::try_from(index).map_err(|_| Status::Input)?;
    Ok(bounded(index, MEASUREMENT_SLOTS))
}
