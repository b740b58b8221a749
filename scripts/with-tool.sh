#!/usr/bin/env bash
# Runs a linter that a fresh machine may not have.
#
#   scripts/with-tool.sh TOOL [ARGUMENT…]
#
# A missing TOOL is reported as SKIPPED; with MODELCAR_REQUIRE_PEERS=1 it is an error.
set -euo pipefail

case "${1:---help}" in
  -h | --help)
    awk 'NR > 1 { if (!/^#/) exit; sub(/^# ?/, ""); print }' "$0"
    exit 0
    ;;
esac

if command -v "$1" >/dev/null; then
  exec "$@"
fi
echo "SKIPPED: $1 not found ('make peers' installs it)" >&2
[ "${MODELCAR_REQUIRE_PEERS:-}" != 1 ]
