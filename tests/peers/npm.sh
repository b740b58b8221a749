#!/usr/bin/env bash
# Installs what tests/peers/npm/package-lock.json lists into .peers/npm, where Node 20 or newer is present. Needs no arguments.
#
# The packages ask for Node 22.22; what we use of them works with 20, which is why npm's warning is turned off.
set -euo pipefail
# shellcheck source=tests/peers/lib.sh
source "$(dirname "$0")/lib.sh"
no_arguments "$@"

wanted=$repo/tests/peers/npm
folder=$peers/npm

if ! have node || ! have npm; then
  missing 'npm: node or npm not found; sigstore-js is missing'
  exit 0
fi
if ! node --eval 'process.exit(Number.parseInt(process.versions.node) < 20 ? 1 : 0)'; then
  missing "npm: node $(node --version) is older than 20; sigstore-js is missing"
  exit 0
fi
if cmp --silent "$wanted/package-lock.json" "$folder/package-lock.json" && [ -d "$folder/node_modules" ]; then
  say 'npm: nothing to install'
  exit 0
fi

# the folder appears when it is whole
rm -rf "$folder" "$folder.part"
mkdir -p "$folder.part"
cp "$wanted/package.json" "$wanted/package-lock.json" "$folder.part"
if npm ci --prefix "$folder.part" --ignore-scripts --no-audit --no-fund --engine-strict=false --loglevel=error >/dev/null; then
  mv "$folder.part" "$folder"
  say "npm: installed sigstore-js with node $(node --version)"
else
  missing 'npm: .peers/npm could not be filled (see above)'
fi
