#!/usr/bin/env bash
# Builds the one static binary as README.md documents it and tries it where nothing else is: tests/static.sh PATH-OF-RESULT
# It must be static, below 20 MB, and serve from an empty chroot without /proc.
set -euo pipefail
cd "$(dirname "$0")/.."
binary=$1
triple=$(rustc -vV | sed -n 's/^host: //p')
RUSTFLAGS='-C target-feature=+crt-static' cargo build --quiet --release --target "$triple"

is_static() { ldd "$1" 2>&1 | grep -qE 'statically linked|not a dynamic executable'; }
is_static "$binary" || { echo "ldd does not call $binary static"; exit 1; }
if is_static "$(command -v bash)"; then echo "the check for static binaries cannot fail"; exit 1; fi
bytes=$(stat -c %s "$binary")
[ "$bytes" -lt 20000000 ] || { echo "$bytes bytes are not below 20 MB"; exit 1; }

home=$(mktemp -d)
server=
cleanup() { [ -n "$server" ] && kill -9 "$server" 2>/dev/null || true; rm -rf "$home"; }
trap cleanup EXIT
mkdir -p "$home/jail/data"
cp "$binary" "$home/jail/rbackup"
RBACKUP_STATE_DIR=/state chroot "$home/jail" /rbackup serve --listen 127.0.0.1:0 --data /data >"$home/out" 2>"$home/err" &
server=$!
for _ in $(seq 100); do [ -s "$home/out" ] && break; sleep 0.1; done
url=$(sed -n '1s/.*listening on \([^ ]*\) .*/\1/p' "$home/out")
[ -n "$url" ] || { cat "$home/err"; exit 1; }
curl -sSf "$url/account/register" -d username=ann -d password=long-enough >/dev/null
session=$(curl -sSf "$url/account/login" -d username=ann -d device_id=laptop -d password=long-enough | jq -r .session_id)
curl -sSf -T "$binary" -H "RBackup-Session-Pass: $session" "$url/upload?file_path=/rbackup" >"$home/file.json"
version=$(jq '.versions[0].version' "$home/file.json")
curl -sSf -H "RBackup-Session-Pass: $session" "$url/download?file_version_id=$version" | cmp - "$binary"
kill -TERM "$server"
wait "$server" || { echo "the server did not end with 0"; cat "$home/err"; exit 1; }
server=
echo "static, $bytes bytes, serves from an empty chroot without /proc"
