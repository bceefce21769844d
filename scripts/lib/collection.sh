# The part of the demonstration where all services work together: the documents go into a collection, and questions find
# their passages; one is answered, by a model that writes where there is one, and else in the documents' own words.
# shellcheck shell=bash
# shellcheck disable=SC2154  # repo, run, binaries are set by stack.sh, nats_url by demo.sh

demo_model=minilm
demo_collection=lighthouse
demo_questions=("How many stanchions of the railing are rusted through?" "Wie viel kostet der Transport der Linse?")

# The documents of examples/, cut, embedded and indexed; then the questions, and an answer with its sources.
search_documents() {
    local question
    say_head "A collection: the documents' chunks as vectors, and questions to it"
    if ! ours models list --json 2>/dev/null | grep -q '"worker"'; then
        say_note "left out: no ml service runs ('scripts/setup.sh libtorch' and 'make build' make one)"
        return 0
    fi
    if ! "$repo/scripts/setup.sh" --print-path "$demo_model" >/dev/null 2>&1; then
        say_note "left out: there is no model ('scripts/setup.sh $demo_model' gets one)"
        return 0
    fi
    show_command "the model $demo_model is loaded" models load "$demo_model" || return 0
    show_command "the documents go in" ingest "$repo/examples/documents" --collection "$demo_collection" || return 0
    # What does not succeed is counted, and the rest is tried all the same.
    for question in "${demo_questions[@]}"; do
        show_command "$question" search "$demo_collection" "$question" --hybrid -k 2 || true
    done
    show_command "and answered: ${demo_questions[0]}" ask "$demo_collection" "${demo_questions[0]}" || true
}

# Runs one of our commands and shows what it printed.
show_command() { # TITLE ARGUMENTS...
    local title=$1 printed begun code=0
    shift
    demo_tried=$((demo_tried + 1))
    begun=$(now_ms)
    printed=$(ours "$@" 2>&1) || code=$?
    say "  $say_bold$title$say_off  $say_dim$(seconds $(($(now_ms) - begun)))$say_off"
    if [ "$code" = 0 ]; then
        demo_done=$((demo_done + 1))
    else
        say_error "it did not succeed:"
    fi
    head -n 24 <<<"$printed" | cut -c 1-200 | sed 's/^/      /' >&2
    return "$code"
}

ours() { "$binaries/tasklane" --nats "$nats_url" "$@"; }
