// SPDX-License-Identifier: BSD-3-Clause
//! Indices that are bounded in speculation as well.

/// `index` if it is below `length`, otherwise [`usize::MAX`], even while the CPU speculates past a
/// mispredicted comparison (Arm ARM (DDI 0487 L.a) B2.2.3, CSDB).
///
/// For an index that a host or a Realm chooses: a slice refuses `usize::MAX`. If the CPU
/// mispredicts that check, the access is just below the slice, whatever the caller chose.
pub fn bounded(index: usize, length: usize) -> usize {
    #[cfg(target_os = "none")]
    {
        let bounded: usize;
        // SAFETY: changes a register and the flags.
        unsafe {
            core::arch::asm!(
                "cmp {index}, {length}",
                "csinv {bounded}, {index}, xzr, lo",
                "csdb",
                index = in(reg) index, length = in(reg) length, bounded = lateout(reg) bounded,
                options(pure, nomem, nostack)
            );
        }
        bounded
    }
    #[cfg(not(target_os = "none"))]
    if index < length { index } else { usize::MAX }
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_index_beyond_the_end_is_none_that_any_slice_has() {
        assert_eq!(
            [0, 1, 2, 3].map(|index| super::bounded(index, 2)),
            [0, 1, usize::MAX, usize::MAX]
        );
    }
}
