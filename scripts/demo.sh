#!/usr/bin/env bash
# The main job on a real ONNX model, in a folder of its own, without any network service:
# model -> signed image in an OCI layout -> checked signature -> InferenceService patch committed to a GitOps repository.
set -euo pipefail

usage() {
    cat <<'HELP'
usage: scripts/demo.sh [DIR]

Runs the whole way from an ONNX model to a committed InferenceService patch in DIR (default: ./demo, made anew).
MODELCAR names the binary (default: target/debug/modelcar).
HELP
}

if [[ ${1:-} == --help || ${1:-} == -h ]]; then
    usage
    exit 0
fi

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
modelcar=${MODELCAR:-$root/target/debug/modelcar}
demo=${1:-$root/demo}
marker=$demo/.modelcar-demo
image=quay.example.com/models/iris:v1

say() { printf '\n\033[1m%s\033[0m\n' "$*" >&2; }
show() {
    printf '\033[2m$ %s\033[0m\n' "${*//$root\//}" >&2
    "$@"
}

if [[ -e $demo && ! -e $marker ]]; then
    echo "demo: $demo exists and was not made by this script; name another folder" >&2
    exit 1
fi
rm -rf "$demo"
mkdir -p "$demo/gitops"
touch "$marker"
cd "$demo"

# A GitOps repository that nobody else knows, with an identity of its own.
git init --quiet gitops
git -C gitops config user.name "modelcar demo"
git -C gitops config user.email demo@example.com
git -C gitops config commit.gpgsign false
git -C gitops commit --quiet --allow-empty --message "A new GitOps repository"

# For the demo only; a real password comes from a secret.
export COSIGN_PASSWORD=demo

say "1. A key pair, as cosign makes them"
show "$modelcar" keygen

say "2. The whole way: build, sign, verify, patch, commit"
show "$modelcar" ship "$root/testdata/models/iris/logreg_iris.onnx" "oci:images:$image" \
    --key cosign.key --gitops gitops --site edge-site-01 --name iris

say "3. The image"
show "$modelcar" inspect "oci:images:$image"

say "4. The signature, as a consumer checks it"
show "$modelcar" verify "oci:images:$image" --key cosign.pub

say "5. The commit, and the patch that Argo CD deploys"
show git -C gitops --no-pager log --format='%h %s%n%n%b' -1
show cat gitops/sites/edge-site-01/models/iris.yaml

say "Done. Everything is in $demo: look around, change it, break it."
