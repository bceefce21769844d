#!/usr/bin/env bash
# Runs all tests and closes with the list of those that were skipped, and why. Arguments go to cargo test.
#
# A test that cannot run prints "SKIPPED: <name>: <reason>". With TASKLANE_STRICT=1 (CI sets it) that is a
# failure, unless the reason is "absent: <what>" and <what> - a tool of scripts/setup.sh, or a path - is
# really not there.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib/paths.sh
. scripts/lib/paths.sh
# shellcheck source=scripts/lib/say.sh
. scripts/lib/say.sh
# shellcheck source=scripts/lib/scope.sh
. scripts/lib/scope.sh

choose_scope
export TASKLANE_STRICT=${TASKLANE_STRICT:-0}
# Tests find the tools by these, whatever is on the PATH.
if path=$(scripts/setup.sh --print-path nats-server 2>/dev/null); then export TASKLANE_TEST_NATS_SERVER=$path; fi
# What only tests use is not among what `make setup` gets.
scripts/setup.sh openai-python openai-node ml-reference || true
if path=$(scripts/setup.sh --print-path openai-python 2>/dev/null); then export TASKLANE_TEST_OPENAI_PYTHON=$path; fi
if path=$(scripts/setup.sh --print-path openai-node 2>/dev/null); then export TASKLANE_TEST_OPENAI_NODE=$path; fi
if path=$(scripts/setup.sh --print-path ml-reference 2>/dev/null); then export TASKLANE_TEST_ML_PYTHON=$path; fi
# A qdrant is fetched by nobody: whoever has one names it, or has it on the PATH.
if [ ! -f "${TASKLANE_TEST_QDRANT:-}" ] && path=$(command -v qdrant); then export TASKLANE_TEST_QDRANT=$path; fi
if path=$(scripts/setup.sh --print-path pdfium 2>/dev/null); then export PDFIUM_LIBRARY=$path; fi

# A tool is absent only where the set-up has tried and failed.
really_absent() {
    case "$1" in
        nats-server | nats-cli | pdfium | jaeger | cargo-deny | openai-python | openai-node | libtorch | ml-reference)
            scripts/setup.sh "$1" || true
            ! scripts/setup.sh --print-path "$1" >/dev/null 2>&1
            ;;
        qdrant) [ ! -f "${TASKLANE_TEST_QDRANT:-}" ] && ! have qdrant ;;
        */*) [ ! -e "$1" ] ;;
        *) return 1 ;;
    esac
}

# Prints the skipped tests; false if CI must not accept one of them.
judge_skips() {
    local line reason what accepted=0
    while IFS= read -r line; do
        say "  $line"
        reason=${line#SKIPPED: *: }
        what=${reason#absent: }
        what=${what%%[ ,;]*}
        if [ "$TASKLANE_STRICT" = 1 ] && { [ "$what" = "${reason%%[ ,;]*}" ] || ! really_absent "$what"; }; then
            say_error "this test could have run here"
            accepted=1
        fi
    done
    return "$accepted"
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT

# End-to-end tests start the real services, so these are built first.
say_head "Building the services"
cargo build --locked "${scope[@]}" --bins
for folder in "$CARGO_TARGET_DIR/debug" "$CARGO_TARGET_DIR/debug/deps"; do scripts/setup.sh --place-pdfium "$folder"; done
say_head "Running the tests"
code=0
# Passing tests' output is in the log, for their SKIPPED lines; on the screen it would only be noise.
cargo test --locked "${scope[@]}" "$@" -- --show-output 2>&1 | tee "$log" |
    awk '/^successes:$/ { quiet = 1 } /^(failures:|test result:)/ { quiet = 0 } !quiet' || code=$?

# Now that the services are built, the manifests' settings can be held against them.
scripts/k8s-check.sh || code=1

# Two ways to skip: by the line above, and by cargo's own #[ignore] (but for code in documentation).
skipped=$({
    grep -oE 'SKIPPED: .*' "$log" || true
    sed -nE '/\(line [0-9]+\)/d; s/^test (.*) \.\.\. ignored(, )?(.*)$/SKIPPED: \1: \3/p' "$log"
} | sort -u)
if [ -n "$skipped" ]; then
    say_head "Skipped tests: $(wc -l <<<"$skipped")"
    judge_skips <<<"$skipped" || code=1
fi
awk -v skipped="$(grep -c . <<<"$skipped" || true)" '
    /^test result:/ { passed += $4; failed += $6 }
    END { printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped }' "$log"
exit "$code"
