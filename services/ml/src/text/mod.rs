//! From text to tokens. libtorch is not named here: all of this runs on other threads than the models' own.

pub mod template;
pub mod windows;

use std::path::Path;
use std::sync::LazyLock;

use tokio::sync::Semaphore;

pub use template::{Template, Tokens};

use crate::error::MlError;
use crate::torch::cores;

/// Texts that are read at once. A thread for each task would take memory for each, and the cores are the same.
static READING: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(2 * cores()));

/// Reads text on a thread for what takes a while, when there is one free.
///
/// # Errors
/// Those of the work, and its panic.
pub async fn reading<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, MlError> + Send + 'static,
) -> Result<T, MlError> {
    let lost = |e: &dyn std::fmt::Display| MlError::Internal(format!("reading a text broke off: {e}"));
    // Held by the thread: who asked may be gone before it is done.
    let turn = READING.acquire().await.map_err(|e| lost(&e))?;
    let read = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        work()
    });
    read.await.map_err(|e| lost(&e))?
}

/// The file's name in a model's folder.
const FILE: &str = "tokenizer.json";
/// Bytes of it: the largest vocabularies take a fifth of that.
const MAX_FILE: u64 = 256 << 20;

/// A text's tokens without the special ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content {
    /// Their numbers in the vocabulary.
    pub ids: Vec<u32>,
    /// From where to where each stands in the text, in characters; empty where nobody asked for it.
    pub places: Vec<(usize, usize)>,
}

/// A model's tokenizer.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    template: Template,
    largest: u32,
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenizer").field("template", &self.template).finish_non_exhaustive()
    }
}

impl Tokenizer {
    /// Reads a model's `tokenizer.json`. Its own truncation and padding are not used: what is cut is ours to say.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn load(folder: &Path) -> Result<Self, String> {
        let path = folder.join(FILE);
        let length = path.metadata().map_err(|e| format!("`{FILE}`: {e}"))?.len();
        if length > MAX_FILE {
            return Err(format!("`{FILE}` is longer than {} MB", MAX_FILE >> 20));
        }
        let bytes = std::fs::read(&path).map_err(|e| format!("`{FILE}`: {e}"))?;
        let mut inner = tokenizers::Tokenizer::from_bytes(bytes).map_err(|e| format!("`{FILE}`: {e}"))?;
        inner.with_truncation(None).map_err(|e| format!("`{FILE}`: {e}"))?;
        inner.with_padding(None);
        let template = Template::of(&inner).map_err(|e| format!("`{FILE}`: {e}"))?;
        let largest = inner.get_vocab(true).into_values().max().unwrap_or(0);
        Ok(Self { inner, template, largest })
    }

    /// How special tokens stand around a text.
    pub fn template(&self) -> &Template {
        &self.template
    }

    /// The largest number of a token.
    pub fn largest(&self) -> u32 {
        self.largest
    }

    /// The tokens of a text.
    ///
    /// # Errors
    /// What the tokenizer says.
    pub fn tokens(&self, text: &str) -> Result<Content, String> {
        let encoding = self.inner.encode_fast(text, false).map_err(|e| e.to_string())?;
        Ok(Content { ids: encoding.get_ids().to_vec(), places: Vec::new() })
    }

    /// The tokens of a text, and where each stands.
    ///
    /// # Errors
    /// What the tokenizer says.
    pub fn places(&self, text: &str) -> Result<Content, String> {
        let encoding = self.inner.encode_char_offsets(text, false).map_err(|e| e.to_string())?;
        Ok(Content { ids: encoding.get_ids().to_vec(), places: encoding.get_offsets().to_vec() })
    }
}
