//! `research`: a plan of sub-questions, an answer to each from the given sources only, and one answer made of them. A
//! citation that does not hold is told to the model once, then dropped and reported.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::Deserialize;
use serde_json::{Value, json};
use tasklane_runtime::{Payload, TaskError};

use super::answer::nothing;
use super::ask::{Asker, Asking};
use super::citations::{Citation, Refused, Shown, label};
use super::documents::{self, Given, Read};
use super::error::fault;
use super::fit::{Headed, fitted};
use super::select::{Index, Passage};
use super::structured::{Wanted, list, object, shortened, text};
use super::{in_language, payload_schema, split, together};

/// Sources of a job, at most.
const MOST_SOURCES: usize = 50;
/// Sub-questions, at most, and where nobody says.
const MOST_QUESTIONS: usize = 12;
const USUAL_QUESTIONS: usize = 4;
/// Tokens of a passage.
const PASSAGE: u64 = 300;
/// Tokens of an answer, as wished.
const ANSWER: u64 = 1_000;
/// Tokens of the last one.
const SYNTHESIS: u64 = 2_000;
/// How much of each source the plan is made from, in characters.
const GLIMPSE: usize = 300;

#[derive(Deserialize)]
struct Request {
    model: Option<String>,
    language: Option<String>,
    question: String,
    sources: Vec<Given>,
    max_questions: Option<usize>,
}

/// An answer to a sub-question.
struct Part {
    question: String,
    answer: String,
    answered: bool,
    citations: Vec<Citation>,
    refused: Vec<Refused>,
    /// Tokens of passages that the model saw.
    read: u64,
}

/// What all calls have in common.
struct Job<'a> {
    asker: &'a Asker,
    model: &'a str,
    question: &'a str,
    language: &'a str,
    sources: &'a [Read],
    index: &'a Index,
}

/// The payload's schema.
pub fn schema() -> Value {
    let properties = json!({
        "question": {"type": "string", "minLength": 1, "maxLength": 4_000},
        "sources": documents::list_schema(MOST_SOURCES),
        "max_questions": {"type": "integer", "minimum": 1, "maximum": MOST_QUESTIONS, "default": USUAL_QUESTIONS,
            "description": "into how many sub-questions the question may be divided"}
    });
    payload_schema(&["question", "sources"], properties)
}

/// Runs a job.
///
/// # Errors
/// What is wrong with the payload, and what kept the model from answering.
pub async fn run(asker: &Asker, payload: Payload) -> Result<Value, TaskError> {
    let request: Request = payload.json()?;
    let model = asker.model(request.model.as_deref())?;
    asker.room(&model)?;
    let given = documents::gather(documents::Document::default(), Some(request.sources))?;
    let sources = documents::read(asker.ctx(), given, "sources").await?;
    let index = index(&sources).await?;
    let language = in_language(request.language.as_deref(), "Write in the language of the question.");
    let job = Job {
        asker,
        model: &model,
        question: &request.question,
        language: &language,
        sources: &sources,
        index: &index,
    };
    let most = request.max_questions.unwrap_or(USUAL_QUESTIONS).clamp(1, MOST_QUESTIONS);
    let questions = job.plan(most).await?;
    asker.partial("plan", json!({"questions": questions})).await;
    let all = questions.len() + 2;
    asker.progress(1.0 / all as f64, &format!("{} sub-questions", questions.len())).await;
    let (done, job) = (AtomicUsize::new(1), &job);
    let done = &done;
    let work = questions.into_iter().enumerate().map(|(n, question)| async move {
        let part = job.answer(n, question).await?;
        asker.partial("answer", part.told()).await;
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        asker.progress(done as f64 / all as f64, &format!("sub-question {} is answered", n + 1)).await;
        Ok(part)
    });
    let parts = together(work.collect(), asker.at_once()).await?;
    let result = job.synthesis(parts).await?;
    asker.progress(1.0, "the answer is there").await;
    Ok(result)
}

/// Counting the words of long sources takes a while: others go on meanwhile.
async fn index(sources: &[Read]) -> Result<Index, TaskError> {
    let texts: Vec<String> = sources.iter().map(|source| source.text.clone()).collect();
    let cut = move || {
        let of = |(source, text): (usize, &String)| {
            split::split(text, PASSAGE, &split::tokens)
                .into_iter()
                .filter(|text| !text.trim().is_empty())
                .map(|text| Passage { source, text: text.to_owned(), tokens: split::tokens(text) + 8 })
                .collect::<Vec<_>>()
        };
        Index::new(texts.iter().enumerate().flat_map(of).collect())
    };
    tokio::task::spawn_blocking(cut).await.map_err(|e| fault(e.to_string()))
}

impl Job<'_> {
    async fn plan(&self, most: usize) -> Result<Vec<String>, TaskError> {
        let number = most.to_string();
        let mut questions = list(text(1_000), most);
        questions["minItems"] = 1.into();
        let wanted = Wanted::new("plan", object(json!({"questions": questions}))).map_err(fault)?;
        let (template, schema) = ("research/plan", wanted.text());
        let fixed = [("question", self.question), ("most", number.as_str())];
        let sources = self.glimpses(&[fixed[0], fixed[1], ("schema", &schema)])?;
        let values = [fixed[0], fixed[1], ("sources", sources.as_str())];
        let asking = self.asking(template, &values, ANSWER)?;
        let made = self.asker.json(&asking, &wanted, &nothing).await?;
        let questions = made.value["questions"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let mut questions: Vec<String> =
            questions.map(str::trim).filter(|q| !q.is_empty()).map(str::to_owned).collect();
        if questions.is_empty() {
            questions.push(self.question.to_owned());
        }
        Ok(questions)
    }

    /// The sources by their labels and titles, with how they begin.
    fn glimpses(&self, fixed: &[(&str, &str)]) -> Result<String, TaskError> {
        let room = self.asker.room(self.model)?;
        let space = room.text(self.asker.frame("research/plan", fixed), room.answer(ANSWER))?;
        let begin = |source: &Read| {
            let words: Vec<&str> = source.text.split_whitespace().take(GLIMPSE).collect();
            shortened(&words.join(" "), GLIMPSE)
        };
        let texts: Vec<String> = self.sources.iter().map(begin).collect();
        let each = self.sources.iter().zip(&texts).enumerate();
        let headed: Vec<Headed<'_>> = each
            .map(|(n, (source, text))| Headed { head: format!("[{}] {}", label(n), source.title), text })
            .collect();
        Ok(fitted(&headed, space).0)
    }

    fn asking<'a>(
        &'a self,
        template: &'static str,
        values: &'a [(&'a str, &'a str)],
        wished: u64,
    ) -> Result<Asking<'a>, TaskError> {
        let most = self.asker.room(self.model)?.answer(wished);
        Ok(Asking { template, values, model: self.model, most, temperature: None })
    }

    /// Answers a sub-question from the passages that fit.
    async fn answer(&self, n: usize, question: String) -> Result<Part, TaskError> {
        let wanted = answer_wanted().map_err(fault)?;
        let (template, schema) = ("research/answer", wanted.text());
        let room = self.asker.room(self.model)?;
        let fixed = [("question", question.as_str()), ("topic", self.question), ("language", self.language)];
        let frame: Vec<_> = fixed.iter().copied().chain([("schema", schema.as_str())]).collect();
        let space = room.text(self.asker.frame(template, &frame), room.answer(ANSWER))?;
        let chosen = self.index.choose(&format!("{} {question}", self.question), space);
        if chosen.len() < self.index.passages().len() {
            let (some, all) = (chosen.len(), self.index.passages().len());
            let text = format!("sub-question {}: {some} of {all} passages fit and were read", n + 1);
            self.asker.tally().warn(text);
        }
        let (mut shown, mut passages, mut read) = (Shown::default(), String::new(), 0);
        for at in chosen {
            let passage = &self.index.passages()[at];
            shown.add(passage.source, &passage.text);
            passages.push_str(&format!("[{}] {}\n\n", label(passage.source), passage.text.trim()));
            read += passage.tokens;
        }
        let values: Vec<_> = fixed.iter().copied().chain([("passages", passages.as_str())]).collect();
        let asking = self.asking(template, &values, ANSWER)?;
        let made = self.asker.json(&asking, &wanted, &|value| doubts(&shown, value)).await?;
        let cited = serde_json::from_value(made.value["citations"].clone()).unwrap_or_default();
        let (citations, mut refused) = shown.sorted(&format!("sub-question {}", n + 1), cited);
        let said = made.value["answer"].as_str().unwrap_or_default();
        let (answer, strange) = shown.without_strange_marks(said);
        refused
            .extend(strange.into_iter().map(|source| stranger(&format!("sub-question {}", n + 1), source)));
        // What no source bears is no answer.
        let answered = made.value["answered"] == true && !citations.is_empty();
        Ok(Part { question, answer, answered, citations, refused, read })
    }

    async fn synthesis(&self, parts: Vec<Part>) -> Result<Value, TaskError> {
        let mut shown = Shown::default();
        let texts: Vec<String> = parts.iter().map(|part| self.as_text(part, &mut shown)).collect();
        let wanted = synthesis_wanted().map_err(fault)?;
        let answers = self.fitted(&parts, &texts, &wanted)?;
        let values =
            [("question", self.question), ("answers", answers.as_str()), ("language", self.language)];
        let asking = self.asking("research/synthesis", &values, SYNTHESIS)?;
        let made = self.asker.json(&asking, &wanted, &|value| strangers(&shown, value)).await?;
        let said = made.value["answer"].as_str().unwrap_or_default();
        let (answer, strange) = shown.without_strange_marks(said);
        let mut refused: Vec<Refused> = strange.into_iter().map(|s| stranger("the answer", s)).collect();
        let (mut findings, mut unsupported) = (Vec::new(), Vec::new());
        for finding in made.value["findings"].as_array().into_iter().flatten() {
            let cited = finding["sources"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let (good, bad): (Vec<&str>, Vec<&str>) = cited.map(str::trim).partition(|s| shown.has(s));
            refused.extend(bad.into_iter().map(|s| stranger("the findings", s.to_owned())));
            let kept = if good.is_empty() { &mut unsupported } else { &mut findings };
            kept.push(json!({"text": finding["text"], "sources": good}));
        }
        let sub_questions: Vec<Value> = parts.iter().map(Part::told).collect();
        let citations = self.cited(&parts);
        refused.splice(0..0, parts.into_iter().flat_map(|part| part.refused));
        Ok(
            json!({"question": self.question, "answer": answer, "findings": findings, "gaps": made.value["gaps"],
            "citations": citations, "sub_questions": sub_questions, "refused_citations": refused,
            "unsupported_findings": unsupported}),
        )
    }

    /// An answer with its citations, which count as shown.
    fn as_text(&self, part: &Part, shown: &mut Shown) -> String {
        if !part.answered {
            return "The sources do not say.".to_owned();
        }
        let mut text = format!("{}\n", part.answer);
        for citation in &part.citations {
            self.show(shown, &citation.source, &citation.quote);
            text.push_str(&format!("- [{}] \"{}\"\n", citation.source, citation.quote));
        }
        text
    }

    /// As much of all answers as the last call can read.
    fn fitted(&self, parts: &[Part], texts: &[String], wanted: &Wanted) -> Result<String, TaskError> {
        let (room, schema) = (self.asker.room(self.model)?, wanted.text());
        let values = [("question", self.question), ("language", self.language), ("schema", schema.as_str())];
        let space = room.text(self.asker.frame("research/synthesis", &values), room.answer(SYNTHESIS))?;
        let each = parts.iter().zip(texts).enumerate();
        let headed: Vec<Headed<'_>> = each
            .map(|(n, (part, text))| Headed { head: format!("## {}. {}", n + 1, part.question), text })
            .collect();
        let (answers, cut) = fitted(&headed, space);
        if let Some(each) = cut {
            self.asker.tally().warn(format!("answers of more than {each} tokens were cut for the synthesis"));
        }
        Ok(answers)
    }

    /// What is cited counts as shown.
    fn show(&self, shown: &mut Shown, source: &str, quote: &str) {
        if let Some(at) = (0..self.sources.len()).find(|at| label(*at) == source) {
            shown.add(at, quote);
        }
    }

    /// Every source that is cited, with the words that are taken from it.
    fn cited(&self, parts: &[Part]) -> Vec<Value> {
        let mut quotes: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
        for citation in parts.iter().filter(|part| part.answered).flat_map(|part| &part.citations) {
            let Some(at) = (0..self.sources.len()).find(|at| label(*at) == citation.source) else { continue };
            let of_source = quotes.entry(at).or_default();
            if !citation.quote.is_empty() && !of_source.contains(&citation.quote.as_str()) {
                of_source.push(&citation.quote);
            }
        }
        let told = |(at, quotes)| {
            let source: &Read = &self.sources[at];
            json!({"source": label(at), "position": at + 1, "title": source.title, "quotes": quotes})
        };
        quotes.into_iter().map(told).collect()
    }
}

impl Part {
    fn told(&self) -> Value {
        json!({"question": self.question, "answered": self.answered, "answer": self.answer,
            "citations": self.citations, "tokens_read": self.read})
    }
}

fn stranger(of: &str, source: String) -> Refused {
    Refused { of: of.to_owned(), source, quote: String::new(), why: "no such source was given" }
}

/// What is wrong with the citations of an answer, for the model.
fn doubts(shown: &Shown, value: &Value) -> Vec<String> {
    let cited: Vec<Citation> = serde_json::from_value(value["citations"].clone()).unwrap_or_default();
    let mut doubts: Vec<String> = cited
        .iter()
        .filter_map(|c| Some(format!("/citations: {} \"{}\": {}", c.source, c.quote, shown.refuses(c)?)))
        .collect();
    if value["answered"] == true && cited.is_empty() {
        doubts.push("/citations: an answer needs at least one; without, `answered` must be false".to_owned());
    }
    let (_, strange) = shown.without_strange_marks(value["answer"].as_str().unwrap_or_default());
    doubts.extend(strange.into_iter().map(|label| format!("/answer: [{label}] is no source that was given")));
    doubts.truncate(20);
    doubts
}

/// Sources that nobody gave, for the model.
fn strangers(shown: &Shown, value: &Value) -> Vec<String> {
    let (_, mut strange) = shown.without_strange_marks(value["answer"].as_str().unwrap_or_default());
    let of_findings = value["findings"].as_array().into_iter().flatten();
    let sources = of_findings.flat_map(|f| f["sources"].as_array().into_iter().flatten());
    strange.extend(sources.filter_map(Value::as_str).filter(|s| !shown.has(s.trim())).map(str::to_owned));
    strange.truncate(20);
    strange.into_iter().map(|label| format!("[{label}] is no source of the answers above")).collect()
}

fn answer_wanted() -> Result<Wanted, String> {
    let citation = object(json!({"source": text(40), "quote": text(1_000)}));
    let fields =
        json!({"answered": {"type": "boolean"}, "answer": text(20_000), "citations": list(citation, 30)});
    Wanted::new("answer", object(fields))
}

fn synthesis_wanted() -> Result<Wanted, String> {
    let finding = object(json!({"text": text(2_000), "sources": list(text(40), 20)}));
    let mut answer = text(30_000);
    answer["minLength"] = 1.into();
    let fields = json!({"answer": answer, "findings": list(finding, 40), "gaps": list(text(1_000), 20)});
    Wanted::new("synthesis", object(fields))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_told_what_its_citations_lack() {
        let mut shown = Shown::default();
        shown.add(0, "The lens was made in Paris.");
        let value = json!({"answered": true, "answer": "In Paris [S1][S7].",
            "citations": [{"source": "S1", "quote": "made in Rome"}, {"source": "S1", "quote": "made in Paris"}]});
        let said = doubts(&shown, &value).join("\n");
        assert_eq!(said.lines().count(), 2, "{said}");
        assert!(said.contains("made in Rome") && said.contains("[S7]"), "{said}");
        assert_eq!(doubts(&shown, &json!({"answered": true, "answer": "x", "citations": []})).len(), 1);
        assert!(doubts(&shown, &json!({"answered": false, "answer": "", "citations": []})).is_empty());
        let findings = json!({"answer": "x [S1]", "findings": [{"text": "", "sources": ["S1", "S2"]}]});
        assert_eq!(strangers(&shown, &findings).len(), 1);
    }
}
