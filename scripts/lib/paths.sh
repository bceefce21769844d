# Where things lie outside of the checkout: tools in the cache, build output beside them.
# shellcheck shell=bash
# shellcheck disable=SC2034  # read by the files that source this one

cache=${TASKLANE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tasklane}
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$cache/target}
