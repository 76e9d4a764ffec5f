#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Installs Debian's backport of QEMU, as root on a Debian, unless a QEMU is there whose `virt`
# machine has the Realm Management Extension.

source "$(dirname "$0")/common.sh"

NEEDED=9.2

# Whether the installed QEMU is recent enough.
suffices() {
    local version
    version=$(qemu-system-aarch64 --version 2>/dev/null | sed -n 's/^QEMU emulator version \([0-9.]*\).*/\1/p')
    [[ -n $version && $(printf '%s\n' $NEEDED "$version" | sort -V | head -n 1) == "$NEEDED" ]]
}

suffices && exit
NEED="qemu-system-aarch64 $NEEDED or newer is needed"
[[ $(id -u) == 0 ]] || fail "$NEED: install it, or run this as root on Debian"
command -v apt-get >/dev/null || fail "$NEED: install it; this machine has no apt-get"
codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
say "installing QEMU from $codename-backports"
DEBIAN_FRONTEND=noninteractive apt_from "$codename" "$codename-backports" -- \
    install -y --no-install-recommends -t "$codename-backports" qemu-system-arm || fail "$NEED: apt cannot install it"
suffices || fail "$NEED: what apt installed is older"
