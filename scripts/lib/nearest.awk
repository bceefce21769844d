# Reads chunks (document, tab, text as JSON) and then the record of embed_text as `tasklane run --json` lays it out, one
# value a line: the first vector is the question's, the others the chunks'. Prints what came back, and which chunks lie
# nearest to the question: vectors have length 1, so that their product is the cosine.

BEGIN { FS = "\t" }
FNR == NR { document[++chunks] = $1; text[chunks] = $2; next }

{ match($0, /^ */); depth = RLENGTH / 2; line = substr($0, RLENGTH + 1); sub(/,$/, "", line) }
depth == 1 { part = line }
depth == 2 && line ~ /^"/ { key = line; sub(/":.*/, "", key); sub(/^"/, "", key); value = line; sub(/^"[^"]*": /, "", value); fact[key] = value }
part ~ /^"result"/ && key == "vectors" && depth == 3 && line == "[" { vector++; n = 0 }
part ~ /^"result"/ && key == "vectors" && depth == 4 {
    n++
    if (vector == 1) asked[n] = line
    else cosine[vector - 1] += asked[n] * line
}

END {
    if (vector != chunks + 1) { print "there are " vector " vectors of " chunks + 1 " texts"; exit 1 }
    printf "%d vectors of %s numbers, of %s tokens, by %s in %.0f ms\n", vector, fact["dimensions"], fact["tokens"], bare(fact["model"]), fact["processing_ms"]
    print "nearest to: " question
    for (shown = 1; shown <= 3 && shown <= chunks; shown++) {
        best = 0
        for (c = 1; c <= chunks; c++) if (!(c in told) && (best == 0 || cosine[c] > cosine[best])) best = c
        told[best] = 1
        words = bare(text[best]); gsub(/\\n/, " ", words); gsub(/\\"/, "'", words); gsub(/#+ |[*]+/, "", words); gsub(/ +/, " ", words)
        printf "  %.2f  %-22s %s\n", cosine[best], document[best], words
    }
}

function bare(value) { gsub(/^"|"$/, "", value); return value }
