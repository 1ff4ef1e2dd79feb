#!/bin/sh
# register.sh NAME: a new account. Prints its id and the recovery code: write the code down, nobody can give it to you again.
. "$(dirname "$0")/common.sh"
[ $# -eq 1 ] || usage NAME
password | curl -q -sS -w '\n%{http_code}' --data-urlencode "username=$1" --data-urlencode password@- "$url/account/register" | answer
