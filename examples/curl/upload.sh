#!/bin/sh
# upload.sh FILE [PATH]: sends one file, under its own absolute path unless another one is given. Prints the file as JSON.
. "$(dirname "$0")/common.sh"
{ [ $# -eq 1 ] || [ $# -eq 2 ]; } && [ -f "${1:-}" ] || usage 'FILE [PATH]'
path=$(printf '%s' "${2:-$(realpath -- "$1")}" | encode)
mtime=$(stat -c %Y -- "$1")000
hash=$(sha256sum <"$1" | cut -c 1-64)
case $1 in /*) file=$1 ;; *) file=./$1 ;; esac
with_session -g -w '\n%{http_code}' -H "RBackup-File-Hash: $hash" -T "$file" "$url/upload?file_path=$path&mtime=$mtime" | answer
