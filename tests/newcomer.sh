#!/usr/bin/env bash
# The first of the README's two commands as it stands, with nothing but a home directory: it builds, says where it listens and what to
# type next, and what it says works: tests/newcomer.sh
set -euo pipefail
cd "$(dirname "$0")/.."
place=$(mktemp -d)
server=
cleanup() { [ -z "$server" ] || kill -- "-$server" 2>/dev/null || true; rm -rf "$place"; }
trap cleanup EXIT
# Only the port and the directory are not the default ones: somebody may use these on this machine.
set -m
RBACKUP_LISTEN=127.0.0.1:0 RBACKUP_DATA=$place/data RBACKUP_STATE_DIR=$place/state cargo run --release --quiet >"$place/out" 2>"$place/err" &
server=$!
set +m
until grep -q listening "$place/out"; do
  kill -0 "$server" 2>/dev/null || { cat "$place/err"; echo "cargo run --release ended"; exit 1; }
  sleep 0.2
done
until line=$(grep -o 'curl .*/account/register .*' "$place/out"); do sleep 0.1; done
cat "$place/out"
eval "$line" --fail-with-body --silent --show-error | jq -e .recovery_code >/dev/null || { echo "what it says to type does not work"; exit 1; }
