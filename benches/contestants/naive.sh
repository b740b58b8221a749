#!/usr/bin/env bash
# What a careful script does without a tool, one file after the other: tar | openssl for the digest, then tar | curl for the bytes. No manifest.
#
#   naive.sh HOST REPOSITORY MODEL
set -euo pipefail

layer() { tar --format=gnu --mtime=@0 --owner=0 --group=0 --numeric-owner --create --file - --directory "$1" "$2"; }

for file in "$3"/*; do
  name=$(basename "$file")
  digest=$(layer "$3" "$name" | openssl dgst -sha256 -r | cut -d ' ' -f 1)
  place=$(curl --silent --show-error --fail --request POST --output /dev/null --dump-header - "http://$1/v2/$2/blobs/uploads/" |
    tr -d '\r' | awk 'tolower($1) == "location:" { print $2 }')
  [[ $place == http* ]] || place=http://$1$place
  layer "$3" "$name" | curl --silent --show-error --fail --header 'Content-Type: application/octet-stream' --header 'Expect:' --upload-file - \
    "$place&digest=sha256:$digest"
done
