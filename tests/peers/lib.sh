# shellcheck shell=bash
# What the install scripts share; sourced, never run.

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export repo peers=$repo/.peers

say() { printf 'peers: %s\n' "$*"; }

# Says that a peer could not be installed. Its tests then report SKIPPED, unless the caller insists on every peer.
missing() {
  say "$*" >&2
  [ "${MODELCAR_REQUIRE_PEERS:-}" != 1 ] || exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# Prints the calling script's own header comment as its help text.
help() {
  awk 'NR > 1 { if (!/^#/) exit; sub(/^# ?/, ""); print }' "$0"
}

no_arguments() {
  case "${1:-}" in
    '') ;;
    -h | --help) help && exit 0 ;;
    *) help >&2 && exit 2 ;;
  esac
}
