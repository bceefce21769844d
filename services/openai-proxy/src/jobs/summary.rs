//! `document_summary`: each part of a long document is summed up, and the summaries are merged until they fit into one
//! call. A short document is one call.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde::Deserialize;
use serde_json::{Value, json};
use tasklane_runtime::{Payload, TaskError};

use super::answer::nothing;
use super::ask::{Asker, Asking};
use super::documents::{self, Chunk, Document, Given, MOST_DOCUMENTS};
use super::error::fault;
use super::fit::{Headed, fitted};
use super::structured::{Wanted, list, object, text};
use super::{in_language, payload_schema, plan, split, together};

/// Tokens of a part's summary, as wished.
const PART: u64 = 1_000;
/// Words of the summary where nobody says.
const WORDS: u64 = 300;
/// Key points of a summary, at most.
const POINTS: usize = 20;

const AS_TEXT: &str = "the text";
const AS_SUMMARIES: &str = "summaries of its parts, in order";

#[derive(Deserialize)]
struct Request {
    model: Option<String>,
    language: Option<String>,
    text: Option<String>,
    source: Option<String>,
    chunks: Option<Vec<Chunk>>,
    title: Option<String>,
    documents: Option<Vec<Given>>,
    focus: Option<String>,
    words: Option<u64>,
}

/// The payload's schema.
pub fn schema() -> Value {
    let mut properties = documents::fields();
    properties["documents"] = documents::list_schema(MOST_DOCUMENTS);
    properties["focus"] = json!({"type": "string", "minLength": 1, "maxLength": 1_000,
        "description": "what the reader is interested in"});
    properties["words"] = json!({"type": "integer", "minimum": 20, "maximum": 2_000, "default": WORDS,
        "description": "about how long the summary shall be"});
    payload_schema(&[], properties)
}

/// What all calls of a summary have in common.
struct Job<'a> {
    asker: &'a Asker,
    model: String,
    language: String,
    focus: String,
    /// Tokens of a part's summary, at most.
    part: u64,
    done: AtomicUsize,
    all: usize,
}

/// Runs a job.
///
/// # Errors
/// What is wrong with the payload, and what kept the model from answering.
pub async fn run(asker: &Asker, payload: Payload) -> Result<Value, TaskError> {
    let request: Request = payload.json()?;
    let words = request.words.unwrap_or(WORDS);
    let model = asker.model(request.model.as_deref())?;
    let room = asker.room(&model)?;
    let single =
        Document { title: request.title, text: request.text, source: request.source, chunks: request.chunks };
    let documents = documents::gather(single, request.documents)?;
    let documents = documents::read(asker.ctx(), documents, "documents").await?;
    let count = documents.len();
    let whole = joined(documents);
    let mut job = Job {
        asker,
        model,
        language: in_language(request.language.as_deref(), "Write in the language of the text."),
        focus: request
            .focus
            .map_or_else(String::new, |focus| format!("The reader cares most about: {focus}")),
        part: room.answer(PART),
        done: AtomicUsize::new(0),
        all: 0,
    };
    let answer = room.answer(words * 3 + 400);
    let schema = wanted().map_err(fault)?.text();
    let all = [("focus", job.focus.as_str()), ("language", &job.language), ("schema", &schema)];
    let frame = asker
        .frame("document_summary/part", &all)
        .max(asker.frame("document_summary/merge", &all))
        .max(asker.frame("document_summary/final", &all));
    let most = room.text(frame, answer.max(job.part))?;
    let parts = cut(whole, most).await?;
    job.all = plan::calls(parts.len(), job.part, most);
    asker.affords(job.all)?;
    let (kind, text, levels) = match parts.as_slice() {
        [one] => (AS_TEXT, one.clone(), 1),
        many => job.reduced(many, most).await?,
    };
    let made = job.last(kind, &text, words, answer).await?;
    Ok(json!({"summary": made["summary"], "key_points": made["key_points"], "documents": count,
        "parts": parts.len(), "levels": levels}))
}

/// Documents one after another, each under its title.
fn joined(documents: Vec<documents::Read>) -> String {
    let several = documents.len() > 1;
    let texts =
        documents.into_iter().enumerate().map(|(n, document)| match (several, document.title.as_str()) {
            (false, "") => document.text,
            (true, "") => format!("# Document {}\n\n{}", n + 1, document.text),
            (_, title) => format!("# {title}\n\n{}", document.text),
        });
    texts.collect::<Vec<_>>().join("\n\n")
}

/// Counting tokens takes a while for a long text: others go on meanwhile.
pub(super) async fn cut(text: String, most: u64) -> Result<Vec<String>, TaskError> {
    let cut = move || split::split(&text, most, &split::tokens).into_iter().map(str::to_owned).collect();
    tokio::task::spawn_blocking(cut).await.map_err(|e| fault(e.to_string()))
}

impl Job<'_> {
    /// Sums up every part, and merges until one call can read all.
    async fn reduced(&self, parts: &[String], most: u64) -> Result<(&'static str, String, u32), TaskError> {
        let count = parts.len();
        let work = parts.iter().enumerate().map(|(n, part)| async move {
            let position = format!("part {} of {count}", n + 1);
            self.step("document_summary/part", ("text", part), &position).await
        });
        let mut texts = together(work.collect(), self.asker.at_once()).await?;
        let mut levels = 2;
        loop {
            let tokens: Vec<u64> = texts.iter().map(|text| split::tokens(text)).collect();
            let groups = plan::groups(&tokens, most);
            if groups.len() <= 1 {
                return Ok((AS_SUMMARIES, joint(&texts, most), levels));
            }
            levels += 1;
            let (number, before) = (groups.len(), &texts);
            let work = groups.into_iter().enumerate().map(|(n, group)| async move {
                let position = format!("group {} of {number}", n + 1);
                let together = joint(&before[group.clone()], most);
                if group.len() == 1 {
                    return Ok(together);
                }
                self.step("document_summary/merge", ("summaries", &together), &position).await
            });
            let merged = together(work.collect(), self.asker.at_once()).await?;
            texts = merged;
        }
    }

    /// One call that makes a text shorter.
    async fn step(
        &self,
        template: &'static str,
        (name, text): (&str, &str),
        position: &str,
    ) -> Result<String, TaskError> {
        let values =
            [(name, text), ("position", position), ("focus", &self.focus), ("language", &self.language)];
        let asking =
            Asking { template, values: &values, model: &self.model, most: self.part, temperature: None };
        let said = self.asker.text(&asking).await?;
        if said.cut {
            self.asker.tally().warn(format!("the summary of {position} was cut off at {} tokens", self.part));
        }
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        self.asker.partial("summary", json!({"of": position, "text": said.text})).await;
        self.asker.progress(done as f64 / self.all as f64, &format!("{position} is summed up")).await;
        Ok(said.text)
    }

    async fn last(&self, kind: &str, text: &str, words: u64, most: u64) -> Result<Value, TaskError> {
        let words = words.to_string();
        let values = [
            ("text", text),
            ("kind", kind),
            ("words", &words),
            ("focus", &self.focus),
            ("language", &self.language),
        ];
        let template = "document_summary/final";
        let asking = Asking { template, values: &values, model: &self.model, most, temperature: None };
        let wanted = wanted().map_err(fault)?;
        let made = self.asker.json(&asking, &wanted, &nothing).await?;
        self.asker.progress(1.0, "the summary is there").await;
        Ok(made.value)
    }
}

/// Texts one after another, long ones cut where all together would not fit.
fn joint(texts: &[String], most: u64) -> String {
    let texts: Vec<Headed<'_>> = texts.iter().map(|text| Headed { head: String::new(), text }).collect();
    fitted(&texts, most).0
}

fn wanted() -> Result<Wanted, String> {
    let mut summary = text(30_000);
    summary["minLength"] = 1.into();
    Wanted::new("summary", object(json!({"summary": summary, "key_points": list(text(1_000), POINTS)})))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_stand_under_their_titles() {
        let read = |title: &str, text: &str| documents::Read { title: title.into(), text: text.into() };
        assert_eq!(joined(vec![read("", "a")]), "a");
        assert_eq!(joined(vec![read("", "a"), read("B", "b")]), "# Document 1\n\na\n\n# B\n\nb");
    }
}
