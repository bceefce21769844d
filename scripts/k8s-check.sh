#!/usr/bin/env bash
# Renders the overlays of k8s/ and checks what comes out: every document against its schema, and what no schema can say
# (k8s/check.py). Besides the overlays there are two that docs/kubernetes.md tells how to make: production without KEDA,
# and production with models on GPU nodes that start from nothing.
#
#   scripts/k8s-check.sh
#
# kustomize comes from the PATH, else from kubectl, else is built with Go into the cache; the schemas are a Python
# package in an environment in the cache. Where one cannot be had this says so and succeeds; TASKLANE_STRICT=1 fails.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib/paths.sh
. scripts/lib/paths.sh
# shellcheck source=scripts/lib/say.sh
. scripts/lib/say.sh
# shellcheck source=scripts/lib/versions.sh
. scripts/lib/versions.sh
# shellcheck source=scripts/lib/fetch.sh
. scripts/lib/fetch.sh

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

cannot() {
    echo "note: the Kubernetes manifests were not checked: $1"
    if [ "${TASKLANE_STRICT:-}" = 1 ]; then exit 1; fi
    exit 0
}

# The last thing that a command said.
reason() { { echo "it gave no reason"; cat "$scratch/log"; } | grep -v '^[[:space:]]*$' | tail -n 1 | cut -c 1-200; }

# Sets the array `kustomize`.
find_kustomize() {
    local cached=$cache/bin/kustomize-$kustomize_version/kustomize version
    kustomize=("$cached" build)
    if have kustomize; then
        version=$(kustomize version 2>/dev/null | sed 's/[^0-9]*//')
        if version_at_least "${version:-0}" "$kustomize_floor"; then
            kustomize=(kustomize build)
            return
        fi
    fi
    if have kubectl; then
        version=$(kubectl version --client 2>/dev/null | sed -n 's/^Kustomize Version: v//p')
        if version_at_least "${version:-0}" "$kustomize_floor"; then
            kustomize=(kubectl kustomize)
            return
        fi
    fi
    if [ -x "$cached" ]; then return; fi
    say "building kustomize $kustomize_version with Go (once) ..."
    CGO_ENABLED=0 from_go sigs.k8s.io/kustomize/kustomize/v5 "$kustomize_version" . "$cached" >"$scratch/log" 2>&1 ||
        cannot "there is no kustomize $kustomize_floor or later, and building one failed: $(reason)"
}

# Sets `python`, of an environment with the schemas.
find_python() {
    local home=$cache/python/kubernetes-validate-$schemas_version made
    python=$home/bin/python
    if [ -x "$python" ]; then return; fi
    have python3 || cannot "Python 3 is not installed"
    mkdir -p "$cache/python"
    made=$home.tmp.$$
    say "fetching the schemas of Kubernetes (kubernetes-validate $schemas_version, once) ..."
    if python3 -m venv "$made" >"$scratch/log" 2>&1 &&
        within 300 "$made/bin/python" -m pip install --quiet --disable-pip-version-check --timeout 5 --retries 1 \
            "kubernetes-validate==$schemas_version" >"$scratch/log" 2>&1; then
        mv "$made" "$home"
    else
        rm -rf "$made"
        cannot "the schemas could not be fetched: $(reason)"
    fi
}

# render NAME FOLDER: adds it to `rendered`.
rendered=()
render() {
    "${kustomize[@]}" "$2" >"$scratch/$1.yaml" || die "$1 cannot be rendered"
    rendered+=("$1=$scratch/$1.yaml")
}

# A copy of k8s/ with one line of its production overlay changed by a sed expression.
changed_copy() { # NAME EXPRESSION
    local overlay=$scratch/$1/k8s/overlays/production/kustomization.yaml
    mkdir -p "$scratch/$1"
    cp -R k8s "$scratch/$1/k8s"
    sed "$2" k8s/overlays/production/kustomization.yaml >"$overlay"
    if cmp -s "$overlay" k8s/overlays/production/kustomization.yaml; then die "$1: nothing to change in production"; fi
}

# Writes the files that docs/kubernetes.md shows: blocks of YAML whose first line is a comment with their path.
files_of_the_page() { # FOLDER
    awk -v folder="$1/" '
        /^```/ { file = ""; first = ($0 == "```yaml"); next }
        first && /^# k8s\/[a-z0-9\/.-]+$/ { file = folder $2; system("mkdir -p $(dirname " file ")") }
        { first = 0 }
        file { print > file }
    ' docs/kubernetes.md
}

find_kustomize
find_python

for overlay in k8s/overlays/*/; do render "$(basename "$overlay")" "$overlay"; done
changed_copy without-keda 's|components/keda$|components/hpa|'
render without-keda "$scratch/without-keda/k8s/overlays/production"
changed_copy on-gpu $'s|^  - ../../components/monitoring$|&\\\n  - ../../components/gpu|'
files_of_the_page "$scratch/on-gpu"
render on-gpu "$scratch/on-gpu/k8s/overlays/production"

PYTHONDONTWRITEBYTECODE=1 "$python" k8s/check.py . "$CARGO_TARGET_DIR" "${rendered[@]}" ||
    die "the Kubernetes manifests are not as they should be"
