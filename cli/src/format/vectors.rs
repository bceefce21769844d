//! Collections, snapshots and replicas as tables. Pure.

use serde_json::{Value, json};

use super::{Paint, bytes, one_line, table::Table};
use crate::collection::Described;

/// Every collection.
pub fn list(collections: &[Described], paint: Paint) -> String {
    if collections.is_empty() {
        return "there are no collections; `tasklane ingest` makes one\n".to_owned();
    }
    let mut table = Table::new(&[
        "COLLECTION",
        ">POINTS",
        ">NUMBERS",
        "METRIC",
        "KEPT AS",
        "BY",
        ">SEQUENCE",
        "ALSO CALLED",
    ]);
    for one in collections {
        table.row([
            one.collection.clone(),
            one.points.to_string(),
            one.dimension.to_string(),
            one.metric.clone(),
            one.precision.clone(),
            one.backend().to_owned(),
            one.sequence.to_string(),
            one.aliases.join(", "),
        ]);
    }
    table.render(paint)
}

/// How far every replica is with every collection.
pub fn replicas(all: &[Value], paint: Paint) -> String {
    if all.is_empty() {
        return "no worker answers searches; start a vector indexer\n".to_owned();
    }
    let mut table = Table::new(&[
        "WORKER",
        "COLLECTION",
        ">POINTS",
        ">SEQUENCE",
        ">BEHIND",
        ">SEGMENTS",
        ">MEMORY",
        "TROUBLE",
    ]);
    let nothing = [json!({"collection": "-"})];
    for replica in all {
        let has = replica["collections"].as_array().map(Vec::as_slice).filter(|has| !has.is_empty());
        for one in has.unwrap_or(&nothing) {
            table.row([
                cell("", &replica["worker"]),
                cell("", &one["collection"]),
                cell("", &one["points"]),
                cell("", &one["sequence"]),
                cell("", &replica["behind"]),
                cell("", &one["segments"]),
                cell("bytes", &one["memory_bytes"]),
                cell("", &one["trouble"]),
            ]);
        }
    }
    table.render(paint)
}

/// What an answer says, a line for each of its fields; lists of objects are tables below.
pub fn facts(answer: &Value, paint: Paint) -> String {
    let Value::Object(fields) = answer else { return format!("{}\n", one_line(&cell("", answer))) };
    let is_table = |value: &Value| value.as_array().is_some_and(|all| all.iter().any(Value::is_object));
    let width = fields.keys().map(|key| key.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for (key, value) in fields.iter().filter(|(_, value)| !is_table(value)) {
        text += &format!(
            "{}  {}\n",
            paint.dim(&format!("{:<width$}", one_line(key))),
            one_line(&cell(key, value))
        );
    }
    for (key, _) in fields.iter().filter(|(_, value)| is_table(value)) {
        text += &format!("\n{}", rows(answer, key, paint));
    }
    text
}

/// A list of objects in an answer, a row each.
pub fn rows(answer: &Value, key: &str, paint: Paint) -> String {
    let all = answer[key].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut columns: Vec<&str> = Vec::new();
    for column in all.iter().filter_map(Value::as_object).flat_map(serde_json::Map::keys) {
        if !columns.contains(&column.as_str()) {
            columns.push(column);
        }
    }
    if columns.is_empty() {
        return format!("there are no {key}\n");
    }
    let is_number = |column: &str| all.iter().all(|row| row[column].is_number() || row[column].is_null());
    let heading = |column: &&str| {
        format!("{}{}", if is_number(column) { ">" } else { "" }, column.replace('_', " ").to_uppercase())
    };
    let headings: Vec<String> = columns.iter().map(heading).collect();
    let mut table = Table::new(&headings.iter().map(String::as_str).collect::<Vec<_>>());
    for row in all {
        table.row(columns.iter().map(|column| cell(column, &row[*column])));
    }
    table.render(paint)
}

fn cell(key: &str, value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(n) if key.ends_with("bytes") => n.as_u64().map_or_else(|| n.to_string(), bytes),
        Value::Array(all) => all.iter().map(|one| cell("", one)).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Paint = Paint { on: false };

    #[test]
    fn collections_stand_in_a_table() {
        let one: Described = serde_json::from_value(json!({
            "collection": "docs", "dimension": 384, "metric": "cosine", "precision": "f16", "points": 1200,
            "sequence": 31, "aliases": ["a", "b"], "segments": 2, "new": true,
        }))
        .unwrap();
        let there = Described { collection: "far".into(), backend: "qdrant".into(), ..one.clone() };
        let expected = "COLLECTION  POINTS  NUMBERS  METRIC  KEPT AS  BY        SEQUENCE  ALSO CALLED\n\
                        docs          1200      384  cosine  f16      embedded        31  a, b\n\
                        far           1200      384  cosine  f16      qdrant          31  a, b\n";
        assert_eq!(list(&[one, there], PLAIN), expected);
        assert!(list(&[], PLAIN).contains("no collections"));
    }

    #[test]
    fn a_replica_has_a_line_for_each_collection() {
        let all = [
            json!({"worker": "v-1", "behind": 2, "collections": [
                {"collection": "docs", "points": 7, "sequence": 31, "segments": 1, "memory_bytes": 2048, "trouble": null}]}),
            json!({"worker": "v-2", "behind": 0, "collections": []}),
        ];
        let expected = "WORKER  COLLECTION  POINTS  SEQUENCE  BEHIND  SEGMENTS  MEMORY  TROUBLE\n\
                        v-1     docs             7        31       2         1  2.0 KB  -\n\
                        v-2     -                -         -       0         -       -  -\n";
        assert_eq!(replicas(&all, PLAIN), expected);
        assert!(replicas(&[], PLAIN).contains("start a vector indexer"));
    }

    #[test]
    fn an_answer_is_shown_whatever_it_says() {
        let answer = json!({"collection": "docs", "bytes": 2048, "aliases": ["a", "b"], "graph": {"m": 16},
            "segments": [{"number": 1, "rows": 10}, {"number": 2, "rows": 5, "state": "scanned"}]});
        let expected = "aliases     a, b\nbytes       2.0 KB\ncollection  docs\ngraph       {\"m\":16}\n\n\
                        NUMBER  ROWS  STATE\n     1    10  -\n     2     5  scanned\n";
        let said = facts(&answer, PLAIN);
        let sorted = |text: &str| {
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(sorted(&said), sorted(expected));
        assert_eq!(rows(&json!({"snapshots": []}), "snapshots", PLAIN), "there are no snapshots\n");
        assert_eq!(facts(&json!("x\n"), PLAIN), "x\\n\n");
    }
}
