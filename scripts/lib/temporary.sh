# A stack for the length of one command: temporary data, free ports, gone afterwards whatever happens.
# shellcheck shell=bash
# shellcheck disable=SC2154  # repo is set by stack.sh

start_temporary_stack() { # WHAT-FOR
    local port
    STACK_DIR=$(mktemp -d)
    export STACK_DIR STACK_JAEGER=no
    for port in NATS NATS_HTTP ROUTER GENERIC DOCUMENT OPENAI_PROXY OPENAI_PROXY_API ML VECTOR_INDEXER; do export "STACK_${port}_PORT=$(free_port)"; done
    say "Starting a stack for $1 (data in $STACK_DIR, removed afterwards)"
    # In a process group of its own, so that Ctrl-C ends the command first and then, in order, its stack.
    set -m
    "$repo/scripts/stack.sh" up </dev/null >"$STACK_DIR/up.log" 2>&1 &
    set +m
    temporary_stack=$!
    trap stop_temporary_stack EXIT
    trap 'exit 130' INT TERM HUP
    until [ -f "$STACK_DIR/.tasklane/run/stack.env" ]; do
        if ! kill -0 "$temporary_stack" 2>/dev/null; then
            cat "$STACK_DIR/up.log" >&2
            die "the stack did not start"
        fi
        sleep 0.05
    done
    say_note "$(head -n 1 "$STACK_DIR/up.log")"
    export TASKLANE_NATS_URL=nats://127.0.0.1:$STACK_NATS_PORT
}

stop_temporary_stack() {
    local code=$?
    kill -TERM "$temporary_stack" 2>/dev/null || true
    wait "$temporary_stack" 2>/dev/null || true
    rm -rf "$STACK_DIR"
    exit "$code"
}

# Runs a command with TASKLANE_NATS_URL set to a temporary stack.
with_stack() {
    if [ $# -eq 0 ]; then die "with needs a command: scripts/stack.sh with COMMAND..."; fi
    start_temporary_stack "$(basename "$1")"
    "$@"
}
