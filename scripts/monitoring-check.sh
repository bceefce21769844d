#!/usr/bin/env bash
# Checks what watches over Tasklane: Prometheus's configuration, its alerts with their tests, dashboards, runbook pages.
#
#   scripts/monitoring-check.sh [step...]     steps: config rules tests names
#   scripts/monitoring-check.sh --print-path  where promtool is; exit 1 if it is not there (nothing is fetched)
#
# It needs promtool, which is Prometheus's own checker, and gets it into the cache; and Python, for config/check.py.
# Where one cannot be had, a line that begins with "note: " says what was not checked. With TASKLANE_STRICT=1 (CI sets
# it) that is a failure, unless it really cannot be had here.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib/paths.sh
. scripts/lib/paths.sh
# shellcheck source=scripts/lib/say.sh
. scripts/lib/say.sh
# shellcheck source=scripts/lib/step.sh
. scripts/lib/step.sh
# shellcheck source=scripts/lib/versions.sh
. scripts/lib/versions.sh
# shellcheck source=scripts/lib/scratch.sh
. scripts/lib/scratch.sh
# shellcheck source=scripts/lib/fetch.sh
. scripts/lib/fetch.sh
# shellcheck source=scripts/lib/ways.sh
. scripts/lib/ways.sh

prometheus_module=github.com/prometheus/prometheus
release=https://github.com/prometheus/prometheus/releases/download/v$prometheus_version

promtool_cached=$cache/bin/promtool-$prometheus_version/promtool
promtool_of_debian=$cache/bin/promtool-debian/promtool
where_promtool() {
    local version found
    if have promtool; then
        version=$(promtool --version 2>&1 | sed -n '1s/^promtool, version \([0-9.]*\).*/\1/p')
        if version_at_least "${version:-0}" "$promtool_floor"; then
            command -v promtool
            return
        fi
    fi
    for found in "$promtool_cached" "$promtool_of_debian"; do
        if [ -x "$found" ]; then
            echo "$found"
            return
        fi
    done
    return 1
}

get_promtool() {
    way "the release archive" from_release "$release" "prometheus-$prometheus_version.$platform.tar.gz" \
        sha256sums.txt promtool "$promtool_cached" ||
        way "Debian's package of Prometheus, unpacked" from_deb prometheus promtool "$promtool_of_debian" ||
        way "building it with Go (some minutes)" build_promtool
}

# A program out of a package of Debian or Ubuntu, which is fetched and unpacked, never installed. apt checks its sum.
from_deb() { # PACKAGE PROGRAM TARGET
    local dir version
    if ! have apt-get || ! have dpkg-deb; then
        echo "this is no Debian: apt-get or dpkg-deb is not installed"
        return 1
    fi
    version=$(apt-cache show --no-all-versions "$1" 2>/dev/null | sed -n 's/^Version: \([0-9.]*\).*/\1/p')
    if ! version_at_least "${version:-0}" "$promtool_floor"; then
        echo "apt knows no package $1 from $promtool_floor on (found: ${version:-none; 'apt-get update' may be due})"
        return 1
    fi
    dir=$(mktemp -d "$scratch/deb.XXXXXX")
    (cd "$dir" && within 300 apt-get download --quiet "$1" 2>&1) || return 1
    dpkg-deb -x "$dir"/*.deb "$dir/out" && take_from "$dir/out" "$2" "$3"
}

# Without the clients of two dozen clouds, which promtool has for looking up targets: rules need none of them, and the
# build takes a fraction of the time. The module brings a workspace file that leads to folders it does not bring.
build_promtool() {
    GOWORK=off GOFLAGS="-buildvcs=false -tags=remove_all_sd,enable_dns_sd" \
        from_go "$prometheus_module" "$prometheus_module_version" ./cmd/promtool "$promtool_cached"
}

# True if one of the ways that failed should have worked: what it fetches from can be reached.
could_be_had() {
    if have curl && curl --fail --location --silent --head --connect-timeout 5 --max-time 20 --output /dev/null \
        "$release/sha256sums.txt"; then
        return 0
    fi
    have go && GOFLAGS=-mod=mod within 60 go list -m "$prometheus_module@v$prometheus_module_version" >/dev/null 2>&1
}

# Says what was not checked; fails where strictness was asked for and there was a way.
missing() { # TOOL WHAT-IS-NOT-CHECKED STRICT-QUESTION...
    local tool=$1 what=$2
    shift 2
    if [ "${TASKLANE_STRICT:-0}" = 1 ] && "$@"; then
        die "$tool could have been had here, and was not; without it $what"
    fi
    echo "note: $what: $tool could not be had"
}

check_config() { "$promtool" check config config/prometheus/prometheus.yml; }
check_rules() { "$promtool" check rules --lint=all --lint-fatal config/prometheus/rules/*.yml; }
check_tests() { "$promtool" test rules config/prometheus/tests/*.yml; }
check_names() { PYTHONDONTWRITEBYTECODE=1 python3 config/check.py ${promtool:+--promtool "$promtool"}; }

if [ "${1:-}" = --print-path ]; then
    where_promtool || die "promtool is not there; scripts/monitoring-check.sh gets it"
    exit 0
fi
case "${1:-}" in -*)
    sed -n '2,/^set /p' "$0" | sed -e '/^set /d' -e 's/^# \{0,1\}//' >&2
    [ "$1" = -h ] || [ "$1" = --help ] || die "unknown option '$1'"
    exit 0
    ;;
esac

if ! promtool=$(where_promtool); then
    say_head "promtool (checks Prometheus's configuration, rules and their tests)"
    make_scratch
    if get_promtool; then
        promtool=$(where_promtool)
    else
        promtool=
        missing promtool "configuration, alerts, their tests and the queries of dashboards were not checked" could_be_had
    fi
fi

wanted=("$@")
if [ ${#wanted[@]} -eq 0 ]; then wanted=(config rules tests names); fi
for name in "${wanted[@]}"; do
    case "$name" in
        config | rules | tests) if [ -z "$promtool" ]; then continue; fi ;;
        names)
            if ! have python3; then
                missing python3 "dashboards and runbook pages were not checked" false
                continue
            fi
            ;;
        *) die "unknown step '$name'; known: config rules tests names" ;;
    esac
    step "$name" "check_$name"
done

if [ ${#failed_steps[@]} -gt 0 ]; then die "these checks failed: ${failed_steps[*]}"; fi
