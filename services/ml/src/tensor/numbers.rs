//! Numbers between their formats: what JSON has, and what a tensor has.

use half::{bf16, f16};

use super::{Dtype, Tensor, TensorError};

/// Numbers as JSON has them, in row order.
#[derive(Debug, Clone, PartialEq)]
pub enum Numbers {
    /// Nothing but `true` and `false`.
    Bools(Vec<bool>),
    /// Nothing but whole numbers.
    Ints(Vec<i64>),
    /// Numbers, one with a point among them.
    Floats(Vec<f64>),
}

impl Numbers {
    /// How many.
    pub fn len(&self) -> usize {
        match self {
            Self::Bools(all) => all.len(),
            Self::Ints(all) => all.len(),
            Self::Floats(all) => all.len(),
        }
    }

    /// The format that they have where nobody says: `bool`, `i64` or `f32`.
    pub fn natural(&self) -> Dtype {
        match self {
            Self::Bools(_) => Dtype::Bool,
            Self::Ints(_) => Dtype::I64,
            Self::Floats(_) => Dtype::F32,
        }
    }

    /// Their bytes in a format.
    ///
    /// # Errors
    /// The first that the format does not have.
    pub fn to_bytes(&self, dtype: Dtype) -> Result<Vec<u8>, TensorError> {
        match (self, dtype) {
            (all, _) if all.len() == 0 => Ok(Vec::new()),
            (Self::Bools(all), Dtype::Bool) => Ok(all.iter().map(|b| u8::from(*b)).collect()),
            (Self::Bools(_), _) => Err(TensorError(format!("true and false are no {dtype}"))),
            (_, Dtype::Bool) => Err(TensorError("a bool is true or false, no number".to_owned())),
            (Self::Ints(all), _) => put(dtype, all, int),
            (Self::Floats(all), _) => put(dtype, all, float),
        }
    }
}

fn put<T: Copy + std::fmt::Display>(
    dtype: Dtype,
    all: &[T],
    one: impl Fn(Dtype, T, &mut Vec<u8>) -> bool,
) -> Result<Vec<u8>, TensorError> {
    let mut bytes = Vec::with_capacity(all.len() * dtype.size());
    match all.iter().position(|number| !one(dtype, *number, &mut bytes)) {
        None => Ok(bytes),
        Some(at) => Err(TensorError(format!("number {at} is {}, which {dtype} does not have", all[at]))),
    }
}

fn int(dtype: Dtype, n: i64, to: &mut Vec<u8>) -> bool {
    fn fit<T: TryFrom<i64>, const N: usize>(n: i64, bytes: impl Fn(T) -> [u8; N], to: &mut Vec<u8>) -> bool {
        T::try_from(n).map(|n| to.extend(bytes(n))).is_ok()
    }
    match dtype {
        Dtype::U8 => fit(n, u8::to_le_bytes, to),
        Dtype::I8 => fit(n, i8::to_le_bytes, to),
        Dtype::I16 => fit(n, i16::to_le_bytes, to),
        Dtype::I32 => fit(n, i32::to_le_bytes, to),
        Dtype::I64 => fit(n, i64::to_le_bytes, to),
        _ => float(dtype, n as f64, to),
    }
}

/// A number that is too large for a format is refused; one that is infinite already, or none at all, is what it is.
fn float(dtype: Dtype, x: f64, to: &mut Vec<u8>) -> bool {
    let kept = |is_finite: bool| is_finite || !x.is_finite();
    match dtype {
        Dtype::F64 => to.extend(x.to_le_bytes()),
        Dtype::F32 if kept((x as f32).is_finite()) => to.extend((x as f32).to_le_bytes()),
        Dtype::F16 if kept(f16::from_f64(x).is_finite()) => to.extend(f16::from_f64(x).to_le_bytes()),
        Dtype::Bf16 if kept(bf16::from_f64(x).is_finite()) => to.extend(bf16::from_f64(x).to_le_bytes()),
        Dtype::F16 | Dtype::Bf16 | Dtype::F32 | Dtype::Bool => return false,
        // 2.0 is a whole number; past 2^53 nobody knows which one was meant.
        _ if x.fract() == 0.0 && x.abs() < (1u64 << 53) as f64 => return int(dtype, x as i64, to),
        _ => return false,
    }
    true
}

/// One number of a tensor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum One {
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// With 16 or 32 bits.
    Single(f32),
    /// With 64 bits.
    Double(f64),
}

impl Tensor {
    /// Its numbers from one place on.
    pub fn numbers(&self, from: usize) -> impl Iterator<Item = One> + '_ {
        let size = self.dtype.size();
        let bytes = self.data.get(from.saturating_mul(size)..).unwrap_or_default();
        bytes.chunks_exact(size).map(|bytes| one(self.dtype, bytes))
    }
}

fn one(dtype: Dtype, bytes: &[u8]) -> One {
    let mut wide = [0; 8];
    wide[..bytes.len()].copy_from_slice(bytes);
    // The first bytes are the number's own: little-endian.
    let [a, b, c, d, ..] = wide;
    match dtype {
        Dtype::Bool => One::Bool(a != 0),
        Dtype::U8 => One::Int(i64::from(a)),
        Dtype::I8 => One::Int(i64::from(i8::from_le_bytes([a]))),
        Dtype::I16 => One::Int(i64::from(i16::from_le_bytes([a, b]))),
        Dtype::I32 => One::Int(i64::from(i32::from_le_bytes([a, b, c, d]))),
        Dtype::I64 => One::Int(i64::from_le_bytes(wide)),
        Dtype::F16 => One::Single(f16::from_le_bytes([a, b]).to_f32()),
        Dtype::Bf16 => One::Single(bf16::from_le_bytes([a, b]).to_f32()),
        Dtype::F32 => One::Single(f32::from_le_bytes([a, b, c, d])),
        Dtype::F64 => One::Double(f64::from_le_bytes(wide)),
    }
}
