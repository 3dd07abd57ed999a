# shellcheck shell=bash
# From a tree to what is installed: verified root, unified kernel image, update artefact and disk image. Needs no loop
# device, device mapper or kernel file system: everything is written into plain files.

uuid_of() { echo "${1:0:8}-${1:8:4}-${1:12:4}-${1:16:4}-${1:20:12}"; }

# verified_root TREE OUT: OUT/root.img, OUT/verity.img, and ROOT_HASH.
verified_root() {
    local tree=$1 out=$2
    rm -f "$out"/{root,verity}.img
    in_chroot "$TOOLS" "$tree:/mnt/tree" "$out:/mnt/out" -- env -u SOURCE_DATE_EPOCH mksquashfs /mnt/tree /mnt/out/root.img \
        -comp zstd -Xcompression-level 15 -b 256K -noappend -quiet -no-progress -no-xattrs \
        -all-time "$SOURCE_DATE_EPOCH" -mkfs-time "$SOURCE_DATE_EPOCH" >/dev/null
    local salt
    salt=$(sha256sum <"$out/root.img" | cut -c1-64)
    ROOT_HASH=$(in_chroot "$TOOLS" "$out:/mnt/out" -- veritysetup format --salt="$salt" \
        --uuid="$(uuid_of "${salt:0:32}")" /mnt/out/root.img /mnt/out/verity.img | awk '/^Root hash/ { print $3 }')
    [ ${#ROOT_HASH} = 64 ] || fail "veritysetup named no root hash"
    # systemd finds the partitions of a root hash by these.
    ROOT_UUID=$(uuid_of "${ROOT_HASH:0:32}")
    VERITY_UUID=$(uuid_of "${ROOT_HASH:32:32}")
}

# Signatures hold the time at which they were made: the image's own, so that it comes out the same again.
signing_time() { date -u -d "@$SOURCE_DATE_EPOCH" '+%Y-%m-%d %H:%M:%S'; }

# Arguments every board has: verified root or a reset; nothing waits for somebody at the console.
command_line() {
    echo "ro roothash=$ROOT_HASH systemd.verity_root_options=panic-on-corruption panic=10 oops=panic" \
        "rd.shell=0 rd.emergency=reboot systemd.getty_auto=0 systemd.gpt_auto=1 systemd.machine_id=firmware" \
        "lockdown=integrity quiet loglevel=4 $BOARD_COMMAND_LINE $*"
}

# unified_kernel TREE KERNEL OUT ARGUMENTS: OUT/uki.efi, signed, with the PCR 11 values it will have, signed too.
unified_kernel() {
    local tree=$1 kernel=$2 out=$3
    shift 3
    in_chroot "$TOOLS" "$tree:/mnt/tree" "$kernel:/mnt/kernel" "$out:/mnt/out" "$KEYS:/mnt/keys" -- \
        faketime -f "$(signing_time)" ukify build \
        --linux=/mnt/kernel/vmlinuz --initrd=/mnt/kernel/initrd.img --cmdline="$(command_line "$@")" \
        --os-release=@/mnt/tree/usr/lib/os-release --uname="$(kernel_release "$kernel")" \
        --stub="/mnt/kernel/usr/lib/systemd/boot/efi/$BOARD_STUB" --efi-arch="$BOARD_EFI_ARCHITECTURE" \
        --secureboot-private-key=/mnt/keys/secure-boot.key --secureboot-certificate=/mnt/keys/secure-boot.crt \
        --pcr-private-key=/mnt/keys/pcr.key --pcr-public-key=/mnt/keys/pcr.pub --pcr-banks=sha256 \
        --phases=enter-initrd:leave-initrd:sysinit:ready,enter-initrd:leave-initrd:sysinit,enter-initrd:leave-initrd \
        --output=/mnt/out/uki.efi >"$out/ukify.log" 2>&1 || fail "the unified kernel image: $(tail -3 "$out/ukify.log")"
}

# artefact OUT VERSION DIR: what a server offers for updates, signed.
artefact() {
    local out=$1 version=$2 into=$3
    rm -rf "$into"
    mkdir -p "$into"
    cp "$out/root.img" "$into/polygate_${version}_root_$ROOT_UUID.raw"
    cp "$out/verity.img" "$into/polygate_${version}_verity_$VERITY_UUID.raw"
    cp "$out/uki.efi" "$into/polygate_${version}.efi"
    (cd "$into" && sha256sum polygate_* >SHA256SUMS)
    in_chroot "$TOOLS" "$KEYS/update:/mnt/gpg" "$into:/mnt/out" -- gpg --homedir /mnt/gpg --batch --quiet --yes \
        --faked-system-time "$(update_signing_time)!" --ignore-time-conflict --detach-sign \
        -o /mnt/out/SHA256SUMS.gpg /mnt/out/SHA256SUMS 2>>"$CACHE/gpg.log" || fail "SHA256SUMS could not be signed"
}

# esp OUT VERSION: OUT/esp.img with the signed boot loader and this version.
esp() {
    local out=$1 version=$2
    rm -f "$out/esp.img"
    truncate -s "${BOARD_ESP_MIB}M" "$out/esp.img"
    printf 'timeout 0\neditor no\nauto-firmware no\nsecure-boot-enroll manual\n' >"$out/loader.conf"
    enrolment "$out"
    # shellcheck disable=SC2016 # expanded inside
    in_chroot "$TOOLS" "$out:/mnt/out" "$KEYS:/mnt/keys" "$KERNEL_TREE:/mnt/kernel" -- bash -euc '
        cd /mnt/out
        faketime -f "$4" sbsign --key /mnt/keys/secure-boot.key --cert /mnt/keys/secure-boot.crt --output loader.efi \
            "/mnt/kernel/usr/lib/systemd/boot/efi/$1" 2>/dev/null
        touch --date="@$SOURCE_DATE_EPOCH" loader.efi loader.conf uki.efi enrol/*
        mkfs.vfat -n ESP -F 32 -i 706F6C79 --invariant esp.img >/dev/null
        export MTOOLS_SKIP_CHECK=1
        mmd -i esp.img ::/EFI ::/EFI/BOOT ::/EFI/systemd ::/EFI/Linux ::/loader ::/loader/keys ::/loader/keys/polygate
        mcopy -m -i esp.img loader.efi "::/EFI/BOOT/$2"
        mcopy -m -i esp.img loader.conf ::/loader/loader.conf
        mcopy -m -i esp.img enrol/* ::/loader/keys/polygate/
        mcopy -m -i esp.img uki.efi "::/EFI/Linux/polygate_$3.efi"
    ' esp "$BOARD_LOADER" "$BOARD_LOADER_NAME" "$version" "$(signing_time)"
}

# What sd-boot's menu enrols on a board in setup mode: PK, KEK and db, all of one key.
enrolment() {
    local out=$1
    mkdir -p "$out/enrol"
    # shellcheck disable=SC2016 # expanded inside
    in_chroot "$TOOLS" "$out/enrol:/mnt/out" "$KEYS:/mnt/keys" -- bash -euc '
        cd /mnt/out
        cert-to-efi-sig-list -g 706f6c79-6761-7465-0000-000000000001 /mnt/keys/secure-boot.crt list.esl
        for name in PK KEK db; do
            sign-efi-sig-list -t "$1" -c /mnt/keys/secure-boot.crt -k /mnt/keys/secure-boot.key "$name" list.esl "$name.auth"
        done
        rm list.esl
    ' enrolment "$(signing_time)" >/dev/null
}

# disk_image OUT VERSION FILE: ESP, the first slot filled, the second empty; the data partition is made at first boot.
disk_image() {
    local out=$1 version=$2 file=$3
    rm -f "$file"
    truncate -s "${BOARD_DISK_MIB}M" "$file"
    local -a layout=(--disk-guid="$(uuid_of "$(printf '%s' "disk $ROOT_HASH" | sha256sum | cut -c1-32)")"
        -n "1:2048:+${BOARD_ESP_MIB}M" -t 1:EF00 -c 1:esp -u "1:$(uuid_of "$(printf '%s' esp | sha256sum | cut -c1-32)")"
        -n "2:0:+${BOARD_VERITY_MIB}M" -t "2:$BOARD_VERITY_TYPE" -c "2:polygate_${version}_verity" -u "2:$VERITY_UUID" -A 2:set:60
        -n "3:0:+${BOARD_ROOT_MIB}M" -t "3:$BOARD_ROOT_TYPE" -c "3:polygate_${version}_root" -u "3:$ROOT_UUID" -A 3:set:60
        -n "4:0:+${BOARD_VERITY_MIB}M" -t "4:$BOARD_VERITY_TYPE" -c 4:_empty -u "4:$(uuid_of "$(printf '%s' verity-b | sha256sum | cut -c1-32)")"
        -n "5:0:+${BOARD_ROOT_MIB}M" -t "5:$BOARD_ROOT_TYPE" -c 5:_empty -u "5:$(uuid_of "$(printf '%s' root-b | sha256sum | cut -c1-32)")")
    in_chroot "$TOOLS" "$(dirname "$file"):/mnt/out" -- sgdisk -o "${layout[@]}" "/mnt/out/$(basename "$file")" >"$out/sgdisk.log" ||
        fail "the partition table: $(tail -2 "$out/sgdisk.log")"
    local mib=1 part size
    for part in "esp:$BOARD_ESP_MIB" "verity:$BOARD_VERITY_MIB" "root:$BOARD_ROOT_MIB"; do
        size=${part#*:}
        [ "$(stat -c %s "$out/${part%%:*}.img")" -le $((size << 20)) ] || fail "${part%%:*} is larger than its partition"
        dd if="$out/${part%%:*}.img" of="$file" bs=1M seek="$mib" conv=notrunc,sparse status=none
        mib=$((mib + size))
    done
}
