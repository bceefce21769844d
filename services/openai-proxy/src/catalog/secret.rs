//! Keys: where they come from, and how they are held so that nothing shows them.

use std::fmt;
use std::path::PathBuf;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use subtle::{ConditionallySelectable, ConstantTimeEq};

/// The longest key, in bytes.
pub(super) const MAX_KEY_BYTES: usize = 4_096;

/// A key of fewer bytes is a word.
const SHORTEST_SECRET: usize = 8;

/// Where a key is to be had. The file names the place, never the key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeySource {
    /// An environment variable.
    Env(String),
    /// A file, by its absolute path; space and line breaks around the key do not count.
    File(PathBuf),
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "the environment variable `{name}`"),
            Self::File(path) => write!(f, "the file `{}`", path.display().to_string().escape_debug()),
        }
    }
}

/// A provider's key. It has no `Display` and its `Debug` is empty, so that no log and no error can show it.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    pub(super) fn new(text: String) -> Self {
        Self(text)
    }

    /// The key itself: visible ASCII, fit for a header. For the `Authorization` header and nothing else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Secret {
    /// The text with `***` wherever the key stood in it: some providers say in their errors what they were sent. Keys
    /// that are too short to be any are left, for they are words such as `none`.
    #[must_use]
    pub fn redact(&self, text: Bytes) -> Bytes {
        let key = self.0.as_bytes();
        let found = |text: &[u8]| text.windows(key.len()).position(|window| window == key);
        if key.len() < SHORTEST_SECRET || found(&text).is_none() {
            return text;
        }
        let (mut out, mut rest) = (Vec::with_capacity(text.len()), &text[..]);
        while let Some(at) = found(rest) {
            out.extend_from_slice(&rest[..at]);
            out.extend_from_slice(b"***");
            rest = &rest[at + key.len()..];
        }
        out.extend_from_slice(rest);
        out.into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// The SHA-256 of a key. Enough to recognise a key, useless for calling with it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Fingerprint([u8; 32]);

impl Fingerprint {
    pub(super) fn of(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes()).into())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint")
    }
}

/// The keys of all tenants' clients.
#[derive(Debug, Default)]
pub(super) struct Bearers {
    known: Vec<(Fingerprint, String)>,
}

impl Bearers {
    pub(super) fn add(&mut self, print: Fingerprint, tenant: &str) {
        self.known.push((print, tenant.to_owned()));
    }

    /// Looks at every key, whether or not an earlier one fits, and at every byte of each.
    pub(super) fn owner(&self, bearer: &str) -> Option<&str> {
        if bearer.len() > MAX_KEY_BYTES {
            return None;
        }
        let asked = Fingerprint::of(bearer);
        // One more than the place; 0 is nobody.
        let mut place = 0u64;
        for (at, (print, _)) in (1u64..).zip(&self.known) {
            place.conditional_assign(&at, print.0.ct_eq(&asked.0));
        }
        let at = usize::try_from(place.checked_sub(1)?).ok()?;
        self.known.get(at).map(|(_, tenant)| tenant.as_str())
    }
}
