//! Plain tensors, as tasks carry them: a number format, a shape, and the numbers little-endian in row order. Pure: nothing
//! here knows libtorch.

mod binary;
mod json;
mod numbers;

use std::fmt;

pub use binary::{CONTENT_TYPE, read_all, write_all};
pub use json::{Encoding, Written};

/// Dimensions of a tensor, at most.
pub const MOST_DIMENSIONS: usize = 16;
/// Bytes of a tensor, at most.
pub const MOST_BYTES: usize = 1 << 30;

/// A number format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dtype {
    /// True or false.
    Bool,
    /// 8 bits without a sign.
    U8,
    /// 8 bits.
    I8,
    /// 16 bits.
    I16,
    /// 32 bits.
    I32,
    /// 64 bits.
    I64,
    /// IEEE 754 with 16 bits.
    F16,
    /// The upper half of an F32.
    Bf16,
    /// IEEE 754 with 32 bits.
    F32,
    /// IEEE 754 with 64 bits.
    F64,
}

/// All of them, with the names under which tasks know them.
pub const DTYPES: [(Dtype, &str); 10] = [
    (Dtype::Bool, "bool"),
    (Dtype::U8, "u8"),
    (Dtype::I8, "i8"),
    (Dtype::I16, "i16"),
    (Dtype::I32, "i32"),
    (Dtype::I64, "i64"),
    (Dtype::F16, "f16"),
    (Dtype::Bf16, "bf16"),
    (Dtype::F32, "f32"),
    (Dtype::F64, "f64"),
];

impl Dtype {
    /// Bytes of one number.
    pub fn size(self) -> usize {
        match self {
            Self::Bool | Self::U8 | Self::I8 => 1,
            Self::I16 | Self::F16 | Self::Bf16 => 2,
            Self::I32 | Self::F32 => 4,
            Self::I64 | Self::F64 => 8,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        DTYPES.iter().find(|(dtype, _)| *dtype == self).map_or("", |(_, name)| name)
    }

    /// The format of a name.
    ///
    /// # Errors
    /// There is none of that name; the text has those that there are.
    pub fn of(name: &str) -> Result<Self, TensorError> {
        let found = DTYPES.iter().find(|(_, known)| *known == name).map(|(dtype, _)| *dtype);
        found.ok_or_else(|| {
            let known: Vec<&str> = DTYPES.iter().map(|(_, name)| *name).collect();
            let shown: String = name.chars().take(20).flat_map(char::escape_debug).collect();
            TensorError(format!("`{shown}` is no dtype; there are {}", known.join(", ")))
        })
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is wrong with a tensor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TensorError(pub String);

/// A tensor. Its bytes are as many as its shape and format say.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    dtype: Dtype,
    shape: Vec<usize>,
    data: Vec<u8>,
}

impl Tensor {
    /// A tensor of bytes.
    ///
    /// # Errors
    /// They are not as many as its shape and format say; or a `bool` that is neither 0 nor 1.
    pub fn new(dtype: Dtype, shape: Vec<usize>, data: Vec<u8>) -> Result<Self, TensorError> {
        let bytes = bytes_of(dtype, &shape)?;
        if bytes != data.len() {
            return Err(TensorError(format!(
                "a tensor of {dtype} with the shape {shape:?} has {bytes} bytes; here are {}",
                data.len()
            )));
        }
        if dtype == Dtype::Bool && data.iter().any(|byte| *byte > 1) {
            return Err(TensorError("a bool is neither 0 nor 1".to_owned()));
        }
        Ok(Self { dtype, shape, data })
    }

    /// Its number format.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// Its shape; empty for a single number.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Its numbers, little-endian.
    pub fn bytes(&self) -> &[u8] {
        &self.data
    }

    /// How many numbers it has.
    pub fn len(&self) -> usize {
        self.data.len() / self.dtype.size()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }
}

/// Bytes of a tensor.
///
/// # Errors
/// Too many dimensions, or more bytes than a tensor may have.
pub fn bytes_of(dtype: Dtype, shape: &[usize]) -> Result<usize, TensorError> {
    if shape.len() > MOST_DIMENSIONS {
        return Err(TensorError(format!(
            "the shape has {} dimensions; at most {MOST_DIMENSIONS} are taken",
            shape.len()
        )));
    }
    // Without the zeros: [0, huge] has no bytes, yet libtorch would multiply it.
    let product = shape.iter().filter(|n| **n > 0).try_fold(dtype.size(), |all, n| all.checked_mul(*n));
    match product {
        Some(bytes) if bytes <= MOST_BYTES => Ok(if shape.contains(&0) { 0 } else { bytes }),
        _ => Err(TensorError(format!(
            "a tensor of {dtype} with the shape {shape:?} has more than {MOST_BYTES} bytes"
        ))),
    }
}
