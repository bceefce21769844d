//! `tasklane llm`: model calls seen from their operator, and a chat.

pub mod args;
pub mod chat;
pub mod completion;
pub mod conversation;

use args::{LlmCommand, UsageArgs};
use bytes::Bytes;
use serde::Serialize;
use tasklane_runtime::bus::Bus;
use tasklane_runtime::contract::{code, subjects, time};

use crate::error::{CliError, Exit};
use crate::format::{Paint, json, llm};
use crate::session::Session;
use crate::units;

/// Does what was asked.
///
/// # Errors
/// NATS, nobody who answers, or a refusal.
pub async fn run(command: LlmCommand, session: &Session) -> Result<Exit, CliError> {
    match command {
        LlmCommand::Models(args) => {
            let question = serde_json::json!({"tenant": args.tenant});
            show(session, subjects::LLM_MODELS, &question, llm::models).await
        }
        LlmCommand::Usage(args) => {
            let question = question(&args, time::now_us())?;
            show(session, subjects::LLM_USAGE, &question, llm::usage).await
        }
        LlmCommand::Budgets(args) => {
            let question = serde_json::json!({"tenant": args.tenant});
            show(session, subjects::LLM_BUDGETS, &question, llm::budgets).await
        }
        LlmCommand::Chat(args) => chat::run(args, session).await,
    }
}

fn question(args: &UsageArgs, now_us: i64) -> Result<serde_json::Value, CliError> {
    let day = |flag: &str, text: &str| {
        units::day(text, now_us).map_err(|e| CliError::usage(code::BAD_TIME, format!("--{flag}: {e}")))
    };
    Ok(serde_json::json!({
        "tenant": args.tenant,
        "model": args.model,
        "from": day("since", &args.since)?,
        "to": args.until.as_deref().map(|text| day("until", text)).transpose()?,
        "by": (!args.by.is_empty()).then_some(&args.by),
    }))
}

async fn show<A: serde::de::DeserializeOwned>(
    session: &Session,
    subject: &str,
    question: &impl Serialize,
    render: impl FnOnce(&A, Paint) -> String,
) -> Result<Exit, CliError> {
    let bus = session.bus().await?;
    let answer = ask(session, &bus, subject, question).await?;
    match session.json {
        true => session.print(&json::indent(&String::from_utf8_lossy(&answer)))?,
        false => session.print(&render(&session.read(subject, &answer)?, session.paint))?,
    }
    Ok(Exit::Succeeded)
}

/// Asks the openai-proxies.
async fn ask(
    session: &Session,
    bus: &Bus,
    subject: &str,
    question: &impl Serialize,
) -> Result<Bytes, CliError> {
    session.ask_raw(bus, subject, question).await.map_err(|e| match e {
        CliError::Told { exit: Exit::Unreachable, message, .. } => nobody(&message),
        other => other,
    })
}

fn nobody(why: &str) -> CliError {
    CliError::new(code::NATS, Exit::Unreachable, format!("no openai-proxy answers: {why}")).remedy(
        "start one: `tasklane up` starts all services here, with the models that TASKLANE_PROVIDERS_FILE names; with \
         users of NATS, ask as `operator`",
    )
}

#[cfg(test)]
mod tests {
    use super::args::By;
    use super::*;

    #[test]
    fn days_and_groups_become_a_question() {
        let now = time::parse_rfc3339("2026-11-21T12:00:00Z").unwrap();
        let args = UsageArgs { tenant: None, model: None, since: "7d".into(), until: None, by: vec![] };
        let expected =
            serde_json::json!({"tenant": null, "model": null, "from": "2026-11-14", "to": null, "by": null});
        assert_eq!(question(&args, now).unwrap(), expected);
        let args = UsageArgs { until: Some("1d".into()), by: vec![By::Day, By::Model], ..args };
        let said = question(&args, now).unwrap();
        assert_eq!((&said["to"], &said["by"]), (&"2026-11-20".into(), &serde_json::json!(["day", "model"])));
        let wrong = question(&UsageArgs { since: "monday".into(), ..args }, now).unwrap_err();
        assert!(wrong.to_string().starts_with("TL1013 --since"), "{wrong}");
    }
}
