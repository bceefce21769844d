#!/usr/bin/env bash
# Builds the services and the command. Arguments go to cargo build.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib/paths.sh
. scripts/lib/paths.sh
# shellcheck source=scripts/lib/say.sh
. scripts/lib/say.sh
# shellcheck source=scripts/lib/scope.sh
. scripts/lib/scope.sh

choose_scope
exec cargo build --locked "${scope[@]}" --bins "$@"
