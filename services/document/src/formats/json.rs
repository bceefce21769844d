//! JSON and JSON Lines as an outline: objects become headings and lists, arrays of flat objects become tables.
//!
//! Notebooks (`nbformat`) are JSON too; `notebook` reads them.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};

use super::notebook;
use super::sink::Sink;
use super::text::{decode, note_encoding};
use crate::error::DocError;
use crate::limits::Limits;
use crate::model::Document;

/// A JSON value whose objects keep the order of their keys.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// null, a boolean, a number or a string, as text; null is empty.
    Scalar(String),
    /// An array.
    Array(Vec<Node>),
    /// An object.
    Object(Vec<(String, Node)>),
}

impl Node {
    /// The member called `key`.
    pub fn get(&self, key: &str) -> Option<&Node> {
        match self {
            Self::Object(members) => members.iter().find(|(name, _)| name == key).map(|(_, node)| node),
            _ => None,
        }
    }

    /// The text of a scalar.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Scalar(text) => Some(text),
            _ => None,
        }
    }

    /// The elements of an array; none for anything else.
    pub fn elements(&self) -> &[Node] {
        match self {
            Self::Array(elements) => elements,
            _ => &[],
        }
    }

    fn is_flat(&self) -> bool {
        matches!(self, Self::Object(members) if !members.is_empty() && members.iter().all(|(_, node)| node.text().is_some()))
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON value")
    }
    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_string()))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_string()))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_string()))
    }
    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_string()))
    }
    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_owned()))
    }
    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(String::new()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = access.next_element()? {
            elements.push(element);
        }
        Ok(Node::Array(elements))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = access.next_entry()? {
            members.push(member);
        }
        Ok(Node::Object(members))
    }
}

/// Reads JSON, JSON Lines, or a notebook.
///
/// # Errors
/// `Empty`; `Corrupt` where it is not JSON or is nested deeper than 127 levels (the parser's own bound).
pub fn extract(bytes: &[u8], limits: &Limits) -> Result<Document, DocError> {
    let decoded = decode(bytes, None);
    let mut values = Vec::new();
    for value in serde_json::Deserializer::from_str(&decoded.text).into_iter::<Node>() {
        values.push(value.map_err(|error| DocError::corrupt("json", error))?);
    }
    let root = match values.len() {
        0 => return Err(DocError::Empty),
        1 => values.remove(0),
        _ => Node::Array(values),
    };
    if notebook::is_notebook(&root) {
        return notebook::read(&root, limits);
    }
    let mut sink = Sink::new("json", limits);
    note_encoding(&mut sink, &decoded);
    outline(&root, "", 1, &mut sink);
    Ok(sink.finish())
}

/// Strings from this length on, or with line breaks, are paragraphs of their own.
const LONG: usize = 200;

fn outline(node: &Node, path: &str, level: usize, sink: &mut Sink<'_>) {
    match node {
        Node::Scalar(text) => sink.paragraph(text),
        Node::Array(elements) => array(elements, path, level, sink),
        Node::Object(members) => object(members, path, level, sink),
    }
}

/// Scalars first, for whatever follows a nested member's heading would seem to belong to it.
fn object(members: &[(String, Node)], path: &str, level: usize, sink: &mut Sink<'_>) {
    for (key, node) in members {
        match node {
            Node::Scalar(text) if is_long(text) => sink.paragraph(&format!("{key}: {text}")),
            Node::Scalar(text) => sink.item(0, false, &format!("{key}: {text}")),
            Node::Array(elements) if elements.is_empty() => sink.item(0, false, &format!("{key}:")),
            _ => {}
        }
    }
    for (key, node) in members {
        let nested = match node {
            Node::Scalar(_) => false,
            Node::Array(elements) => !elements.is_empty(),
            Node::Object(members) => !members.is_empty(),
        };
        if nested && !sink.is_full() {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            sink.heading(level, &path);
            outline(node, &path, level + 1, sink);
        }
    }
}

fn array(elements: &[Node], path: &str, level: usize, sink: &mut Sink<'_>) {
    if !elements.is_empty() && elements.iter().all(Node::is_flat) {
        table(elements, sink);
        return;
    }
    let rows = elements.iter().map(Node::elements);
    if elements.len() > 1
        && rows.clone().all(|row| !row.is_empty() && row.iter().all(|cell| cell.text().is_some()))
    {
        let text = |cell: &Node| cell.text().unwrap_or_default().to_owned();
        let rows: Vec<Vec<String>> = rows.map(|row| row.iter().map(text).collect()).collect();
        sink.table(super::csv::has_header(&rows), rows);
        return;
    }
    for (index, element) in elements.iter().enumerate() {
        if sink.is_full() {
            return;
        }
        match element {
            Node::Scalar(text) if is_long(text) => sink.paragraph(text),
            Node::Scalar(text) => sink.item(0, false, text),
            nested => {
                let path = format!("{path}[{index}]");
                sink.heading(level, &path);
                outline(nested, &path, level + 1, sink);
            }
        }
    }
    sink.close_list();
}

/// Columns in the order in which keys first appear.
fn table(elements: &[Node], sink: &mut Sink<'_>) {
    let mut columns: Vec<&str> = Vec::new();
    let mut known = std::collections::HashMap::new();
    let mut rows: Vec<Vec<String>> = Vec::with_capacity(elements.len() + 1);
    let mut cells = 0_u64;
    for element in elements {
        let Node::Object(members) = element else { continue };
        let mut row = vec![String::new(); columns.len()];
        for (key, node) in members {
            let column = *known.entry(key.as_str()).or_insert_with(|| {
                columns.push(key);
                columns.len() - 1
            });
            row.resize(row.len().max(column + 1), String::new());
            if let Some(cell) = row.get_mut(column) {
                *cell = node.text().unwrap_or_default().to_owned();
            }
        }
        cells += row.len() as u64;
        rows.push(row);
        if cells > sink.limits().max_cells {
            break;
        }
    }
    rows.insert(0, columns.into_iter().map(str::to_owned).collect());
    sink.table(true, rows);
}

fn is_long(text: &str) -> bool {
    text.len() >= LONG || text.contains('\n')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::to_markdown;

    fn markdown(json: &str) -> String {
        to_markdown(&extract(json.as_bytes(), &Limits::default()).expect("json")).text
    }

    #[test]
    fn objects_become_an_outline_in_the_order_of_their_keys() {
        let json = r#"{"z": 1, "nested": {"b": null, "deep": {"x": true}}, "a": "text", "none": []}"#;
        assert_eq!(
            markdown(json),
            "- z: 1\n- a: text\n- none:\n\n# nested\n\n- b:\n\n## nested.deep\n\n- x: true"
        );
    }

    #[test]
    fn arrays_of_flat_objects_become_tables() {
        let table = "| a | b |\n| --- | --- |\n| 1 |  |\n| 2 | x |";
        assert_eq!(markdown(r#"[{"a": 1}, {"a": 2, "b": "x"}]"#), table);
        assert_eq!(markdown("{\"a\": 1}\n{\"a\": 2, \"b\": \"x\"}\n"), table);
        assert_eq!(markdown("[[\"a\",\"b\"],[1,null],[2,\"x\"]]"), table);
    }

    #[test]
    fn depth_is_bounded_and_damage_is_told() {
        let deep = "[".repeat(100_000);
        assert_eq!(extract(deep.as_bytes(), &Limits::default()).map_err(|error| error.code()), Err("TL2102"));
        assert_eq!(extract(b"{\"a\":", &Limits::default()).map_err(|error| error.code()), Err("TL2102"));
        assert_eq!(extract(b"  ", &Limits::default()), Err(DocError::Empty));
    }
}
