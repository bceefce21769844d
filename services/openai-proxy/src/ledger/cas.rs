//! Read, change, write; again if someone else was faster.

use std::time::Duration;

use thiserror::Error;

use super::store::{PutError, Store, Unavailable};

/// How often a change is tried before it is given up.
pub const MAX_ATTEMPTS: u32 = 12;

/// The longest pause before the second attempt, in milliseconds; it doubles with each one.
const BASE_MS: u64 = 2;

/// No pause is longer, in milliseconds.
const CAP_MS: u64 = 64;

/// Why a change was not confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CasError {
    /// The bucket is away; the change may or may not have happened.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// Others were faster [`MAX_ATTEMPTS`] times in a row; nothing has changed.
    #[error("key {0} is written by too many at once: gave up after {MAX_ATTEMPTS} attempts")]
    Contended(String),
    /// The value cannot be read, and is left as it is.
    #[error("key {key} holds something unreadable: {why}")]
    Unreadable {
        /// The key.
        key: String,
        /// What is wrong with its value.
        why: String,
    },
}

/// The pause before an attempt (counted from 1), with full jitter by `random` in `[0, 1)`.
fn pause(attempt: u32, random: f64) -> Duration {
    let window = BASE_MS.saturating_mul(1 << attempt.min(16)).min(CAP_MS);
    Duration::from_millis(window).mul_f64(random.clamp(0.0, 1.0))
}

/// Changes a key. `change` gets the value there is and returns what to write, or `None` to leave it, with a result;
/// it is called anew for every attempt. An error of it is a value that cannot be read.
///
/// # Errors
/// [`CasError`], as its variants say.
pub async fn update<T>(
    store: &impl Store,
    key: &str,
    random: &(impl Fn() -> f64 + ?Sized),
    mut change: impl FnMut(Option<&[u8]>) -> Result<(Option<Vec<u8>>, T), String>,
) -> Result<T, CasError> {
    for attempt in 0..MAX_ATTEMPTS {
        if attempt > 0 {
            tokio::time::sleep(pause(attempt, random())).await;
        }
        let found = store.get(key).await?;
        let (value, revision) = match &found {
            Some((value, revision)) => (Some(value.as_slice()), Some(*revision)),
            None => (None, None),
        };
        let (new, result) = change(value).map_err(|why| CasError::Unreadable { key: key.to_owned(), why })?;
        let Some(new) = new else { return Ok(result) };
        match store.put(key, new, revision).await {
            Ok(_) => return Ok(result),
            Err(PutError::Conflict) => {}
            Err(PutError::Unavailable(error)) => return Err(error.into()),
        }
    }
    Err(CasError::Contended(key.to_owned()))
}
