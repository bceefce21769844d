//! Rows: vectors that are appended and never changed. Each has a code of 8 bits a number with a scale of its own,
//! for the first look, and beside it what its precision says, for exact distances.

use half::f16;

use super::kernels::{self, Block};
use super::{MAX_DIMENSION, MAX_NUMBER, Metric, Precision, Wrong};

/// What a row's code means.
#[derive(Clone, Copy)]
pub(super) struct Head {
    /// A code's step: the number is `(code - 128) * scale`.
    pub(super) scale: f32,
    /// The squared length of what the code says.
    pub(super) norm: f32,
}

/// What is kept beside the codes.
pub(super) enum Kept {
    F32(Vec<f32>),
    /// In steps of the row's scale, so that neither huge nor tiny numbers are lost.
    F16(Vec<f16>),
    Nothing,
}

/// Vectors of one dimension, append only.
pub struct Rows {
    pub(super) dimension: usize,
    pub(super) per: usize,
    pub(super) metric: Metric,
    pub(super) precision: Precision,
    pub(super) codes: Vec<Block>,
    pub(super) heads: Vec<Head>,
    pub(super) kept: Kept,
    /// The largest of all heads: what bounds the error of codes.
    pub(super) largest: Head,
}

impl Rows {
    /// No rows yet. The dimension is 1..=[`MAX_DIMENSION`].
    pub fn new(dimension: usize, metric: Metric, precision: Precision) -> Self {
        let dimension = dimension.clamp(1, MAX_DIMENSION);
        let kept = match precision {
            Precision::F32 => Kept::F32(Vec::new()),
            Precision::F16 => Kept::F16(Vec::new()),
            Precision::I8 => Kept::Nothing,
        };
        let largest = Head { scale: 0.0, norm: 0.0 };
        let per = dimension.div_ceil(64);
        Self { dimension, per, metric, precision, codes: Vec::new(), heads: Vec::new(), kept, largest }
    }

    /// Whether this vector can be a row, or a question.
    pub fn check(&self, vector: &[f32]) -> Result<(), Wrong> {
        if vector.len() != self.dimension {
            return Err(Wrong::Dimension { wanted: self.dimension, given: vector.len() });
        }
        if let Some(at) = vector.iter().position(|number| !number.is_finite()) {
            return Err(Wrong::NotANumber { at });
        }
        if let Some(at) = vector.iter().position(|number| number.abs() > MAX_NUMBER) {
            return Err(Wrong::TooLarge { at });
        }
        if self.metric == Metric::Cosine && vector.iter().all(|&number| number == 0.0) {
            return Err(Wrong::Zero);
        }
        Ok(())
    }

    /// Appends a checked vector and says its row.
    pub fn push(&mut self, vector: &[f32]) -> u32 {
        let row = self.len();
        let vector = self.taken_in(vector);
        let scale = scale_of(&vector);
        let start = self.codes.len();
        self.codes.resize(start + self.per, Block([128; 64]));
        let mut squares = 0i64;
        for (block, numbers) in self.codes[start..].iter_mut().zip(vector.chunks(64)) {
            for (code, &number) in block.0.iter_mut().zip(numbers) {
                let signed = code_of(number, scale);
                squares += i64::from(signed) * i64::from(signed);
                *code = signed.cast_unsigned() ^ 0x80;
            }
        }
        match &mut self.kept {
            Kept::F32(kept) => kept.extend_from_slice(&vector),
            Kept::F16(kept) => {
                let steps = if scale > 0.0 { 1.0 / scale } else { 0.0 };
                kept.extend(vector.iter().map(|number| f16::from_f32(number * steps)));
            }
            Kept::Nothing => {}
        }
        self.add_head(Head { scale, norm: squares as f32 * scale * scale });
        row
    }

    /// Appends a row of others as it is kept there: nothing is rounded twice.
    pub fn append_from(&mut self, other: &Self, row: u32) -> Result<u32, Wrong> {
        if (self.dimension, self.metric, self.precision) != (other.dimension, other.metric, other.precision) {
            return Err(Wrong::Unlike);
        }
        let new = self.len();
        self.codes.extend_from_slice(kernels::of_row(&other.codes, other.per, row));
        let numbers = other.numbers_of(row);
        match (&mut self.kept, &other.kept) {
            (Kept::F32(kept), Kept::F32(others)) => kept.extend_from_slice(&others[numbers]),
            (Kept::F16(kept), Kept::F16(others)) => kept.extend_from_slice(&others[numbers]),
            _ => {}
        }
        self.add_head(other.heads[row as usize]);
        Ok(new)
    }

    pub(super) fn add_head(&mut self, head: Head) {
        self.largest.scale = self.largest.scale.max(head.scale);
        self.largest.norm = self.largest.norm.max(head.norm);
        self.heads.push(head);
    }

    /// How many rows there are.
    pub fn len(&self) -> u32 {
        u32::try_from(self.heads.len()).unwrap_or(u32::MAX)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// How many numbers a vector has.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// What near means here.
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// What is kept of a vector.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// The vector as it is kept: normalised under cosine, rounded to the precision.
    pub fn get(&self, row: u32) -> Vec<f32> {
        let scale = self.heads[row as usize].scale;
        match &self.kept {
            Kept::F32(kept) => kept[self.numbers_of(row)].to_vec(),
            Kept::F16(kept) => kept[self.numbers_of(row)].iter().map(|n| n.to_f32() * scale).collect(),
            Kept::Nothing => {
                let codes = kernels::of_row(&self.codes, self.per, row).iter().flat_map(|block| block.0);
                codes.take(self.dimension).map(|code| (f32::from(code) - 128.0) * scale).collect()
            }
        }
    }

    /// The memory that the rows take.
    pub fn bytes(&self) -> u64 {
        let kept = match &self.kept {
            Kept::F32(kept) => kept.capacity() * 4,
            Kept::F16(kept) => kept.capacity() * 2,
            Kept::Nothing => 0,
        };
        (self.codes.capacity() * 64 + self.heads.capacity() * size_of::<Head>() + kept) as u64
    }

    /// Where a row's numbers are among the kept ones.
    pub(super) fn numbers_of(&self, row: u32) -> std::ops::Range<usize> {
        let at = row as usize * self.dimension;
        at..at + self.dimension
    }

    /// The vector as it is compared: of our length, and of length one under cosine.
    pub(super) fn taken_in(&self, vector: &[f32]) -> Vec<f32> {
        let mut vector = vector.to_vec();
        vector.resize(self.dimension, 0.0);
        if self.metric == Metric::Cosine {
            let squares: f64 = vector.iter().map(|&number| f64::from(number).powi(2)).sum();
            let length = squares.sqrt();
            if length > 0.0 {
                vector.iter_mut().for_each(|number| *number = (f64::from(*number) / length) as f32);
            }
        }
        vector
    }
}

/// A code's step, so that the largest number is 127 of them; 0 where there is nothing to tell apart.
pub(super) fn scale_of(vector: &[f32]) -> f32 {
    let largest = vector.iter().fold(0.0f32, |largest, number| largest.max(number.abs()));
    let scale = largest / 127.0;
    if scale.is_normal() { scale } else { 0.0 }
}

pub(super) fn code_of(number: f32, scale: f32) -> i8 {
    if scale > 0.0 { (number / scale).round() as i8 } else { 0 }
}
