//! The vectors that are searched: real ones that were made before, or drawn.
//!
//! Drawn vectors lie about as those of sentences do. Numbers are drawn along directions whose weights fall off slowly, the
//! same ones for all, as in a model's space; a topic has a middle, its documents lie around it, chunks around their
//! document, and all have a direction in common. Topics are of very different sizes. A question is one more chunk of some
//! document. Proportions were chosen so that hnswlib finds as much of 50,000 as it does of as many vectors of sentences by
//! all-MiniLM-L6-v2: with M = 16 and ef = 128 for building, .98 at ef = 64 and .99 at ef = 128.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::error::LoadError;

/// Numbers of a vector.
pub const DIMENSION: usize = 384;
/// Questions of drawn vectors.
const QUESTIONS: usize = 1_000;
const TOPICS: usize = 2_000;
/// A topic's size is 1 over its number to this power, and a direction's weight likewise.
const SIZES: f64 = 0.7;
const WEIGHTS: f64 = 0.8;
/// Chunks of a document.
const CHUNKS: usize = 8;
/// How far topics lie from the middle of all, which is `COMMON` from zero; documents from their topic; chunks from their
/// document.
const COMMON: f32 = 0.4;
const TOPIC: f32 = 0.8;
const DOCUMENT: f32 = 0.6;
const CHUNK: f32 = 0.6;

/// Rows and questions, one vector after another.
pub struct Data {
    /// What is found.
    pub rows: Vec<f32>,
    /// What is asked.
    pub questions: Vec<f32>,
    /// Where they are from, for the report.
    pub from: String,
}

impl Data {
    /// The first `count` of the vectors in `PREFIX.rows.f32` and those in `PREFIX.questions.f32`; drawn ones where no
    /// prefix is given.
    ///
    /// # Errors
    /// Where a file cannot be read, or has fewer.
    pub fn of(prefix: Option<&Path>, count: usize) -> Result<Self, LoadError> {
        let Some(prefix) = prefix else { return Ok(Self::drawn(count)) };
        let rows = read(&named(prefix, "rows"))?;
        let Some(wanted) = rows.get(..count * DIMENSION) else {
            let there = rows.len() / DIMENSION;
            return Err(LoadError::Stack(format!("{count} vectors are wanted, {there} are there")));
        };
        let (mut rows, mut questions) = (wanted.to_vec(), read(&named(prefix, "questions"))?);
        // A model that computes with 16 bits makes lengths near 1, and what is true goes by the cosine.
        rows.chunks_exact_mut(DIMENSION).chain(questions.chunks_exact_mut(DIMENSION)).for_each(of_length_1);
        let name = prefix.file_name().map(|name| name.to_string_lossy().into_owned());
        Ok(Self { rows, questions, from: format!("from the files `{}`", name.unwrap_or_default()) })
    }

    fn drawn(count: usize) -> Self {
        let mut random = StdRng::seed_from_u64(7);
        let space = Space::new(&mut random, count.div_ceil(CHUNKS));
        let mut rows = Vec::with_capacity(count * DIMENSION);
        (0..count).for_each(|row| space.chunk(row / CHUNKS, &mut random, &mut rows));
        let mut questions = Vec::with_capacity(QUESTIONS * DIMENSION);
        for _ in 0..QUESTIONS {
            let document = random.random_range(0..space.documents.len());
            space.chunk(document, &mut random, &mut questions);
        }
        Self { rows, questions, from: "drawn".to_owned() }
    }

    /// Writes them for other programs. Returns the files of rows and questions.
    ///
    /// # Errors
    /// Where they cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(PathBuf, PathBuf), LoadError> {
        let prefix = folder.join("vectors");
        let (rows, questions) = (named(&prefix, "rows"), named(&prefix, "questions"));
        for (path, numbers) in [(&rows, &self.rows), (&questions, &self.questions)] {
            let file = std::fs::File::create(path).map_err(LoadError::io("write vectors"))?;
            let mut file = std::io::BufWriter::new(file);
            let written = numbers.iter().try_for_each(|number| file.write_all(&number.to_le_bytes()));
            written.and_then(|()| file.flush()).map_err(LoadError::io("write vectors"))?;
        }
        Ok((rows, questions))
    }
}

fn of_length_1(vector: &mut [f32]) {
    let length = vector.iter().map(|number| number * number).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    vector.iter_mut().for_each(|number| *number /= length);
}

fn named(prefix: &Path, what: &str) -> PathBuf {
    let mut name = prefix.as_os_str().to_owned();
    name.push(format!(".{what}.f32"));
    name.into()
}

fn read(path: &Path) -> Result<Vec<f32>, LoadError> {
    let bytes = std::fs::read(path).map_err(LoadError::io(format!("read {}", path.display())))?;
    let (numbers, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() || !numbers.len().is_multiple_of(DIMENSION) || numbers.is_empty() {
        return Err(LoadError::Stack(format!("{} holds no vectors of {DIMENSION}", path.display())));
    }
    Ok(numbers.iter().map(|number| f32::from_le_bytes(*number)).collect())
}

/// Where vectors are drawn from.
struct Space {
    weights: Vec<f32>,
    documents: Vec<Vec<f32>>,
}

impl Space {
    fn new(random: &mut StdRng, documents: usize) -> Self {
        let falling = |n: usize, by: f64| ((n + 1) as f64).powf(-by);
        let weights: Vec<f64> = (0..DIMENSION).map(|n| falling(n, WEIGHTS)).collect();
        let length = weights.iter().map(|weight| weight * weight).sum::<f64>().sqrt();
        let weights = weights.iter().map(|weight| (weight / length) as f32).collect();
        let middles: Vec<Vec<f32>> = (0..TOPICS).map(|_| around(None, TOPIC, random)).collect();
        let all: f64 = (0..TOPICS).map(|topic| falling(topic, SIZES)).sum();
        let upto: Vec<f64> = (0..TOPICS)
            .scan(0.0, |sum, topic| {
                *sum += falling(topic, SIZES) / all;
                Some(*sum)
            })
            .collect();
        let document = |_| {
            let drawn: f64 = random.random();
            let topic = upto.partition_point(|&upto| upto < drawn).min(TOPICS - 1);
            around(Some(&middles[topic]), DOCUMENT, random)
        };
        Self { weights, documents: (0..documents).map(document).collect() }
    }

    /// Adds a chunk of this document.
    fn chunk(&self, document: usize, random: &mut StdRng, to: &mut Vec<f32>) {
        let mut vector = around(Some(&self.documents[document]), CHUNK, random);
        vector.iter_mut().zip(&self.weights).for_each(|(number, weight)| *number *= weight);
        vector[0] += COMMON;
        of_length_1(&mut vector);
        to.append(&mut vector);
    }
}

/// Somewhere around a place, so far from it.
fn around(place: Option<&[f32]>, far: f32, random: &mut StdRng) -> Vec<f32> {
    let at = |n| place.and_then(|place: &[f32]| place.get(n)).copied().unwrap_or(0.0);
    (0..DIMENSION).map(|n| at(n) + far * normal(random)).collect()
}

/// Near enough to a normal distribution: the sum of four evenly distributed numbers, with a variance of 1.
fn normal(random: &mut StdRng) -> f32 {
    let bits: u64 = random.random();
    let parts = [bits & 0xffff, (bits >> 16) & 0xffff, (bits >> 32) & 0xffff, bits >> 48];
    let sum: u64 = parts.into_iter().sum();
    (sum as f32 / 65_535.0 - 2.0) * 3.0_f32.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawn_vectors_are_the_same_each_time_and_have_length_one() {
        let (one, two) = (Data::of(None, 50).unwrap(), Data::of(None, 50).unwrap());
        assert_eq!((one.rows.len(), one.questions.len()), (50 * DIMENSION, QUESTIONS * DIMENSION));
        assert_eq!(one.rows, two.rows);
        for vector in one.rows.chunks(DIMENSION) {
            let length: f32 = vector.iter().map(|number| number * number).sum();
            assert!((length - 1.0).abs() < 1e-3, "{length}");
        }
    }

    #[test]
    fn what_is_written_is_read_and_too_few_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let data = Data::of(None, 20).unwrap();
        data.write(folder.path()).unwrap();
        let prefix = folder.path().join("vectors");
        let read = Data::of(Some(&prefix), 5).unwrap().rows;
        assert_eq!(read.len(), 5 * DIMENSION);
        assert!(read.iter().zip(&data.rows).all(|(read, written)| (read - written).abs() < 1e-6));
        assert!(Data::of(Some(&prefix), 21).is_err());
        assert!(Data::of(Some(&folder.path().join("other")), 1).is_err());
    }
}
