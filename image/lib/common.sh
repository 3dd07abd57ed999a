# shellcheck shell=bash
# shellcheck disable=SC2034 # used by those who read this in
# What every step of building the image shares: where things are, Debian's mirror, and running programs in a chroot.

# Failures inside `$(…)` count too.
shopt -s inherit_errexit

REPOSITORY=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# Chroots and packages are kept here between builds; nothing in it needs saving.
CACHE=${POLYGATE_IMAGE_CACHE:-$REPOSITORY/target/image-cache}
SUITE=trixie
# What is cached serves many commits, so it has a date of its own: 1 January 2026.
CACHED_DATE=1767225600

say() { printf 'image: %s\n' "$*" >&2; }

fail() {
    say "$*"
    exit 1
}

need_root() { [ "$(id -u)" = 0 ] || fail "building the image needs root, for chroots"; }

# The commit's time: what makes two builds of one commit alike.
source_date() {
    if [ -n "${SOURCE_DATE_EPOCH:-}" ]; then
        echo "$SOURCE_DATE_EPOCH"
    else
        git -C "$REPOSITORY" log -1 --format=%ct 2>/dev/null || echo "$CACHED_DATE"
    fi
}

# The mirror this machine uses for Debian's main archive, so that builds go where the machine may go.
mirror() {
    if [ -n "${POLYGATE_IMAGE_MIRROR:-}" ]; then
        echo "$POLYGATE_IMAGE_MIRROR"
        return
    fi
    local found
    found=$(grep -rhoE 'https?://[^ ]+/debian/?([ ]|$)' /etc/apt/sources.list /etc/apt/sources.list.d 2>/dev/null |
        tr -d ' ' | head -1 || true)
    [ -n "$found" ] || fail "no mirror of Debian in this machine's sources: set POLYGATE_IMAGE_MIRROR"
    echo "$found"
}

# A folder's name that changes with everything given: caches are never stale, only unused.
cache_key() { printf '%s\n' "$@" | sha256sum | cut -c1-16; }

# in_chroot ROOT [BIND…] -- COMMAND…: runs COMMAND in ROOT with /proc, /dev and /sys, and each BIND (`HERE:THERE`) mounted.
# All mounts are made in a namespace of their own and end with the command, however it ends.
in_chroot() {
    local root=$1 binds=()
    shift
    while [ "$1" != -- ]; do
        binds+=("$1")
        shift
    done
    shift
    # shellcheck disable=SC2016 # expanded inside
    unshare --mount --pid --fork --kill-child --propagation private bash -euc '
        root=$1 count=$2; shift 2
        mount --bind "$root" "$root"
        mount -t proc proc "$root/proc"
        mount --rbind /dev "$root/dev"
        # Programs name shared memory after their process ids, which are those of this namespace.
        mount -t tmpfs tmpfs "$root/dev/shm"
        mount --rbind /sys "$root/sys"
        for ((i = 0; i < count; i++)); do
            mkdir -p "$root/${1#*:}"
            mount --bind "${1%%:*}" "$root/${1#*:}"
            shift
        done
        [ ! -e "$root/etc/apt" ] || cp -L --remove-destination /etc/resolv.conf /etc/hosts "$root/etc/"
        exec chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
            DEBIAN_FRONTEND=noninteractive SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-}" "$@"
    ' in_chroot "$root" "${#binds[@]}" "${binds[@]}" "$@"
}

# The packages of a list: one a line, `#` begins a remark.
packages() { sed 's/#.*//' "$@" | tr -s ' \n' ',' | sed 's/^,//; s/,$//'; }
