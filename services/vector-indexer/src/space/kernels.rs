//! The sums behind distances, by the best instructions that the processor has. Which these are is asked once. Each
//! answers what [`super::plain`] answers: whole numbers exactly, others but for the order of additions.

use half::f16;

use super::plain;
#[cfg(target_arch = "x86_64")]
use super::x86;

/// Sixty-four codes: a line of the cache, and a register of AVX-512.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Block(pub(crate) [u8; 64]);

/// The codes of one row of `per` blocks.
#[inline]
pub(super) fn of_row(codes: &[Block], per: usize, row: u32) -> &[Block] {
    let at = row as usize * per;
    &codes[at..at + per]
}

/// The sum of `code * question` for each of `rows`. Panics where a row is not there.
pub(super) fn dots(codes: &[Block], per: usize, rows: &[u32], question: &[Block], out: &mut [i32]) {
    #[cfg(target_arch = "x86_64")]
    if x86::dots(x86::level(), codes, per, rows, question, out) {
        return;
    }
    for (out, &row) in out.iter_mut().zip(rows) {
        *out = plain::dot_codes(of_row(codes, per, row), question);
    }
}

/// The sum of `code * question` for the rows from the first on.
pub(super) fn dots_in_line(codes: &[Block], per: usize, question: &[Block], out: &mut [i32]) {
    #[cfg(target_arch = "x86_64")]
    if x86::dots_in_line(x86::level(), codes, per, question, out) {
        return;
    }
    for (out, row) in out.iter_mut().zip(codes.chunks_exact(per)) {
        *out = plain::dot_codes(row, question);
    }
}

/// Has what lies here brought near: a hint, and nothing where there is no such instruction.
#[inline]
pub(crate) fn prefetch<T>(data: &[T]) {
    #[cfg(target_arch = "x86_64")]
    x86::prefetch(data);
    #[cfg(not(target_arch = "x86_64"))]
    let _: &[T] = data;
}

/// Functions that take the best way there is.
macro_rules! best {
    ($($(#[$doc:meta])* fn $name:ident($($arg:ident: $type:ty),*) -> $answer:ty;)*) => {$(
        $(#[$doc])*
        #[inline]
        pub(super) fn $name($($arg: $type),*) -> $answer {
            #[cfg(target_arch = "x86_64")]
            if let Some(answer) = x86::$name(x86::level(), $($arg),*) {
                return answer;
            }
            plain::$name($($arg),*)
        }
    )*};
}

best! {
    /// The dot product of two rows' codes, both signed: 128 is nought.
    fn dot_pair(a: &[Block], b: &[Block]) -> i32;
    /// The dot product.
    fn dot_f32(a: &[f32], b: &[f32]) -> f32;
    /// The squared distance.
    fn l2_f32(a: &[f32], b: &[f32]) -> f32;
    /// The dot product with numbers of 16 bits.
    fn dot_f16(a: &[f32], b: &[f16]) -> f32;
    /// The squared distance to `scale` times numbers of 16 bits.
    fn l2_f16(a: &[f32], b: &[f16], scale: f32) -> f32;
    /// The dot product with codes.
    fn dot_u8(a: &[f32], b: &[Block]) -> f32;
    /// The squared distance to `scale` times codes.
    fn l2_u8(a: &[f32], b: &[Block], scale: f32) -> f32;
}
