# Starting, watching and stopping the members of a stack, by their pid files.
# shellcheck shell=bash
# shellcheck disable=SC2154  # run and logs are set by stack.sh

# The pid of a member that runs, or nothing. A pid file may be older than its process: the number may by now
# belong to somebody else, so the program's name is compared too.
pid_of() {
    local pid program
    [ -f "$run/$1.pid" ] || return 1
    read -r pid program <"$run/$1.pid" || return 1
    kill -0 "$pid" 2>/dev/null || return 1
    case "$(ps -p "$pid" -o args= 2>/dev/null)" in
        *"$program"*) echo "$pid" ;;
        *) return 1 ;;
    esac
}

# Starts a member in a process group of its own, so that Ctrl-C reaches the stack alone and it stops them in order.
start_member() {
    local name=$1 binary=$2
    if [ -f "$logs/$name.log" ]; then mv "$logs/$name.log" "$logs/$name.log.1"; fi
    set -m
    run_member "$name" "$binary" </dev/null >>"$logs/$name.log" 2>&1 &
    set +m
    echo "$! ${binary##*/}" >"$run/$name.pid"
    # Until it has become the program it has another name, and would be taken for somebody else.
    while kill -0 "$!" 2>/dev/null && ! pid_of "$name" >/dev/null; do sleep 0.02; done
}

# Waits until a member answers; false if it died or took longer than SECONDS.
await_member() { # NAME SECONDS
    local deadline=$(($(now_ms) + $2 * 1000))
    until is_ready "$1"; do
        if ! pid_of "$1" >/dev/null; then
            say_error "$1 stopped before it was ready. The end of $logs/$1.log:"
            show_tail "$1"
            return 1
        fi
        if [ "$(now_ms)" -gt "$deadline" ]; then
            say_error "$1 runs, but is not ready after $2 s. The end of $logs/$1.log:"
            show_tail "$1"
            return 1
        fi
        sleep 0.05
    done
}

show_tail() { tail -n 15 "$logs/$1.log" 2>/dev/null | cut -c 1-400 | sed 's/^/    /' >&2; }

# Asks a member to stop, waits, and after the limit stops it and whatever it started by force.
stop_member() { # NAME SECONDS
    local pid deadline
    if pid=$(pid_of "$1"); then
        kill -TERM "$pid" 2>/dev/null || true
        deadline=$(($(now_ms) + $2 * 1000))
        while kill -0 "$pid" 2>/dev/null; do
            if [ "$(now_ms)" -gt "$deadline" ]; then
                say "$1 did not stop within $2 s: stopping it by force"
                kill -KILL -- "-$pid" 2>/dev/null || kill -KILL "$pid" 2>/dev/null || true
                break
            fi
            sleep 0.05
        done
    fi
    rm -f "$run/$1.pid"
}

# Services first and all at once, for each may take its time to finish what it has; the server last.
stop_all() {
    local name pid
    for name in "${services[@]}"; do
        if pid=$(pid_of "$name"); then kill -TERM "$pid" 2>/dev/null || true; fi
    done
    for name in "${services[@]}" jaeger; do stop_member "$name" "$drain_seconds"; done
    stop_member nats 10
}

# Members left over from a stack that was itself killed would hold ports and take tasks: they are stopped.
clear_leftovers() {
    local file name pid found=no
    for file in "$run"/*.pid; do
        [ -e "$file" ] || continue
        name=$(basename "$file" .pid)
        if [ "$name" != stack ] && pid=$(pid_of "$name"); then
            say "$name (pid $pid) was left over from a stack that ended by force: stopping it"
            found=yes
        fi
    done
    if [ "$found" = yes ]; then stop_all; fi
    rm -f "$run"/*.pid "$run/stack.env"
}
