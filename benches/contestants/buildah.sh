#!/usr/bin/env bash
# buildah with a Containerfile that copies the folder: one layer, its storage in the scratch folder.
#
#   buildah.sh REFERENCE MODEL
set -euo pipefail

storage=(--root "$SCRATCH/tmp/root" --runroot "$SCRATCH/tmp/runroot" --storage-driver vfs)
printf 'FROM scratch\nCOPY . /models/\n' >"$SCRATCH/tmp/Containerfile"
buildah "${storage[@]}" build --quiet --isolation chroot --file "$SCRATCH/tmp/Containerfile" --tag bench "$2"
buildah "${storage[@]}" push --quiet --tls-verify=false bench "docker://$1"
