//! `classify_text`: classes of texts, or of their tokens, as the model has them.

use serde::Deserialize;
use serde_json::{Value, json};

use super::of_encoder::OfEncoder;
use super::of_model;
use super::texts::{self, Texts, number, puts_out, rows_of};
use crate::error::MlError;
use crate::manifest::EncoderOutput;
use crate::models::Urgency;
use crate::models::encoder::handle::joined;
use crate::models::encoder::score::best;
use crate::models::encoder::{Handle, Read, Truncation};
use crate::text::windows;

/// What is asked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassifyText {
    #[serde(default)]
    model: String,
    input: Texts,
    #[serde(default)]
    truncate: Truncation,
    top_k: Option<usize>,
}

impl OfEncoder for ClassifyText {
    const NAME: &'static str = "classify_text";
    const ABOUT: &'static str = "Says what class a text is of, or each of its tokens";
    const CAPABILITY: &'static str = "prediction";
    type Found = Value;

    fn schema() -> Value {
        let properties = json!({
            "input": texts::schema(),
            "truncate": {
                "enum": ["end", "error", "window"],
                "description": "what becomes of a text that is too long: its end is left out, the task fails, or it is read in windows"
            },
            "top_k": {"type": "integer", "minimum": 1, "description": "only so many classes of each text; all where it is left out"}
        });
        of_model::schema(&["input"], properties)
    }

    fn model(&self) -> &str {
        &self.model
    }

    async fn answer(self, encoder: &Handle, urgency: Urgency) -> Result<Value, MlError> {
        puts_out(encoder, &[EncoderOutput::Classes, EncoderOutput::TokenClasses], "a classifier")?;
        let of_tokens = encoder.spec().output == EncoderOutput::TokenClasses;
        let inputs = self.input.all("input")?;
        let mut read = encoder.read(inputs.clone(), self.truncate, of_tokens).await?;
        let (truncated, count) = texts::summary(&read);
        let rows = encoder.ask(texts::taken(&mut read), urgency).await?;
        let most = self.top_k.unwrap_or(usize::MAX);
        let each = read.iter().zip(rows_of(&read, &rows)).zip(&inputs);
        let results: Vec<Value> = match of_tokens {
            true => each.map(|((read, rows), text)| tokens(encoder, read, rows, text)).collect(),
            false => each.map(|((read, rows), _)| classes(encoder, read, rows, most)).collect(),
        };
        Ok(json!({"results": results, "tokens": count, "truncated": truncated}))
    }
}

/// The classes of a text, the likeliest first. Of a text in windows: the mean of what each says.
fn classes(encoder: &Handle, read: &Read, rows: &[Vec<f32>], most: usize) -> Value {
    let shape = encoder.shape();
    let rows: Vec<Vec<f32>> = rows.iter().map(|row| shape.scoring.scores(row)).collect();
    let scores = joined(&read.windows, &rows);
    let labels: Vec<Value> = best(&scores, most)
        .into_iter()
        .map(|n| json!({"label": shape.labels.get(n), "score": number(scores[n])}))
        .collect();
    json!({"labels": labels})
}

/// The likeliest class of each token, with where the token stands: in characters from `start` up to before `end`. A token
/// that several windows hold is judged by the one that sees most around it.
fn tokens(encoder: &Handle, read: &Read, rows: &[Vec<f32>], text: &str) -> Value {
    let shape = encoder.shape();
    let seen = read.windows.last().map_or(0, |window| window.end);
    let letters: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let tokens: Vec<Value> = windows::best(&read.windows, seen)
        .into_iter()
        .zip(&read.content.places)
        .filter_map(|((window, place), &(start, end))| {
            let first = (encoder.first_token() + place) * shape.labels.len();
            let scores = shape.scoring.scores(rows.get(window)?.get(first..first + shape.labels.len())?);
            let n = best(&scores, 1).first().copied()?;
            let word = text.get(*letters.get(start)?..*letters.get(end)?)?;
            Some(json!({"start": start, "end": end, "text": word, "label": shape.labels[n], "score": number(scores[n])}))
        })
        .collect();
    json!({"tokens": tokens})
}
