# A few readable lines out of the record of a task, as `tasklane run --json` lays it out: one value a line, two
# spaces a level. Documents are summed up; any other result is shown as it is, on one line.

function text(value) { gsub(/^"|"$/, "", value); gsub(/\\"/, "\"", value); return value }
function add(list, value) { return list == "" ? value : list ", " value }

{
    match($0, /^ */); depth = RLENGTH / 2
    line = substr($0, RLENGTH + 1)
    key = ""; value = line
    if (match(line, /^"[^"]*": /)) { key = substr(line, 2, RLENGTH - 4); value = substr(line, RLENGTH + 1) }
    path[depth] = key
    if (depth == 2 && path[1] == "result" || depth > 2 && path[1] == "result") body = body line
    sub(/,$/, "", value)
}

depth == 1 && key == "status" { status = text(value) }
depth == 1 && key == "result" && value !~ /^[{[]$/ { body = value }
path[1] == "error" && depth == 2 { error[key] = text(value) }
path[1] == "route" && depth == 2 && key == "pool" { pool = text(value) }
path[1] == "timings" && depth == 2 && key == "processing_ms" { worked = value }

path[1] == "result" && depth == 2 && value !~ /^[{[]/ { fact[key] = text(value) }
path[1] == "result" && path[2] == "metadata" && key == "title" { title = text(value) }
path[1] == "result" && path[2] == "analysis" && path[3] == "language" && key == "name" { language = text(value) }
path[1] == "result" && path[2] == "analysis" && path[3] == "counts" && key == "words" { words = value }
path[1] == "result" && path[2] == "analysis" && path[3] == "keywords" && key == "text" && ++keywords <= 6 { telling = add(telling, text(value)) }
path[1] == "result" && path[2] == "analysis" && path[3] == "outline" && key == "text" && ++headings <= 4 { outline = add(outline, text(value)) }

END {
    if (status != "succeeded") {
        printf "%s: %s %s\n", status == "" ? "no result" : status, error["code"], error["message"]
    } else if (words == "") {
        gsub(/,/, ", ", body); sub(/[ ,]+$/, "", body)
        print body
    } else {
        line = fact["format"]
        if (fact["pages"] ~ /^[0-9]/) line = line ", " fact["pages"] " pages"
        line = line ", " words " words"
        if (language != "") line = line " of " language
        if (fact["tables_found"] > 0) line = line ", " fact["tables_found"] (fact["tables_found"] == 1 ? " table" : " tables")
        print line
        if (title != "") print "title     " title
        if (headings > 0) print "outline   " outline (headings > 4 ? ", and " headings - 4 " more" : "")
        if (telling != "") print "keywords  " telling
    }
    if (pool != "" && status == "succeeded") printf "by pool %s in %.1f ms\n", pool, worked
}
