#!/usr/bin/env bash
# Gets the outside programs that Tasklane runs with, into a cache outside the checkout. Needs no root.
#
#   scripts/setup.sh [nats-server|nats-cli|pdfium|jaeger|cargo-deny|libtorch|minilm|openai-python|openai-node|ml-reference|litellm|ml-peers|vector-peers|needed|all]...
#   scripts/setup.sh --print-path TOOL     the path alone; exit 1 if it is not there (nothing is fetched)
#   scripts/setup.sh --place-pdfium FOLDER link the PDF library into a folder of programs, where they look first
#
# Without a name it gets what is needed to run everything: nats-server, pdfium, libtorch and a small model (0.6 GB to
# fetch; STACK_ML=no leaves the last two out). A second run changes nothing.
# Cache: $TASKLANE_CACHE, else $XDG_CACHE_HOME/tasklane, else ~/.cache/tasklane.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib/paths.sh
. "$here/lib/paths.sh"
# shellcheck source=scripts/lib/say.sh
. "$here/lib/say.sh"
# shellcheck source=scripts/lib/versions.sh
. "$here/lib/versions.sh"
# shellcheck source=scripts/lib/scratch.sh
. "$here/lib/scratch.sh"
# shellcheck source=scripts/lib/fetch.sh
. "$here/lib/fetch.sh"
# shellcheck source=scripts/lib/ways.sh
. "$here/lib/ways.sh"
# shellcheck source=scripts/lib/tools.sh
. "$here/lib/tools.sh"
# shellcheck source=scripts/lib/libtorch.sh
. "$here/lib/libtorch.sh"
# shellcheck source=scripts/lib/minilm.sh
. "$here/lib/minilm.sh"

all="nats-server nats-cli pdfium jaeger cargo-deny libtorch minilm openai-python openai-node ml-reference"
known="$all litellm ml-peers vector-peers"
needed="nats-server pdfium libtorch minilm"
if [ "${STACK_ML:-yes}" = no ]; then needed="nats-server pdfium"; fi
# Without this one nothing runs; without the others something is missing that is said.
essential=nats-server

usage() { sed -n '2,/^set /p' "$0" | sed -e '/^set /d' -e 's/^# \{0,1\}//' >&2; }

# What each tool is for, and what goes without it.
purpose() {
    case "$1" in
        nats-server) echo "stores and carries every task; nothing runs without it" ;;
        pdfium) echo "reads PDF files; PDFIUM_LIBRARY=<path> names one; without it PDF alone is refused" ;;
        nats-cli) echo "optional: publish and look at tasks by hand; the tasklane command does it too" ;;
        jaeger) echo "optional: shows traces; without it none are kept" ;;
        cargo-deny) echo "only for 'make check': licences, bans and sources of dependencies" ;;
        libtorch) echo "optional: runs models; without it the ml service alone is not built; LIBTORCH=<folder> names one" ;;
        minilm) echo "optional: a small model for embeddings; without it the demonstration embeds nothing" ;;
        ml-reference) echo "only for 'make test': Python with torch, beside which the ml service is held" ;;
        openai-python | openai-node) echo "only for 'make test': OpenAI's own client, against the openai-proxy" ;;
        litellm) echo "only for 'make bench': model calls are compared with it; not part of 'all'" ;;
        ml-peers) echo "only for 'tasklane-loadtest ml': the ml service is compared with it; not part of 'all'" ;;
        vector-peers) echo "only for 'tasklane-loadtest vectors': the vector indexer is compared with it; not part of 'all'" ;;
    esac
}

where() { "where_${1//-/_}"; }

check_rust() {
    if have cargo; then return 0; fi
    say_error "Rust is not installed: no 'cargo' on the PATH"
    say "  Get it from https://rustup.rs (its installer needs no root), open a new shell, and run this again."
    say "  The right toolchain (rust-toolchain.toml) is then fetched by itself with the first build."
    return 1
}

# Gets one tool. Adds a line to `summary`; false if it could not be had.
set_up() {
    local tool=$1 path line
    if path=$(where "$tool"); then
        summary+=("$tool: $path")
        return 0
    fi
    say_head "$tool ($(purpose "$tool"))"
    make_scratch
    way_failures=()
    if "get_${tool//-/_}"; then
        path=$(where "$tool")
        summary+=("$tool: $path (new)")
        fetched=yes
        return 0
    fi
    summary+=("$tool: NOT AVAILABLE - $(purpose "$tool")")
    for line in "${way_failures[@]}"; do summary+=("    $line"); done
    return 1
}

fetched=no missing_needed=no summary=()

place_pdfium() {
    local library
    if library=$(where pdfium) && [ -d "$1" ]; then ln -sfn "$library" "$1/$pdfium_file"; fi
}

case "${1:-}" in
    -h | --help)
        usage
        exit 0
        ;;
    --print-path)
        case " $known " in *" ${2:-} "*) ;; *) die "--print-path takes one of: $known" ;; esac
        where "$2" || die "$2 is not there; 'scripts/setup.sh $2' gets it"
        exit 0
        ;;
esac

if [ "${1:-}" = --place-pdfium ]; then
    place_pdfium "${2:?a folder}"
    exit 0
fi

tools=()
for name in "${@:-needed}"; do
    case "$name" in
        all) for tool in $all; do tools+=("$tool"); done ;;
        needed) for tool in $needed; do tools+=("$tool"); done ;;
        *)
            case " $known " in *" $name "*) ;; *)
                usage
                die "unknown tool '$name'; known: $known, needed, all"
                ;;
            esac
            tools+=("$name")
            ;;
    esac
done

check_rust || missing_needed=yes
for tool in "${tools[@]}"; do
    if ! set_up "$tool"; then
        if [ "$tool" = "$essential" ]; then missing_needed=yes; fi
    fi
done

if [ "$fetched" = no ] && [ "$missing_needed" = no ] && [[ "${summary[*]}" != *"NOT AVAILABLE"* ]]; then
    say "set up: ${tools[*]} (nothing to do)"
    exit 0
fi
say_head "Summary"
for line in "${summary[@]}"; do say "  $line"; done
if [ "$missing_needed" = yes ]; then
    die "something is missing without which nothing runs, see above"
fi
