//! How many tokens a request will use: an estimate to reserve by. What is charged in the end is what the provider counts.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{LazyLock, Mutex, PoisonError};

use serde_json::value::RawValue;

use crate::body::{Body, Endpoint};
use crate::catalog::Model;

/// Past this, counting exactly costs more than it is worth: four bytes a token is what English text has.
const EXACT_BYTES: usize = 64 * 1024;
/// Past this, counting takes so long that it has a thread of its own, lest other calls wait for it: 130 bytes take 7 us.
const APART_BYTES: usize = 4 * 1024;
/// Shorter texts are counted faster than looked up.
const KEPT_BYTES: usize = 64;
/// How many counts are kept. Twelve bytes each.
const KEPT: usize = 16 * 1024;
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

/// Counts long texts on another thread, so that nobody waits for it but this call; an [`estimate`] then finds them counted.
pub async fn prepare(body: &Body) {
    let long = |text: &&str| (APART_BYTES..=EXACT_BYTES).contains(&text.len());
    let texts: Vec<String> = body.texts().filter(long).map(str::to_owned).collect();
    if !texts.is_empty() {
        let counting = tokio::task::spawn_blocking(move || texts.iter().map(|text| count(text)).sum::<u64>());
        // Where that failed, the estimate counts by itself.
        drop(counting.await);
    }
}

/// Tokens of a text in the vocabulary `o200k_base`, which OpenAI's present models use; JSON's own signs count too, which
/// errs on the safe side.
pub fn count(text: &str) -> u64 {
    if text.len() > EXACT_BYTES {
        return (text.len() / 4) as u64;
    }
    // A conversation sends all that was said before with each call: what was counted once is not counted again.
    if text.starts_with("[{")
        && let Ok(messages) = serde_json::from_str::<Vec<&RawValue>>(text)
    {
        return messages.iter().map(|message| kept(message.get())).sum::<u64>() + 1;
    }
    kept(text)
}

/// Counts by a hash of their text. The hash is secret and of 64 bits: no client can make two texts meet.
static COUNTS: LazyLock<(RandomState, Mutex<HashMap<u64, u32>>)> = LazyLock::new(Default::default);

fn kept(text: &str) -> u64 {
    if text.len() < KEPT_BYTES {
        return exactly(text);
    }
    let (hasher, counts) = &*COUNTS;
    let hash = hasher.hash_one(text);
    let known = counts.lock().unwrap_or_else(PoisonError::into_inner).get(&hash).copied();
    known.map(u64::from).unwrap_or_else(|| {
        let counted = exactly(text);
        let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= KEPT {
            counts.clear();
        }
        counts.insert(hash, u32::try_from(counted).unwrap_or(u32::MAX));
        counted
    })
}

fn exactly(text: &str) -> u64 {
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

    #[test]
    fn messages_are_counted_once_and_together_as_much_as_one_by_one() {
        let said = |n: usize| {
            format!(r#"{{"role":"user","content":"Question {n}: what is a Fresnel lens, and where?"}}"#)
        };
        let talk = |n: usize| format!("[{}]", (0..n).map(said).collect::<Vec<_>>().join(","));
        let (one, ten) = (count(&talk(1)), count(&talk(10)));
        assert_eq!(count(&talk(10)), ten);
        assert_eq!(ten - 1, 10 * (one - 1));
        let whole = exactly(&talk(10));
        assert!(ten.abs_diff(whole) <= 10, "{ten} instead of {whole}");
    }

    #[test]
    fn counts_that_are_kept_are_bounded() {
        for n in 0..KEPT + 10 {
            kept(&format!("{n:>KEPT_BYTES$}"));
        }
        assert!(COUNTS.1.lock().unwrap().len() <= KEPT);
    }

    #[tokio::test]
    async fn a_long_text_is_counted_before_it_is_estimated() {
        let text = "The lamp was lit in 1887, and again in 1923. ".repeat(500);
        let body = body(Endpoint::Embeddings, &format!(r#"{{"model":"m","input":"{text}"}}"#));
        prepare(&body).await;
        let hash = COUNTS.0.hash_one(body.texts().next().unwrap());
        let counted = COUNTS.1.lock().unwrap().get(&hash).copied();
        assert_eq!(counted.map(u64::from), Some(estimate(&body, None).input - FRAME));
    }
}
