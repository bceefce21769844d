//! nkeys of NATS users: a seed that the user keeps, and a public key that the server knows.

use nkeys::KeyPair;

use crate::BusError;

/// A new user's seed and public key.
///
/// # Errors
/// [`BusError::Credentials`] where the system gives no randomness.
pub fn new_user() -> Result<(String, String), BusError> {
    let pair = KeyPair::new_user();
    let seed = pair.seed().map_err(|e| BusError::Credentials(format!("no key can be made: {e}")))?;
    Ok((seed, pair.public_key()))
}

/// The public key of a user's seed.
///
/// # Errors
/// [`BusError::Credentials`] where it is no seed.
pub fn public_of(seed: &str) -> Result<String, BusError> {
    let pair = KeyPair::from_seed(seed.trim());
    pair.map(|pair| pair.public_key()).map_err(|e| BusError::Credentials(format!("not an nkey seed: {e}")))
}
