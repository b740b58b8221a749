#!/usr/bin/env bash
# Packs a model into a signed ModelCar image and pushes it.
#
#   scripts/package-model.sh MODEL:TAG [OPTION…]
#   scripts/package-model.sh model-name:v1.0
#
# MODEL:TAG is an image of the registry and organisation that modelcar.toml names, or a whole reference; the rest goes to
# `modelcar build`. The key is `sign.key` of modelcar.toml. In place of that file: MODELCAR_REGISTRY, MODELCAR_ORGANISATION and
# MODELCAR_SIGN_KEY; COSIGN_PASSWORD has the key's password.
#
# MODEL_DIR  the model's file or folder [default: models/MODEL]
# MODELCAR   the program [default: modelcar]
set -euo pipefail

help() { awk 'NR > 1 { if (!/^#/) exit; sub(/^# ?/, ""); print }' "$0"; }

case "${1:-}" in
  -h | --help) help && exit 0 ;;
  '' | -*) help >&2 && exit 2 ;;
esac

image=$1
shift
model=${image%@*}
model=${model##*/}
model=${model%%:*}
exec "${MODELCAR:-modelcar}" build "${MODEL_DIR:-models/$model}" -t "$image" --push "$@"
