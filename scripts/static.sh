#!/usr/bin/env bash
# Builds the static binary: it needs no libc, no loader and no name service modules where it runs.
#
#   scripts/static.sh [--to FILE]   builds it, and copies it to FILE
#   scripts/static.sh --check       builds it once more, elsewhere, and compares the bytes
#
# STATIC_TARGET   the target [default: that of this machine's rustc]; a musl one needs `rustup target add` and musl-gcc
# STATIC_PROFILE  cargo's profile [default: release]; `dist` is smaller, and several times as long to build
#
# It lies in target/static/TARGET/PROFILE/modelcar. The last line on stdout is that path.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${STATIC_TARGET:-$(rustc -vV | sed -n 's/^host: //p')}
profile=${STATIC_PROFILE:-release}
cargo_home=${CARGO_HOME:-$HOME/.cargo}

# build FOLDER TARGET-DIR: whatever could differ between two machines with one toolchain is named alike: the folders of the sources and
# of the crates, in Rust's panics as in the __FILE__ of C. --target, even for this very machine, keeps crt-static away from proc macros,
# which are shared libraries.
build() {
  local remap="--remap-path-prefix=$1=/modelcar --remap-path-prefix=$cargo_home=/cargo"
  local prefix_map="-ffile-prefix-map=$1=/modelcar -ffile-prefix-map=$cargo_home=/cargo"
  (
    cd "$1"
    CARGO_TARGET_DIR=$2 CARGO_INCREMENTAL=0 RUSTFLAGS="-C target-feature=+crt-static $remap" TARGET_CFLAGS=$prefix_map \
      cargo build --locked --profile "$profile" --target "$target" --bin modelcar >&2
  )
}

# The sources as they lie here, in a folder of their own.
copy_sources() {
  git ls-files --cached --others --exclude-standard -z -- Cargo.toml Cargo.lock src shell/built | xargs -0 cp --parents -t "$1"
}

check() {
  local elsewhere
  elsewhere=$(mktemp -d)
  # shellcheck disable=SC2064 # the folder is known now
  trap "rm -rf '$elsewhere'" EXIT
  copy_sources "$elsewhere"
  build "$elsewhere" "$elsewhere/target"
  local other=$elsewhere/target/$target/$profile/modelcar
  sha256sum "$binary" "$other" >&2
  cmp "$binary" "$other"
  echo "the same bytes from two folders" >&2
}

build "$PWD" "$PWD/target/static"
binary=target/static/$target/$profile/modelcar
case "${1:-}" in
  '') ;;
  --to) install -D -m 0755 "$binary" "$2" ;;
  --check) check ;;
  *)
    awk 'NR > 1 { if (!/^#/) exit; sub(/^# ?/, ""); print }' "$0" >&2
    exit 2
    ;;
esac
echo "$binary"
