#!/usr/bin/env bash
# Fuzzes every target of fuzz/, FUZZ_SECONDS each (60). Needs cargo-fuzz and a nightly toolchain.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib/say.sh
. scripts/lib/say.sh

[ -d fuzz ] || die "there are no fuzz targets here (no folder fuzz/)"
have cargo-fuzz || die "cargo-fuzz is not installed; 'cargo install cargo-fuzz' gets it"
cargo +nightly --version >/dev/null 2>&1 || die "no nightly toolchain; 'rustup toolchain install nightly' gets it"

cargo +nightly fuzz list | while read -r target; do
    say_head "fuzzing $target for ${FUZZ_SECONDS:-60} s"
    cargo +nightly fuzz run "$target" -- -max_total_time="${FUZZ_SECONDS:-60}"
done
