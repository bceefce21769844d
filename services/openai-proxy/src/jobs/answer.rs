//! What a model's answer comes to: a text, JSON that fits, or an error.

use serde_json::Value;
use tasklane_runtime::TaskError;

use super::ask::Asking;
use super::error::{CUT, DECLINED, EMPTY, MISFIT};
use super::structured::{Wanted, shortened};
use crate::answers::Whole;

/// A text that a model wrote.
#[derive(Debug, Clone)]
pub struct Said {
    /// The text, not blank.
    pub text: String,
    /// Whether it was cut off at its bound.
    pub cut: bool,
    /// The model that answered.
    pub by: String,
}

/// An answer that fits its schema.
#[derive(Debug)]
pub struct Checked {
    /// The answer.
    pub value: Value,
    /// What beyond the schema is still wrong with it.
    pub left: Vec<String>,
}

/// What an answer is, held against its schema and against what the schema cannot say; or what is wrong with it.
pub fn checked(
    said: &Said,
    wanted: &Wanted,
    also: &(dyn Fn(&Value) -> Vec<String> + Send + Sync),
) -> Result<Checked, Vec<String>> {
    match wanted.read(&said.text) {
        Ok(value) => {
            let left = also(&value);
            Ok(Checked { value, left })
        }
        Err(mut mistakes) => {
            if said.cut {
                mistakes.insert(0, "it was cut off because it is too long; say the same in less".to_owned());
            }
            Err(mistakes)
        }
    }
}

/// The error of an answer that does not fit.
pub fn misfit(asking: &Asking<'_>, said: &Said, mistakes: &[String]) -> TaskError {
    let (template, model) = (asking.template, &said.by);
    if said.cut {
        let text = format!(
            "`{model}` did not finish its answer to {template} within {} tokens, also not when asked to be brief",
            asking.most
        );
        return TaskError::failed(CUT, text);
    }
    let text = format!(
        "`{model}` did not answer {template} in the form that was asked for, also after it was told: {}",
        mistakes.join("; ")
    );
    TaskError::failed(MISFIT, text)
}

/// The text of an answer.
///
/// # Errors
/// TL2332 where the model declines, TL3330 where there is none.
pub fn said(whole: &Whole, asking: &Asking<'_>) -> Result<Said, TaskError> {
    let answer: Value = serde_json::from_slice(&whole.body).unwrap_or_default();
    let choice = &answer["choices"][0];
    let refusal = choice["message"]["refusal"].as_str().filter(|text| !text.is_empty());
    if refusal.is_some() || choice["finish_reason"] == "content_filter" {
        let why = refusal.unwrap_or("its provider filtered the answer");
        let text =
            format!("`{}` declined to answer {}: {}", whole.model, asking.template, shortened(why, 300));
        return Err(TaskError::failed(DECLINED, text));
    }
    let text = choice["message"]["content"].as_str().unwrap_or_default().trim();
    if text.is_empty() {
        let text = format!("`{}` answered {} with no text", whole.model, asking.template);
        return Err(TaskError::retry(EMPTY, text));
    }
    Ok(Said { text: text.to_owned(), cut: choice["finish_reason"] == "length", by: whole.model.clone() })
}

/// Nothing beyond the schema.
pub fn nothing(_: &Value) -> Vec<String> {
    Vec::new()
}
