#!/usr/bin/env bash
# The floor of a run: curl sends blobs whose digests are known, four at a time, the largest first, as POST, PATCH and PUT.
#
#   floor.sh HOST REPOSITORY LIST [LANES]
#
# LIST has a line for each blob: its digest and its file. No tar is made, nothing is hashed, and no manifest is sent.
set -euo pipefail

# send HOST REPOSITORY DIGEST FILE
send() {
  local place
  place=$(location "$1" --request POST "http://$1/v2/$2/blobs/uploads/")
  place=$(location "$1" --request PATCH --header 'Content-Type: application/octet-stream' --header 'Expect:' --upload-file "$4" "$place")
  curl --silent --show-error --fail --request PUT --output /dev/null "$place$(separator "$place")digest=$3"
}

# location HOST CURL-ARGUMENT…: runs curl; where the registry says that it goes on
location() {
  local host=$1 place
  shift
  place=$(curl --silent --show-error --fail --output /dev/null --dump-header - "$@" | tr -d '\r' | awk 'tolower($1) == "location:" { print $2 }')
  case $place in
    http*) echo "$place" ;;
    *) echo "http://$host$place" ;;
  esac
}

separator() {
  case $1 in
    *\?*) echo '&' ;;
    *) echo '?' ;;
  esac
}

case ${1:---help} in
  -h | --help)
    awk 'NR > 1 { if (!/^#/) exit; sub(/^# ?/, ""); print }' "$0"
    ;;
  --send)
    shift
    send "$@"
    ;;
  *)
    xargs --arg-file "$3" --max-args 2 --max-procs "${4:-4}" "$0" --send "$1" "$2"
    ;;
esac
