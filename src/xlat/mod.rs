// SPDX-License-Identifier: BSD-3-Clause
//! The translation tables library.
