#!/usr/bin/env bash
# oci-modelcar with the files where it would have downloaded them, and a stand-in for the Hub that only lists them.
#
#   oci-modelcar.sh HOST REPOSITORY TAG MODEL HUB-URL PYTHON
set -euo pipefail

spool=$SCRATCH/tmp/spool
mkdir -p "$spool/sources"
cp --link "$4"/* "$spool/sources"
"$6" -m oci_modelcar push --hf-endpoint "$5" --hf-repo "bench/$(basename "$4")" --registry "http://$1" --target-repo "$2" --target-tag "$3" \
  --spool-dir "$spool" --workers 4
