# One check after the other, all of them even if one fails, each with the time it took.
# shellcheck shell=bash

failed_steps=()

# step NAME COMMAND...: prints the command's output only if it fails, or says something on descriptor 3.
step() {
    local name=$1 start log
    shift
    start=$(now_ms)
    log=$(mktemp)
    printf '%-12s ' "$name" >&2
    if "$@" >"$log" 2>&1; then
        say_ok "ok ($(seconds $(($(now_ms) - start))))"
        # A check that could not look at everything says so on a line of its own.
        sed -n 's/^note: /             note: /p' "$log" >&2
    else
        say_error "failed ($(seconds $(($(now_ms) - start)))): $*"
        cat "$log" >&2
        failed_steps+=("$name")
    fi
    rm -f "$log"
}
