# What the scripts in this folder share. Sourced, never run.
#
# Promises: a session id, a password or a recovery code never stands in a command line, where other users of this machine
# could read it; names are handled as bytes, whatever they contain. Needs a POSIX shell, curl 7.75 or later, jq, and GNU
# findutils and coreutils.

set -eu
LC_ALL=C TZ=UTC
export LC_ALL TZ

url=${RBACKUP_URL:-http://127.0.0.1:3369}
url=${url%/}
session_file=${RBACKUP_SESSION_FILE:-${XDG_CONFIG_HOME:-$HOME/.config}/rbackup/session}
# So many small files share one sync of the server.
jobs=${RBACKUP_JOBS:-12}

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

usage() {
    printf 'usage: %s %s\n' "${0##*/}" "$*" >&2
    exit 2
}

# The session id: RBACKUP_SESSION, or the first line of the session file that login.sh wrote.
session() {
    if [ -n "${RBACKUP_SESSION:-}" ]; then
        printf '%s\n' "$RBACKUP_SESSION"
    elif [ -r "$session_file" ]; then
        head -n 1 "$session_file"
    else
        die "no session: run login.sh first, or set RBACKUP_SESSION or RBACKUP_SESSION_FILE"
    fi
}

# The session's device: RBACKUP_DEVICE, or the second line of the session file.
device() {
    if [ -n "${RBACKUP_DEVICE:-}" ]; then
        printf '%s\n' "$RBACKUP_DEVICE"
    elif [ -z "${RBACKUP_SESSION:-}" ] && [ -r "$session_file" ]; then
        sed -n 2p "$session_file"
    fi
}

# A password: RBACKUP_PASSWORD, or typed without being shown.
password() {
    if [ -n "${RBACKUP_PASSWORD:-}" ]; then
        printf '%s' "$RBACKUP_PASSWORD"
        return
    fi
    printf 'Password: ' >&2
    old=$(stty -g 2>/dev/null) || old=
    [ -z "$old" ] || stty -echo
    IFS= read -r typed || true
    [ -z "$old" ] || stty "$old"
    printf '\n' >&2
    printf '%s' "$typed"
}

# curl with the session in its configuration, which it reads from standard input.
with_session() {
    id=$(session)
    printf 'header = "RBackup-Session-Pass: %s"\n' "$id" | curl -q -sS -K - "$@"
}

# Shows what came back and fails when it was an error. The status is in the last line.
answer() {
    body=$(cat)
    status=${body##*"
"}
    body=${body%"
"*}
    case $status in
        2??) [ -z "$body" ] || printf '%s\n' "$body" ;;
        *) die "$status $(printf '%s' "$body" | jq -r '.error // empty' 2>/dev/null || true)" ;;
    esac
}

# Percent-encodes the bytes of standard input; a NUL becomes the end of a line. One process for any number of names.
encode() {
    od -An -v -tx1 | awk '
        BEGIN {
            digits = "0123456789abcdef"
            for (n = 0; n < 256; n++) {
                key = substr(digits, int(n / 16) + 1, 1) substr(digits, n % 16 + 1, 1)
                byte = sprintf("%c", n)
                to[key] = n > 0 && byte ~ /^[A-Za-z0-9_.~-]$/ ? byte : "%" toupper(key)
            }
            to["00"] = "\n"
        }
        { line = ""; for (i = 1; i <= NF; i++) line = line to[$i]; printf "%s", line }'
}

# awk functions: raw(name) gives the bytes of a percent-encoded name; quoted(name) gives them for a curl configuration;
# shell(name) for a shell; shown(name) for a terminal; from_base64(text) percent-encodes what base64 holds;
# strictly(name) makes jq's encoding the same as ours.
names_awk='
    function names_begin(   n, key, byte, digits) {
        digits = "0123456789ABCDEF"
        for (n = 1; n < 256; n++) {
            key = substr(digits, int(n / 16) + 1, 1) substr(digits, n % 16 + 1, 1)
            byte = sprintf("%c", n)
            in_raw[key] = in_curl[key] = in_shell[key] = byte
            in_base64[n] = byte ~ /^[A-Za-z0-9_.~-]$/ ? byte : "%" key
            in_text[key] = n >= 32 && n < 127 ? byte : "%" key
        }
        in_curl["22"] = "\\\""; in_curl["5C"] = "\\\\"; in_curl["0A"] = "\\n"; in_curl["0D"] = "\\r"
        in_curl["09"] = "\\t"; in_curl["0B"] = "\\v"; in_shell["27"] = "\047\\\047\047"
        six = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    }
    function changed(name, table,   parts, count, i, out) {
        count = split(name, parts, "%")
        out = parts[1]
        for (i = 2; i <= count; i++) out = out table[substr(parts[i], 1, 2)] substr(parts[i], 3)
        return out
    }
    function strictly(name) { # jq 1.6 leaves these five as they are, later ones do not
        gsub(/!/, "%21", name); gsub(/\047/, "%27", name); gsub(/\(/, "%28", name); gsub(/\)/, "%29", name); gsub(/\*/, "%2A", name)
        return name
    }
    function raw(name) { return changed(name, in_raw) }
    function quoted(name) { return changed(name, in_curl) }
    function shell(name) { return "\047" changed(name, in_shell) "\047" }
    function shown(name) { return changed(name, in_text) }
    function from_base64(text,   i, bits, held, value, out) {
        bits = held = 0
        for (i = 1; i <= length(text); i++) {
            value = index(six, substr(text, i, 1)) - 1
            if (value < 0) break
            held = held * 64 + value; bits += 6
            if (bits >= 8) {
                bits -= 8
                value = int(held / 2 ^ bits)
                out = out in_base64[value]
                held -= value * 2 ^ bits
            }
        }
        return out
    }'

# Percent-encoded names, one to a line, as NUL-terminated bytes.
decode() {
    awk "$names_awk"' BEGIN { names_begin() } { printf "%s%c", raw($0), 0 }'
}

# The SHA-256 of NUL-terminated paths, as lines of digest, tab, percent-encoded path. What cannot be read has no line.
hashes() {
    rm -f "$work"/sums.*
    xargs -0 -r -n 64 -P "$jobs" sh -c 'exec sha256sum -z -- "$@" >>"$0.$$"' "$work/sums" 2>/dev/null || true
    cat "$work"/sums.* 2>/dev/null | encode | sed 's/%20%20/	/'
}

# A private folder that goes with the script.
work_folder() {
    work=$(mktemp -d "${TMPDIR:-/tmp}/rbackup.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
}

# The listing of a device into $work/list.json.
fetch_list() {
    encoded=$(printf '%s' "$1" | encode)
    status=$(with_session -o "$work/list.json" -w '%{http_code}' "$url/list/files?device_id=$encoded") \
        || die "no answer from $url"
    case $status in
        200) ;;
        401) die "the session is not accepted: run login.sh again" ;;
        *) die "the listing was refused: $status $(jq -r '.error // empty' "$work/list.json" 2>/dev/null || true)" ;;
    esac
}

# One line that is written over while standard error is a terminal.
progress() {
    if [ -t 2 ]; then printf '\r%s\033[K' "$*" >&2; else printf '%s\n' "$*" >&2; fi
}

megabytes() {
    awk -v bytes="$1" 'BEGIN { printf "%.1f MB", bytes / 1000000 }'
}
