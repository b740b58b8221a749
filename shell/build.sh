#!/usr/bin/env bash
# Builds the shell for each architecture into shell/built/ARCH/sh, with equal bytes on every machine.
#
#   shell/build.sh [--check] [ARCH...]     ARCH: amd64 arm64 ppc64le s390x (default: all)
#
# --check builds into a temporary folder instead and says which committed files differ (exit 1).
# The tools are Debian 12's, pinned below: another compiler would give other bytes. Missing ones are installed with apt when
# this runs as root; the core libraries of the other architectures are unpacked under target/, not installed.
set -euo pipefail

RUST=1.63.0
DEBIAN_RUST=1.63.0+dfsg1-2
BINUTILS=2.40
RUSTC=/usr/bin/rustc # not rustup's, which may come first on PATH

shell=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
toolchain=${MODELCAR_SHELL_TOOLCHAIN:-$shell/../target/shell-toolchain}

fail() {
    echo "shell/build.sh: $*" >&2
    exit 1
}

# Debian's and the compilers' names for ARCH
machine() {
    case $1 in
    amd64) echo x86_64 ;;
    arm64) echo aarch64 ;;
    ppc64le) echo powerpc64le ;;
    s390x) echo s390x ;;
    *) fail "unknown architecture '$1' (amd64 arm64 ppc64le s390x)" ;;
    esac
}

debian_arch() {
    if [[ $1 == ppc64le ]]; then echo ppc64el; else echo "$1"; fi
}

binutils_package() {
    echo "binutils-$(machine "$1" | tr _ -)-linux-gnu"
}

install_missing() {
    local arch packages=()
    [[ -x $RUSTC ]] || packages+=(rustc)
    for arch in "$@"; do
        command -v "$(machine "$arch")-linux-gnu-ld" >/dev/null || packages+=("$(binutils_package "$arch")")
    done
    ((${#packages[@]})) || return 0
    [[ $(id -u) == 0 ]] || fail "please install: ${packages[*]}"
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
}

# Wrong versions would only show as different bytes, which tells no one why.
check_versions() {
    local arch tool
    [[ $("$RUSTC" --version) == "rustc $RUST"* ]] || fail "needs rustc $RUST (Debian 12), found $("$RUSTC" --version)"
    for arch in "$@"; do
        for tool in as ld; do
            tool=$(machine "$arch")-linux-gnu-$tool
            [[ $("$tool" --version | head -n 1) == *" $BINUTILS" ]] || fail "needs $tool $BINUTILS, found $("$tool" --version | head -n 1)"
        done
    done
}

# apt with package lists of its own: the machine's architectures and lists stay as they are
private_apt() {
    apt-get -qq -o Dir::State::Lists="$toolchain/lists" -o Dir::Etc::SourceList="$toolchain/debian.list" -o Dir::Etc::SourceParts=/dev/null \
        -o APT::Architectures::=arm64 -o APT::Architectures::=ppc64el -o APT::Architectures::=s390x -o APT::Sandbox::User="$(id -un)" \
        -o Dir::Cache="$toolchain/cache" -o Debug::NoLocking=1 "$@"
}

# The core library of ARCH from Debian's libstd-rust-dev of that architecture
fetch_core() {
    local arch=$1 package
    [[ -d $toolchain/lib/rustlib/$(machine "$arch")-unknown-linux-gnu ]] && return 0
    mkdir -p "$toolchain/lists/partial" "$toolchain/cache/archives/partial"
    if [[ ! -f $toolchain/debian.list ]]; then
        echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${DEBIAN_MIRROR:-http://deb.debian.org/debian} bookworm main" \
            >"$toolchain/debian.list.new"
        mv "$toolchain/debian.list.new" "$toolchain/debian.list"
    fi
    package=libstd-rust-dev_${DEBIAN_RUST}_$(debian_arch "$arch").deb
    private_apt update
    (cd "$toolchain" && private_apt download "libstd-rust-dev:$(debian_arch "$arch")=$DEBIAN_RUST")
    dpkg-deb --fsys-tarfile "$toolchain/$package" | tar -x -C "$toolchain" --strip-components=2 --wildcards './usr/lib/rustlib/*'
    rm "$toolchain/$package"
}

link_native_core() {
    mkdir -p "$toolchain/lib/rustlib"
    ln -sfn /usr/lib/rustlib/x86_64-unknown-linux-gnu "$toolchain/lib/rustlib/x86_64-unknown-linux-gnu"
}

compile() {
    "$RUSTC" --sysroot "$toolchain" --target "$1-unknown-linux-gnu" --edition 2021 --emit obj -C panic=abort -C opt-level=z \
        -C relocation-model=static -C codegen-units=1 -C overflow-checks=on -C debuginfo=0 "${@:2}"
}

# build ARCH FILE
build() (
    machine=$(machine "$1")
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    cd "$shell/src" # relative paths: none of this machine's get into the file
    "$machine-linux-gnu-as" -o "$work/start.o" "sys/start-$1.S"
    compile "$machine" -o "$work/mem.o" mem.rs
    compile "$machine" --crate-type bin --crate-name sh -C lto=fat -o "$work/sh.o" main.rs
    "$machine-linux-gnu-ld" -static -nostdlib --gc-sections --strip-all --build-id=none -z noexecstack -z noseparate-code -z norelro \
        -o "$work/sh" "$work/start.o" "$work/sh.o" "$work/mem.o" \
        "$toolchain/lib/rustlib/$machine-unknown-linux-gnu/lib/"libcompiler_builtins-*.rlib
    "$machine-linux-gnu-strip" --strip-all --remove-section=.comment --remove-section=.eh_frame "$work/sh"
    install -D -m 0755 "$work/sh" "$2"
)

build_all() {
    local arch
    for arch in "$@"; do
        build "$arch" "$shell/built/$arch/sh"
        echo "$arch: $(stat -c %s "$shell/built/$arch/sh") bytes, sha256 $(sha256sum "$shell/built/$arch/sh" | cut -d ' ' -f 1)"
    done
}

check_all() {
    local arch fresh different=0
    fresh=$(mktemp -d)
    for arch in "$@"; do
        build "$arch" "$fresh/$arch"
        if cmp "$fresh/$arch" "$shell/built/$arch/sh"; then
            echo "$arch: same bytes"
        else
            echo "$arch: DIFFERENT from the committed shell/built/$arch/sh" >&2
            different=1
        fi
    done
    rm -rf "$fresh"
    return $different
}

act=build_all
if [[ ${1:-} == --check ]]; then
    act=check_all
    shift
fi
(($#)) || set -- amd64 arm64 ppc64le s390x
for arch in "$@"; do machine "$arch" >/dev/null; done
install_missing "$@"
check_versions "$@"
link_native_core
for arch in "$@"; do [[ $arch == amd64 ]] || fetch_core "$arch"; done
"$act" "$@"
