#!/bin/sh
# backup-folder.sh FOLDER: sends every regular file below FOLDER that the server does not have as it is now.
#
# A file is unchanged when the server's newest version of it has its size and its time of change; a file that was changed
# within two seconds of being sent is sent once more. What vanishes or changes while it is read is reported and left for
# the next time. Exit code 0: everything that stood still is stored; 1: some files are not, and they were named.
# RBACKUP_JOBS (12) uploads run at once. Links, owners, modes and empty folders are not saved.
. "$(dirname "$0")/common.sh"

attempts=4
[ $# -eq 1 ] && [ -d "${1:-}" ] || usage FOLDER
folder=$(cd -P -- "$1" && pwd -P && printf /.)
folder=${folder%"
"/.}
device=$(device)
[ -n "$device" ] || die "which device is this? run login.sh, or set RBACKUP_DEVICE"
work_folder
session >"$work/session"
printf '%s\n' "$device" >"$work/device"
begun=$(date +%s)
mkdir "$work/answers"
for list in here there failed vanished moved; do : >"$work/$list"; done

# Lines of size, time of change in milliseconds, percent-encoded path.
scan_here() {
    find "$folder" -type f -printf '%s %T@ %p\0' 2>"$work/find.err" | encode | awk '
        {
            one = index($0, "%20"); rest = substr($0, one + 3); two = index(rest, "%20")
            time = substr(rest, 1, two - 1)
            if (time ~ /^-/) { ms = time * 1000; if (int(ms) > ms) ms -= 1; ms = int(ms) }
            else { split(time, part, "."); ms = part[1] * 1000 + substr(part[2] "000", 1, 3) }
            printf "%s\t%.0f\t%s\n", substr($0, 1, one - 1), ms, substr(rest, two + 3)
        }' >"$work/here"
    grep -v -e 'No such file or directory$' "$work/find.err" | while IFS= read -r line; do
        printf '%s\n' "$line" >&2
        printf '%s\n' "$line" >>"$work/failed"
    done
}

# Lines of percent-encoded path (or = and base64), size, seconds of change, and whether it stood still when it was sent.
scan_there() {
    jq -r '.[] | .versions[-1] as $v | ($v.mtime + "Z" | fromdate) as $m | (($v.created + "Z" | fromdate) - $m) as $age
        | [ (if .original_name_b64 then "=" + .original_name_b64 else (.original_name | @uri) end), $v.size, $m,
            (if $age >= 0 and $age <= 2 then 0 else 1 end) ] | @tsv' "$work/list.json" >"$work/there"
}

# What is to be sent, cut into batches of at most 400 files or about 128 MiB: $work/plan.00001, ...
plan() {
    awk -F '\t' -v work="$work" "$names_awk"'
        BEGIN { names_begin(); batch = 0; files = 400 }
        FILENAME ~ /\/there$/ {
            name = $1 ~ /^=/ ? from_base64(substr($1, 2)) : strictly($1)
            if ($4) there[name] = $2 " " $3
            next
        }
        {
            seconds = $2 / 1000; if (int(seconds) > seconds) seconds -= 1; seconds = int(seconds)
            if (($3 in there) && there[$3] == $1 " " seconds) { same++; next }
            if (files >= 400 || bytes > 134217728) { batch++; files = bytes = 0; if (out) close(out); out = sprintf("%s/plan.%05d", work, batch) }
            print > out
            files++; bytes += $1; sent++; total += $1
        }
        END { printf "%d %d %d\n", same, sent, total }' "$work/there" "$work/here" >"$work/counts"
}

hash_batch() {
    cut -f 3 "$1" | decode | hashes >"$1.hashes"
}

# Lines of plan and digest; what has no digest could not be read.
join_batch() {
    awk -F '\t' -v unread="$work/unread" '
        BEGIN { printf "" > unread }
        FILENAME ~ /hashes$/ { digest[$2] = $1; next }
        $3 in digest { print $0 "\t" digest[$3]; next }
        { print $3 > unread }' "$1.hashes" "$1"
    sort_out "$work/unread" "cannot be read"
}

# Names that could not be sent: gone, or there and still not sent.
sort_out() {
    while IFS= read -r name; do
        path=$(printf '%s\n' "$name" | decode | tr '\000' '/') # a path never ends in a slash, so the bytes before it stay
        if [ ${#path} -gt 4096 ]; then report failed "$name" "has a path longer than 4095 bytes"
        elif [ -e "${path%/}" ]; then report failed "$name" "$2"; else report vanished "$name" "vanished"; fi
    done <"$1"
}

report() {
    printf '%s\n' "$2" >>"$work/$1"
    printf '%s: %s\n' "$(printf '%s\n' "$2" | awk "$names_awk"' BEGIN { names_begin() } { print shown($0) }')" "$3" >&2
}

# curl's list of uploads; the answer of line N goes to answers/N.
curl_config() {
    awk -F '\t' -v url="$url" -v work="$work" "$names_awk"'
        BEGIN { names_begin(); getline pass < (work "/session"); getline device < (work "/device"); gsub(/["\\]/, "\\\\&", device) }
        {
            if (NR > 1) print "next"
            print "globoff\nsilent\nconnect-timeout = 10\nspeed-time = 120\nspeed-limit = 1"
            printf "url = \"%s/upload?file_path=%s&size=%s&mtime=%s\"\n", url, $3, $1, $2
            printf "upload-file = \"%s\"\n", quoted($3)
            printf "header = \"RBackup-Session-Pass: %s\"\nheader = \"RBackup-Device: %s\"\n", pass, device
            printf "header = \"RBackup-File-Hash: %s\"\n", $4
            if ($1 < 1048576) print "header = \"Expect:\"" # a small body is sooner sent than announced
            printf "output = \"%s/answers/%d\"\nwrite-out = \"%d %%{http_code}\\n\"\n", work, NR, NR
        }' "$1"
}

send_batch() {
    todo=$1 attempt=1
    while [ -s "$todo" ]; do
        rm -f "$work"/answers/*
        curl_config "$todo" >"$work/curl"
        curl -q --parallel --parallel-max "$jobs" -K "$work/curl" >"$work/results" 2>>"$work/curl.err" || true
        sort_results "$todo"
        [ -s "$work/again" ] || break
        if [ ! -s "$work/progressed" ]; then
            attempt=$((attempt + 1))
            [ $attempt -le $attempts ] || { give_up; break; }
            sleep $((attempt * attempt / 2))
        fi
        mv "$work/again" "$work/todo"
        todo=$work/todo
    done
}

# Sorts a run's results: done, to be sent again, or a problem with its name.
sort_results() {
    awk -F '\t' -v work="$work" '
        FILENAME ~ /results$/ { split($0, part, " "); code[part[1]] = part[2]; next }
        code[FNR] == 200 { sent++; bytes += $1; next }
        code[FNR] ~ /^(|000|408|429|5..)$/ && code[FNR] != 507 { print > (work "/again.new"); next }
        { print FNR "\t" code[FNR] "\t" $3 > (work "/problems.new") }
        END { printf "%d %d\n", sent, bytes >> (work "/sent"); if (sent) print sent > (work "/progressed.new") }' "$work/results" "$1"
    for list in again problems progressed; do
        if [ -e "$work/$list.new" ]; then mv "$work/$list.new" "$work/$list"; else : >"$work/$list"; fi
    done
    vanished_again
    tab=$(printf '\t')
    while IFS=$tab read -r number code name; do
        problem "$number" "$code" "$name"
    done <"$work/problems"
}

# curl ends its whole run at the first file that it cannot open: take that one out, the others are sent again.
vanished_again() {
    : >"$work/unread"
    : >"$work/still"
    cut -f 3 "$work/again" | decode | xargs -0 -r sh -c 'for file; do [ -r "$file" ]; echo $?; done' sh >"$work/readable"
    paste "$work/readable" "$work/again" | awk -F '\t' -v work="$work" '
        $1 == "0" { sub(/^[^\t]*\t/, ""); print > (work "/still"); next }
        NF > 1 { print $4 > (work "/unread") }'
    mv "$work/still" "$work/again"
    sort_out "$work/unread" "cannot be read"
}

problem() {
    said=$(jq -r '.error // empty' "$work/answers/$1" 2>/dev/null || true)
    kind=$(jq -r '.code // empty' "$work/answers/$1" 2>/dev/null || true)
    case "$2 $kind" in
        "412 hash_mismatch" | "400 size_mismatch") report moved "$3" "changed while it was read" ;;
        401*) die "the session is not accepted: run login.sh again" ;;
        "507 quota_reached") die "$said" ;;
        507*) die "the server has no space left" ;;
        *) report failed "$3" "$2 $said" ;;
    esac
}

# What is left after the last attempt: a file that has another size by now has changed, the rest has failed.
give_up() {
    while IFS=$(printf '\t') read -r size _ name _; do
        now=$(printf '%s\n' "$name" | decode | xargs -0 stat -c %s -- 2>/dev/null || true)
        if [ "$now" = "$size" ]; then report failed "$name" "not sent: $(tail -n 1 "$work/curl.err" 2>/dev/null)"
        elif [ -z "$now" ]; then report vanished "$name" "vanished"
        else report moved "$name" "changed while it was read"; fi
    done <"$work/again"
}

count() { wc -l <"$work/$1" | tr -d ' '; }

sent_so_far() {
    awk '{ files += $1; bytes += $2 } END { printf "%d %d\n", files, bytes }' "$work/sent" 2>/dev/null
}

fetch_list "$device"
scan_there
scan_here
plan
read -r same total total_bytes <"$work/counts"
: >"$work/sent"
set -- "$work"/plan.*
[ ! -e "$1" ] || hash_batch "$1"
while [ $# -gt 0 ] && [ -e "$1" ]; do
    batch=$1
    shift
    join_batch "$batch" >"$batch.joined"
    hashing=
    if [ $# -gt 0 ]; then hash_batch "$1" & hashing=$!; fi
    send_batch "$batch.joined"
    [ -z "$hashing" ] || wait "$hashing"
    rm -f "$batch" "$batch.hashes" "$batch.joined"
    read -r files bytes <<EOF
$(sent_so_far)
EOF
    progress "$files of $total files, $(megabytes "$bytes") of $(megabytes "$total_bytes"), $(($(date +%s) - begun)) s"
done
read -r files bytes <<EOF
$(sent_so_far)
EOF
[ ! -t 2 ] || printf '\n' >&2
printf '%s files: %s sent (%s), %s unchanged, %s vanished, %s changed while read, %s failed, %s s\n' "$(count here)" "$files" \
    "$(megabytes "$bytes")" "$same" "$(count vanished)" "$(count moved)" "$(count failed)" "$(($(date +%s) - begun))"
[ "$(count failed)" -eq 0 ]
