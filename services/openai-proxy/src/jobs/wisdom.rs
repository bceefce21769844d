//! `synthesize_wisdom`: answers to one question, given or gathered from models, put into clusters, weighed, and merged
//! into one. What dissents is kept, whatever the merging model makes of it.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde::Deserialize;
use serde_json::{Value, json};
use tasklane_runtime::{Payload, TaskError};

use super::ask::{Asker, Asking};
use super::clusters::{Cluster, Group, agreement, label, mistakes, weighed};
use super::error::{bad_payload, fault};
use super::findings::rounded;
use super::fit::{Headed, fitted};
use super::structured::{Wanted, list, object, shortened, text};
use super::{in_language, payload_schema, together};

/// Answers of a job, given and gathered, at most.
const MOST_ANSWERS: usize = 64;
/// Models that are asked, at most, and how often each.
const MOST_MODELS: usize = 16;
const MOST_TIMES: usize = 10;
/// Characters of a given answer, at most.
const LONGEST: usize = 64_000;
/// Tokens of an answer of a model, and of what is made of all, as wished.
const ANSWER: u64 = 1_500;
const MERGED: u64 = 2_000;

#[derive(Deserialize)]
struct Request {
    model: Option<String>,
    language: Option<String>,
    question: String,
    #[serde(default)]
    answers: Vec<Given>,
    #[serde(default)]
    ask: Vec<Asked>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Given {
    Text(String),
    Answer { text: String, from: Option<String>, weight: Option<f64> },
}

#[derive(Deserialize)]
struct Asked {
    model: String,
    times: Option<usize>,
    temperature: Option<f64>,
    weight: Option<f64>,
}

/// An answer, whoever gave it.
struct Answer {
    text: String,
    from: String,
    weight: f64,
}

/// What all calls have in common.
struct Job<'a> {
    asker: &'a Asker,
    model: &'a str,
    question: &'a str,
    language: &'a str,
}

/// The payload's schema.
pub fn schema() -> Value {
    let weight = json!({"type": "number", "exclusiveMinimum": 0, "maximum": 1_000, "default": 1});
    let answer = json!({"type": ["string", "object"], "minLength": 1, "maxLength": LONGEST,
    "required": ["text"], "additionalProperties": false, "properties": {
        "text": {"type": "string", "minLength": 1, "maxLength": LONGEST},
        "from": {"type": "string", "maxLength": 200, "description": "who says so"},
        "weight": weight
    }});
    let asked = json!({"type": "object", "required": ["model"], "additionalProperties": false, "properties": {
        "model": {"type": "string", "minLength": 1, "maxLength": 200},
        "times": {"type": "integer", "minimum": 1, "maximum": MOST_TIMES, "default": 1},
        "temperature": {"type": "number", "minimum": 0, "maximum": 2},
        "weight": weight
    }});
    let properties = json!({
        "question": {"type": "string", "minLength": 1, "maxLength": 16_000},
        "answers": {"type": "array", "maxItems": MOST_ANSWERS, "items": answer, "description": "answers that are there"},
        "ask": {"type": "array", "maxItems": MOST_MODELS, "items": asked,
            "description": "models that are asked the question"}
    });
    payload_schema(&["question"], properties)
}

/// Runs a job.
///
/// # Errors
/// What is wrong with the payload, and what kept the models from answering.
pub async fn run(asker: &Asker, payload: Payload) -> Result<Value, TaskError> {
    let request: Request = payload.json()?;
    let model = asker.model(request.model.as_deref())?;
    let gathered: usize = request.ask.iter().map(|asked| asked.times.unwrap_or(1)).sum();
    let number = request.answers.len() + gathered;
    if !(2..=MOST_ANSWERS).contains(&number) {
        let text =
            format!("payload: `answers` and `ask` make {number} answers; 2 to {MOST_ANSWERS} are needed");
        return Err(bad_payload(text));
    }
    asker.affords(gathered + 2)?;
    let language = in_language(request.language.as_deref(), "Write in the language of the question.");
    let job = Job { asker, model: &model, question: &request.question, language: &language };
    let mut answers: Vec<Answer> = request.answers.into_iter().map(Answer::given).collect();
    answers.extend(job.gather(&request.ask, gathered + 2).await?);
    let clusters = job.clusters(&answers).await?;
    let told: Vec<Value> = clusters.iter().map(Cluster::told).collect();
    asker.partial("clusters", json!({"clusters": told})).await;
    asker
        .progress((gathered + 1) as f64 / (gathered + 2) as f64, &format!("{} clusters", clusters.len()))
        .await;
    let (answer, dissent) = job.merge(&answers, &clusters).await?;
    asker.progress(1.0, "the answer is there").await;
    let tell = |(n, a): (usize, &Answer)| json!({"label": label(n), "from": a.from, "weight": a.weight, "text": a.text});
    let all: Vec<Value> = answers.iter().enumerate().map(tell).collect();
    Ok(
        json!({"question": request.question, "answer": answer, "agreement": rounded(agreement(&clusters, answers.len())),
        "clusters": told, "dissent": dissent, "answers": all}),
    )
}

impl Answer {
    fn given(given: Given) -> Self {
        match given {
            Given::Text(text) => Self { text, from: String::new(), weight: 1.0 },
            Given::Answer { text, from, weight } => {
                Self { text, from: from.unwrap_or_default(), weight: weight.unwrap_or(1.0) }
            }
        }
    }
}

impl Job<'_> {
    /// Asks every model as often as is wished.
    async fn gather(&self, asked: &[Asked], all: usize) -> Result<Vec<Answer>, TaskError> {
        let done = AtomicUsize::new(0);
        let done = &done;
        let each = asked.iter().flat_map(|one| std::iter::repeat_n(one, one.times.unwrap_or(1)));
        let work = each.map(|one| async move {
            let values = [("question", self.question), ("language", self.language)];
            let most = self.asker.room(&one.model)?.answer(ANSWER);
            let template = "synthesize_wisdom/answer";
            let asking =
                Asking { template, values: &values, model: &one.model, most, temperature: one.temperature };
            let said = self.asker.text(&asking).await?;
            if said.cut {
                self.asker.tally().warn(format!("an answer of {} was cut off at {most} tokens", said.by));
            }
            self.asker.partial("answer", json!({"from": said.by, "text": said.text})).await;
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            self.asker.progress(done as f64 / all as f64, &format!("{} has answered", said.by)).await;
            Ok(Answer { text: said.text, from: said.by, weight: one.weight.unwrap_or(1.0) })
        });
        together(work.collect(), self.asker.at_once()).await
    }

    /// As much of some texts as fits beside the question, and the tokens of the answer.
    fn fitted(
        &self,
        template: &str,
        wanted: &Wanted,
        wished: u64,
        texts: &[Headed<'_>],
    ) -> Result<(String, u64), TaskError> {
        let (room, schema) = (self.asker.room(self.model)?, wanted.text());
        let most = room.answer(wished);
        let values = [("question", self.question), ("language", self.language), ("schema", schema.as_str())];
        let space = room.text(self.asker.frame(template, &values), most)?;
        let (text, cut) = tokio::task::block_in_place(|| fitted(texts, space));
        if let Some(each) = cut {
            let text = format!("{template}: answers of more than {each} tokens were read only up to there");
            self.asker.tally().warn(text);
        }
        Ok((text, most))
    }

    async fn clusters(&self, answers: &[Answer]) -> Result<Vec<Cluster>, TaskError> {
        let of = answers.iter().enumerate();
        let texts: Vec<Headed<'_>> =
            of.map(|(n, a)| Headed { head: format!("[{}]", label(n)), text: &a.text }).collect();
        let group = object(json!({"position": text(2_000), "answers": list(text(10), MOST_ANSWERS)}));
        let mut groups = list(group, MOST_ANSWERS);
        groups["minItems"] = 1.into();
        let wanted = Wanted::new("clusters", object(json!({"clusters": groups}))).map_err(fault)?;
        let template = "synthesize_wisdom/cluster";
        let (shown, most) = self.fitted(template, &wanted, MERGED, &texts)?;
        let values = [("question", self.question), ("answers", shown.as_str()), ("language", self.language)];
        let asking = Asking { template, values: &values, model: self.model, most, temperature: None };
        let of = |value: &Value| -> Vec<Group> {
            serde_json::from_value(value["clusters"].clone()).unwrap_or_default()
        };
        let made = self.asker.json(&asking, &wanted, &|value| mistakes(&of(value), answers.len())).await?;
        if !made.left.is_empty() {
            self.asker.tally().warn(format!("the clusters were mended: {}", made.left.join("; ")));
        }
        let weights: Vec<f64> = answers.iter().map(|answer| answer.weight).collect();
        Ok(weighed(&of(&made.value), &weights, |at| shortened(&answers[at].text, 300)))
    }

    /// One answer of all, and what stands against it.
    async fn merge(
        &self,
        answers: &[Answer],
        clusters: &[Cluster],
    ) -> Result<(Value, Vec<Value>), TaskError> {
        let texts: Vec<Headed<'_>> =
            clusters.iter().enumerate().map(|(n, c)| cluster_text(n, c, answers)).collect();
        let point = object(json!({"cluster": text(10), "why": text(2_000)}));
        let mut answer = text(30_000);
        answer["minLength"] = 1.into();
        let fields = json!({"answer": answer, "dissent": list(point, MOST_ANSWERS)});
        let wanted = Wanted::new("merged", object(fields)).map_err(fault)?;
        let template = "synthesize_wisdom/merge";
        let (shown, most) = self.fitted(template, &wanted, MERGED, &texts)?;
        let values = [("question", self.question), ("clusters", shown.as_str()), ("language", self.language)];
        let asking = Asking { template, values: &values, model: self.model, most, temperature: None };
        let made = self.asker.json(&asking, &wanted, &|value| unnamed(value, clusters.len())).await?;
        if !made.left.is_empty() {
            self.asker.tally().warn(format!("dissent was added: {}", made.left.join("; ")));
        }
        Ok((made.value["answer"].clone(), dissent(&made.value, clusters)))
    }
}

/// A cluster's heading, and the answer of it that stands for all: the heaviest.
fn cluster_text<'a>(n: usize, cluster: &Cluster, answers: &'a [Answer]) -> Headed<'a> {
    let share = (cluster.share * 100.0).round();
    let head = format!(
        "## C{} ({share} % of the weight, {} answers)\n{}\n",
        n + 1,
        cluster.members.len(),
        cluster.position
    );
    let heaviest =
        cluster.members.iter().copied().reduce(|a, b| match answers[b].weight > answers[a].weight {
            true => b,
            false => a,
        });
    Headed { head, text: heaviest.map_or("", |at| answers[at].text.as_str()) }
}

/// Clusters beside the first that a merged answer does not speak of, for the model.
fn unnamed(value: &Value, clusters: usize) -> Vec<String> {
    let named =
        |label: &str| value["dissent"].as_array().into_iter().flatten().any(|d| d["cluster"] == label);
    let missing = (2..=clusters).map(|n| format!("C{n}")).filter(|label| !named(label));
    missing
        .map(|label| format!("/dissent: {label} is missing; every cluster but C1 has to stand there"))
        .collect()
}

/// Every cluster beside the first, with what the model says of it.
fn dissent(value: &Value, clusters: &[Cluster]) -> Vec<Value> {
    let why = |label: &str| {
        let mut points = value["dissent"].as_array().into_iter().flatten();
        points.find(|d| d["cluster"] == label).map_or(Value::Null, |d| d["why"].clone())
    };
    let told = |(n, cluster): (usize, &Cluster)| {
        json!({"cluster": n + 1, "position": cluster.position, "share": rounded(cluster.share),
            "answers": cluster.answers, "why": why(&format!("C{}", n + 1))})
    };
    clusters.iter().enumerate().skip(1).map(told).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dissent_is_kept_whatever_the_model_says() {
        let group = |position: &str, answers: &[&str]| Group {
            position: position.into(),
            answers: answers.iter().map(|a| (*a).to_owned()).collect(),
        };
        let clusters =
            weighed(&[group("yes", &["A1", "A2"]), group("no", &["A3"])], &[1.0; 3], |_| String::new());
        let silent = json!({"answer": "Yes.", "dissent": []});
        assert_eq!(unnamed(&silent, 2).len(), 1);
        let kept = dissent(&silent, &clusters);
        assert_eq!((kept.len(), &kept[0]["position"], &kept[0]["why"]), (1, &json!("no"), &Value::Null));
        let named = json!({"dissent": [{"cluster": "C2", "why": "It costs."}]});
        assert!(unnamed(&named, 2).is_empty());
        assert_eq!(dissent(&named, &clusters)[0]["why"], "It costs.");
    }
}
