# shellcheck shell=bash
# shellcheck disable=SC2034 # used by those who read this in
# What the box's scripts share: its state, its voice, and the boot loader's count.

STATE=/var/lib/polygate-box
NOTES=/boot/polygate
STICK=/dev/polygate/stick
EFI_VARIABLES=/sys/firmware/efi/efivars
LOADER=4a67b082-0a4c-41cf-b6c7-440b29bb8c4f
# shellcheck source=/dev/null
. /usr/lib/os-release

say() { printf 'polygate-box: %s\n' "$*"; }

# Whether the boot loader still counts this version's boots: it has not proven itself.
on_trial() { [ -e "$EFI_VARIABLES/LoaderBootCountPath-$LOADER" ]; }

# note KIND WORDS…: one line on the EFI partition, which every version reads, whatever happened to the data.
note() {
    local kind=$1
    shift
    mkdir -p "$NOTES" 2>/dev/null || return 0
    printf '%s %s %s %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$IMAGE_VERSION" "$kind" "$*" >>"$NOTES/notes.new"
    # The newest hundred: the partition is small, and nobody reads more.
    tail -n 100 "$NOTES/notes.new" >"$NOTES/notes.short" && mv "$NOTES/notes.short" "$NOTES/notes.new"
    sync -f "$NOTES" 2>/dev/null || true
}

# led off|on|timer|heartbeat: the board's status LED, where there is one.
led() {
    local name
    # shellcheck source=board/generic-x86_64/board.conf
    name=$(. /usr/lib/polygate/board.conf && echo "${BOARD_STATUS_LED:-}")
    [ -z "$name" ] || echo "$1" 2>/dev/null >"/sys/class/leds/$name/trigger" || true
}
