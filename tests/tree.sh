#!/usr/bin/env bash
# A real tree through the scripts that people copy: tests/tree.sh PATH-OF-RBACKUP
# At least 20 000 files and 1 GB from this system are sent with examples/curl/backup-folder.sh, some are changed and sent again, the
# same tree comes from a second device, the server is killed and started again, and restore-folder.sh brings back one folder as it
# was before the change, and all of it as it is now.
set -euo pipefail
cd "$(dirname "$0")/.."
binary=$1
scripts=$PWD/examples/curl
home=$(mktemp -d)
server=
cleanup() { [ -n "$server" ] && kill -9 "$server" 2>/dev/null || true; rm -rf "$home"; }
trap cleanup EXIT
fail() { echo "tree: $*"; tail -n 5 "$home/err"; exit 1; }
say() { printf '%4d s  %s\n' $SECONDS "$*"; }

export RBACKUP_STATE_DIR=$home/state
tree=$home/tree
mkdir -p "$tree" "$home/kept"
take() {
  mkdir -p "$tree$(dirname "$1")"
  cp -a "${1%/}" "$tree$(dirname "$1")/"
}
# Lines of bytes, files and name of the folders in /usr/lib and /usr/share.
parts() {
  find /usr/lib /usr/share -mindepth 3 -type f -printf '%s %H/%P\n' | awk -F '[ /]' '
    { part = "/usr/" $4 "/" $5; files[part]++; bytes[part] += $1 }
    END { for (part in files) if (part !~ /[[:space:]]/) print bytes[part], files[part], part }'
}
# First those with the most files for their size, until there are files enough, then the largest that fit: the tree is hardly
# larger than it is meant to be, and more than one kind of files.
parts >"$home/parts"
{ awk '{ printf "%.9f many %s\n", $2 / ($1 + 1), $0 }' "$home/parts" | sort -rg; sed 's/^/- large /' "$home/parts" | sort -k 3,3rn; } | awk '
  $5 in taken { next }
  $2 == "many" && (files >= 19000 || $4 > 4000 || $3 > 200000000) { next }
  $2 == "large" && (bytes >= 1000000000 || bytes + $3 > 1030000000) { next }
  { taken[$5] = 1; files += $4; bytes += $3; print $5 }' >"$home/taken"
while IFS= read -r part; do take "$part"; done <"$home/taken"
# A small system offers less: random files make up for what is missing.
mkdir "$tree/made"
missing=$((1000000000 - $(find "$tree" -type f -printf '%s\n' | awk '{ sum += $1 } END { printf "%.0f", sum }')))
[ "$missing" -le 0 ] || head -c "$missing" /dev/urandom | split -b 40M - "$tree/made/large"
missing=$((20000 - $(find "$tree" -type f | wc -l)))
[ "$missing" -le 0 ] || head -c $((missing * 3000)) /dev/urandom | split -a 4 -b 3000 - "$tree/made/small"
files=$(find "$tree" -type f | wc -l)
bytes=$(find "$tree" -type f -printf '%s\n' | awk '{ sum += $1 } END { printf "%.0f", sum }')
[ "$files" -ge 20000 ] && [ "$bytes" -ge 1000000000 ] || fail "this system has only $files files and $bytes bytes to offer"
# The folder that is changed, with names that no system has.
work=$tree/work
mkdir "$work"
for number in $(seq 200); do head -c $((number * 500)) /dev/urandom >"$work/$number"; done
printf 'x' >"$work/new"$'\n'"line, % and + and \"quotes\""
printf 'x' >"$work/"$'\377'" is not UTF-8"
say "$files files, $((bytes / 1000000)) MB"

start() {
  : >"$home/out"
  "$binary" serve --listen 127.0.0.1:0 --data "$home/data" >"$home/out" 2>>"$home/err" &
  server=$!
  for _ in $(seq 600); do [ -s "$home/out" ] && break; sleep 0.1; done
  RBACKUP_URL=$(sed -n '1s/.*listening on \([^ ]*\) .*/\1/p' "$home/out")
  [ -n "$RBACKUP_URL" ] || fail "the server did not start"
  export RBACKUP_URL
}
sign_in() {
  export RBACKUP_SESSION_FILE=$home/kept/$1
  RBACKUP_PASSWORD=long-enough "$scripts/login.sh" ann "$1" >/dev/null
}
send() {
  "$scripts/backup-folder.sh" "$tree" >"$home/kept/sent" 2>&1 || { tail -n 5 "$home/kept/sent"; fail "$1: a backup failed"; }
  say "$1: $(tail -n 1 "$home/kept/sent")"
}
restore() {
  "$scripts/restore-folder.sh" "$@" "$home/restored" >"$home/kept/restored" 2>&1 || { tail -n 5 "$home/kept/restored"; fail "restoring failed"; }
}
stored() { du -sb "$home/data/$1" | cut -f1; }
listed() { "$scripts/list.sh" --json | jq '[.[].versions | length] | add'; }
names() { (cd "$1" && find . -type f -print0 | LC_ALL=C sort -z); }
# Whether two folders hold the same regular files, byte for byte; links and empty folders are not saved.
same() {
  cmp -s <(names "$1") <(names "$2") && [ -z "$(diff -rq --no-dereference "$1" "$2" 2>&1 | grep -v '^Only in ')" ]
}

start
RBACKUP_PASSWORD=long-enough "$scripts/register.sh" ann >/dev/null
sign_in laptop
send "sent"
say "volumes $(($(stored volumes) / 1000000)) MB, catalog $(($(stored catalog) / 1000)) kB"
first=$(listed)
[ "$first" -ge "$files" ] || fail "$first versions of $files files"
cp -a "$work" "$home/work-before"
sleep 1.1
before=$(date -u +%Y-%m-%dT%H:%M:%S)
sleep 1.1

for number in $(seq 4 4 200); do echo changed >>"$work/$number"; done
send "sent what changed"
second=$(listed)
[ $((second - first)) -ge 50 ] && [ $((second - first)) -lt 1000 ] || fail "$((second - first)) versions were added for 50 changes"

had=$(stored volumes)
sign_in desktop
send "the same from a second device"
grown=$(($(stored volumes) - had))
say "volumes grew by $grown bytes, $((grown / files)) a version"
[ $((grown / files)) -le 1500 ] || fail "known data cost $((grown / files)) bytes a version"

total=$(listed)
kill -9 "$server"; wait "$server" 2>/dev/null || true
start
[ "$(listed)" = "$total" ] || fail "versions are missing after kill -9"
say "kill -9 and start again: all $total versions are listed"

export RBACKUP_SESSION_FILE=$home/kept/laptop
restore --as-of "$before" --below "$work"
same "$home/work-before" "$home/restored$work" || fail "the old state of a folder came back different"
[ "$(names "$home/restored" | tr -dc '\0' | wc -c)" = "$(names "$work" | tr -dc '\0' | wc -c)" ] || fail "more than that folder came back"
same "$work" "$home/restored$work" && fail "planted: the changed folder is taken for the old one"
rm -rf "$home/restored"
say "restored one folder as of $before: the same"
sign_in desktop
restore
same "$tree" "$home/restored$tree" || fail "the new state came back different"
say "restored the newest: all $((files + 202)) files are the same"

"$scripts/remove.sh" version "$("$scripts/list.sh" | awk 'NR == 1 { print $1 }')" >/dev/null
[ "$(listed)" = $((total - 1)) ] || fail "removing a version changed $((total - $(listed))) versions"
kill -TERM "$server"; wait "$server" || fail "the server did not end with 0"
server=
"$binary" check --data "$home/data" | tail -n 1
say "one removed, stopped, checked"
