#!/usr/bin/env bash
# Kills each container of a running `docker compose up` in turn while tasks are submitted, and counts the results.
#
#   scripts/compose-check.sh [TASKS]     TASKS for each container that is killed (1000 as it comes)
#
# Every task whose submission was acknowledged must have exactly one result, succeeded. `tasklane` is taken from the PATH
# or from the release build; TASKLANE_NATS_URL as it is set.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib/paths.sh
. scripts/lib/paths.sh
# shellcheck source=scripts/lib/say.sh
. scripts/lib/say.sh

tasks=${1:-1000}
submitters=4
monitor=http://127.0.0.1:${NATS_MONITOR_PORT:-8222}
PATH=$CARGO_TARGET_DIR/release:$PATH
have tasklane || die "there is no tasklane command: 'make build' makes it"
have docker || die "there is no docker command"

# Messages ever stored in RESULTS: a second result of a task would count too, though it takes the first one's place.
recorded() {
    curl -fs "$monitor/jsz?streams=1" | python3 -c '
import json, sys
streams = [s for a in json.load(sys.stdin)["account_details"] for s in a["stream_detail"]]
print(next(s["state"]["last_seq"] for s in streams if s["name"] == "RESULTS"))'
}

# Submits until the stream has acknowledged: the same id, so that trying again is no second task.
submit() { # ID N
    local payload='{"note":"a task"}' type=echo
    # One in ten goes to the document service.
    if [ $(($2 % 10)) = 0 ]; then
        type=document_extract
        payload='{"content_base64":"IyBBIGxhbXAKCkxpdCBpbiAxODg3Lgo="}'
    fi
    until tasklane submit "$type" "$payload" --id "$1" --max-attempts 10 >/dev/null 2>&1; do sleep 0.2; done
}

submit_all() { # PREFIX FROM
    local n
    for ((n = $2; n < tasks; n += submitters)); do submit "$1-$n" "$n"; done
}

# One result each: as many as tasks, and each of them succeeded.
count() { # PREFIX BEFORE
    local n good=0 deadline=$(($(now_ms) + 120000))
    while [ $(($(recorded) - $2)) -lt "$tasks" ]; do
        [ "$(now_ms)" -lt "$deadline" ] || die "only $(($(recorded) - $2)) of $tasks results within two minutes"
        sleep 0.2
    done
    for ((n = 0; n < tasks; n++)); do
        if tasklane result "$1-$n" --json >/dev/null 2>&1; then good=$((good + 1)); fi
    done
    [ "$good" = "$tasks" ] || die "$good of $tasks tasks succeeded"
    [ $(($(recorded) - $2)) = "$tasks" ] || die "$(($(recorded) - $2)) results of $tasks tasks"
}

for victim in nats router generic document; do
    prefix="check-$victim-$(now_ms)"
    before=$(recorded)
    begun=$(now_ms)
    for ((s = 0; s < submitters; s++)); do submit_all "$prefix" "$s" & done
    until [ $(($(recorded) - before)) -ge $((tasks / 10)) ]; do sleep 0.05; done
    container=$(docker compose ps -q "$victim" | sed -n 1p)
    docker kill "$container" >/dev/null
    at=$(($(now_ms) - begun))
    sleep 1 # it stays away for a moment, as it would
    docker start "$container" >/dev/null
    wait
    count "$prefix" "$before"
    say_ok "$victim killed after $(seconds "$at"): $tasks tasks, each one result, succeeded, after $(seconds $(($(now_ms) - begun)))"
done
