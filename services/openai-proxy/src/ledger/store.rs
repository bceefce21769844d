//! What the ledger needs of a key-value bucket.

use std::future::Future;

use thiserror::Error;

/// The bucket could not be asked, or did not answer in time. A write may or may not have happened.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the ledger's bucket is not available: {0}")]
pub struct Unavailable(pub String);

/// Why a write was not confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PutError {
    /// The key is at another revision: someone else wrote it. Nothing was written.
    #[error("the key has changed since it was read")]
    Conflict,
    /// The write may or may not have happened.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// A key-value bucket with compare-and-set. Implementations bound how long they wait.
pub trait Store: Send + Sync {
    /// The newest value of a key with its revision, `None` if there is none.
    ///
    /// # Errors
    /// [`Unavailable`] if the bucket could not be asked.
    fn get(&self, key: &str) -> impl Future<Output = Result<Option<(Vec<u8>, u64)>, Unavailable>> + Send;

    /// Writes a value if the key is still at the expected revision (`None`: does not exist), and says the new one.
    ///
    /// # Errors
    /// [`PutError::Conflict`] if it is not; [`PutError::Unavailable`] if nobody knows.
    fn put(
        &self,
        key: &str,
        value: Vec<u8>,
        expected: Option<u64>,
    ) -> impl Future<Output = Result<u64, PutError>> + Send;
}

/// A name as one token of a key: letters, digits, `-` and `_` stand, every other byte becomes `=` and two hex
/// digits. Different names stay different, and no name can reach into another one's key.
#[must_use]
pub fn token(name: &str) -> String {
    let mut token = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' {
            token.push(char::from(byte));
        } else {
            token.push_str(&format!("={byte:02X}"));
        }
    }
    token
}

/// The name that a token stands for; `None` for what [`token`] never writes.
#[must_use]
pub fn name_of(written: &str) -> Option<String> {
    let mut name = Vec::with_capacity(written.len());
    let mut bytes = written.bytes();
    while let Some(byte) = bytes.next() {
        name.push(match byte {
            b'=' => {
                let digits = [bytes.next()?, bytes.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(name).ok().filter(|name| token(name) == written)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{name_of, token};

    proptest! {
        #[test]
        fn a_name_is_found_again_by_its_token(name in any::<String>()) {
            prop_assert_eq!(name_of(&token(&name)), Some(name));
        }

        #[test]
        fn nothing_else_is_a_token(text in any::<String>()) {
            prop_assert!(name_of(&text).is_none_or(|name| token(&name) == text));
        }
    }
}
