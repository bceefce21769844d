//! Vectors of one dimension: how they are kept, and how far one is from another.

mod kernels;
mod near;
mod plain;
mod rows;
mod scan;
mod store;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(crate) use kernels::prefetch;
pub use near::Question;
pub use rows::Rows;
use serde::{Deserialize, Serialize};

/// The longest vector that is taken: the sums of codes fit into an i32 up to here.
pub const MAX_DIMENSION: usize = 65_536;

/// The largest number that a vector may hold: the square of a distance fits into an f32 up to here.
pub const MAX_NUMBER: f32 = 1e15;

/// What "near" means. Distances are f32 and smaller is nearer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Metric {
    /// 1 - the cosine of the angle; rows and questions are normalised on their way in.
    Cosine,
    /// The negative dot product.
    Dot,
    /// The squared Euclidean distance.
    L2,
}

/// What is kept of a vector for exact distances, beside its code of 8 bits a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// All of it.
    F32,
    /// Half of it: 11 bits a number, relative to the row's largest.
    F16,
    /// Nothing: the code is all that there is.
    I8,
}

/// Why a vector is not taken.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum Wrong {
    /// It has another length than the rows.
    #[error("the vector has {given} numbers, and the collection's dimension is {wanted}")]
    Dimension {
        /// The dimension of the rows.
        wanted: usize,
        /// The length of the vector.
        given: usize,
    },
    /// It holds a NaN or an infinity.
    #[error("the vector's element {at} is not a number")]
    NotANumber {
        /// Its place, from 0.
        at: usize,
    },
    /// It holds a number beyond [`MAX_NUMBER`].
    #[error("the vector's element {at} is too large: at most 1e15 is taken")]
    TooLarge {
        /// Its place, from 0.
        at: usize,
    },
    /// Zero has no direction.
    #[error("a vector of zeros has no direction, so that no cosine can be told")]
    Zero,
    /// Rows of another dimension, metric or precision.
    #[error("rows of another dimension, metric or precision cannot be appended")]
    Unlike,
}

impl Metric {
    /// What a user sees of a distance: the cosine, the dot product, or the Euclidean distance (not squared).
    pub fn score(self, distance: f32) -> f32 {
        match self {
            Self::Cosine => 1.0 - distance,
            Self::Dot => -distance,
            Self::L2 => distance.max(0.0).sqrt(),
        }
    }

    /// The distance behind a score: `score` the other way round.
    pub fn distance(self, score: f32) -> f32 {
        match self {
            Self::Cosine => 1.0 - score,
            Self::Dot => -score,
            Self::L2 => score * score,
        }
    }
}

#[cfg(test)]
mod tests;
