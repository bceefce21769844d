//! `tasklane ask`: a model answers a question from what a collection has on it, and says from where.

pub mod args;
mod prompt;
mod quote;
mod teller;

use std::path::Path;

use args::AskArgs;
use prompt::{Citations, Source, citations};
use serde_json::{Value, json};
use tasklane_runtime::contract::code;
use teller::{Answer, Teller, Told};

use super::search::question::Mode;
use super::search::{Hit, search};
use crate::error::{CliError, Exit};
use crate::format::{Paint, harmless, hits, json as layout, one_line};
use crate::session::Session;
use crate::work::Work;

/// Asks and prints the answer with its sources.
///
/// # Errors
/// There is no such collection or model, nothing was found, nobody answers, or NATS.
pub async fn run(args: AskArgs, session: &Session) -> Result<Exit, CliError> {
    let work = Work::new(session).await?;
    let asked = (Mode::Hybrid, args.question.as_str());
    let found = search(&work, &args.collection, asked, usize::from(args.k), &args.narrow).await?;
    if found.hits.is_empty() {
        let why = format!("`{}` has nothing on it", args.collection);
        return Err(CliError::new(code::NOT_FOUND, Exit::Failed, why));
    }
    let here = std::env::current_dir().ok();
    let place = |hit: &Hit| hits::place(hit, here.as_deref());
    let sources: Vec<Source> =
        found.hits.iter().map(|hit| Source { place: place(hit), text: hit.text.clone() }).collect();
    let answer = match answer(&work, &args, &found.hits, &sources).await? {
        Told::Answer(answer) => answer,
        Told::Interrupted | Told::Nothing => return Ok(Exit::Interrupted),
    };
    let cited = citations(&answer.text, sources.len());
    if session.json {
        let told = told(&args, &answer, &found.hits, &cited);
        session.print(&layout::indent(&told.to_string()))?;
    } else {
        session.print(&listed(&found.hits, &cited, here.as_deref(), session.paint))?;
    }
    if !cited.made_up.is_empty() {
        let made_up: Vec<String> = cited.made_up.iter().map(|n| format!("[{n}]")).collect();
        session.warn(&format!("the answer names sources that there are not: {}", made_up.join(" ")));
    }
    if !answer.summary.is_empty() {
        session.note(&one_line(&answer.summary));
    }
    Ok(Exit::Succeeded)
}

/// By the openai-proxy's model or the one that is named, by one of our own, or in the documents' own words.
async fn answer(work: &Work<'_>, args: &AskArgs, hits: &[Hit], sources: &[Source]) -> Result<Told, CliError> {
    if let Some(teller) = Teller::find(work, args).await {
        match teller.ask(&args.question, sources).await? {
            Told::Nothing => work.session.warn(&format!("{} does not answer now", one_line(teller.model()))),
            told => return Ok(told),
        }
    }
    match Teller::own(work, args).await? {
        Some(own) => own.ask(&args.question, sources).await,
        None => quoted(work, args, hits, sources).await.map(Told::Answer),
    }
}

/// The answer where no model writes, printed.
async fn quoted(
    work: &Work<'_>,
    args: &AskArgs,
    hits: &[Hit],
    sources: &[Source],
) -> Result<Answer, CliError> {
    let by = hits.iter().find_map(|hit| hit.metadata.get("model")?.as_str());
    let Some(model) = args.narrow.embed_model.as_deref().or(by) else {
        return Err(CliError::new(code::NOT_FOUND, Exit::Failed, "there is no model that could answer").remedy(
            "name a provider (TASKLANE_PROVIDERS_FILE), or load a model that writes: `tasklane models load NAME`",
        ));
    };
    let answer = quote::quote(work, model, &args.question, sources).await?;
    if !work.session.json {
        work.session.print(&format!("{}\n", harmless(&answer.text)))?;
    }
    Ok(answer)
}

/// The sources below the answer: those that it names, or all where it names none.
fn listed(hits: &[Hit], citations: &Citations, here: Option<&Path>, paint: Paint) -> String {
    let none = citations.cited.is_empty();
    let mut text = match none {
        true => paint.warn("\nthe answer names no sources; the model had these:\n"),
        false => "\nSources:\n".to_owned(),
    };
    for (at, hit) in hits.iter().enumerate().filter(|(at, _)| none || citations.cited.contains(&(at + 1))) {
        text += &format!("[{}] {}\n", at + 1, one_line(&hits::place(hit, here)));
    }
    text
}

fn told(args: &AskArgs, answer: &Answer, hits: &[Hit], citations: &Citations) -> Value {
    let source = |(at, hit): (usize, &Hit)| {
        json!({
            "n": at + 1,
            "cited": citations.cited.contains(&(at + 1)),
            "id": hit.id,
            "score": hit.score,
            "text": hit.text,
            "metadata": hit.metadata,
        })
    };
    json!({
        "collection": args.collection,
        "question": args.question,
        "model": answer.model,
        "answer": answer.text,
        "sources": hits.iter().enumerate().map(source).collect::<Vec<_>>(),
        "made_up": citations.made_up,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sources_that_are_named_are_listed() {
        let hit = |name: &str| Hit {
            metadata: json!({"source": name}).as_object().unwrap().clone(),
            ..Hit::default()
        };
        let hits = [hit("/a"), hit("/b"), hit("/c")];
        let of = |answer: &str| listed(&hits, &citations(answer, 3), None, Paint { on: false });
        assert_eq!(of("yes [3] and [1]"), "\nSources:\n[1] /a\n[3] /c\n");
        assert_eq!(of("yes").lines().count(), 5);
    }
}
