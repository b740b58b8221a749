#!/usr/bin/env bash
# Builds the peers that are written in Go into .peers/bin, where Go is present. Needs no arguments.
#
#   crane, oras, cosign   released versions, from the Go module proxy
#   cosign2               the last cosign of version 2, whose signatures are still the most common ones
#   containers-policy     our question to the containers/image library: would CRI-O run this image?
#   containers-sign       the same library signs, as `skopeo copy --sign-by-sigstore-private-key` does
#   referrers-registry    go-containerregistry's registry with the referrers API switched on
#
# skopeo itself is not among them: the proxy does not have its module, and Debian's is built without sigstore.
# distribution 3.1 is not among them: it answers 404 for referrers like Debian's, and takes three minutes to build.
# A fresh machine spends about fifteen CPU minutes here, twelve of them on the two cosigns.
#
# A program is built again only when its pinned version, or our source of it, changes.
set -euo pipefail
# shellcheck source=tests/peers/lib.sh
source "$(dirname "$0")/lib.sh"
no_arguments "$@"

released='
crane   github.com/google/go-containerregistry/cmd/crane@v0.22.1
oras    oras.land/oras/cmd/oras@v1.3.6
cosign  github.com/sigstore/cosign/v3/cmd/cosign@v3.1.3
cosign2 github.com/sigstore/cosign/v2/cmd/cosign@v2.6.5
'
own_module=$repo/tests/peers/go
own='containers-policy containers-sign referrers-registry'

export CGO_ENABLED=0 GOFLAGS=-buildvcs=false GOTOOLCHAIN=local
flags=(-trimpath -ldflags '-s -w' -tags 'containers_image_openpgp')

is_current() { [ -x "$peers/bin/$1" ] && [ "$(cat "$peers/stamps/$1" 2>/dev/null)" = "$2" ]; }

# build NAME STAMP PACKAGE: installs PACKAGE from the working directory's module, or from its own with @version. Two versions
# of one program are built under one name, so each is built in a folder of its own and then renamed.
build() {
  local began=$SECONDS folder=$peers/build
  if is_current "$1" "$2"; then
    say "go: $1 is current"
  elif GOBIN=$folder go install "${flags[@]}" "$3" 2> >(grep -v '^go: downloading' >&2); then
    mv "$folder"/* "$peers/bin/$1"
    echo "$2" >"$peers/stamps/$1"
    say "go: installed $1 ($2) in $((SECONDS - began)) s"
  else
    missing "go: $1 ($3) could not be built with $(go env GOVERSION)"
  fi
}

if ! have go; then
  missing 'go: not found; crane, oras, both cosigns and our three test programs are missing'
  exit 0
fi
mkdir -p "$peers/bin" "$peers/stamps"

while read -r name package; do
  [ -z "$name" ] || build "$name" "$package" "$package"
done <<<"$released"

cd "$own_module"
for name in $own; do
  build "$name" "sources $(cat go.mod go.sum "$name"/*.go | git hash-object --stdin)" "./$name"
done
