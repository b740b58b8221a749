#!/usr/bin/env bash
# Builds the peers that are written in Go into .peers/bin, where Go is present. Needs no arguments.
#
#   crane, oras, cosign   released versions, from the Go module proxy
#   distribution          the registry of version 3, beside Debian's of version 2
#   versitygw             an S3 server over a folder, which checks every signature
#   cosign2               the last cosign of version 2, whose signatures are still the most common ones
#   containers-policy     our question to the containers/image library: would CRI-O run this image?
#   containers-sign       the same library signs, as `skopeo copy --sign-by-sigstore-private-key` does
#   referrers-registry    go-containerregistry's registry with the referrers API switched on
#   tekton-validate       Tekton's webhook and its reader of bundles, on files: would a cluster take them?
#
#   gitea                 only with MODELCAR_PEERS_GITEA=1: a real forge, ten CPU minutes more
#
# skopeo itself is not among them: the proxy does not have its module, and Debian's is built without sigstore.
# zot is not among them: the proxy refuses its module. distribution answers 404 for referrers like Debian's.
# A fresh machine spends about twenty-three CPU minutes here, twelve of them on the two cosigns and two and a half on Tekton.
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
versitygw github.com/versity/versitygw/cmd/versitygw@v1.8.0
distribution github.com/distribution/distribution/v3/cmd/registry@v3.1.2
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
  missing 'go: not found; crane, oras, both cosigns, versitygw, distribution and our four test programs are missing'
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

# Tekton wants other versions of the libraries that the programs above share with it.
cd "$own_module/tekton-validate"
build tekton-validate "sources $(cat go.mod go.sum main.go | git hash-object --stdin)" .

# Gitea replaces some of its modules, which go install refuses, so it is built from a module with the same ones. Its templates
# are read from where the proxy's copy was unpacked.
gitea() {
  local version=v1.26.0 module=$peers/build/gitea files
  if is_current gitea "$version"; then
    say 'go: gitea is current'
    return
  fi
  files=$(go mod download -json "code.gitea.io/gitea@$version" | sed -n 's/^\t"Dir": "\(.*\)",\{0,1\}$/\1/p')
  mkdir -p "$module"
  { sed 's/^module .*/module gitea-peer/' "$files/go.mod" && printf '\nrequire code.gitea.io/gitea %s\n' "$version"; } >"$module/go.mod"
  cat "$files/go.sum" >"$module/go.sum"
  # SQLite is C, and the other peers are not.
  if (cd "$module" && CGO_ENABLED=1 GOFLAGS='-buildvcs=false -mod=mod' go build -tags 'sqlite sqlite_unlock_notify' -o "$peers/bin/gitea" code.gitea.io/gitea); then
    ln -sfn "$files" "$peers/gitea-files"
    echo "$version" >"$peers/stamps/gitea"
    say "go: installed gitea ($version)"
  else
    missing 'go: gitea could not be built'
  fi
  rm -rf "$module"
}

if [ "${MODELCAR_PEERS_GITEA:-0}" = 1 ]; then gitea; fi
