#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# token-stamp.sh check|write: checks or records that `make verify-token` has passed for the present
# token code, its verifier and the crates. Their digest at that time is under version control.

source "$(dirname "$0")/common.sh"

stamp=tests/ccatoken/verified.sha256
digest=$(find src/attest src/rsi/attestation.rs tests/ccatoken Cargo.lock -type f ! -path "$stamp" -print0 |
    LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -d ' ' -f 1)
case ${1-} in
    check) [[ -f $stamp && $(<"$stamp") == "$digest" ]] ;;
    write) echo "$digest" >"$stamp" ;;
    *) fail "usage: token-stamp.sh check|write" ;;
esac
