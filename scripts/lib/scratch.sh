# A folder for what is not finished yet: beside the final files, so that a rename is one step, and gone whatever happens.
# shellcheck shell=bash
# shellcheck disable=SC2154  # cache is set by paths.sh

scratch=''

# Sets `scratch`, once. At the end of the script it goes, and with it whatever `way` has started.
make_scratch() {
    if [ -n "$scratch" ]; then return 0; fi
    mkdir -p "$cache/tmp"
    scratch=$(mktemp -d "$cache/tmp/$(basename "$0" .sh).XXXXXX")
    trap 'stop_children; chmod -R u+w "$scratch" 2>/dev/null; rm -rf "$scratch"' EXIT
    trap 'exit 130' INT TERM
}

stop_children() {
    local job
    for job in $(jobs -p); do kill -- "-$job" 2>/dev/null || true; done
}
