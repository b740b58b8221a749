#!/usr/bin/env bash
# The documented way to a ModelCar: olot adds the files to a base's OCI layout, skopeo sends the layout.
#
#   olot-skopeo.sh REFERENCE MODEL BASE-LAYOUT PYTHON
set -euo pipefail

cp -R "$3" "$SCRATCH/tmp/layout"
"$4" -c 'import olot.cli; olot.cli.cli()' "$SCRATCH/tmp/layout" "$2"/*
skopeo --insecure-policy copy --quiet --dest-tls-verify=false "oci:$SCRATCH/tmp/layout:latest" "docker://$1"
