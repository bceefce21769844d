//! A decoder's words: its tokenizer, its chat template, which tokens begin and end a text, and how its makers would have
//! tokens picked. Everything that happens to a task outside of the model's thread.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;
use tokenizers::Tokenizer;

use super::shape::{Ids, Shape};
use crate::generate::chat::{Chat, TokenizerConfig};
use crate::generate::speak::Decode;

/// `generation_config.json`, as far as it matters here.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Raw {
    eos_token_id: Option<Ids>,
    do_sample: bool,
    temperature: Option<f32>,
    top_k: Option<usize>,
    top_p: Option<f32>,
    repetition_penalty: Option<f32>,
}

/// How tokens are picked where the asker does not say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Defaults {
    /// See [`Picking`](crate::generate::pick::Picking).
    pub temperature: f32,
    /// The same.
    pub top_k: usize,
    /// The same.
    pub top_p: f32,
    /// The same.
    pub repetition_penalty: f32,
}

/// What is to be gone on with.
#[derive(Debug, Clone)]
pub enum Prompt {
    /// A text.
    Text(String),
    /// Messages, for the model's chat template.
    Messages(Vec<minijinja::Value>),
}

/// A decoder's words.
pub struct Voice {
    tokenizer: Arc<Tokenizer>,
    chat: Option<Chat>,
    begin: Option<u32>,
    ends: Vec<u32>,
    defaults: Defaults,
}

impl Voice {
    /// Reads the files of a model's folder.
    ///
    /// # Errors
    /// What is missing or malformed.
    pub fn load(folder: &Path, shape: &Shape) -> Result<Self, String> {
        let mut tokenizer = Tokenizer::from_file(folder.join("tokenizer.json"))
            .map_err(|e| format!("tokenizer.json: {e}"))?;
        // Cutting and filling up are ours.
        tokenizer.with_truncation(None).map_err(|e| format!("tokenizer.json: {e}"))?;
        tokenizer.with_padding(None);
        let config: TokenizerConfig = optional(folder, "tokenizer_config.json")?.unwrap_or_default();
        let template = match std::fs::read_to_string(folder.join("chat_template.jinja")) {
            Ok(text) => Some(text),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
            Err(e) => return Err(format!("chat_template.jinja: {e}")),
        };
        let raw: Raw = optional(folder, "generation_config.json")?.unwrap_or_default();
        let named = config.begin().and_then(|token| tokenizer.token_to_id(token));
        let defaults = raw.defaults();
        let ends = raw.eos_token_id.map_or_else(|| shape.ends.clone(), |ids| ids.list());
        let chat = Chat::new(template, &config)?;
        Ok(Self { tokenizer: Arc::new(tokenizer), chat, begin: named.or(shape.begin), ends, defaults })
    }

    /// The token that begins a text.
    pub fn begin(&self) -> Option<u32> {
        self.begin
    }

    /// The tokens that end one.
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// How tokens are picked where the asker does not say.
    pub fn defaults(&self) -> Defaults {
        self.defaults
    }

    /// The tokens of a prompt. Takes a while for a long one.
    ///
    /// # Errors
    /// What the asker did wrong.
    pub fn tokens(&self, prompt: &Prompt, now: Timestamp) -> Result<Vec<u32>, String> {
        let (text, special) = match (prompt, &self.chat) {
            (Prompt::Text(text), _) => (text.clone(), true),
            // The template writes special tokens itself.
            (Prompt::Messages(messages), Some(chat)) => (chat.prompt(messages, now)?, false),
            (Prompt::Messages(_), None) => {
                return Err(
                    "the model has no chat template; ask it with \"prompt\" instead of \"messages\"".into()
                );
            }
        };
        let encoded = self.tokenizer.encode_fast(text, special).map_err(|e| format!("the prompt: {e}"))?;
        let mut tokens = encoded.get_ids().to_vec();
        if tokens.is_empty() {
            tokens.extend(self.begin);
        }
        if tokens.is_empty() {
            return Err("the prompt is empty".into());
        }
        Ok(tokens)
    }

    /// What turns tokens into text.
    pub fn decode(&self) -> Arc<Decode> {
        let tokenizer = Arc::clone(&self.tokenizer);
        Arc::new(move |tokens: &[u32]| {
            tokenizer.decode(tokens, true).unwrap_or_else(|_| char::REPLACEMENT_CHARACTER.to_string())
        })
    }
}

impl Raw {
    fn defaults(&self) -> Defaults {
        let sampled = |value: Option<f32>| value.filter(|_| self.do_sample);
        Defaults {
            temperature: if self.do_sample { self.temperature.unwrap_or(1.0) } else { 0.0 },
            top_k: self.top_k.filter(|_| self.do_sample).unwrap_or(0),
            top_p: sampled(self.top_p).unwrap_or(1.0),
            repetition_penalty: self.repetition_penalty.filter(|by| *by > 0.0).unwrap_or(1.0),
        }
    }
}

fn optional<T: for<'de> Deserialize<'de>>(folder: &Path, name: &str) -> Result<Option<T>, String> {
    match std::fs::read(folder.join(name)) {
        Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|e| format!("{name}: {e}")),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(format!("{name}: {e}")),
    }
}
