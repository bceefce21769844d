# The part of the demonstration with a model of our own: the documents' chunks become vectors, and a question finds one.
# shellcheck shell=bash
# shellcheck disable=SC2154  # repo, run, binaries are set by stack.sh, nats_url by demo.sh

demo_model=minilm
demo_question="How much does the restoration of the lighthouse cost?"

embed_documents() {
    local folder file chunked begun count documents=0
    say_head "Embeddings: the documents' chunks as vectors, on libtorch"
    if ! ours models list --json 2>/dev/null | grep -q '"worker"'; then
        say_note "left out: no ml service runs ('scripts/setup.sh libtorch' and 'make build' make one)"
        return 0
    fi
    if ! "$repo/scripts/setup.sh" --print-path "$demo_model" >/dev/null 2>&1; then
        say_note "left out: there is no model ('scripts/setup.sh $demo_model' gets one)"
        return 0
    fi
    demo_tried=$((demo_tried + 1))
    folder=$(mktemp -d)
    begun=$(now_ms)
    if ! ours models load "$demo_model" >"$folder/loaded" 2>&1; then
        embedding_failed "$folder/loaded" "$folder"
        return 0
    fi
    say "  ${say_bold}the model $demo_model is loaded$say_off  $say_dim$(seconds $(($(now_ms) - begun)))$say_off"

    begun=$(now_ms)
    for file in "$repo"/examples/documents/*; do
        # As long as the model reads at once.
        printf '{"content_base64":"%s","options":{"max_tokens":200}}' "$(base64 <"$file" | tr -d '\n')" >"$folder/payload"
        chunked=$folder/chunked
        documents=$((documents + 1))
        if ! ours run document_chunk "@$folder/payload" --json >"$chunked" 2>&1; then
            embedding_failed "$chunked" "$folder"
            return 0
        fi
        # One value a line, and the text as it stands is JSON.
        awk -v name="$(basename "$file")" '/^ +"text": "/ { sub(/^ +"text": /, ""); sub(/,$/, ""); print name "\t" $0 }' \
            "$chunked" >>"$folder/chunks"
    done
    count=$(wc -l <"$folder/chunks" | tr -d ' ')
    say "  ${say_bold}$documents documents are $count chunks$say_off  $say_dim$(seconds $(($(now_ms) - begun)))$say_off"

    begun=$(now_ms)
    {
        printf '{"model":"%s","truncate":"window","input":["%s"' "$demo_model" "$demo_question"
        cut -f 2- "$folder/chunks" | sed 's/^/,/'
        printf ']}'
    } >"$folder/payload"
    if ! ours run embed_text "@$folder/payload" --json >"$folder/vectors" 2>&1; then
        embedding_failed "$folder/vectors" "$folder"
        return 0
    fi
    say "  ${say_bold}$count chunks and a question are vectors$say_off  $say_dim$(seconds $(($(now_ms) - begun)))$say_off"
    awk -f "$repo/scripts/lib/nearest.awk" -v question="$demo_question" "$folder/chunks" "$folder/vectors" |
        cut -c 1-160 | sed 's/^/      /' >&2
    demo_done=$((demo_done + 1))
    rm -rf "$folder"
}

embedding_failed() { # FILE FOLDER
    say_error "it did not succeed:"
    head -n 12 "$1" | cut -c 1-200 | sed 's/^/      /' >&2
    rm -rf "$2"
}

ours() { "$binaries/tasklane" --nats "$nats_url" "$@"; }
