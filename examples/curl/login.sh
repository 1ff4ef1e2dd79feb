#!/bin/sh
# login.sh NAME DEVICE: signs this device in and keeps the session in a file that only you can read. An older session of
# the same device ends.
. "$(dirname "$0")/common.sh"
[ $# -eq 2 ] || usage NAME DEVICE
reply=$(password | curl -q -sS -w '\n%{http_code}' --data-urlencode "username=$1" --data-urlencode "device_id=$2" \
    --data-urlencode password@- "$url/account/login" | answer) || exit 1
umask 077
mkdir -p "$(dirname "$session_file")"
new=$session_file.$$
{ printf '%s' "$reply" | jq -er .session_id; printf '%s\n' "$2"; } >"$new"
mv "$new" "$session_file"
printf 'signed in as %s on %s, session in %s\n' "$1" "$2" "$session_file"
