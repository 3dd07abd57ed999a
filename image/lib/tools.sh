# shellcheck shell=bash
# The tools chroot: a Debian 13 with everything that builds the image and boots it, whatever this machine runs itself.

# Where the chroot of tools is; made if there is none of this list of packages yet.
tools_chroot() {
    local list=$REPOSITORY/image/packages.tools root
    root=$CACHE/tools-$(cache_key "$(packages "$list")")
    if [ ! -e "$root/.complete" ]; then
        say "making the tools chroot"
        debian_tree "$root" "$(packages "$list")" >"$CACHE/tools.log" 2>&1
        touch "$root/.complete"
    fi
    echo "$root"
}

# debian_tree ROOT PACKAGES [MMDEBSTRAP'S OPTIONS…]: a minimal Debian with those packages and no documentation.
debian_tree() {
    local root=$1 packages=$2
    shift 2
    command -v mmdebstrap >/dev/null || fail "mmdebstrap is not installed"
    rm -rf "$root"
    mkdir -p "$(dirname "$root")"
    SOURCE_DATE_EPOCH=$CACHED_DATE mmdebstrap --variant=minbase --skip=check/empty --aptopt='Apt::Install-Recommends "false"' \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
        --include="$packages" "$@" "$SUITE" "$root" "$(mirror)"
}
