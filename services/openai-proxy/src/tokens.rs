//! How many tokens a request will use: an estimate to reserve by. What is charged in the end is what the provider counts.

use crate::body::{Body, Endpoint};
use crate::catalog::Model;

/// Past this, counting exactly costs more than it is worth: four bytes a token is what English text has.
const EXACT_BYTES: usize = 64 * 1024;
/// Tokens around each message and at the start of the answer, as the chat format adds them. From OpenAI's cookbook, "How
/// to count tokens with tiktoken".
const FRAME: u64 = 8;
/// The answer's length where neither request nor model bounds it.
const USUAL_OUTPUT: u64 = 1_024;

/// An estimate of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    /// Tokens that the model reads.
    pub input: u64,
    /// Tokens that it may write.
    pub output: u64,
}

/// Estimates a request; `max_output` is what the model may write at most, where that is known.
pub fn estimate(body: &Body, max_output: Option<u64>) -> Estimate {
    let input = body.texts().map(count).sum::<u64>() + FRAME;
    let output = match body.endpoint() {
        Endpoint::Embeddings | Endpoint::Moderations => 0,
        Endpoint::Chat | Endpoint::Responses => {
            let bound = max_output.unwrap_or(u64::MAX);
            body.max_output.unwrap_or(USUAL_OUTPUT).min(bound).saturating_mul(body.answers())
        }
    };
    Estimate { input, output }
}

/// Estimates a request to a model.
pub fn of_model(body: &Body, model: &Model) -> Estimate {
    estimate(body, Some(model.max_output_tokens).filter(|n| *n > 0))
}

/// Tokens of a text in the vocabulary `o200k_base`, which OpenAI's present models use; JSON's own signs count too, which
/// errs on the safe side.
pub fn count(text: &str) -> u64 {
    if text.len() > EXACT_BYTES {
        return (text.len() / 4) as u64;
    }
    tiktoken_rs::o200k_base_singleton().encode_ordinary(text).len() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(endpoint: Endpoint, json: &str) -> Body {
        Body::read(endpoint, json.as_bytes()).unwrap()
    }

    #[test]
    fn input_is_counted_and_output_is_bounded() {
        let chat = |more: &str| {
            body(
                Endpoint::Chat,
                &format!(
                    r#"{{"model":"m","messages":[{{"role":"user","content":"The lamp was lit in 1887."}}]{more}}}"#
                ),
            )
        };
        let plain = estimate(&chat(""), None);
        assert!((15..40).contains(&plain.input), "{plain:?}");
        assert_eq!(plain.output, USUAL_OUTPUT);
        assert_eq!(estimate(&chat(r#","max_tokens":50"#), None).output, 50);
        assert_eq!(estimate(&chat(r#","max_tokens":5000"#), Some(100)).output, 100);
        assert_eq!(estimate(&chat(r#","max_tokens":50,"n":3"#), None).output, 150);
        let embedding = body(Endpoint::Embeddings, r#"{"model":"m","input":["a b c","d e"]}"#);
        assert_eq!(estimate(&embedding, None).output, 0);
    }

    #[test]
    fn long_texts_are_not_counted_one_by_one() {
        let text = "word ".repeat(40_000);
        let counted = count(&text);
        assert_eq!(counted, 50_000);
    }
}
