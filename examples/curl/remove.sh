#!/bin/sh
# remove.sh file ID | version ID: takes a file with all its versions, or one version, out of the lists.
. "$(dirname "$0")/common.sh"
case ${1:-} in
    file) path="/remove/file?file_id=${2:-}" ;;
    version) path="/remove/fileVersion?file_version_id=${2:-}" ;;
    *) usage 'file ID | version ID' ;;
esac
[ $# -eq 2 ] || usage 'file ID | version ID'
with_session -X DELETE -w '\n%{http_code}' "$url$path" | answer
printf 'removed %s %s\n' "$1" "$2"
