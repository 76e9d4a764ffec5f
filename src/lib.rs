// SPDX-License-Identifier: BSD-3-Clause
//! A Realm Management Monitor (RMM) for the Arm Confidential Compute Architecture.
#![cfg_attr(not(test), no_std)]
