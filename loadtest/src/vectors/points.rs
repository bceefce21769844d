//! Payloads: points that are put, questions that are asked, and what is read from their results.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};

use super::data::DIMENSION;
use super::truth::K;
use crate::error::LoadError;

/// The collection.
pub const COLLECTION: &str = "load";
/// Points of a task: with vectors in base64 it is a little below the megabyte that the router takes.
const BATCH: usize = 400;
/// A row's part, by which filters select, is one of so many.
pub const PARTS: usize = 1_000;

/// Which of its rows a filter keeps.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Keeps {
    /// Those whose part is less, of [`PARTS`].
    pub parts: usize,
}

impl Keeps {
    /// All, without a filter.
    pub const ALL: Self = Self { parts: PARTS };

    /// Whether a row is kept.
    pub fn row(self, row: usize) -> bool {
        part(row) < self.parts
    }

    fn filter(self) -> Option<Value> {
        (self.parts < PARTS).then(|| json!({"part": {"$lt": self.parts}}))
    }

    /// The share of rows that is kept.
    pub fn share(self) -> f64 {
        self.parts as f64 / PARTS as f64
    }
}

/// Parts are spread: neighbours are alike, and the filters' are not.
fn part(row: usize) -> usize {
    let mixed = (row as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> 40) as usize % PARTS
}

fn text(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
    STANDARD.encode(bytes)
}

/// Tasks that put all rows.
pub fn upserts(rows: &[f32]) -> Vec<Bytes> {
    let batch = |(at, vectors): (usize, &[f32])| {
        let points: Vec<Value> = vectors
            .chunks_exact(DIMENSION)
            .zip(at * BATCH..)
            .map(|(vector, row)| json!({"id": row.to_string(), "vector": text(vector), "metadata": {"part": part(row)}}))
            .collect();
        json!({"collection": COLLECTION, "points": points}).to_string().into()
    };
    rows.chunks(BATCH * DIMENSION).enumerate().map(batch).collect()
}

/// Tasks that ask so many questions, again and again from the first.
pub fn searches(questions: &[f32], count: usize, keeps: Keeps) -> Vec<Bytes> {
    let questions: Vec<Bytes> = questions
        .chunks_exact(DIMENSION)
        .take(count)
        .map(|question| {
            let mut asked =
                json!({"collection": COLLECTION, "vector": text(question), "top_k": K, "with": []});
            if let Some(filter) = keeps.filter() {
                asked["filter"] = filter;
            }
            asked.to_string().into()
        })
        .collect();
    questions.iter().cycle().take(count).cloned().collect()
}

/// The rows that a search found, and its way.
///
/// # Errors
/// Where the record is none of a search.
pub fn found(record: &[u8]) -> Result<(Vec<usize>, String), LoadError> {
    let result = result(record)?;
    let rows = result["hits"]
        .as_array()
        .map(|hits| hits.iter().map(|hit| hit["id"].as_str()?.parse().ok()).collect());
    let way = result["way"].as_str().unwrap_or_default().to_owned();
    rows.flatten()
        .map(|rows| (rows, way))
        .ok_or_else(|| LoadError::Wrong(format!("a search answered {result}")))
}

/// A result.
///
/// # Errors
/// Where the record has none.
pub fn result(record: &[u8]) -> Result<Value, LoadError> {
    let mut record: Value = serde_json::from_slice(record).map_err(|e| LoadError::Wrong(e.to_string()))?;
    Ok(record["result"].take())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_keep_about_what_they_say() {
        for parts in [100, 10, 1] {
            let kept = (0..200_000).filter(|&row| Keeps { parts }.row(row)).count();
            let wanted = 200 * parts;
            assert!(kept > wanted * 8 / 10 && kept < wanted * 12 / 10, "{parts}: {kept}");
        }
        assert!(Keeps::ALL.row(7) && Keeps::ALL.filter().is_none());
    }

    #[test]
    fn every_row_is_put_once_and_a_task_fits() {
        let rows = vec![0.5; 900 * DIMENSION];
        let tasks = upserts(&rows);
        let ids = tasks.iter().flat_map(|task| {
            assert!(task.len() < 1_000_000, "{}", task.len());
            let task: Value = serde_json::from_slice(task).unwrap();
            let ids = task["points"]
                .as_array()
                .unwrap()
                .iter()
                .map(|point| point["id"].as_str().unwrap().to_owned());
            ids.collect::<Vec<_>>()
        });
        assert!(ids.eq((0..900).map(|row: usize| row.to_string())));
    }

    #[test]
    fn hits_are_read() {
        let record = br#"{"status":"succeeded","result":{"hits":[{"id":"7","score":1.0},{"id":"3","score":0.5}],"way":"graph"}}"#;
        assert_eq!(found(record).unwrap(), (vec![7, 3], "graph".to_owned()));
        assert!(found(br#"{"result":{}}"#).is_err());
    }
}
