# Runs the ways to get a tool one after the other, says how far it is, and keeps the reasons of those that fail.
# shellcheck shell=bash

way_failures=()

# way LABEL COMMAND...: true if it worked.
way() {
    local label=$1 start log child beat=0
    shift
    start=$(now_ms)
    log=$(mktemp "$scratch/way.XXXXXX")
    say "  by $label ..."
    # A process group of its own, so that an interrupted set-up ends whatever the way has started.
    set -m
    "$@" </dev/null >"$log" 2>&1 &
    set +m
    child=$!
    while kill -0 "$child" 2>/dev/null; do
        sleep 0.2
        beat=$((beat + 1))
        if [ $((beat % 100)) -eq 0 ]; then
            say_note "$(seconds $(($(now_ms) - start))): $(tail -n 1 "$log" | tr -d '\r' | cut -c 1-90)"
        fi
    done
    if wait "$child"; then
        say_note "done in $(seconds $(($(now_ms) - start)))"
        return 0
    fi
    local reason
    reason=$(grep -v '^[[:space:]]*$' "$log" | tail -n 1 | cut -c 1-200)
    say_note "no: ${reason:-it gave no reason}"
    way_failures+=("$label: ${reason:-no reason given}")
    return 1
}
