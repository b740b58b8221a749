#!/usr/bin/env bash
# Installs what only the benchmarks compare with; the tests do without. Needs no arguments. CI does not run it.
#
#   oci-modelcar   and olot, into .peers/python/bench, for .venv's Python
#   buildah        Debian's, when root
#
# What `tests/peers/install.sh` installs (docker-registry, distribution 3, skopeo, crane, oras, .venv) is wanted before. Whatever is missing is left out of the tables.
set -euo pipefail
# shellcheck source=tests/peers/lib.sh
source "$(dirname "$0")/../tests/peers/lib.sh"
no_arguments "$@"

# without what they need beside these: that is in .venv and in .peers/python/huggingface-hub
packages='oci-modelcar==1.3.0 olot==1.2.1 pydantic==2.14.3 pydantic-core==2.50.4 annotated-types==0.8.0 typing-inspection==0.4.5'

install_python() {
  local folder=$peers/python/bench
  [ "$(cat "$folder/requirements.installed" 2>/dev/null)" != "$packages" ] || return 0
  rm -rf "$folder" "$folder.part"
  # shellcheck disable=SC2086 # one word a package
  "$repo/.venv/bin/python" -m pip --disable-pip-version-check install --quiet --root-user-action=ignore --only-binary=:all: --no-deps \
    --target "$folder.part" $packages || return
  echo "$packages" >"$folder.part/requirements.installed"
  mv "$folder.part" "$folder"
  say "installed $packages"
}

install_buildah() {
  ! have buildah || return 0
  [ "$(id -u)" -eq 0 ] && have apt-get || return
  apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends buildah >/dev/null
}

install_python || missing 'benches: oci-modelcar and olot could not be installed'
install_buildah || missing 'benches: buildah could not be installed'
