# The demonstration: every document of examples/ and a few small tasks, through a real stack, and where the ml service
# runs, the documents in a collection that answers questions.
# shellcheck shell=bash
# shellcheck disable=SC2154  # repo, run, binaries are set by stack.sh

demo() {
    local nats_url begun file
    begun=$(now_ms)
    [ -x "$binaries/tasklane" ] || die "$binaries/tasklane is not there: 'make build' makes it"
    if pid_of stack >/dev/null && [ -f "$run/stack.env" ]; then
        nats_url=$(sed -n 's/^nats_url=//p' "$run/stack.env")
        say "Using the stack that runs already ($nats_url)"
    else
        start_temporary_stack "the demonstration"
        nats_url=$TASKLANE_NATS_URL
    fi

    use_key operator
    say_head "Small tasks"
    show_task "echo: what goes in comes out" echo '{"light":"on","flashes":4,"turn_seconds":40}'
    show_task "compute: an expression" compute \
        '{"expression":"prisms * price + transport * 2","inputs":{"prisms":96,"price":920,"transport":9840}}'

    say_head "Documents: the papers of a lighthouse society, in ten formats"
    for file in "$repo"/examples/documents/*; do
        show_task "$(basename "$file")" document_analysis "$file"
    done

    search_documents

    say_ok "$demo_done of $demo_tried tasks done in $(seconds $(($(now_ms) - begun)))"
    where_to_look
    [ "$demo_done" = "$demo_tried" ]
}

demo_tried=0 demo_done=0

# Runs one task and shows what came back in a few lines.
show_task() { # TITLE TYPE PAYLOAD-OR-FILE
    local record begun code=0
    demo_tried=$((demo_tried + 1))
    begun=$(now_ms)
    record=$("$binaries/tasklane" run "$2" "$3" --nats "$nats_url" --json 2>&1) || code=$?
    say "  $say_bold$1$say_off  $say_dim$(seconds $(($(now_ms) - begun)))$say_off"
    if [ "$code" = 0 ]; then
        demo_done=$((demo_done + 1))
        awk -f "$repo/scripts/lib/digest.awk" <<<"$record" | cut -c 1-160 | sed 's/^/      /' >&2
    else
        say_error "the task did not succeed:"
        head -n 12 <<<"$record" | cut -c 1-200 | sed 's/^/      /' >&2
    fi
}

where_to_look() {
    local nats=nats
    have nats || nats=$("$repo/scripts/setup.sh" --print-path nats-cli 2>/dev/null) || nats=''
    say_head "Where to go from here"
    say "  make up                                      keep a stack running"
    say "  $(command_of_ours) --help"
    if [ -n "$nats" ]; then
        say "  $nats req api.run.echo '{\"hello\":\"world\"}' --timeout 10s"
        say "  $nats stream report                          what is stored: TASKS, WORK, RESULTS, DEAD"
        say "  $nats kv watch workers  or  stream view RESULTS  or  stream view DEAD"
    else
        say "  scripts/setup.sh nats-cli                    the nats command, to publish and look by hand"
    fi
    if "$repo/scripts/setup.sh" --print-path jaeger >/dev/null 2>&1; then
        say "  make up shows every task as a trace at http://127.0.0.1:16686"
    else
        say "  scripts/setup.sh jaeger                      then 'make up' shows every task as a trace"
    fi
    say "  examples/README.md                           the documents and tasks, explained"
}
