//! Answers that are JSON of a schema: what is asked for, and what an answer has wrong.

use jsonschema::Validator;
use serde_json::{Value, json};

/// Mistakes that a model is told, at most.
const TOLD: usize = 8;
/// A mistake quotes the value; a long one is cut, in characters.
const LONG: usize = 300;
/// Words of a schema that hold an answer to bounds. Strict providers refuse requests with some of them, so they are
/// kept here and told when they are broken.
const BOUNDS: [&str; 7] =
    ["minItems", "maxItems", "minLength", "maxLength", "minimum", "maximum", "uniqueItems"];

/// A schema that an answer has to fit.
pub struct Wanted {
    name: &'static str,
    schema: Value,
    validator: Validator,
}

impl Wanted {
    /// An answer of this schema; `name` is what providers see.
    ///
    /// # Errors
    /// Where it is no schema.
    pub fn new(name: &'static str, schema: Value) -> Result<Self, String> {
        let validator = jsonschema::validator_for(&schema).map_err(|e| e.to_string())?;
        Ok(Self { name, schema, validator })
    }

    /// The field `response_format` of a request.
    pub fn format(&self) -> Value {
        json!({"type": "json_schema",
            "json_schema": {"name": self.name, "strict": true, "schema": unbounded(&self.schema)}})
    }

    /// The schema as text, for prompts that show it.
    pub fn text(&self) -> String {
        self.schema.to_string()
    }

    /// Reads an answer.
    ///
    /// # Errors
    /// What is wrong with it, for the model.
    pub fn read(&self, answer: &str) -> Result<Value, Vec<String>> {
        let value: Value = serde_json::from_str(bare(answer)).map_err(|e| {
            vec![format!("it is not JSON ({e}); answer with one JSON object and nothing else")]
        })?;
        let errors = self.validator.iter_errors(&value).take(TOLD);
        let mistakes: Vec<String> = errors
            .map(|e| {
                let place = e.instance_path().to_string();
                let place = if place.is_empty() { "the answer".to_owned() } else { place };
                format!("{place}: {}", shortened(&e.to_string(), LONG))
            })
            .collect();
        if mistakes.is_empty() { Ok(value) } else { Err(mistakes) }
    }
}

/// The first `chars` characters of a text, with a sign where more was there.
pub fn shortened(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// The JSON of an answer: without the thoughts some models put before it, and without a fence around it.
fn bare(answer: &str) -> &str {
    let mut text = answer.trim();
    if text.starts_with("<think>")
        && let Some(end) = text.find("</think>")
    {
        text = text[end + "</think>".len()..].trim();
    }
    if text.starts_with(['{', '[']) {
        return text;
    }
    let Some(open) = text.find("```") else { return text };
    let inside = &text[open + 3..];
    let inside = inside.split_once('\n').map_or(inside, |(_, rest)| rest);
    inside.rfind("```").map_or(inside, |close| &inside[..close]).trim()
}

/// A schema without its bounds.
fn unbounded(schema: &Value) -> Value {
    match schema {
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(name, of)| !BOUNDS.contains(&name.as_str()) || of.is_object());
            Value::Object(kept.map(|(name, of)| (name.clone(), unbounded(of))).collect())
        }
        Value::Array(list) => list.iter().map(unbounded).collect(),
        other => other.clone(),
    }
}

/// A schema of an object that has exactly these fields, as strict providers ask for.
pub fn object(fields: Value) -> Value {
    let names: Vec<&String> = fields.as_object().map(|f| f.keys().collect()).unwrap_or_default();
    json!({"type": "object", "additionalProperties": false, "required": names, "properties": fields})
}

/// A list of at most `most` of these.
pub fn list(of: Value, most: usize) -> Value {
    json!({"type": "array", "items": of, "maxItems": most})
}

/// A text of at most `most` characters.
pub fn text(most: usize) -> Value {
    json!({"type": "string", "maxLength": most})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted() -> Wanted {
        let fields = json!({"answer": text(10), "list": list(json!({"type": "integer"}), 2)});
        Wanted::new("test", object(fields)).unwrap()
    }

    #[test]
    fn fences_and_thoughts_are_no_mistake() {
        let json = r#"{"answer": "x", "list": [1]}"#;
        for answer in [
            json.to_owned(),
            format!("  {json}\n"),
            format!("```json\n{json}\n```"),
            format!("```\n{json}```"),
            format!("Here it is:\n```json\n{json}\n```\nAnything else?"),
            format!("<think>a {{ b</think>\n```json\n{json}\n```"),
        ] {
            assert_eq!(wanted().read(&answer).unwrap()["answer"], "x", "{answer}");
        }
        let inner = r#"{"answer": "```", "list": []}"#;
        assert_eq!(wanted().read(inner).unwrap()["answer"], "```");
    }

    #[test]
    fn mistakes_name_their_place_and_are_few() {
        let told = |answer: &str| wanted().read(answer).unwrap_err().join("; ");
        assert!(told("I cannot").contains("not JSON"));
        assert!(told("").contains("not JSON"));
        let told = told(r#"{"answer": "more than ten letters", "list": [1, "x", 3]}"#);
        for part in ["/answer: ", "/list: ", "/list/1: "] {
            assert!(told.contains(part), "{part}: {told}");
        }
        let many = json!({"answer": "", "list": vec!["x".repeat(1000); 20]}).to_string();
        let many = wanted().read(&many).unwrap_err();
        assert!(many.len() <= TOLD && many.iter().all(|m| m.chars().count() < LONG + 50), "{many:?}");
    }

    #[test]
    fn providers_see_no_bounds_but_fields_of_such_names() {
        let schema = object(json!({"maximum": json!({"type": "integer", "maximum": 5}), "a": text(7)}));
        let sent = Wanted::new("n", schema).unwrap().format();
        let sent = &sent["json_schema"]["schema"];
        assert_eq!(sent["properties"]["maximum"], json!({"type": "integer"}));
        assert_eq!(sent["properties"]["a"], json!({"type": "string"}));
        assert_eq!(sent["required"], json!(["a", "maximum"]));
    }
}
