//! The vectors that are searched: real ones that were made before, or drawn.
//!
//! Drawn vectors lie as those of a model lie: there are topics of very different sizes and widths, which share
//! directions; a topic has documents, and a document chunks that are much alike. A vector is the sum of its topic's
//! middle, its document's place within a space of few directions, and its own noise on all numbers, brought to length 1.
//! Questions are drawn alike, from the same topics. The proportions were chosen so that hnswlib's recall at an `ef` is
//! about what it is on vectors of sentences (docs/benchmarks.md, "Vectors").

use std::io::Write as _;
use std::path::{Path, PathBuf};

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::error::LoadError;

/// Numbers of a vector.
pub const DIMENSION: usize = 384;
/// Questions of drawn vectors.
const QUESTIONS: usize = 1_000;
const TOPICS: usize = 400;
/// Directions that topics' middles are made of, and those of a topic's documents.
const SHARED: usize = 96;
const OWN: usize = 48;
/// Chunks of a document, about.
const CHUNKS: usize = 8;
/// How far documents lie from their topic's middle, chunks from their document, and each number from where it would be.
const DOCUMENT: f32 = 0.9;
const CHUNK: f32 = 0.5;
const NOISE: f32 = 0.35;

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
        let (rows, questions) = (wanted.to_vec(), read(&named(prefix, "questions"))?);
        let name = prefix.file_name().map(|name| name.to_string_lossy().into_owned());
        Ok(Self { rows, questions, from: format!("from the files `{}`", name.unwrap_or_default()) })
    }

    fn drawn(count: usize) -> Self {
        let mut random = StdRng::seed_from_u64(7);
        let topics = Topics::new(&mut random);
        let rows = topics.draw(&mut random, count);
        let questions = topics.draw(&mut random, QUESTIONS);
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
struct Topics {
    middles: Vec<Vec<f32>>,
    /// Of each topic, the directions that its documents spread in.
    spreads: Vec<Vec<Vec<f32>>>,
    /// How likely all up to each topic are.
    upto: Vec<f64>,
}

impl Topics {
    fn new(random: &mut StdRng) -> Self {
        let shared = directions(random, SHARED);
        let middle = |random: &mut StdRng| {
            let mut middle = mixed(&shared, random);
            unit(&mut middle);
            middle
        };
        let middles = (0..TOPICS).map(|_| middle(random)).collect();
        let spreads = (0..TOPICS)
            .map(|_| {
                let mut spread = directions(random, OWN);
                let width = 0.5 + random.random::<f32>();
                for (n, direction) in spread.iter_mut().enumerate() {
                    let length = width * 0.97_f32.powi(i32::try_from(n).unwrap_or(i32::MAX));
                    direction.iter_mut().for_each(|number| *number *= length);
                }
                spread
            })
            .collect();
        let mut sum = 0.0;
        // Few topics have much, many have little.
        let weights: Vec<f64> = (0..TOPICS).map(|_| -random.random::<f64>().max(1e-9).ln()).collect();
        let all: f64 = weights.iter().sum();
        let upto = weights.iter().map(|weight| {
            sum += weight / all;
            sum
        });
        Self { middles, spreads, upto: upto.collect() }
    }

    fn draw(&self, random: &mut StdRng, count: usize) -> Vec<f32> {
        let mut numbers = Vec::with_capacity(count * DIMENSION);
        let (mut topic, mut document) = (0, vec![0.0; DIMENSION]);
        for _ in 0..count {
            if numbers.is_empty() || random.random_range(0..CHUNKS) == 0 {
                let drawn: f64 = random.random();
                topic = self.upto.partition_point(|&upto| upto < drawn).min(TOPICS - 1);
                document = scaled(mixed(&self.spreads[topic], random), DOCUMENT);
            }
            let chunk = scaled(mixed(&self.spreads[topic], random), CHUNK);
            let noise = NOISE / (DIMENSION as f32).sqrt();
            let parts = self.middles[topic].iter().zip(&document).zip(&chunk);
            let mut vector: Vec<f32> = parts
                .map(|((middle, document), chunk)| middle + document + chunk + noise * normal(random))
                .collect();
            unit(&mut vector);
            numbers.extend(vector);
        }
        numbers
    }
}

/// So many random directions, each with a length of about 1 over the root of their number.
fn directions(random: &mut StdRng, count: usize) -> Vec<Vec<f32>> {
    let length = 1.0 / ((DIMENSION * count) as f32).sqrt();
    (0..count).map(|_| (0..DIMENSION).map(|_| normal(random) * length).collect()).collect()
}

/// A random sum of these.
fn mixed(directions: &[Vec<f32>], random: &mut StdRng) -> Vec<f32> {
    let mut sum = vec![0.0; DIMENSION];
    for direction in directions {
        let much = normal(random);
        sum.iter_mut().zip(direction).for_each(|(sum, number)| *sum += much * number);
    }
    sum
}

fn scaled(mut vector: Vec<f32>, by: f32) -> Vec<f32> {
    vector.iter_mut().for_each(|number| *number *= by);
    vector
}

fn unit(vector: &mut [f32]) {
    let length = vector.iter().map(|number| number * number).sum::<f32>().sqrt();
    vector.iter_mut().for_each(|number| *number /= length);
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
        assert_eq!(Data::of(Some(&prefix), 5).unwrap().rows, data.rows[..5 * DIMENSION]);
        assert!(Data::of(Some(&prefix), 21).is_err());
        assert!(Data::of(Some(&folder.path().join("other")), 1).is_err());
    }
}
