#!/bin/sh
# token.sh NAME SCOPES: makes a token for this device, for cron jobs that outlive a session, and prints it. SCOPES is any of append,
# read, restore, delete, admin, with commas between them. It is shown this once.
. "$(dirname "$0")/common.sh"
[ $# -eq 2 ] || usage NAME SCOPES
device=$(device)
reply=$(with_session -w '\n%{http_code}' --data-urlencode "name=$1" --data-urlencode "scopes=$2" \
    ${device:+--data-urlencode "device_id=$device"} "$url/api/v1/tokens" | answer) || exit 1
printf '%s' "$reply" | jq -er .token
