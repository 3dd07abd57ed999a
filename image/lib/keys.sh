# shellcheck shell=bash
# The keys that sign what the box boots and installs. Development keys are made here; production keys come from outside.

# KEYS holds, or is given: secure-boot.{key,crt} (PK, KEK and db), pcr.{key,pub} (signs PCR 11), update/ (a GnuPG home that
# signs SHA256SUMS) with update.pub.pgp, escrow.{key,crt} (recovery keys are encrypted to it; its key is needed nowhere).
prepare_keys() {
    if [ -n "${POLYGATE_IMAGE_KEYS:-}" ]; then
        KEYS=$POLYGATE_IMAGE_KEYS
        [ -r "$KEYS/secure-boot.key" ] || fail "$KEYS holds no secure-boot.key"
        return
    fi
    KEYS=$CACHE/development-keys
    [ ! -e "$KEYS/.complete" ] || return 0
    say "making development keys: nothing signed with them belongs into a polyclinic"
    rm -rf "$KEYS"
    (umask 077 && mkdir -p "$KEYS/update" && make_development_keys)
    touch "$KEYS/.complete"
}

make_development_keys() {
    local name
    for name in secure-boot escrow; do
        openssl req -x509 -newkey rsa:3072 -nodes -days 7300 -subj "/CN=polygate development $name/" \
            -keyout "$KEYS/$name.key" -out "$KEYS/$name.crt" 2>/dev/null
    done
    openssl genrsa -out "$KEYS/pcr.key" 2048 2>/dev/null
    openssl rsa -in "$KEYS/pcr.key" -pubout -out "$KEYS/pcr.pub" 2>/dev/null
    # Older than whatever it signs: signatures hold their source's time, and one older than its key is refused.
    signing_gpg --faked-system-time 20260101T000000! --quick-gen-key 'polygate development updates' rsa3072 sign never
    signing_gpg --export >"$KEYS/update.pub.pgp"
}

signing_gpg() {
    in_chroot "$TOOLS" "$KEYS/update:/mnt/gpg" -- gpg --homedir /mnt/gpg --batch --quiet --passphrase '' "$@" 2>>"$CACHE/gpg.log"
}

# When SHA256SUMS are said to be signed, in seconds: the image's own time, and never before the key was made.
update_signing_time() {
    local made
    made=$(in_chroot "$TOOLS" "$KEYS/update:/mnt/gpg" -- gpg --homedir /mnt/gpg --batch --quiet --with-colons --list-secret-keys 2>>"$CACHE/gpg.log" |
        awk -F: '$1 == "sec" { print $6; exit }')
    echo $((SOURCE_DATE_EPOCH > ${made:-0} ? SOURCE_DATE_EPOCH : made))
}
