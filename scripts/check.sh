#!/usr/bin/env bash
# Everything that can be checked without running the program. All checks run, also after one has failed.
#
#   scripts/check.sh [step...]     steps: fmt clippy layers docs deny rustdoc shell nats monitoring k8s
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib/paths.sh
. scripts/lib/paths.sh
# shellcheck source=scripts/lib/say.sh
. scripts/lib/say.sh
# shellcheck source=scripts/lib/step.sh
. scripts/lib/step.sh
# shellcheck source=scripts/lib/scope.sh
. scripts/lib/scope.sh

choose_scope

check_fmt() { cargo fmt --all --check; }
check_clippy() { cargo clippy --locked "${scope[@]}" --all-targets -- -D warnings; }
check_layers() { cargo xtask layers; }
check_docs() { cargo xtask docs; }
check_rustdoc() { RUSTDOCFLAGS="-D warnings" cargo doc --locked "${scope[@]}" --no-deps --document-private-items; }

# Licences, bans and sources need the lock file alone. Advisories need their database, which is a git repository.
check_deny() {
    local deny
    if ! scripts/setup.sh cargo-deny || ! deny=$(scripts/setup.sh --print-path cargo-deny); then
        echo "note: dependencies were not checked: cargo-deny could not be had"
        return 0
    fi
    "$deny" --log-level warn check licenses bans sources || return 1
    if GIT_TERMINAL_PROMPT=0 timeout 10 git ls-remote --quiet --exit-code https://github.com/RustSec/advisory-db HEAD; then
        "$deny" --log-level warn check advisories
    else
        echo "note: security advisories were not checked: their database (github.com/RustSec) cannot be reached"
    fi
}

check_shell() {
    if have shellcheck; then
        shellcheck --external-sources --check-sourced scripts/*.sh .ci/run
    else
        echo "note: shell scripts were not linted: shellcheck is not installed"
        for script in scripts/*.sh scripts/lib/*.sh .ci/run; do bash -n "$script" || return 1; done
    fi
}

check_nats() {
    local server
    if server=$(scripts/setup.sh --print-path nats-server); then
        for config in config/nats-server*.conf config/nats/container.conf config/nats/container-fsync.conf; do
            "$server" -c "$config" -t || return 1
        done
        # Installed beside the part that all have in common.
        local folder
        folder=$(mktemp -d)
        cp config/nats/common.conf systemd/nats.conf "$folder/"
        "$server" -c "$folder/nats.conf" -t || return 1
        rm -rf "$folder"
    else
        echo "note: config/nats-server.conf was not checked: nats-server is not there ('make setup' gets it)"
    fi
}

check_monitoring() { scripts/monitoring-check.sh; }
check_k8s() { scripts/k8s-check.sh; }

for name in "${@:-fmt layers docs shell nats monitoring k8s deny clippy rustdoc}"; do
    # shellcheck disable=SC2086  # the default is a list of words
    for one in $name; do step "$one" "check_$one"; done
done

if [ ${#failed_steps[@]} -gt 0 ]; then die "these checks failed: ${failed_steps[*]}"; fi
