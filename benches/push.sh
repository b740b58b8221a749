#!/usr/bin/env bash
# Build and push of a 1.5 GiB model to a registry on loopback: time, peak memory and disk writes of modelcar,
# with `curl -T` of the ready layer beside it in alternating runs. Never a test: it measures and fails nothing.
set -euo pipefail

usage() {
    cat <<'HELP'
usage: benches/push.sh [RUNS]

Measures RUNS (default 3) alternating cold pushes of one 1.5 GiB file by modelcar and by curl, and prints medians and the ratio.
Needs docker-registry, curl and openssl (tests/peers/install.sh debian), and about 5 GiB in TMPDIR.
HELP
}

case ${1:-} in
-h | --help)
    usage
    exit 0
    ;;
esac

runs=${1:-3}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
modelcar=${MODELCAR:-$root/target/release/modelcar}
work=$(mktemp -d)
port=15987
registry_pid=

cleanup() {
    [[ -z $registry_pid ]] || kill "$registry_pid" 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT

start_registry() {
    rm -rf "$work/registry"
    mkdir "$work/registry"
    cat >"$work/registry.yml" <<YAML
version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: $work/registry}, delete: {enabled: true}}
http: {addr: "127.0.0.1:$port"}
YAML
    docker-registry serve "$work/registry.yml" >"$work/registry.log" 2>&1 &
    registry_pid=$!
    for _ in {1..100}; do
        kill -0 "$registry_pid" 2>/dev/null || break
        if curl --silent --fail --output /dev/null "http://127.0.0.1:$port/v2/"; then return; fi
        sleep 0.1
    done
    echo "push.sh: docker-registry does not answer on port $port" >&2
    cat "$work/registry.log" >&2
    exit 1
}

stop_registry() {
    kill "$registry_pid"
    wait "$registry_pid" 2>/dev/null || true
    registry_pid=
}

# measured NAME COMMAND…: runs the command; appends seconds, peak KiB and KiB written to NAME.tsv.
measured() {
    local name=$1 began ended pid peak=0 written=0 now
    shift
    began=$(date +%s%N)
    "$@" >"$work/$name.out" 2>"$work/$name.err" &
    pid=$!
    while now=$(awk '/^VmHWM:/ { print $2 }' "/proc/$pid/status" 2>/dev/null) && [[ -n $now ]]; do
        peak=$now
        written=$(awk '/^write_bytes:/ { print int($2 / 1024) }' "/proc/$pid/io" 2>/dev/null || echo "$written")
        sleep 0.25 # seldom: the watcher shares two cores with the registry
    done
    wait "$pid"
    ended=$(date +%s%N)
    awk -v ns=$((ended - began)) -v peak="$peak" -v written="${written:-0}" 'BEGIN { printf "%.2f\t%d\t%d\n", ns / 1e9, peak, written }' >>"$work/$name.tsv"
}

curl_put() {
    local location
    location=$(curl --silent --show-error --fail --request POST --dump-header - --output /dev/null \
        "http://127.0.0.1:$port/v2/bench/curl/blobs/uploads/" | tr -d '\r' | awk 'tolower($1) == "location:" { print $2 }')
    [[ $location == http* ]] || location="http://127.0.0.1:$port$location"
    curl --silent --show-error --fail --header 'Content-Type: application/octet-stream' --upload-file "$work/layer.tar" \
        "$location&digest=sha256:$1"
}

median() { sort -n | awk '{ line[NR] = $1 } END { print line[int((NR + 1) / 2)] }'; }
column() { cut -f "$2" "$work/$1.tsv" | median; }

mkdir -p "$work/tar/models"
# Seeded: the same bytes in every run of this script, and nothing that compresses.
openssl enc -aes-128-ctr -pass pass:modelcar -nosalt -pbkdf2 -in /dev/zero 2>/dev/null | head -c 1610612736 >"$work/tar/models/model.bin" || true
tar --format=gnu --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -C "$work/tar" -cf "$work/layer.tar" models
digest=$(openssl dgst -sha256 -r "$work/layer.tar" | cut -d ' ' -f 1)

for ((run = 1; run <= runs; run++)); do
    start_registry
    measured modelcar "$modelcar" build --quiet --push --tag "127.0.0.1:$port/bench/modelcar:v1" "$work/tar/models/model.bin"
    stop_registry
    start_registry
    measured curl curl_put "$digest"
    stop_registry
done

printf '\n1.5 GiB in one file, cold, %d alternating runs, medians\n\n' "$runs"
printf '%-34s %10s %12s %14s\n' '' 'seconds' 'peak memory' 'disk writes'
printf '%-34s %10s %8d MiB %10d KiB\n' 'modelcar build --push (hash + send)' "$(column modelcar 1)" "$(($(column modelcar 2) / 1024))" "$(column modelcar 3)"
printf '%-34s %10s\n' 'curl -T of the ready layer' "$(column curl 1)"
awk -v a="$(column modelcar 1)" -v b="$(column curl 1)" 'BEGIN { printf "\nratio modelcar / curl: %.2f\n", a / b }'
