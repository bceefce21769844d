#!/bin/sh
# What the service `demo` of docker-compose.yml runs: every document of examples/ through the stack, one line each.
set -eu

# Services are ready when they are connected; the router knows them when they have spoken.
until tasklane explain document_analysis >/dev/null 2>&1; do sleep 0.2; done

done=0
tried=0
for file in /demo/documents/*; do
    tried=$((tried + 1))
    if said=$(tasklane run document_analysis "$file" --timeout 60s --json 2>&1); then
        done=$((done + 1))
        language=$(printf '%s' "$said" | tr -d '\n' | sed -n 's/.*"language": *{[^}]*"name": *"\([^"]*\)".*/\1/p')
        words=$(printf '%s' "$said" | tr -d '\n' | sed -n 's/.*"words": *\([0-9]*\).*/\1/p')
        printf '%-28s %s, %s words\n' "$(basename "$file")" "${language:-?}" "${words:-?}"
    else
        printf '%-28s failed:\n%s\n' "$(basename "$file")" "$said"
    fi
done
printf '%s of %s documents analysed. Traces: http://localhost:16686  Dashboards: http://localhost:3000\n' "$done" "$tried"
[ "$done" = "$tried" ]
