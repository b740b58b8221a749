#!/usr/bin/env bash
# Installs the peers that Debian and Ubuntu package, when run as root. Needs no arguments.
#
# Debian compiles sigstore out of skopeo: it is here to copy and inspect images, and
# containers-policy (see go.sh) answers for CRI-O's view of a signature.
set -euo pipefail
# shellcheck source=tests/peers/lib.sh
source "$(dirname "$0")/lib.sh"
no_arguments "$@"

# package and the command that proves it is there
wanted='
apache2-utils     htpasswd
bubblewrap        bwrap
busybox-static    busybox
curl              curl
dash              dash
docker-registry   docker-registry
git               git
libarchive-tools  bsdtar
openssh-client    ssh-keygen
openssh-server    sshd
openssl           openssl
prometheus        promtool
qemu-user-static  qemu-aarch64-static
runc              runc
shellcheck        shellcheck
skopeo            skopeo
strace            strace
umoci             umoci
util-linux        setpriv
'

absent() {
  while read -r package command; do
    [ -z "$package" ] || have "$command" || echo "$package"
  done <<<"$wanted"
  if ! have python3 || ! python3 -c 'import ensurepip, venv' 2>/dev/null; then echo python3-venv; fi
}

install() {
  export DEBIAN_FRONTEND=noninteractive
  apt-get -qq update
  # RUNLEVEL=1 keeps the packages from starting their services.
  RUNLEVEL=1 apt-get -qq install --yes --no-install-recommends "$@" >/dev/null
  dpkg-query --show --showformat='peers: installed ${Package} ${Version}\n' "$@"
}

mapfile -t packages < <(absent)
if [ "${#packages[@]}" -eq 0 ]; then
  say 'debian: nothing to install'
elif ! have apt-get; then
  missing "debian: no apt-get here; not found: ${packages[*]}"
elif [ "$(id -u)" -ne 0 ]; then
  missing "debian: not root; ask for: apt-get install ${packages[*]}"
else
  say "debian: installing ${packages[*]}"
  install "${packages[@]}" || missing "debian: apt-get could not install ${packages[*]}"
fi
