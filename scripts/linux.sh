#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Fetches what a Linux guest needs to build/linux: Debian's newest arm64 kernel as `Image`, and
# `initrd`, an initial file system with busybox, the modules of the attestation driver and the files
# of tests/qemu/linux. `make clean` removes it. LINUX_IMAGE names another kernel, LINUX_MODULES the
# folder with its modules.

source "$(dirname "$0")/common.sh"

# The first suites with a kernel that can run in a Realm (6.13 and newer).
SUITES=(trixie trixie-backports)
NEED="Debian's arm64 kernel and busybox are needed for a Linux guest"
# In the order in which they are loaded: the modules for attestation reports, and a device that
# shares memory with the guest.
MODULES=(configfs tsm_report arm-cca-guest virtio_mmio virtio-rng)

out=build/linux
root=$out/root
mkdir -p "$out"

# The names of a package's dependencies that match a pattern.
dependencies() {
    apt-cache "${apt_options[@]}" show "$1=$2" | sed -n 's/^Depends: //p' | tr ',' '\n' | grep -oE "^ ?$3" | tr -d ' '
}

# Unpacks the packages of the newest kernel, and busybox, below $root.
fetch() {
    local version image packages package
    APT_ARCHITECTURE=arm64 apt_from "${SUITES[@]}" -- check || return
    version=$(apt-cache "${apt_options[@]}" -t "${SUITES[-1]}" policy linux-image-arm64 | sed -n 's/^  Candidate: //p')
    [[ -n $version ]] || { say "apt has no package linux-image-arm64"; return 1; }
    image=$(dependencies linux-image-arm64 "$version" 'linux-image-[^ ]+-arm64')
    # Recent kernels have their parts in several packages.
    packages=$(dependencies "$image" "$version" 'linux-(binary|modules)-[^ ]+')
    say "fetching ${image} $version and busybox-static"
    rm -rf "$out/packages" "$root"
    mkdir -p "$out/packages" "$root"
    # shellcheck disable=SC2086
    (cd "$out/packages" && apt-get -q "${apt_options[@]}" -t "${SUITES[-1]}" download ${packages:-$image} busybox-static) \
        >"$out/log" 2>&1 || { say "apt-get download failed; $out/log has the details"; return 1; }
    for package in "$out"/packages/*.deb; do
        dpkg-deb --fsys-tarfile "$package" | tar -x -C "$root" --wildcards --no-anchored vmlinuz\* busybox \
            "${MODULES[@]/%/.ko.*}" 2>>"$out/log" || true
    done
    rm -rf "$out/packages"
}

# One entry of the archive that the kernel unpacks: NAME MODE [FILE | MAJOR MINOR].
inode=0
entry() {
    local name=$1 mode=$2 file='' size=0 major=0 minor=0
    (($# != 3)) || { file=$3 size=$(stat -c %s "$3"); }
    (($# != 4)) || { major=$3 minor=$4; }
    printf '070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%s\0' \
        $((inode += 1)) $((mode)) 0 0 1 0 "$size" 0 0 "$major" "$minor" $((${#name} + 1)) 0 "$name"
    # The header has 110 bytes. Name and data are each padded to a multiple of four.
    head -c $(((4 - (111 + ${#name}) % 4) % 4)) /dev/zero
    [[ -z $file ]] || cat "$file"
    head -c $(((4 - size % 4) % 4)) /dev/zero
}

archive() {
    local folder file name
    for folder in bin dev etc lib proc sys tmp root; do entry $folder 0040755; done
    entry dev/console 0020600 5 1
    entry bin/busybox 0100755 "$(find "$root" -name busybox -type f -perm -100)"
    for name in "${MODULES[@]}"; do
        file=$(find "${LINUX_MODULES:-$root}" -name "$name.ko*" -print -quit)
        [[ -n $file ]] || continue
        case $file in
            *.xz) xz -dc "$file" >"$out/$name.ko" ;;
            *.zst) zstd -qdcf "$file" >"$out/$name.ko" ;;
            *) cp "$file" "$out/$name.ko" ;;
        esac
        entry "lib/$name.ko" 0100644 "$out/$name.ko"
    done
    printf '%s\n' "${MODULES[@]}" >"$out/modules"
    entry etc/modules 0100644 "$out/modules"
    for file in tests/qemu/linux/*; do
        name=${file##*/}
        [[ $name == init ]] || name=bin/$name
        entry "$name" 0100755 "$file"
    done
    entry 'TRAILER!!!' 0
}

# Whether everything has been fetched, with these modules.
have() {
    local name
    for name in vmlinuz\* busybox "${MODULES[@]/%/.ko*}"; do
        [[ -n $(find "$root" -name "$name" -print -quit 2>/dev/null) ]] || return
    done
}

have || fetch || fail "$NEED: they cannot be fetched"
cp "${LINUX_IMAGE:-$(find "$root" -name 'vmlinuz*' -type f)}" "$out/Image"
archive >"$out/initrd.new"
mv "$out/initrd.new" "$out/initrd"
