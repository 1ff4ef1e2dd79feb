#!/bin/sh
# list.sh [DEVICE]: one line for each version: its id, when it came, its size, its device and its name. --json: as the server says it.
. "$(dirname "$0")/common.sh"
format='.[] | . as $f | .versions[] | [.version, .created, .size, $f.device_id, ($f.original_name | gsub("[\u0000-\u001f\u007f-\u009f]"; "?"))] | @tsv'
[ "${1:-}" != --json ] || { format=.; shift; }
[ $# -le 1 ] || usage '[--json] [DEVICE]'
query=
[ $# -eq 0 ] || query="?device_id=$(printf '%s' "$1" | encode)"
reply=$(with_session -w '\n%{http_code}' "$url/list/files$query" | answer)
printf '%s\n' "$reply" | jq -r "$format"
