# The members of a stack: who they are, where they listen, how each is started.
# shellcheck shell=bash
# shellcheck disable=SC2154  # repo, state and logs are set by stack.sh

# Ports can be moved one by one, so that two stacks run side by side (with STACK_DIR for their data).
nats_port=${STACK_NATS_PORT:-4222}
nats_http_port=${STACK_NATS_HTTP_PORT:-8222}
router_port=${STACK_ROUTER_PORT:-9470}
generic_port=${STACK_GENERIC_PORT:-9471}
document_port=${STACK_DOCUMENT_PORT:-9472}
# Jaeger takes part where it is installed and nobody else collects the traces. STACK_JAEGER=no keeps it out.
jaeger_otlp_port=${STACK_JAEGER_OTLP_PORT:-4317}
jaeger_web_port=${STACK_JAEGER_WEB_PORT:-16686}
jaeger_admin_port=${STACK_JAEGER_ADMIN_PORT:-14269}

proxy_port=${STACK_OPENAI_PROXY_PORT:-9473}
proxy_api_port=${STACK_OPENAI_PROXY_API_PORT:-9480}

ml_port=${STACK_ML_PORT:-9474}
vector_indexer_port=${STACK_VECTOR_INDEXER_PORT:-9475}

# All there are. Which of them run here, `chosen` says.
services=(router generic document openai-proxy ml vector-indexer)

# Everybody, in the order of starting; stopping goes the other way round, so that nobody loses its server.
members() {
    echo nats
    if [ "$with_jaeger" = yes ]; then echo jaeger; fi
    chosen
}
chosen() {
    local name
    for name in "${services[@]}"; do
        if [ "$name" != ml ] || [ "$with_ml" = yes ]; then echo "$name"; fi
    done
}

# The ml service runs where it could be built (scope.sh). STACK_ML=no keeps it out.
with_ml=no without_ml_why=''
choose_ml() {
    if [ "${STACK_ML:-yes}" = no ]; then return; fi
    if ! "$repo/scripts/setup.sh" --print-path libtorch >/dev/null 2>&1; then
        without_ml_why="libtorch is not there ('scripts/setup.sh libtorch' gets it, then 'make build')"
    elif [ ! -x "$binaries/tasklane-ml" ] && ! have "${CXX:-c++}"; then
        without_ml_why="it was not built, for there is no C++ compiler '${CXX:-c++}'"
    else
        with_ml=yes
    fi
}

with_jaeger=no
choose_jaeger() {
    if [ "${STACK_JAEGER:-yes}" = yes ] && [ -z "${OTEL_EXPORTER_OTLP_ENDPOINT:-}" ] &&
        jaeger_binary=$("$repo/scripts/setup.sh" --print-path jaeger 2>/dev/null); then
        with_jaeger=yes
    fi
}

# The ports a member needs for itself.
ports_of() {
    case "$1" in
        nats) echo "$nats_port $nats_http_port" ;;
        jaeger) echo "$jaeger_otlp_port $jaeger_web_port $jaeger_admin_port" ;;
        openai-proxy) echo "$proxy_port $proxy_api_port" ;;
        *) health_port "$1" ;;
    esac
}

# The port and path that answer 200 once a member can be used.
health_port() {
    case "$1" in
        nats) echo "$nats_http_port" ;;
        jaeger) echo "$jaeger_admin_port" ;;
        router) echo "$router_port" ;;
        generic) echo "$generic_port" ;;
        document) echo "$document_port" ;;
        openai-proxy) echo "$proxy_port" ;;
        ml) echo "$ml_port" ;;
        vector-indexer) echo "$vector_indexer_port" ;;
    esac
}
health_path() {
    case "$1" in
        nats) echo '/healthz?js-enabled-only=true' ;;
        jaeger) echo / ;;
        *) echo /readyz ;;
    esac
}
is_ready() { http_ok "$(health_port "$1")" "$(health_path "$1")"; }

binary_of() {
    case "$1" in
        nats) "$repo/scripts/setup.sh" --print-path nats-server ;;
        jaeger) echo "$jaeger_binary" ;;
        *) echo "$binaries/tasklane-$1" ;;
    esac
}

# The configuration key of a service's own pages: the router's is its own, a worker's that of all workers.
listen_variable() {
    case "$1" in
        router) echo TASKLANE_HTTP_LISTEN ;;
        *) echo TASKLANE_WORKER_HTTP_LISTEN ;;
    esac
}

# The server's configuration. STACK_DURABILITY=fsync writes to the disk before it acknowledges. With STACK_KEYS, the folder of `tasklane keys`, it has users and TLS: what is included is
# copied beside it, for the server looks for it there.
nats_config() {
    local folder=$run/nats
    local config=nats-server.conf
    if [ "${STACK_DURABILITY:-}" = fsync ]; then config="nats-server-fsync.conf"; fi
    if [ -z "${STACK_KEYS:-}" ]; then
        echo "$repo/config/$config"
        return
    fi
    rm -rf "$folder" && mkdir -p "$folder"
    cp -R "$repo/config/"nats-server*.conf "$repo/config/nats" "$STACK_KEYS/auth.conf" "$folder/"
    printf 'include "'"$config"'"\ninclude "auth.conf"\ntls { cert_file: "%s", key_file: "%s", timeout: 5 }\n' \
        "$STACK_KEYS/server.crt" "$STACK_KEYS/server.key" >"$folder/secure.conf"
    echo "$folder/secure.conf"
}

# Connects as a user, where there are such.
use_key() { # USER
    if [ -z "${STACK_KEYS:-}" ]; then return; fi
    export TASKLANE_NATS_NKEY_FILE=$STACK_KEYS/$1.nk TASKLANE_NATS_TLS_CA_FILE=$STACK_KEYS/ca.crt
    export TASKLANE_NATS_INBOX_PREFIX=_INBOX.$1
}

# Whoever sets a variable for one service, as in `TASKLANE_SOURCES_ROOTS=/data make up`, sets it for all that are started
# here; a service refuses what it does not know. Each gets its own.
drop_foreign_variables() { # BINARY
    local name known
    known=$("$1" --print-variables)
    for name in $(our_variables); do
        if ! grep -qx "$name" <<<"$known"; then unset "$name"; fi
    done
}
our_variables() { compgen -e | grep '^TASKLANE_' | grep -vE '^TASKLANE_(CACHE|STRICT|TEST_.*|STACK_.*)$' || true; }

# A variable that no service knows is a mistake that must not pass silently.
check_variables() {
    local name known
    known=$(for name in $(chosen); do "$(binary_of "$name")" --print-variables; done)
    for name in $(our_variables); do
        grep -qx "$name" <<<"$known" || die "$name is set, and no service knows it: '--print-variables' of each lists them"
    done
}

# Where models are: what scripts/setup.sh got, unless the operator names another folder. Those of the object store are
# unpacked beside the stack's other data.
ml_models() {
    if [ -z "${TASKLANE_MODELS_FOLDER:-}" ]; then mkdir -p "$cache/models"; fi
    export TASKLANE_MODELS_FOLDER=${TASKLANE_MODELS_FOLDER:-$cache/models}
    export TASKLANE_MODELS_CACHE=${TASKLANE_MODELS_CACHE:-$state/models}
}

# Becomes the member's process. Called in a process of its own.
run_member() {
    local name=$1 binary=$2
    case "$name" in
        nats)
            cd "$stack_dir" # its configuration names store and log relative to where it runs
            exec "$binary" -c "$(nats_config)" --port "$nats_port" --http_port "$nats_http_port"
            ;;
        jaeger)
            exec "$binary" --collector.otlp.grpc.host-port="127.0.0.1:$jaeger_otlp_port" \
                --collector.otlp.http.host-port=127.0.0.1:0 --collector.grpc-server.host-port=127.0.0.1:0 \
                --collector.http-server.host-port=127.0.0.1:0 --query.grpc-server.host-port=127.0.0.1:0 \
                --query.http-server.host-port="127.0.0.1:$jaeger_web_port" \
                --admin.http.host-port="127.0.0.1:$jaeger_admin_port" --memory.max-traces=20000
            ;;
        *)
            cd "$repo"
            drop_foreign_variables "$binary"
            export TASKLANE_NATS_URL="nats://127.0.0.1:$nats_port"
            export "$(listen_variable "$name")=127.0.0.1:$(health_port "$name")"
            export TASKLANE_LOG_FORMAT=${TASKLANE_LOG_FORMAT:-human}
            use_key "$name"
            if [ "${STACK_DURABILITY:-}" = fsync ]; then export TASKLANE_NATS_BATCHES=true; fi
            if [ "$name" = openai-proxy ]; then
                export TASKLANE_API_LISTEN="127.0.0.1:$proxy_api_port"
                export TASKLANE_PROVIDERS_FILE=${TASKLANE_PROVIDERS_FILE:-$repo/config/providers.toml}
            fi
            if [ "$name" = ml ]; then ml_models; fi
            if [ "$name" = vector-indexer ]; then export TASKLANE_VECTORS_FOLDER=${TASKLANE_VECTORS_FOLDER:-$state/vectors}; fi
            if [ "$name" = router ]; then export TASKLANE_MONITOR_URLS="http://127.0.0.1:$nats_http_port"; fi
            if [ "$with_jaeger" = yes ]; then export OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:$jaeger_otlp_port"; fi
            exec "$binary"
            ;;
    esac
}
