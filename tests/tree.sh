#!/usr/bin/env bash
# A real tree through the scripts that people copy: tests/tree.sh PATH-OF-RBACKUP
# At least 20 000 files and 1 GB from this system are sent with examples/curl/backup-folder.sh, some are changed and sent again, the
# same tree comes from a second device, the server is killed and started again, and restore-folder.sh brings both states back.
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
largest() { du -s "$1"/*/ | sort -rn | awk '$1 < 700000 { print $2 }'; }
for part in $(largest /usr/lib); do
  [ "$(du -sb "$tree" | cut -f1)" -ge 1000000000 ] && break
  take "$part"
done
for part in $(largest /usr/share); do
  [ "$(find "$tree" -type f | wc -l)" -ge 20500 ] && break
  take "$part"
done
# A small system offers less: random files make up for what is missing.
mkdir "$tree/made"
missing=$((1000000000 - $(find "$tree" -type f -printf '%s\n' | awk '{ sum += $1 } END { printf "%.0f", sum }')))
[ "$missing" -le 0 ] || head -c "$missing" /dev/urandom | split -b 40M - "$tree/made/large"
missing=$((20000 - $(find "$tree" -type f | wc -l)))
[ "$missing" -le 0 ] || head -c $((missing * 3000)) /dev/urandom | split -a 4 -b 3000 - "$tree/made/small"
files=$(find "$tree" -type f | wc -l)
bytes=$(find "$tree" -type f -printf '%s\n' | awk '{ sum += $1 } END { printf "%.0f", sum }')
[ "$files" -ge 20000 ] && [ "$bytes" -ge 1000000000 ] || fail "this system has only $files files and $bytes bytes to offer"
printf 'x' >"$tree/new"$'\n'"line, % and + and \"quotes\""
say "$files files, $((bytes / 1000000)) MB"

start() {
  : >"$home/out"
  "$binary" serve --listen 127.0.0.1:0 --data "$home/data" >"$home/out" 2>>"$home/err" &
  server=$!
  for _ in $(seq 200); do [ -s "$home/out" ] && break; sleep 0.1; done
  RBACKUP_URL=$(sed -n '1s/.*listening on \([^ ]*\) .*/\1/p' "$home/out")
  [ -n "$RBACKUP_URL" ] || fail "the server did not start"
  export RBACKUP_URL
}
sign_in() {
  export RBACKUP_SESSION_FILE=$home/kept/$1
  RBACKUP_PASSWORD=long-enough "$scripts/login.sh" ann "$1" >/dev/null
}
stored() { du -sb "$home/data/$1" | cut -f1; }
listed() { "$scripts/list.sh" --json | jq '[.[].versions | length] | add'; }
# The names and SHA-256 of all regular files below a folder, in one order.
sums() { (cd "$1" && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum); }

start
RBACKUP_PASSWORD=long-enough "$scripts/register.sh" ann >/dev/null
sign_in laptop
"$scripts/backup-folder.sh" "$tree" >"$home/kept/first" 2>&1 || { tail -n 5 "$home/kept/first"; fail "the first backup failed"; }
say "sent: $(tail -n 1 "$home/kept/first")"
say "volumes $(($(stored volumes) / 1000000)) MB, catalog $(($(stored catalog) / 1000)) kB"
first=$(listed)
[ "$first" -ge "$files" ] || fail "$first versions of $files files"
sums "$tree" >"$home/kept/sums-before"
sleep 1.1
before=$(date -u +%Y-%m-%dT%H:%M:%S)
sleep 1.1

changed=$(find "$tree/usr/lib" -type f -size -100k | awk 'NR <= 50')
printf '%s\n' "$changed" | while IFS= read -r file; do echo changed >>"$file"; done
"$scripts/backup-folder.sh" "$tree" >"$home/kept/second" 2>&1 || { tail -n 5 "$home/kept/second"; fail "the second backup failed"; }
say "sent what changed: $(tail -n 1 "$home/kept/second")"
second=$(listed)
[ $((second - first)) -ge 50 ] && [ $((second - first)) -lt 1000 ] || fail "$((second - first)) versions were added for 50 changes"

had=$(stored volumes)
sign_in desktop
"$scripts/backup-folder.sh" "$tree" >"$home/kept/third" 2>&1 || { tail -n 5 "$home/kept/third"; fail "the second device's backup failed"; }
grown=$(($(stored volumes) - had))
say "the same from a second device: $(tail -n 1 "$home/kept/third")"
say "volumes grew by $grown bytes, $((grown / files)) a version"
[ $((grown / files)) -le 1500 ] || fail "known data cost $((grown / files)) bytes a version"

total=$(listed)
kill -9 "$server"; wait "$server" 2>/dev/null || true
start
[ "$(listed)" = "$total" ] || fail "versions are missing after kill -9"
say "kill -9 and start again: all $total versions are listed"

export RBACKUP_SESSION_FILE=$home/kept/laptop
"$scripts/restore-folder.sh" --as-of "$before" "$home/restored" >"$home/kept/restore" 2>&1 || { tail -n 5 "$home/kept/restore"; fail "restoring failed"; }
sums "$home/restored$tree" >"$home/kept/sums-restored"
cmp "$home/kept/sums-before" "$home/kept/sums-restored" || fail "the old state came back different"
rm -rf "$home/restored"
say "restored as of $before: $files files are the same"
sign_in desktop
"$scripts/restore-folder.sh" "$home/restored" >"$home/kept/restore" 2>&1 || { tail -n 5 "$home/kept/restore"; fail "restoring failed"; }
sums "$home/restored$tree" >"$home/kept/sums-restored"
sums "$tree" >"$home/kept/sums-now"
cmp "$home/kept/sums-now" "$home/kept/sums-restored" || fail "the new state came back different"
say "restored the newest: the same"

"$scripts/remove.sh" version "$("$scripts/list.sh" | awk 'NR == 1 { print $1 }')" >/dev/null
[ "$(listed)" = $((total - 1)) ] || fail "removing a version changed $((total - $(listed))) versions"
kill -TERM "$server"; wait "$server" || fail "the server did not end with 0"
server=
"$binary" check --data "$home/data" | tail -n 1
say "one removed, stopped, checked"
