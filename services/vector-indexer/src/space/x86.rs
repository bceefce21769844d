//! The kernels for x86-64: AVX-512 with VNNI, or AVX2 with FMA and F16C. The only unsafe code of this service.
#![expect(unsafe_code, reason = "instructions that not every processor has, and loads by address")]

use std::arch::x86_64::*;
use std::sync::OnceLock;

use half::f16;

use super::kernels::Block;

/// Which instructions may be used. Only this file makes one, after asking the processor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Level(Isa);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Isa {
    Avx512,
    Avx2,
    Plain,
}

/// The levels that this processor has, the best first.
pub(super) fn levels() -> Vec<Level> {
    let mut levels = vec![];
    let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    let avx2 = avx2 && is_x86_feature_detected!("f16c");
    let avx512 = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw");
    if avx2 && avx512 && is_x86_feature_detected!("avx512vnni") {
        levels.push(Level(Isa::Avx512));
    }
    if avx2 {
        levels.push(Level(Isa::Avx2));
    }
    levels.push(Level(Isa::Plain));
    levels
}

/// The best level.
#[inline]
pub(super) fn level() -> Level {
    static BEST: OnceLock<Level> = OnceLock::new();
    *BEST.get_or_init(|| levels().first().copied().unwrap_or(Level(Isa::Plain)))
}

/// Brings the lines of this data near.
#[inline]
pub(super) fn prefetch<T>(data: &[T]) {
    let start: *const i8 = data.as_ptr().cast();
    for at in (0..size_of_val(data)).step_by(64) {
        // SAFETY: a hint, which reads nothing; the address is within the data.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(start.add(at)) };
    }
}

/// See [`super::kernels::dots`]; false where there are only plain ways.
pub(super) fn dots(
    level: Level,
    codes: &[Block],
    per: usize,
    rows: &[u32],
    question: &[Block],
    out: &mut [i32],
) -> bool {
    let there = codes.len() / per;
    assert!(rows.iter().all(|&row| (row as usize) < there), "a row that is not there");
    assert!(question.len() == per && out.len() >= rows.len());
    let row = |at: usize| codes.as_ptr().wrapping_add(rows[at] as usize * per);
    // SAFETY: the level was asked of the processor; rows are within the codes, and the question is as long as a row.
    unsafe { dots_at(level, per, rows.len(), row, question, out) }
}

/// See [`super::kernels::dots_in_line`]; false where there are only plain ways.
pub(super) fn dots_in_line(
    level: Level,
    codes: &[Block],
    per: usize,
    question: &[Block],
    out: &mut [i32],
) -> bool {
    assert!(question.len() == per && out.len() * per <= codes.len());
    let row = |at: usize| codes.as_ptr().wrapping_add(at * per);
    // SAFETY: the level was asked of the processor; there are as many rows as there is room for answers.
    unsafe { dots_at(level, per, out.len(), row, question, out) }
}

/// # Safety
/// `row` gives addresses of `per` blocks; `question` has `per` blocks, `out` at least `count` places.
#[inline(always)]
unsafe fn dots_at(
    level: Level,
    per: usize,
    count: usize,
    row: impl Fn(usize) -> *const Block,
    question: &[Block],
    out: &mut [i32],
) -> bool {
    // SAFETY: as the caller promises.
    unsafe {
        match level.0 {
            // Known lengths are unrolled: 256, 384, 512, 768 and 1024 numbers.
            Isa::Avx512 => match per {
                4 => wide::dots::<4>(per, count, row, question, out),
                6 => wide::dots::<6>(per, count, row, question, out),
                8 => wide::dots::<8>(per, count, row, question, out),
                12 => wide::dots::<12>(per, count, row, question, out),
                16 => wide::dots::<16>(per, count, row, question, out),
                _ => wide::dots::<0>(per, count, row, question, out),
            },
            Isa::Avx2 => narrow::dots(per, count, row, question, out),
            Isa::Plain => return false,
        }
    }
    true
}

/// The dot product of two rows' codes, both signed.
#[inline]
pub(super) fn dot_pair(level: Level, a: &[Block], b: &[Block]) -> Option<i32> {
    // SAFETY: the level was asked of the processor.
    unsafe {
        match level.0 {
            Isa::Avx512 => Some(wide::dot_pair(a, b)),
            Isa::Avx2 => Some(narrow::dot_pair(a, b)),
            Isa::Plain => None,
        }
    }
}

/// Safe ways into the sums of both levels.
macro_rules! ways {
    ($($name:ident($b:ty $(, $scale:ident)?);)*) => {$(
        #[inline]
        pub(super) fn $name(level: Level, a: &[f32], b: &[$b] $(, $scale: f32)?) -> Option<f32> {
            // SAFETY: the level was asked of the processor.
            unsafe {
                match level.0 {
                    Isa::Avx512 => Some(wide::$name(a, b $(, $scale)?)),
                    Isa::Avx2 => Some(narrow::$name(a, b $(, $scale)?)),
                    Isa::Plain => None,
                }
            }
        }
    )*};
}

ways! {
    dot_f32(f32);
    l2_f32(f32);
    dot_f16(f16);
    l2_f16(f16, scale);
    dot_u8(Block);
    l2_u8(Block, scale);
}

/// A sum of floats for one level: `width` numbers a register, loaded and combined as said. What is left over at the
/// end goes through registers filled with noughts.
macro_rules! sum {
    ($name:ident, $features:literal, $width:literal, $b:ty, $nought:expr, $per:literal, ($($scale:ident)?),
     $zero:ident, $load_a:ident, $load_b:ident, $add:ident, $total:ident, |$x:ident, $y:ident, $sum:ident| $step:expr) => {
        #[target_feature(enable = $features)]
        pub(super) fn $name(a: &[f32], b: &[$b] $(, $scale: f32)?) -> f32 {
            let count = a.len().min(b.len() * $per);
            let whole = count - count % $width;
            let (from, to) = (a.as_ptr(), b.as_ptr().cast::<<$b as Element>::Part>());
            let mut sums = [$zero(); 4];
            // SAFETY: `at + width` is at most the length of both.
            unsafe {
                let mut at = 0;
                while at + 4 * $width <= whole {
                    for slot in &mut sums {
                        let ($x, $y, $sum) = ($load_a(from.add(at)), $load_b(to.add(at)), *slot);
                        *slot = $step;
                        at += $width;
                    }
                }
                while at < whole {
                    let ($x, $y, $sum) = ($load_a(from.add(at)), $load_b(to.add(at)), sums[0]);
                    sums[0] = $step;
                    at += $width;
                }
                if whole < count {
                    let (mut left, mut right) = ([0.0f32; $width], [$nought; $width]);
                    for at in whole..count {
                        left[at - whole] = *from.add(at);
                        right[at - whole] = *to.add(at);
                    }
                    let ($x, $y, $sum) = ($load_a(left.as_ptr()), $load_b(right.as_ptr()), sums[0]);
                    sums[0] = $step;
                }
            }
            $total($add($add(sums[0], sums[1]), $add(sums[2], sums[3])))
        }
    };
}

/// What a slice of these is made of.
trait Element {
    type Part;
}
impl Element for f32 {
    type Part = f32;
}
impl Element for f16 {
    type Part = f16;
}
impl Element for Block {
    type Part = u8;
}

mod wide {
    //! AVX-512 with VNNI.
    use super::*;

    /// # Safety
    /// As [`super::dots_at`]; `N` is `per`, or 0.
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    pub(super) unsafe fn dots<const N: usize>(
        per: usize,
        count: usize,
        row: impl Fn(usize) -> *const Block,
        question: &[Block],
        out: &mut [i32],
    ) {
        let per = if N == 0 { per } else { N };
        let asked: *const __m512i = question.as_ptr().cast();
        // SAFETY: as the caller promises.
        unsafe {
            let mut at = 0;
            while at + 4 <= count {
                let rows: [*const __m512i; 4] = [0, 1, 2, 3].map(|lane| row(at + lane).cast());
                let mut sums = [_mm512_setzero_si512(); 4];
                for block in 0..per {
                    let q = _mm512_load_si512(asked.add(block));
                    for (sum, row) in sums.iter_mut().zip(rows) {
                        *sum = _mm512_dpbusd_epi32(*sum, _mm512_load_si512(row.add(block)), q);
                    }
                }
                _mm_storeu_si128(out.as_mut_ptr().add(at).cast(), totals(sums));
                at += 4;
            }
            for (at, out) in out.iter_mut().enumerate().take(count).skip(at) {
                let row: *const __m512i = row(at).cast();
                let mut sum = _mm512_setzero_si512();
                for block in 0..per {
                    let q = _mm512_load_si512(asked.add(block));
                    sum = _mm512_dpbusd_epi32(sum, _mm512_load_si512(row.add(block)), q);
                }
                *out = _mm512_reduce_add_epi32(sum);
            }
        }
    }

    /// The totals of four registers at once.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn totals([a, b, c, d]: [__m512i; 4]) -> __m128i {
        let ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
        let cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
        let all = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
        let half = _mm256_add_epi32(_mm512_castsi512_si256(all), _mm512_extracti64x4_epi64::<1>(all));
        _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256::<1>(half))
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    pub(super) fn dot_pair(a: &[Block], b: &[Block]) -> i32 {
        let flip = _mm512_set1_epi8(-128);
        let (mut sum, mut offset) = (_mm512_setzero_si512(), _mm512_setzero_si512());
        for (a, b) in a.iter().zip(b) {
            // SAFETY: a block is a register long, and aligned as one.
            let (a, b) =
                unsafe { (_mm512_load_si512(a.0.as_ptr().cast()), _mm512_load_si512(b.0.as_ptr().cast())) };
            let a = _mm512_xor_si512(a, flip);
            sum = _mm512_dpbusd_epi32(sum, b, a);
            offset = _mm512_dpbusd_epi32(offset, flip, a);
        }
        _mm512_reduce_add_epi32(_mm512_sub_epi32(sum, offset))
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn halves(from: *const f16) -> __m512 {
        // SAFETY: the caller has sixteen numbers there.
        unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(from.cast())) }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn codes(from: *const u8) -> __m512 {
        // SAFETY: the caller has sixteen codes there.
        let codes = unsafe { _mm512_cvtepu8_epi32(_mm_loadu_si128(from.cast())) };
        _mm512_cvtepi32_ps(_mm512_sub_epi32(codes, _mm512_set1_epi32(128)))
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn square(x: __m512, y: __m512, scale: f32, sum: __m512) -> __m512 {
        let apart = _mm512_fnmadd_ps(y, _mm512_set1_ps(scale), x);
        _mm512_fmadd_ps(apart, apart, sum)
    }

    macro_rules! wide {
        ($name:ident, $b:ty, $nought:expr, $per:literal, ($($scale:ident)?), $load:ident, |$x:ident, $y:ident, $sum:ident| $step:expr) => {
            sum!($name, "avx512f", 16, $b, $nought, $per, ($($scale)?), _mm512_setzero_ps, _mm512_loadu_ps, $load,
                 _mm512_add_ps, _mm512_reduce_add_ps, |$x, $y, $sum| $step);
        };
    }

    wide!(dot_f32, f32, 0.0, 1, (), _mm512_loadu_ps, |x, y, sum| _mm512_fmadd_ps(x, y, sum));
    wide!(l2_f32, f32, 0.0, 1, (), _mm512_loadu_ps, |x, y, sum| square(x, y, 1.0, sum));
    wide!(dot_f16, f16, f16::ZERO, 1, (), halves, |x, y, sum| _mm512_fmadd_ps(x, y, sum));
    wide!(l2_f16, f16, f16::ZERO, 1, (scale), halves, |x, y, sum| square(x, y, scale, sum));
    wide!(dot_u8, Block, 128u8, 64, (), codes, |x, y, sum| _mm512_fmadd_ps(x, y, sum));
    wide!(l2_u8, Block, 128u8, 64, (scale), codes, |x, y, sum| square(x, y, scale, sum));
}

mod narrow {
    //! AVX2 with FMA and F16C.
    use super::*;

    /// # Safety
    /// As [`super::dots_at`].
    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn dots(
        per: usize,
        count: usize,
        row: impl Fn(usize) -> *const Block,
        question: &[Block],
        out: &mut [i32],
    ) {
        for (at, out) in out.iter_mut().enumerate().take(count) {
            // SAFETY: as the caller promises; a block is four times sixteen codes.
            unsafe {
                let (row, asked): (*const __m128i, *const __m128i) =
                    (row(at).cast(), question.as_ptr().cast());
                let mut sum = _mm256_setzero_si256();
                for part in 0..per * 4 {
                    // Sixteen bits for each: the instruction for bytes would run over.
                    let a = _mm256_cvtepu8_epi16(_mm_load_si128(row.add(part)));
                    let b = _mm256_cvtepi8_epi16(_mm_load_si128(asked.add(part)));
                    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(a, b));
                }
                *out = total_i32(sum);
            }
        }
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn dot_pair(a: &[Block], b: &[Block]) -> i32 {
        let mut sum = _mm256_setzero_si256();
        let flip = _mm_set1_epi8(-128);
        for (a, b) in a.iter().zip(b) {
            for part in 0..4 {
                // SAFETY: a block is four times sixteen codes.
                let (a, b) = unsafe {
                    let (a, b): (*const __m128i, *const __m128i) = (a.0.as_ptr().cast(), b.0.as_ptr().cast());
                    (_mm_load_si128(a.add(part)), _mm_load_si128(b.add(part)))
                };
                let a = _mm256_cvtepi8_epi16(_mm_xor_si128(a, flip));
                let b = _mm256_cvtepi8_epi16(_mm_xor_si128(b, flip));
                sum = _mm256_add_epi32(sum, _mm256_madd_epi16(a, b));
            }
        }
        total_i32(sum)
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn total_i32(sum: __m256i) -> i32 {
        let four = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256::<1>(sum));
        let two = _mm_add_epi32(four, _mm_shuffle_epi32::<0b1110>(four));
        _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32::<1>(two)))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn total(sum: __m256) -> f32 {
        let four = _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps::<1>(sum));
        let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
    }

    #[inline]
    #[target_feature(enable = "avx2,f16c")]
    unsafe fn halves(from: *const f16) -> __m256 {
        // SAFETY: the caller has eight numbers there.
        unsafe { _mm256_cvtph_ps(_mm_loadu_si128(from.cast())) }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn codes(from: *const u8) -> __m256 {
        // SAFETY: the caller has eight codes there.
        let codes = unsafe { _mm256_cvtepu8_epi32(_mm_loadl_epi64(from.cast())) };
        _mm256_cvtepi32_ps(_mm256_sub_epi32(codes, _mm256_set1_epi32(128)))
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn square(x: __m256, y: __m256, scale: f32, sum: __m256) -> __m256 {
        let apart = _mm256_fnmadd_ps(y, _mm256_set1_ps(scale), x);
        _mm256_fmadd_ps(apart, apart, sum)
    }

    macro_rules! narrow {
        ($name:ident, $b:ty, $nought:expr, $per:literal, ($($scale:ident)?), $load:ident, |$x:ident, $y:ident, $sum:ident| $step:expr) => {
            sum!($name, "avx2,fma,f16c", 8, $b, $nought, $per, ($($scale)?), _mm256_setzero_ps, _mm256_loadu_ps, $load,
                 _mm256_add_ps, total, |$x, $y, $sum| $step);
        };
    }

    narrow!(dot_f32, f32, 0.0, 1, (), _mm256_loadu_ps, |x, y, sum| _mm256_fmadd_ps(x, y, sum));
    narrow!(l2_f32, f32, 0.0, 1, (), _mm256_loadu_ps, |x, y, sum| square(x, y, 1.0, sum));
    narrow!(dot_f16, f16, f16::ZERO, 1, (), halves, |x, y, sum| _mm256_fmadd_ps(x, y, sum));
    narrow!(l2_f16, f16, f16::ZERO, 1, (scale), halves, |x, y, sum| square(x, y, scale, sum));
    narrow!(dot_u8, Block, 128u8, 64, (), codes, |x, y, sum| _mm256_fmadd_ps(x, y, sum));
    narrow!(l2_u8, Block, 128u8, 64, (scale), codes, |x, y, sum| square(x, y, scale, sum));
}
