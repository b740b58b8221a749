#!/usr/bin/env bash
# crane append wants tars, so they are made first; it compresses them on the way.
#
#   crane.sh REFERENCE MODEL
set -euo pipefail

layers=()
for file in "$2"/*; do
  name=$(basename "$file")
  tar --format=gnu --mtime=@0 --owner=0 --group=0 --numeric-owner --transform 's,^,models/,' --create --file "$SCRATCH/tmp/$name.tar" \
    --directory "$2" "$name"
  layers+=(--new_layer "$SCRATCH/tmp/$name.tar")
done
crane append --insecure --oci-empty-base --new_tag "$1" "${layers[@]}"
