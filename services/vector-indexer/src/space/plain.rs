//! The kernels in plain Rust: what the fast ones must answer, and what runs where there are none.

use half::f16;

use super::kernels::Block;

/// The sum of `code * question` over unsigned codes and signed question.
pub(super) fn dot_codes(row: &[Block], question: &[Block]) -> i32 {
    let mut sum = 0;
    for (a, b) in row.iter().zip(question) {
        for (&a, &b) in a.0.iter().zip(&b.0) {
            sum += i32::from(a) * i32::from(b.cast_signed());
        }
    }
    sum
}

/// The dot product of two rows' codes, both signed: 128 is nought.
pub(super) fn dot_pair(a: &[Block], b: &[Block]) -> i32 {
    let mut sum = 0;
    for (a, b) in a.iter().zip(b) {
        for (&a, &b) in a.0.iter().zip(&b.0) {
            sum += (i32::from(a) - 128) * (i32::from(b) - 128);
        }
    }
    sum
}

/// The sum of `value(a, b)` in eight lanes, so that the compiler may use vectors and roundings stay small.
fn lanes<B: Copy>(a: &[f32], b: &[B], value: impl Fn(f32, B) -> f32) -> f32 {
    let mut sums = [0.0f32; 8];
    for (a, b) in a.chunks(8).zip(b.chunks(8)) {
        for (sum, (&a, &b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += value(a, b);
        }
    }
    sums.iter().sum()
}

/// The dot product.
pub(super) fn dot_f32(a: &[f32], b: &[f32]) -> f32 {
    lanes(a, b, |a, b| a * b)
}

/// The squared distance.
pub(super) fn l2_f32(a: &[f32], b: &[f32]) -> f32 {
    lanes(a, b, |a, b| (a - b) * (a - b))
}

/// The dot product with numbers of 16 bits.
pub(super) fn dot_f16(a: &[f32], b: &[f16]) -> f32 {
    lanes(a, b, |a, b| a * b.to_f32())
}

/// The squared distance to `scale` times numbers of 16 bits.
pub(super) fn l2_f16(a: &[f32], b: &[f16], scale: f32) -> f32 {
    lanes(a, b, |a, b| (a - b.to_f32() * scale).powi(2))
}

/// The dot product with codes.
pub(super) fn dot_u8(a: &[f32], b: &[Block]) -> f32 {
    a.chunks(64).zip(b).map(|(a, b)| lanes(a, &b.0, |a, b| a * (f32::from(b) - 128.0))).sum()
}

/// The squared distance to `scale` times codes.
pub(super) fn l2_u8(a: &[f32], b: &[Block], scale: f32) -> f32 {
    let square = |a: f32, b: u8| (a - (f32::from(b) - 128.0) * scale).powi(2);
    a.chunks(64).zip(b).map(|(a, b)| lanes(a, &b.0, square)).sum()
}
