#!/usr/bin/env bash
# NATS and the services on this machine, without Docker.
#
#   scripts/stack.sh up       run them here until Ctrl-C
#   scripts/stack.sh down     stop a stack that another terminal runs
#   scripts/stack.sh status   who runs, where, and whether it is ready
#   scripts/stack.sh logs     follow all logs
#   scripts/stack.sh demo     show what it does, on a stack of its own if none runs
#   scripts/stack.sh with COMMAND...   run a command with TASKLANE_NATS_URL set to a stack of its own
#
# Data, logs and pid files are in .tasklane/ of STACK_DIR (this checkout, unless set). Ports: 4222 and 8222
# (NATS), 9470 to 9475 (router, generic, document, openai-proxy, ml, vector-indexer), 9480 (the openai-proxy's API); STACK_<NAME>_PORT moves
# one. STACK_JAEGER=no leaves Jaeger out, STACK_ML=no the ml service.
# STACK_KEYS names a folder of `tasklane keys`: users with permissions, and TLS. STACK_DURABILITY=fsync: acknowledged
# means on the disk (docs/durability.md).
set -euo pipefail

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/lib/paths.sh
. "$repo/scripts/lib/paths.sh"
# shellcheck source=scripts/lib/say.sh
. "$repo/scripts/lib/say.sh"
# shellcheck source=scripts/lib/net.sh
. "$repo/scripts/lib/net.sh"
# shellcheck source=scripts/lib/members.sh
. "$repo/scripts/lib/members.sh"
# shellcheck source=scripts/lib/processes.sh
. "$repo/scripts/lib/processes.sh"
# shellcheck source=scripts/lib/temporary.sh
. "$repo/scripts/lib/temporary.sh"
# shellcheck source=scripts/lib/demo.sh
. "$repo/scripts/lib/demo.sh"
# shellcheck source=scripts/lib/collection.sh
. "$repo/scripts/lib/collection.sh"

stack_dir=${STACK_DIR:-$repo}
state=$stack_dir/.tasklane
run=$state/run
logs=$state/logs
binaries=$CARGO_TARGET_DIR/${STACK_PROFILE:-release}
# Longer than the services' own drain time, so that force is the exception.
drain_seconds=35
# Absolute, for members run in folders of their own.
if [ -n "${STACK_KEYS:-}" ]; then
    STACK_KEYS=$(cd "$STACK_KEYS" && pwd) || die "STACK_KEYS names no folder: 'make keys' makes .tasklane/keys"
    export STACK_KEYS
fi

usage() { sed -n '2,/^set /p' "$0" | sed -e '/^set /d' -e 's/^# \{0,1\}//' >&2; }

check_binaries() {
    local name binary
    for name in $(members); do
        binary=$(binary_of "$name") || die "$name cannot start, see above"
        [ -x "$binary" ] || die "$binary is not there: 'make build' makes it"
    done
}

check_ports() {
    local name port taken=no
    for name in $(members); do
        for port in $(ports_of "$name"); do
            if port_in_use "$port"; then
                say_error "port $port, which $name needs, is in use by $(port_holder "$port")"
                taken=yes
            fi
        done
    done
    if [ "$taken" = yes ]; then
        die "stop what holds it, or move ours: STACK_NATS_PORT, STACK_NATS_HTTP_PORT, STACK_ROUTER_PORT, ..."
    fi
}

start_all() {
    local name begun
    "$repo/scripts/setup.sh" --place-pdfium "$binaries"
    begun=$(now_ms)
    for name in $(members); do
        start_member "$name" "$(binary_of "$name")"
        # The others need the server; among themselves they do not wait.
        if [ "$name" = nats ]; then await_member nats 20 || return 1; fi
    done
    for name in $(members); do await_member "$name" 60 || return 1; done
    started_in=$(seconds $(($(now_ms) - begun)))
}

# The tasklane command as one would type it here.
command_of_ours() { command -v tasklane 2>/dev/null || echo "$binaries/tasklane"; }

ml_word() { if [ "$with_ml" = yes ]; then echo ", ml :$ml_port"; fi; }

# Watches until everybody is asked to stop. Nobody is restarted in silence: who dies is shown with its last
# words. The others go on, for its tasks wait in their lanes; without NATS nothing can, so then all stop.
watch() {
    local name gone=' '
    while true; do
        for name in $(members); do
            case "$gone" in *" $name "*) continue ;; esac
            if pid_of "$name" >/dev/null; then continue; fi
            gone="$gone$name "
            say_error "$name has stopped. The end of $logs/$name.log:"
            show_tail "$name"
            if [ "$name" = nats ]; then return 1; fi
            say "The others go on; its tasks wait. Ctrl-C and 'make up' start all of them again."
        done
        # In the background and waited for, so that a signal is acted on at once.
        sleep 0.5 &
        wait $! || true
    done
}

on_signal() {
    trap 'kill_all; exit 130' INT TERM
    say "Stopping: each service finishes what it has (once more Ctrl-C ends them at once)"
    exit 0
}
kill_all() {
    local name pid
    for name in $(members); do
        if pid=$(pid_of "$name"); then kill -KILL -- "-$pid" 2>/dev/null || true; fi
    done
}
on_exit() {
    local code=$?
    trap '' EXIT
    stop_all
    rm -f "$run/stack.pid" "$run/stack.env"
    say "Stopped. Data and logs stay in $state"
    exit "$code"
}

up() {
    local pid
    if pid=$(pid_of stack); then die "a stack runs already (pid $pid): 'make status' shows it, 'make down' stops it"; fi
    mkdir -p "$run" "$logs"
    choose_jaeger
    choose_ml
    check_binaries
    check_variables
    clear_leftovers
    check_ports
    echo "$$ stack.sh" >"$run/stack.pid"
    trap on_signal INT TERM HUP
    trap on_exit EXIT
    start_all || exit 1
    {
        echo "nats_url=nats://127.0.0.1:$nats_port"
        echo "with_jaeger=$with_jaeger"
    } >"$run/stack.env"
    say_ok "ready in $started_in: NATS nats://127.0.0.1:$nats_port, router :$router_port, generic :$generic_port, document :$document_port, openai-proxy :$proxy_port (API :$proxy_api_port)$(ml_word), vector-indexer :$vector_indexer_port"
    if [ -n "$without_ml_why" ]; then say_note "without the ml service: $without_ml_why"; fi
    say_note "logs: $logs   metrics: http://127.0.0.1:$router_port/metrics   monitoring: http://127.0.0.1:$nats_http_port"
    if [ "$with_jaeger" = yes ]; then say_note "traces: http://127.0.0.1:$jaeger_web_port"; fi
    say_note "try: $(command_of_ours) run echo '{\"hello\":\"world\"}'   or: make demo   (Ctrl-C stops everything)"
    watch
}

down() {
    local pid
    if pid=$(pid_of stack); then
        kill -TERM "$pid"
        while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
        say "stopped"
        return
    fi
    if [ -d "$run" ]; then clear_leftovers; fi
    say "no stack runs here"
}

status() {
    local name pid state_word code=0
    choose_jaeger
    choose_ml
    if [ "$with_jaeger" = yes ] && ! pid_of jaeger >/dev/null; then with_jaeger=no; fi
    for name in $(members); do
        if ! pid=$(pid_of "$name"); then
            printf '%-14s stopped\n' "$name"
            code=1
            continue
        fi
        state_word=ready
        if ! is_ready "$name"; then
            state_word='not ready'
            code=1
        fi
        printf '%-14s %-10s pid %-8s ports %-18s %s\n' "$name" "$state_word" "$pid" "$(ports_of "$name")" \
            "$(ps -p "$pid" -o rss=,etime= | awk '{ printf "%d MB, up %s", $1 / 1024, $2 }')"
    done
    return "$code"
}

follow_logs() {
    [ -d "$logs" ] || die "there are no logs yet in $logs: 'make up' starts a stack"
    exec tail -n 20 -F "$logs"/*.log
}

case "${1:-}" in
    up) up ;;
    down) down ;;
    status) status ;;
    logs) follow_logs ;;
    demo) demo ;;
    with)
        shift
        with_stack "$@"
        ;;
    -h | --help) usage ;;
    *)
        usage
        exit 2
        ;;
esac
