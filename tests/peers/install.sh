#!/usr/bin/env bash
# Installs the real programs that the tests drive ("peers").
#
#   tests/peers/install.sh                      everything below
#   tests/peers/install.sh debian|python|npm|go one source, or several
#
#   debian  registry, skopeo, umoci and friends with apt-get, when root on Debian or Ubuntu
#   python  ONNX, onnxruntime, oras and the linters in .venv
#   npm     sigstore-js in .peers/npm, where Node is present
#   go      crane, oras, cosign 3 and 2 and our three small test programs in .peers/bin, where Go is present
#
# A second run installs nothing. What cannot be installed is named, and its tests say SKIPPED;
# with MODELCAR_REQUIRE_PEERS=1 it is an error. Nothing outside .venv, .peers and apt is touched.
set -euo pipefail
# shellcheck source=tests/peers/lib.sh
source "$(dirname "$0")/lib.sh"

case "${1:-}" in -h | --help) help && exit 0 ;; esac

sources=("$@")
[ $# -gt 0 ] || sources=(debian python npm go)
for source in "${sources[@]}"; do
  case "$source" in
    debian | python | npm | go) "$repo/tests/peers/$source.sh" ;;
    *) help >&2 && exit 2 ;;
  esac
done
