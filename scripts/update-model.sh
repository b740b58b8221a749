#!/usr/bin/env bash
# Gives a model of a site another version: checked, pinned by digest, committed where the site's Argo CD looks.
#
#   scripts/update-model.sh SITE MODEL:TAG [OPTION…]
#   scripts/update-model.sh edge-site-01 model-name:v2.0
#
# MODEL:TAG is an image of the registry and organisation that modelcar.toml names, or a whole reference; the model on the site has the
# name of its repository. The rest goes to `modelcar update`, such as --canary 10 or --dry-run. `gitops` and `verify` of modelcar.toml
# name the repository and the public keys.
# In place of that file: MODELCAR_REGISTRY, MODELCAR_ORGANISATION, MODELCAR_GITOPS, MODELCAR_GITOPS_PATH and MODELCAR_VERIFY_KEYS.
#
# MODELCAR  the program [default: modelcar]
set -euo pipefail

help() { awk 'NR > 1 { if (!/^#/) exit; sub(/^# ?/, ""); print }' "$0"; }

case "${1:-}" in
  -h | --help) help && exit 0 ;;
esac
case $# in 0 | 1) help >&2 && exit 2 ;; esac
case "$1 $2" in -* | *' -'*) help >&2 && exit 2 ;; esac

site=$1 image=$2
shift 2
model=${image%@*}
model=${model##*/}
exec "${MODELCAR:-modelcar}" update "$site" "${model%%:*}" "$image" "$@"
