//! Tasks of several model calls: summaries, analyses, research, debates, and many answers made one.
//!
//! A job reads its payload (`documents`), decides what to ask (`plan`, `split`, `select`, `agreement`, `clusters`,
//! `citations`: all pure), and asks (`ask`, with `prompts` and `structured`). What it used is added to its result
//! (`tally`).

pub mod agreement;
pub mod analysis;
pub mod answer;
pub mod ask;
pub mod catchball;
pub mod citations;
pub mod clusters;
pub mod documents;
pub mod error;
pub mod findings;
pub mod fit;
pub mod plan;
pub mod prompts;
pub mod research;
pub mod room;
pub mod select;
pub mod split;
pub mod structured;
pub mod summary;
pub mod tally;
pub mod template;
pub mod wisdom;

use std::sync::Arc;

use futures::future::BoxFuture;
use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::{Value, json};
use tasklane_runtime::contract::v1;
use tasklane_runtime::{Ctx, Output, Payload, TaskError, TaskType};

use crate::config::JobsConfig;
use crate::gateway::Gateway;
use crate::{CAPABILITY, WORKER_TYPE};
use ask::Asker;
use prompts::Prompts;

/// What a job comes to, before what it used is added.
type Made<'a> = BoxFuture<'a, Result<Value, TaskError>>;

/// A kind of job.
struct Kind {
    name: &'static str,
    description: &'static str,
    schema: Value,
    minutes: u64,
    run: fn(&Asker, Payload) -> Made<'_>,
}

/// The task types.
pub fn all(gateway: &Arc<Gateway>, prompts: Prompts, config: &JobsConfig) -> Vec<TaskType> {
    let prompts = Arc::new(prompts);
    kinds().into_iter().map(|kind| one(kind, gateway, &prompts, config)).collect()
}

fn kinds() -> [Kind; 5] {
    [
        Kind {
            name: "document_summary",
            description: "Sums up documents of any length",
            schema: summary::schema(),
            minutes: 30,
            run: |asker, payload| Box::pin(summary::run(asker, payload)),
        },
        Kind {
            name: "content_analysis",
            description: "Finds topics, entities, sentiment, key points and language of texts",
            schema: analysis::schema(),
            minutes: 30,
            run: |asker, payload| Box::pin(analysis::run(asker, payload)),
        },
        Kind {
            name: "research",
            description: "Answers a question from given sources, with citations",
            schema: research::schema(),
            minutes: 30,
            run: |asker, payload| Box::pin(research::run(asker, payload)),
        },
        Kind {
            name: "catchball",
            description: "Has roles propose and criticise until they agree",
            schema: catchball::schema(),
            minutes: 30,
            run: |asker, payload| Box::pin(catchball::run(asker, payload)),
        },
        Kind {
            name: "synthesize_wisdom",
            description: "Makes one answer of many, and keeps what dissents",
            schema: wisdom::schema(),
            minutes: 15,
            run: |asker, payload| Box::pin(wisdom::run(asker, payload)),
        },
    ]
}

fn one(kind: Kind, gateway: &Arc<Gateway>, prompts: &Arc<Prompts>, config: &JobsConfig) -> TaskType {
    let (gateway, prompts, config) = (Arc::clone(gateway), Arc::clone(prompts), config.clone());
    // Every attempt pays again for what the one before had done.
    let rule = v1::Rule {
        required_capabilities: vec![CAPABILITY.to_owned()],
        preferred_worker_type: WORKER_TYPE.to_owned(),
        max_processing_time_ms: kind.minutes * 60_000,
        max_attempts: 3,
        ..v1::Rule::default()
    };
    let run = kind.run;
    TaskType::new(kind.name, kind.description, move |ctx: Ctx, payload: Payload| {
        let asker = Asker::new(Arc::clone(&gateway), ctx, Arc::clone(&prompts), config.clone());
        async move {
            let mut result = run(&asker, payload).await?;
            asker.tally().into_result(&mut result);
            Output::json(&result)
        }
    })
    .schema(&kind.schema)
    .rule(rule)
}

/// A payload's schema with these properties, and those that every job has.
fn payload_schema(required: &[&str], mut properties: Value) -> Value {
    properties["model"] = json!({"type": "string", "minLength": 1, "maxLength": 200,
        "description": "a route or a model of the providers' file; absent: the operator's (jobs.model)"});
    properties["language"] = json!({"type": "string", "minLength": 2, "maxLength": 60,
        "description": "the language of what is written, such as German; absent: that of the text"});
    json!({"type": "object", "additionalProperties": false, "required": required, "properties": properties})
}

/// What a prompt says of the language.
fn in_language(language: Option<&str>, otherwise: &str) -> String {
    language.map_or_else(|| otherwise.to_owned(), |language| format!("Write in {language}."))
}

/// Does work at the same time, so much of it at once, and gives it in order. The first failure ends the rest.
async fn together<T>(
    work: Vec<impl Future<Output = Result<T, TaskError>>>,
    at_once: usize,
) -> Result<Vec<T>, TaskError> {
    futures::stream::iter(work).buffered(at_once).try_collect().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schema_is_one_and_refuses_what_it_does_not_know() {
        for kind in kinds() {
            let validator = jsonschema::validator_for(&kind.schema).unwrap();
            let wrong = json!({"no_such_field": 1});
            let said: Vec<String> = validator.iter_errors(&wrong).map(|e| e.to_string()).collect();
            assert!(said.iter().any(|text| text.contains("no_such_field")), "{}: {said:?}", kind.name);
        }
    }
}
