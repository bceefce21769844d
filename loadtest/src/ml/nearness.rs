//! How near the platform's 16-bit vectors are to those that sentence-transformers makes in 32 bits of the same texts.

use std::path::Path;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::peer::Peer;
use super::stage::Stage;
use super::tasks::Round;
use crate::error::LoadError;

/// The mean cosine that is promised.
pub const NEAR: f64 = 0.9999;

/// Cosines.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Nearness {
    /// Of all texts.
    pub mean: f64,
    /// Of the text that is worst.
    pub least: f64,
}

/// As much of a result's record as is looked at.
#[derive(Deserialize)]
struct Record {
    result: Answer,
}

#[derive(Deserialize)]
struct Answer {
    vectors: Vec<Vec<f64>>,
    tokens: usize,
}

/// Embeds the texts of these tasks once. Returns the cosines of the platform's vectors and of the peer's 16-bit ones.
///
/// # Errors
/// Where something fails, or the texts have not the tokens that they are said to have.
pub async fn measure(
    stage: &Stage,
    peer: &mut Peer,
    payloads: &[Bytes],
    tokens: usize,
    file: &Path,
) -> Result<(Nearness, Nearness), LoadError> {
    let answer = peer.ask(&json!({"do": "vectors", "to": file})).await?;
    let theirs = Nearness::deserialize(&answer).map_err(|e| LoadError::Stack(format!("{answer}: {e}")))?;
    let exact = std::fs::read(file).map_err(LoadError::io("read the vectors"))?;
    let exact: Vec<f64> =
        exact.chunks_exact(4).map(|b| f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]]))).collect();
    let width = exact.len() / payloads.len().max(1);
    let done = stage.tasks.run(&Round { keep: true, ..Round::of("embed_text", payloads, 64) }).await?;
    let (mut cosines, mut read) = (Vec::with_capacity(payloads.len()), 0);
    for (record, exact) in done.records.iter().zip(exact.chunks_exact(width)) {
        let record: Record =
            serde_json::from_slice(record).map_err(|e| LoadError::Wrong(format!("a result: {e}")))?;
        let [vector] = record.result.vectors.as_slice() else {
            return Err(LoadError::Wrong("a text has not one vector".into()));
        };
        read += record.result.tokens;
        cosines.push(cosine(vector, exact));
    }
    if read != tokens {
        return Err(LoadError::Wrong(format!("the texts have {read} tokens, not {tokens}")));
    }
    let mean = cosines.iter().sum::<f64>() / cosines.len() as f64;
    Ok((Nearness { mean, least: cosines.into_iter().fold(1.0, f64::min) }, theirs))
}

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cosine_does_not_depend_on_lengths() {
        assert!((cosine(&[1.0, 1.0], &[3.0, 3.0]) - 1.0).abs() < 1e-12);
        assert!(cosine(&[1.0, 0.0], &[0.0, 2.0]).abs() < 1e-12);
    }
}
