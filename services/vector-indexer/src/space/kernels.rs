//! The sums behind distances.

use half::f16;

use super::plain;

/// Sixty-four codes: a line of the cache, and a register of AVX-512.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Block(pub(crate) [u8; 64]);

/// The codes of one row of `per` blocks.
pub(super) fn of_row(codes: &[Block], per: usize, row: u32) -> &[Block] {
    let at = row as usize * per;
    &codes[at..at + per]
}

/// The sum of `code * question` for each of `rows`. Panics where a row is not there.
pub(super) fn dots(codes: &[Block], per: usize, rows: &[u32], question: &[Block], out: &mut [i32]) {
    for (out, &row) in out.iter_mut().zip(rows) {
        *out = plain::dot_codes(of_row(codes, per, row), question);
    }
}

/// The sum of `code * question` for the rows from the first on.
pub(super) fn dots_in_line(codes: &[Block], per: usize, question: &[Block], out: &mut [i32]) {
    for (out, row) in out.iter_mut().zip(codes.chunks_exact(per)) {
        *out = plain::dot_codes(row, question);
    }
}

/// The dot product of two rows' codes, both signed.
pub(super) fn dot_pair(a: &[Block], b: &[Block]) -> i32 {
    plain::dot_pair(a, b)
}

/// The dot product.
pub(super) fn dot_f32(a: &[f32], b: &[f32]) -> f32 {
    plain::dot_f32(a, b)
}

/// The squared distance.
pub(super) fn l2_f32(a: &[f32], b: &[f32]) -> f32 {
    plain::l2_f32(a, b)
}

/// The dot product with numbers of 16 bits.
pub(super) fn dot_f16(a: &[f32], b: &[f16]) -> f32 {
    plain::dot_f16(a, b)
}

/// The squared distance to `scale` times numbers of 16 bits.
pub(super) fn l2_f16(a: &[f32], b: &[f16], scale: f32) -> f32 {
    plain::l2_f16(a, b, scale)
}

/// The dot product with codes.
pub(super) fn dot_u8(a: &[f32], b: &[Block]) -> f32 {
    plain::dot_u8(a, b)
}

/// The squared distance to `scale` times codes.
pub(super) fn l2_u8(a: &[f32], b: &[Block], scale: f32) -> f32 {
    plain::l2_u8(a, b, scale)
}
