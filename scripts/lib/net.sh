# Questions about ports and HTTP, answered by bash itself: no curl needed, no process started per question.
# shellcheck shell=bash

# True if somebody listens on this port of the loopback address.
port_in_use() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Who listens on a port, as far as this user may know.
port_holder() {
    local holder=''
    if have ss; then
        holder=$(ss -ltnpH "sport = :$1" 2>/dev/null | sed -n 's/.*users:(("\([^"]*\)",pid=\([0-9]*\).*/\1 (pid \2)/p' | head -n 1)
    elif have lsof; then
        holder=$(lsof -nP -iTCP:"$1" -sTCP:LISTEN 2>/dev/null | awk 'NR == 2 { print $1 " (pid " $2 ")" }')
    fi
    echo "${holder:-a process this user cannot see}"
}

# A port nobody listens on now. Another process may take it first; the service then says so.
free_port() {
    local port
    while true; do
        port=$((20000 + RANDOM % 20000))
        if ! port_in_use "$port"; then
            echo "$port"
            return
        fi
    done
}

# True if GET on a loopback port answers 200 within two seconds.
http_ok() { # PORT PATH
    (
        exec 3<>"/dev/tcp/127.0.0.1/$1" || exit 1
        printf 'GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n' "$2" >&3
        IFS=' ' read -r -t2 _ status _ <&3
        # Read to the end, so that the other side does not see its answer refused.
        read -r -d '' -t2 _ <&3 || true
        [ "$status" = 200 ]
    ) 2>/dev/null
}
