//! `content_analysis`: what texts are about, part by part, put together by counting.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde::Deserialize;
use serde_json::{Value, json};
use tasklane_runtime::{Payload, TaskError};

use super::ask::{Asker, Asking};
use super::documents::{self, Chunk, Document, Given, MOST_DOCUMENTS};
use super::error::{bad_payload, fault};
use super::structured::{Wanted, list, object, text};
use super::{findings, in_language, payload_schema, split, summary, together};

/// Tokens of an answer, as wished.
const ANSWER: u64 = 2_000;
/// What can be found.
const ASPECTS: [&str; 6] = ["language", "topics", "entities", "sentiment", "key_points", "questions"];
/// What is found where nobody says.
const USUAL: [&str; 5] = ["language", "topics", "entities", "sentiment", "key_points"];
/// Kinds of entities.
const KINDS: [&str; 8] = ["person", "organisation", "place", "product", "event", "date", "amount", "other"];
/// Categories to choose from, at most.
const MOST_CATEGORIES: usize = 50;

#[derive(Deserialize)]
struct Request {
    model: Option<String>,
    language: Option<String>,
    text: Option<String>,
    source: Option<String>,
    chunks: Option<Vec<Chunk>>,
    title: Option<String>,
    documents: Option<Vec<Given>>,
    aspects: Option<Vec<String>>,
    #[serde(default)]
    categories: Vec<String>,
}

/// The payload's schema.
pub fn schema() -> Value {
    let mut properties = documents::fields();
    properties["documents"] = documents::list_schema(MOST_DOCUMENTS);
    properties["aspects"] = json!({"type": "array", "minItems": 1, "uniqueItems": true, "items": {"enum": ASPECTS},
        "default": USUAL, "description": "what shall be found"});
    properties["categories"] = json!({"type": "array", "maxItems": MOST_CATEGORIES, "uniqueItems": true,
        "items": {"type": "string", "minLength": 1, "maxLength": 100},
        "description": "which of these the text belongs to is told with a confidence; no others are"});
    payload_schema(&[], properties)
}

/// Runs a job.
///
/// # Errors
/// What is wrong with the payload, and what kept the model from answering.
pub async fn run(asker: &Asker, payload: Payload) -> Result<Value, TaskError> {
    let request: Request = payload.json()?;
    let aspects = request.aspects.unwrap_or_else(|| USUAL.map(str::to_owned).to_vec());
    if let Some(unknown) = aspects.iter().find(|name| !ASPECTS.contains(&name.as_str())) {
        return Err(bad_payload(format!(
            "aspects: there is no `{unknown}`; there are {}",
            ASPECTS.join(", ")
        )));
    }
    let model = asker.model(request.model.as_deref())?;
    let room = asker.room(&model)?;
    let single =
        Document { title: request.title, text: request.text, source: request.source, chunks: request.chunks };
    let documents = documents::gather(single, request.documents)?;
    let documents = documents::read(asker.ctx(), documents, "documents").await?;
    let count = documents.len();
    let wanted = wanted(&aspects, &request.categories).map_err(fault)?;
    let names = [aspects.join(", "), request.categories.join(", ")];
    let language =
        in_language(request.language.as_deref(), "Write topics, key points and questions in its language.");
    let (answer, schema) = (room.answer(ANSWER), wanted.text());
    let frame = asker.frame(
        "content_analysis/analyse",
        &[("wanted", &names[0]), ("categories", &names[1]), ("language", &language), ("schema", &schema)],
    );
    let most = room.text(frame, answer)?;
    let whole =
        documents.into_iter().map(|d| format!("{}\n{}", d.title, d.text)).collect::<Vec<_>>().join("\n\n");
    let parts = summary::cut(whole.trim_start().to_owned(), most).await?;
    asker.affords(parts.len())?;
    let number = parts.len();
    let part =
        Part { asker, model: &model, names: &names, language: &language, wanted: &wanted, answer, number };
    let (part, done, given) = (&part, &AtomicUsize::new(0), request.categories.as_slice());
    let work = parts.iter().enumerate().map(|(n, text)| async move {
        let found = part.analysed(n, text, given).await?;
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        let told = format!("part {} of {number} is analysed", n + 1);
        asker.progress(done as f64 / number as f64, &told).await;
        Ok((split::tokens(text), found))
    });
    let found = together(work.collect(), asker.at_once()).await?;
    let mut result = findings::merged(&found);
    result["documents"] = count.into();
    result["parts"] = number.into();
    Ok(result)
}

/// What the calls of all parts have in common.
struct Part<'a> {
    asker: &'a Asker,
    model: &'a str,
    /// What is wanted, and the categories.
    names: &'a [String; 2],
    language: &'a str,
    wanted: &'a Wanted,
    answer: u64,
    number: usize,
}

impl Part<'_> {
    async fn analysed(&self, n: usize, text: &str, given: &[String]) -> Result<Value, TaskError> {
        let position = if self.number == 1 {
            "the text".to_owned()
        } else {
            format!("part {} of {}", n + 1, self.number)
        };
        let values = [
            ("text", text),
            ("position", &position),
            ("wanted", &self.names[0]),
            ("categories", &self.names[1]),
            ("language", self.language),
        ];
        let (template, model) = ("content_analysis/analyse", self.model);
        let asking = Asking { template, values: &values, model, most: self.answer, temperature: None };
        let mut made = self.asker.json(&asking, self.wanted, &|value| strangers(value, given)).await?;
        if !made.left.is_empty() {
            drop_strangers(&mut made.value, given);
            self.asker.tally().warn(format!("{position}: {}", made.left.join("; ")));
        }
        self.asker.partial("analysis", json!({"of": position, "analysis": made.value})).await;
        Ok(made.value)
    }
}

/// Categories that nobody gave.
fn strangers(value: &Value, given: &[String]) -> Vec<String> {
    let named = value["categories"].as_array().into_iter().flatten().filter_map(|c| c["name"].as_str());
    let strange = named.filter(|name| !given.iter().any(|g| g == name));
    strange.map(|name| format!("/categories: `{name}` is none of the given categories")).collect()
}

fn drop_strangers(value: &mut Value, given: &[String]) {
    if let Some(list) = value["categories"].as_array_mut() {
        list.retain(|entry| given.iter().any(|g| entry["name"] == g.as_str()));
    }
}

fn wanted(aspects: &[String], categories: &[String]) -> Result<Wanted, String> {
    let share = || json!({"type": "number", "minimum": 0, "maximum": 1});
    let mut fields = json!({});
    for aspect in aspects {
        fields[aspect] = match aspect.as_str() {
            "language" => text(40),
            "topics" => list(object(json!({"name": text(200), "weight": share()})), 20),
            "entities" => {
                let mentions = json!({"type": "integer", "minimum": 1});
                list(
                    object(
                        json!({"name": text(300), "type": {"type": "string", "enum": KINDS}, "mentions": mentions}),
                    ),
                    100,
                )
            }
            "sentiment" => object(json!({
                "label": {"type": "string", "enum": ["positive", "negative", "neutral", "mixed"]},
                "score": {"type": "number", "minimum": -1, "maximum": 1}
            })),
            _ => list(text(1_000), 20),
        };
    }
    if !categories.is_empty() {
        fields["categories"] =
            list(object(json!({"name": text(100), "confidence": share()})), MOST_CATEGORIES);
    }
    Wanted::new("analysis", object(fields))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_wished_for_is_asked_for() {
        let wanted = wanted(&["topics".to_owned()], &["news".to_owned()]).unwrap();
        assert!(wanted.read(r#"{"topics": [], "categories": []}"#).is_ok());
        assert!(wanted.read(r#"{"topics": [], "categories": [], "sentiment": {}}"#).is_err());
        assert!(wanted.read(r#"{"topics": [{"name": "x", "weight": 2}], "categories": []}"#).is_err());
    }

    #[test]
    fn categories_are_the_given_ones() {
        let given = ["news".to_owned()];
        let mut value =
            json!({"categories": [{"name": "news", "confidence": 1}, {"name": "x", "confidence": 1}]});
        assert_eq!(strangers(&value, &given).len(), 1);
        drop_strangers(&mut value, &given);
        assert!(strangers(&value, &given).is_empty() && value["categories"][0]["name"] == "news");
    }
}
