#!/usr/bin/env bash
# Makes the image of modelcar itself (docs/container-image.md) and prints its name with its digest.
#
#   scripts/image.sh [DEST]
#
# DEST        oci:DIR:NAME or REGISTRY/REPOSITORY:TAG [default: oci:target/modelcar-image:VERSION]
# IMAGE_TOOL  podman, buildah, or self [default: the first of them that is here and can pull BUILDER]. `self` packs the static binary
#             of scripts/static.sh with modelcar's own image code, with the same files and settings; it pulls nothing.
# BUILDER     the builder image of the Containerfile (podman and buildah)
# BINARIES    PLATFORM=FILE words (self) [default: this machine's own static binary, built if need be]
# CA_BUNDLE   the CA certificates to put in (self) [default: this machine's]
# SOURCE      the address of the sources, for the label
set -euo pipefail
cd "$(dirname "$0")/.."

case "${1:-}" in
  -h | --help)
    awk 'NR > 1 { if (!/^#/) exit; sub(/^# ?/, ""); print }' "$0"
    exit 0
    ;;
esac

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
dest=${1:-oci:target/modelcar-image:$version}
source=${SOURCE:-unknown}
# An image without the history it was built from is no worse, but says so.
revision=$(git rev-parse --verify --quiet HEAD || echo unknown)
[ -z "$(git status --porcelain -- Cargo.toml Cargo.lock src shell container 2>/dev/null)" ] || revision=$revision-modified
created=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}

can_pull() {
  command -v "$1" >/dev/null && timeout 300 "$1" pull --quiet "$builder" >/dev/null 2>&1
}

tool() {
  local candidate
  for candidate in podman buildah; do
    if can_pull "$candidate"; then
      echo "$candidate"
      return
    fi
  done
  echo self
}

# with_tool PODMAN|BUILDAH
with_tool() {
  local destination=$dest digest=target/modelcar-image.digest
  [[ $dest == oci:* ]] || destination=docker://$dest
  "$1" build --timestamp "$created" --build-arg "BUILDER=$builder" --build-arg "VERSION=$version" --build-arg "REVISION=$revision" \
    --build-arg "SOURCE=$source" --tag "localhost/modelcar:$version" . >&2
  mkdir -p target
  "$1" push --quiet --digestfile "$digest" "localhost/modelcar:$version" "$destination" >&2
  echo "$dest@$(cat "$digest")"
}

# Which file it is, by the package that brought it where one tells, and by its content in any case.
ca_name() {
  local package
  package=$(dpkg-query --show --showformat='${Package} ${Version}, ' ca-certificates 2>/dev/null || rpm --query ca-certificates 2>/dev/null | sed 's/$/, /' || true)
  [ -z "${CA_BUNDLE:-}" ] || package=
  echo "${package}sha256:$(sha256sum "$1" | cut -d ' ' -f 1)"
}

own_platform() {
  case "$(uname -m)" in
    x86_64) echo linux/amd64 ;;
    aarch64) echo linux/arm64 ;;
    *) echo "linux/$(uname -m)" ;;
  esac
}

with_own_code() {
  local ca=${CA_BUNDLE:-} binaries=${BINARIES:-}
  # Debian's place, then Red Hat's
  for ca in ${ca:-/etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt}; do [ ! -f "$ca" ] || break; done
  [ -n "$binaries" ] || binaries=$(own_platform)=$(scripts/static.sh)
  # shellcheck disable=SC2086 # several words
  cargo run --quiet --locked --example self_image -- --version "$version" --revision "$revision" --source "$source" --created "$created" \
    --ca-bundle "$ca" --ca-name "$(ca_name "$ca")" "$dest" $binaries
}

builder=${BUILDER:-$(sed -n 's/^ARG BUILDER=//p' Containerfile)}
# What an older run left there would be in the layout too.
[ $# -gt 0 ] || rm -rf target/modelcar-image
IMAGE_TOOL=${IMAGE_TOOL:-$(tool)}
echo "image: made by $IMAGE_TOOL" >&2
case "$IMAGE_TOOL" in
  self) with_own_code ;;
  *) with_tool "$IMAGE_TOOL" ;;
esac
