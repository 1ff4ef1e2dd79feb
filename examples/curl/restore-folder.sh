#!/bin/sh
# restore-folder.sh [--as-of TIME] [--device DEVICE] [--below FOLDER] TARGET: brings back every file of a device, as it was
# stored at TIME (anything that date understands, UTC unless it names a zone; default: the newest), into the new folder
# TARGET; with --below only those that were in FOLDER, named as it was when it was sent.
#
# Everything is loaded into TARGET.partial.XXXXXX, checked against its SHA-256 and given its time of change; only then
# that folder becomes TARGET. Names never lead out of it: absolute ones begin at TARGET, C:\a\b becomes C/a/b, a name with
# .. is refused. Exit code 1: some files are missing, and they were named. RBACKUP_JOBS (12) downloads run at once.
. "$(dirname "$0")/common.sh"

usage_text='[--as-of TIME] [--device DEVICE] [--below FOLDER] TARGET'
attempts=4
as_of=9999-12-31T23:59:59
device=$(device)
below=
while [ $# -gt 1 ]; do
    case $1 in
        --as-of) as_of=$(date -u -d "$2" +%Y-%m-%dT%H:%M:%S) || usage "$usage_text" ;;
        --device) device=$2 ;;
        --below) below=$(printf '%s/' "${2%/}" | encode) ;;
        *) usage "$usage_text" ;;
    esac
    shift 2
done
[ $# -eq 1 ] || usage "$usage_text"
case $1 in --help | '') usage "$usage_text" ;; /*) target=${1%/} ;; *) target=$PWD/${1%/} ;; esac
[ -n "$device" ] || die "of which device? name it with --device"
if [ -e "$target" ] && [ -n "$(ls -A -- "$target" 2>/dev/null || echo a file)" ]; then die "$target is there already and not empty"; fi

work_folder
session >"$work/session"
begun=$(date +%s)
mkdir "$work/answers"
for list in wanted failed refused done; do : >"$work/$list"; done

# Lines of version, size, digest, seconds of change, percent-encoded path (or = and base64).
choose() {
    jq -r --arg t "$as_of" '.[] | ([.versions[] | select(.created <= $t)] | last) as $v | select($v)
        | [$v.version, $v.size, $v.hash, ($v.mtime + "Z" | fromdate),
            (if .original_name_b64 then "=" + .original_name_b64 else (.original_name | @uri) end)] | @tsv' "$work/list.json" >"$work/chosen"
}

# Turns names into paths inside the target; names that have none go to $work/refused with the reason.
place() {
    awk -F '\t' -v work="$work" -v below="$below" "$names_awk"'
        function refuse(line, why) { print shown(name[line]) ": " why > (work "/refused") }
        function inside(path,   part, count, i, out) {
            if (path ~ /^[A-Za-z]%3A(%5C|%2F)/) path = substr(path, 1, 1) "%2F" swap(substr(path, 5))
            else if (path ~ /^[A-Za-z]%3A/) { why = "a drive without a folder"; return "" }
            else if (path ~ /^%5C%5C/) path = swap(path)
            count = split(path, part, "%2F")
            out = ""
            for (i = 1; i <= count; i++) {
                if (part[i] == "" || part[i] == ".") continue
                if (part[i] == "..") { why = "leads out of the folder"; return "" }
                if (length(raw(part[i])) > 255) { why = "has a part of more than 255 bytes"; return "" }
                out = out (out == "" ? "" : "%2F") part[i]
            }
            why = out == "" ? "names no file" : length(raw(out)) > 3800 ? "is too long" : ""
            return why == "" ? out : ""
        }
        function swap(path) { gsub(/%5C/, "%2F", path); return path }
        BEGIN { names_begin() }
        {
            name[NR] = $5 ~ /^=/ ? from_base64(substr($5, 2)) : strictly($5)
            if (index(name[NR], below) != 1 && below != "") next
            to[NR] = inside(name[NR]); rest[NR] = $1 "\t" $2 "\t" $3 "\t" $4
            if (to[NR] == "") { refuse(NR, why); next }
            if (to[NR] in taken) { refuse(NR, "has the same place as another file"); to[NR] = ""; next }
            taken[to[NR]] = 1
            for (folder = to[NR]; sub(/%2F([^%]|%[013-9A-F].|%2[0-9A-E])*$/, "", folder) && !(folder in folders); ) folders[folder] = 1
        }
        END {
            for (line = 1; line <= NR; line++) {
                if (to[line] == "") continue
                if (to[line] in folders) { refuse(line, "has the same place as a folder"); continue }
                print rest[line] "\t" to[line] > (work "/wanted")
            }
            for (folder in folders) print folder > (work "/folders")
        }' "$work/chosen"
    cat "$work/refused" >&2
}

cut_into_batches() {
    awk -F '\t' -v work="$work" '
        { if (!out || files >= 400 || bytes > 134217728) { if (out) close(out); out = sprintf("%s/batch.%05d", work, ++batch); files = bytes = 0 }
          print > out; files++; bytes += $2 }' "$work/wanted"
}

# curl's list of downloads, into paths below the current folder.
curl_config() {
    awk -F '\t' -v url="$url" -v work="$work" "$names_awk"'
        BEGIN { names_begin(); getline pass < (work "/session") }
        {
            if (NR > 1) print "next"
            print "globoff\nsilent\nconnect-timeout = 10\nspeed-time = 120\nspeed-limit = 1"
            printf "url = \"%s/download?file_version_id=%s\"\noutput = \"./%s\"\n", url, $1, quoted($5)
            printf "header = \"RBackup-Session-Pass: %s\"\nwrite-out = \"%d %%{http_code} %%{exitcode}\\n\"\n", pass, NR
        }' "$1"
}

load_batch() {
    todo=$1 attempt=1
    while [ -s "$todo" ]; do
        curl_config "$todo" >"$work/curl"
        curl -q --parallel --parallel-max "$jobs" -K "$work/curl" >"$work/results" 2>>"$work/curl.err" || true
        ! grep -q ' 401 ' "$work/results" || die "the session is not accepted: run login.sh again"
        cut -f 5 "$todo" | sed 's/^/.%2F/' | decode | hashes >"$work/digests"
        verify "$todo"
        [ -s "$work/again" ] || break
        mv "$work/again" "$work/todo"
        todo=$work/todo
        attempt=$((attempt + 1))
        if [ $attempt -gt $attempts ]; then give_up; break; fi
        sleep $((attempt * attempt / 2))
    done
}

# Done is what came whole with the digest of the listing. The rest is tried again.
verify() {
    : >"$work/again"
    awk -F '\t' -v work="$work" '
        FILENAME ~ /results$/ { split($0, part, " "); good[part[1]] = part[2] == 200 && part[3] == 0; next }
        FILENAME ~ /digests$/ { digest[$2] = $1; next }
        good[FNR] && digest[".%2F" $5] == $3 { print > (work "/whole"); next }
        { print > (work "/again") }' "$work/results" "$work/digests" "$1"
    [ -e "$work/whole" ] || return 0
    cat "$work/whole" >>"$work/done"
    set_times "$work/whole"
    rm "$work/whole"
}

# Gives files their times of change; those that share one share a call of touch.
set_times() {
    sort -s -t "$(printf '\t')" -k 4,4 "$1" | awk -F '\t' "$names_awk"'
        BEGIN { names_begin(); time = "none" }
        $4 "" != time || count >= 200 { if (NR > 1) print ""; printf "touch -m -d @%s --", $4; time = $4 ""; count = 0 }
        { printf " ./%s", shell($5); count++ }
        END { if (NR) print "" }' >"$work/touch"
    sh "$work/touch"
}

give_up() {
    cut -f 5 "$work/todo" | decode | xargs -0 -r rm -f --
    awk -F '\t' "$names_awk"' BEGIN { names_begin() } { print shown($5) ": version " $1 " did not come whole" }' "$work/todo" | tee -a "$work/failed" >&2
}

count() { wc -l <"$work/$1" | tr -d ' '; }

fetch_list "$device"
choose
place
total=$(count wanted)
mkdir -p -- "$(dirname "$target")"
partial=$(mktemp -d "$target.partial.XXXXXX")
chmod "$(printf '%o' $((0777 & ~0$(umask))))" "$partial"
cd "$partial"
[ ! -e "$work/folders" ] || decode <"$work/folders" | xargs -0 mkdir -p --
cut_into_batches
for batch in "$work"/batch.*; do
    [ -e "$batch" ] || break
    load_batch "$batch"
    rm -f "$batch"
    progress "$(count done) of $total files, $(($(date +%s) - begun)) s"
done
[ ! -t 2 ] || printf '\n' >&2
cd /
[ ! -d "$target" ] || rmdir -- "$target"
mv -T -- "$partial" "$target"
printf '%s files in %s: %s checked, %s failed, %s refused, %s s\n' "$total" "$1" "$(count done)" "$(count failed)" \
    "$(count refused)" "$(($(date +%s) - begun))"
[ "$(count failed)" -eq 0 ] && [ "$(count refused)" -eq 0 ]
