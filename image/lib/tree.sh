# shellcheck shell=bash
# The root file system's tree, and the kernel and initial RAM disk that go with it.

# architecture DEBIAN: the chroot of the system's packages for an architecture, cached.
base_tree() {
    local architecture=$1 list=$REPOSITORY/image/packages.root root
    root=$CACHE/base-$architecture-$(cache_key "$(packages "$list")")
    if [ ! -e "$root/.complete" ]; then
        say "installing the system's packages for $architecture"
        debian_tree "$root" "$(packages "$list")" --architectures="$architecture" >"$CACHE/base.log" 2>&1
        touch "$root/.complete"
    fi
    echo "$root"
}

# A copy of the base with the board's kernel and dracut, which makes `/initrd.img` and `/vmlinuz` there; cached.
kernel_tree() {
    local base=$1 root
    root=$CACHE/kernel-$BOARD_ARCHITECTURE-$(cache_key "$base" "$BOARD_KERNEL" \
        "$(packages "$REPOSITORY/image/packages.initrd")" "$(cat "$BOARD_FOLDER/initrd.modules" "$REPOSITORY/image/initrd.conf")")
    if [ ! -e "$root/.complete" ]; then
        say "installing the kernel and making the initial RAM disk"
        rm -rf "$root"
        cp -a "$base" "$root"
        rm "$root/.complete"
        install_kernel "$root" >"$CACHE/kernel.log" 2>&1
        touch "$root/.complete"
    fi
    echo "$root"
}

install_kernel() {
    local root=$1 release builders
    IFS=, read -ra builders <<<"$(packages "$REPOSITORY/image/packages.initrd")"
    in_chroot "$root" -- apt-get update -qq
    in_chroot "$root" -- env INITRD=No apt-get install -qq -y --no-install-recommends "$BOARD_KERNEL" \
        "${builders[@]}"
    release=$(kernel_release "$root")
    cp --remove-destination "$root/boot/vmlinuz-$release" "$root/vmlinuz"
    install -Dm644 "$REPOSITORY/image/initrd.conf" "$root/etc/dracut.conf.d/polygate.conf"
    printf 'drivers=" %s "\n' "$(module_list "$BOARD_FOLDER/initrd.modules")" >"$root/etc/dracut.conf.d/board.conf"
    SOURCE_DATE_EPOCH=$CACHED_DATE in_chroot "$root" -- dracut --force --no-hostonly --kver "$release" /initrd.whole
    prune_initrd "$root"
}

# Dracut brings the TPM's command line tools, and what they speak to the world with; measuring needs neither.
prune_initrd() {
    # shellcheck disable=SC2016 # expanded inside
    in_chroot "$1" -- bash -euc '
        mkdir /initrd.tree && cd /initrd.tree
        cpio -idm --quiet </initrd.whole
        rm -f usr/bin/tpm2* usr/sbin/e2fsck usr/sbin/fsck* etc/udev/hwdb.bin usr/lib/udev/hwdb.bin
        for library in tss2-fapi tss2-policy tss2-tcti-[^d] curl krb5 k5crypto ldap lber gssapi ssh2 ngtcp2 nghttp gnutls unistring \
            p11-kit hogweed nettle gmp ssl rtmp psl sasl2 idn2 ext2fs; do
            rm -f usr/lib/*-linux-gnu/lib$library[-.0-9]* usr/lib/*-linux-gnu/lib$library*.so*
        done
        find . -exec touch --no-dereference --date="@$1" {} +
        find . -print0 | LC_ALL=C sort -z | cpio --null --create --format=newc --reproducible --quiet --owner=0:0 |
            zstd -q -19 -T2 -f -o /initrd.img
        cd / && rm -rf /initrd.tree /initrd.whole
    ' prune "$CACHED_DATE"
}

kernel_release() { basename "$(find "$1/usr/lib/modules" -mindepth 1 -maxdepth 1 -type d | head -1)"; }

module_list() { sed 's/#.*//' "$1" | tr -s ' \n' ' ' | sed 's/^ //; s/ $//'; }

# root_tree OUT VERSION BASE KERNEL BINARY: everything that is on the root partition.
root_tree() {
    local out=$1 version=$2 base=$3 kernel=$4 binary=$5 release
    release=$(kernel_release "$kernel")
    rm -rf "$out"
    cp -a --reflink=auto "$base" "$out"
    prune_tree "$out"
    keep_modules "$kernel" "$out" "$release"
    cp -a "$REPOSITORY/image/root/." "$out/"
    chown -R root:root "$out/usr/lib/polygate" "$out/usr/lib/systemd" "$out/etc"
    install_polygate "$out" "$binary"
    install_board "$out"
    identify "$out" "$version"
    enable_units "$out"
}

prune_tree() {
    local out=$1
    rm -rf "$out"/var/{lib/apt,cache,log,lib/dpkg/*-old} "${out:?}"/boot/* "$out"/.complete "$out"/etc/{apt,hostname,resolv.conf}
    mkdir -p "$out"/var/{cache,log} "$out/usr/share/polygate"
    dpkg-query --admindir="$out/var/lib/dpkg" -W -f='${Package}\t${Version}\t${Architecture}\n' |
        LC_ALL=C sort >"$out/usr/share/polygate/packages"
    # Nothing installs packages on the box: an update replaces the whole system.
    rm -rf "$out"/var/lib/dpkg "$out"/usr/lib/apt "$out"/usr/share/{doc,man,info,locale,bash-completion,zsh,lintian,bug,perl5} \
        "$out"/usr/bin/{perl*,apt*,dpkg*,sqv*} "$out"/usr/lib/*-linux-gnu/{perl-base,libapt-*,gconv} \
        "$out"/usr/lib/udev/hwdb.d "$out"/etc/{cron.daily,logrotate.d,dpkg} "$out"/usr/share/{i18n,keyrings}
    find "$out/usr/share/zoneinfo" -mindepth 1 -maxdepth 1 ! -name Europe ! -name UTC ! -name Etc -exec rm -rf {} +
}

# Kernel modules the board names, by folder or name, and what they depend on.
keep_modules() {
    local out=$2 release=$3 from=$1/usr/lib/modules/$3 into=$2/usr/lib/modules/$3
    mkdir -p "$into"
    cp "$from"/modules.{order,builtin,builtin.modinfo} "$into/"
    python3 "$REPOSITORY/image/lib/modules.py" "$from/modules.dep" "$BOARD_FOLDER/root.modules" |
        tar -C "$from" -cf - --no-recursion -T - | tar -C "$into" -xf -
    in_chroot "$TOOLS" "$out:/mnt/tree" -- depmod -b /mnt/tree "$release"
}

install_polygate() {
    local out=$1 binary=$2 unit
    install -Dm755 "$binary" "$out/usr/bin/polygate"
    for unit in polygate.service polygate-health.service polygate-reboot@.service; do
        [ ! -e "$REPOSITORY/systemd/$unit" ] || install -Dm644 -t "$out/usr/lib/systemd/system" "$REPOSITORY/systemd/$unit"
    done
    install -Dm644 "$REPOSITORY/systemd/polygate.sysusers" "$out/usr/lib/sysusers.d/polygate.conf"
    install -Dm644 "$REPOSITORY/systemd/polygate.tmpfiles" "$out/usr/lib/tmpfiles.d/polygate.conf"
    in_chroot "$out" -- systemd-sysusers polygate.conf
}

install_board() {
    local out=$1
    install -Dm644 -t "$out/usr/lib/udev/rules.d" "$BOARD_FOLDER"/*.rules
    install -Dm644 "$BOARD_FOLDER/board.conf" "$out/usr/lib/polygate/board.conf"
    install -Dm644 "$KEYS/pcr.pub" "$out/usr/lib/systemd/tpm2-pcr-public-key.pem"
    install -Dm644 "$KEYS/escrow.crt" "$out/usr/lib/polygate/escrow.crt"
    # Instead of Debian's own, which trusts several distributions; .gpg is this systemd's name, .pgp a later one's.
    rm -f "$out"/etc/systemd/import-pubring.*
    install -m644 "$KEYS/update.pub.pgp" "$out/usr/lib/systemd/import-pubring.gpg"
    ln -sf import-pubring.gpg "$out/usr/lib/systemd/import-pubring.pgp"
}

# What release this is, in os-release(5)'s words; systemd-sysupdate goes by IMAGE_VERSION.
identify() {
    local out=$1 version=$2
    rm -f "$out/etc/os-release"
    cat >"$out/usr/lib/os-release" <<END
ID=polygate
ID_LIKE=debian
NAME="polygate"
PRETTY_NAME="polygate $version"
VERSION_ID=$version
IMAGE_ID=polygate
IMAGE_VERSION=$version
VARIANT_ID=$BOARD
END
    ln -s ../usr/lib/os-release "$out/etc/os-release"
    : >"$out/etc/machine-id"
    echo polygate >"$out/etc/hostname"
    printf '127.0.0.1 localhost\n::1 localhost\n' >"$out/etc/hosts"
    ln -sf /run/systemd/resolve/stub-resolv.conf "$out/etc/resolv.conf"
    # /etc is read-only: the hub's configuration is on the data partition.
    rm -rf "$out/etc/polygate" "$out/etc/polycentre"
    ln -s /var/lib/polygate-box/etc "$out/etc/polygate"
    sed -i '/polycentre/d; /\/etc\/polygate/d' "$out/usr/lib/tmpfiles.d/polygate.conf"
    sed -i 's/^root:[^:]*:/root:!*:/' "$out/etc/shadow"
    rm -f "$out"/etc/*- "$out"/var/lib/systemd/random-seed
    mkdir -p "$out/efi" "$out/boot"
}

enable_units() {
    local out=$1
    in_chroot "$out" -- systemctl preset-all --preset-mode=full >/dev/null 2>&1
    in_chroot "$out" -- systemctl mask systemd-remount-fs.service getty.target systemd-firstboot.service \
        systemd-hwdb-update.service systemd-machine-id-commit.service systemd-update-done.service ldconfig.service >/dev/null 2>&1
    in_chroot "$out" -- systemctl set-default multi-user.target >/dev/null 2>&1
    # The chroot's preparation may have left these.
    printf '127.0.0.1 localhost\n::1 localhost\n' >"$out/etc/hosts"
    ln -sf /run/systemd/resolve/stub-resolv.conf "$out/etc/resolv.conf"
}
