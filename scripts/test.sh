#!/usr/bin/env bash
# Runs every test, then lists what was skipped for lack of a peer.
#
#   scripts/test.sh [CARGO-TEST-ARGUMENT…]
#
# Exits with cargo's status. The whole output stays in target/test.log.
set -euo pipefail
cd "$(dirname "$0")/.."

case "${1:-}" in
  -h | --help)
    awk 'NR > 1 { if (!/^#/) exit; sub(/^# ?/, ""); print }' "$0"
    exit 0
    ;;
esac

log=target/test.log
mkdir -p target
status=0
cargo test --locked --no-fail-fast "$@" 2>&1 | tee "$log" || status=$?

echo
echo 'Summary'
{ grep --only-matching 'SKIPPED: .*' "$log" || true; } | sort | uniq --count
awk '
  /^test result: / { gsub(/;/, ""); passed += $4; failed += $6 }
  /SKIPPED: / { skipped++ }
  END { printf "%d passed, %d failed, %d skipped\n", passed - skipped, failed, skipped }
' "$log"
exit "$status"
