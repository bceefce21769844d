//! A chat completion as the command reads it: its text, and what it used and cost. Pure.

use serde::Deserialize;
use serde_json::Value;

use crate::format::llm::{Models, Price, usd};

/// What OpenAI's API answers, as far as it is shown.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Completion {
    model: String,
    choices: Vec<Choice>,
    usage: Option<Usage>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Choice {
    message: Message,
    finish_reason: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Message {
    content: Option<String>,
    refusal: Option<String>,
    tool_calls: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Usage {
    prompt_tokens: u64,
    completion_tokens: u64,
    prompt_tokens_details: Option<Details>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Details {
    cached_tokens: Option<u64>,
}

impl Completion {
    /// What the model said.
    pub fn text(&self) -> String {
        let Some(choice) = self.choices.first() else { return String::new() };
        let said = choice.message.content.as_deref().or(choice.message.refusal.as_deref());
        match (said, &choice.message.tool_calls) {
            (None, Some(calls)) => calls.to_string(),
            (said, _) => said.unwrap_or_default().to_owned(),
        }
    }

    /// One line: who answered, what it used, what that costs as far as it is known, and whether it was cut short.
    pub fn summary(&self, asked: &str, models: Option<&Models>) -> String {
        let mut parts = vec![if self.model.is_empty() { asked.to_owned() } else { self.model.clone() }];
        if let Some(usage) = &self.usage {
            parts.push(format!("{} tokens in, {} out", usage.prompt_tokens, usage.completion_tokens));
            let price = models.and_then(|models| price(models, asked, &self.model));
            parts.extend(price.map(|price| format!("{} USD", usd(usage.cost(price)))));
        }
        let ended = self.choices.first().and_then(|choice| choice.finish_reason.as_deref());
        match ended {
            Some("length") => parts.push("cut short: it reached the longest answer".to_owned()),
            Some("content_filter") => parts.push("cut short by the provider's filter".to_owned()),
            _ => {}
        }
        parts.join(" · ")
    }
}

impl Usage {
    /// In nano-USD, rounded up as the service does.
    fn cost(&self, price: Price) -> u64 {
        let cached = self.prompt_tokens_details.as_ref().and_then(|d| d.cached_tokens).unwrap_or(0);
        let fresh = self.prompt_tokens.saturating_sub(cached);
        // Nano-USD per thousand tokens are whole numbers, as the service holds them.
        let part = |tokens: u64, usd: f64| u128::from(tokens) * (usd * 1e6).round() as u128;
        let all = part(fresh, price.input)
            + part(cached, price.cached_input)
            + part(self.completion_tokens, price.output);
        u64::try_from(all.div_ceil(1_000)).unwrap_or(u64::MAX)
    }
}

/// The price of the candidate that answered: the one that the answer names; or the only one, for providers like to name
/// a version of it. Otherwise nobody knows, and nothing is said.
fn price(models: &Models, asked: &str, answered: &str) -> Option<Price> {
    let alias = models.aliases.iter().find(|alias| alias.alias == asked)?;
    let found =
        |id: &&String| *id == answered || models.models.get(*id).is_some_and(|model| model.name == answered);
    let id = match alias.models.as_slice() {
        [only] => only,
        several => several.iter().find(found)?,
    };
    models.models.get(id).map(|model| model.usd_per_million_tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completion(json: &str) -> Completion {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn the_text_is_what_the_model_said() {
        let of = |message: &str| completion(&format!(r#"{{"choices":[{{"message":{message}}}]}}"#)).text();
        assert_eq!(of(r#"{"content":"hi","refusal":null}"#), "hi");
        assert_eq!(of(r#"{"content":null,"refusal":"no"}"#), "no");
        assert_eq!(of(r#"{"content":null,"tool_calls":[{"id":"x"}]}"#), r#"[{"id":"x"}]"#);
        assert_eq!(completion("{}").text(), "");
    }

    #[test]
    fn the_cost_is_that_of_the_model_that_answered() {
        let models: Models = serde_json::from_str(
            r#"{"aliases":[{"alias":"both","models":["a","b"]},{"alias":"a","models":["a"]}],"models":{
            "a":{"name":"up-a","usd_per_million_tokens":{"input":0.4,"cached_input":0.1,"output":1.6}},"b":{"name":"up-b"}}}"#,
        )
        .unwrap();
        let said = |model: &str| {
            completion(&format!(
                r#"{{"model":"{model}","choices":[{{"finish_reason":"length"}}],"usage":{{"prompt_tokens":100,
                "completion_tokens":10,"prompt_tokens_details":{{"cached_tokens":40}}}}}}"#
            ))
        };
        let cut = "cut short: it reached the longest answer";
        let expected = format!("up-a · 100 tokens in, 10 out · 0.000044 USD · {cut}");
        assert_eq!(said("up-a").summary("both", Some(&models)), expected);
        assert_eq!(
            said("up-b").summary("both", Some(&models)),
            format!("up-b · 100 tokens in, 10 out · 0.000000 USD · {cut}")
        );
        assert_eq!(
            said("up-c").summary("both", Some(&models)),
            format!("up-c · 100 tokens in, 10 out · {cut}")
        );
        assert!(said("up-a-2026-01-01").summary("a", Some(&models)).contains("0.000044 USD"));
        assert_eq!(completion("{}").summary("a", None), "a");
    }
}
