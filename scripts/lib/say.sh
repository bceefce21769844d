# What the scripts say: one voice, on standard error, so that standard output stays for answers.
# shellcheck shell=bash

if [ -t 2 ] && [ -z "${NO_COLOR:-}" ]; then
    say_bold=$'\033[1m' say_dim=$'\033[2m' say_red=$'\033[31m' say_green=$'\033[32m' say_off=$'\033[0m'
else
    say_bold='' say_dim='' say_red='' say_green='' say_off=''
fi

say() { printf '%s\n' "$*" >&2; }
say_head() { printf '%s%s%s\n' "$say_bold" "$*" "$say_off" >&2; }
say_note() { printf '%s  %s%s\n' "$say_dim" "$*" "$say_off" >&2; }
say_ok() { printf '%s%s%s\n' "$say_green" "$*" "$say_off" >&2; }
say_error() { printf '%serror:%s %s\n' "$say_red" "$say_off" "$*" >&2; }
die() {
    say_error "$@"
    exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# Milliseconds since some moment, for differences. Bash 5 has it built in; macOS ships bash 3.
now_ms() {
    if [ -n "${EPOCHREALTIME:-}" ]; then
        local micros=${EPOCHREALTIME/[.,]/}
        echo $((micros / 1000))
    else
        echo $(($(date +%s) * 1000))
    fi
}

# A duration in milliseconds as a person reads it: 420 -> 0.4 s.
seconds() { printf '%d.%d s' $(($1 / 1000)) $(($1 % 1000 / 100)); }
