//! How far a row is from a question: by codes, which is fast and off by a little, and by what is kept.

use super::Metric;
use super::kernels::{self, Block};
use super::rows::{Head, Kept, Rows, code_of, scale_of};

/// A vector that is asked for, made ready for many comparisons.
pub struct Question {
    pub(super) vector: Vec<f32>,
    pub(super) codes: Vec<Block>,
    /// 128 times the sum of the codes: what the rows' codes being unsigned adds to a sum.
    pub(super) offset: i32,
    pub(super) head: Head,
}

impl Question {
    /// One to be filled by [`Rows::question_by_code`].
    pub(crate) fn empty() -> Self {
        Self { vector: Vec::new(), codes: Vec::new(), offset: 0, head: Head { scale: 0.0, norm: 0.0 } }
    }
}

impl Rows {
    /// Makes a checked vector ready to be compared with rows.
    pub fn question(&self, vector: &[f32]) -> Question {
        let vector = self.taken_in(vector);
        let scale = scale_of(&vector);
        let mut codes = vec![Block([0; 64]); self.per];
        let (mut sum, mut squares) = (0i32, 0i64);
        for (block, numbers) in codes.iter_mut().zip(vector.chunks(64)) {
            for (code, &number) in block.0.iter_mut().zip(numbers) {
                let signed = code_of(number, scale);
                sum += i32::from(signed);
                squares += i64::from(signed) * i64::from(signed);
                *code = signed.cast_unsigned();
            }
        }
        let head = Head { scale, norm: squares as f32 * scale * scale };
        Question { vector, codes, offset: 128 * sum, head }
    }

    /// A question made of a row's code, for building a graph: it is good for `near` only.
    pub(crate) fn question_by_code(&self, row: u32, question: &mut Question) {
        question.codes.clear();
        question.codes.extend_from_slice(kernels::of_row(&self.codes, self.per, row));
        let mut sum = 0;
        for code in question.codes.iter_mut().flat_map(|block| &mut block.0) {
            *code ^= 0x80;
            sum += i32::from(code.cast_signed());
        }
        question.offset = 128 * sum;
        question.head = self.heads[row as usize];
    }

    /// The distance by codes: fast, and off by a little.
    pub fn near(&self, question: &Question, row: u32) -> f32 {
        let mut sum = [0];
        kernels::dots(&self.codes, self.per, &[row], &question.codes, &mut sum);
        self.by_codes(question.head, self.heads[row as usize], sum[0] - question.offset)
    }

    /// Has a row's code brought near.
    #[inline]
    pub(crate) fn prefetch(&self, row: u32) {
        kernels::prefetch(kernels::of_row(&self.codes, self.per, row));
    }

    /// Has what is kept of a row brought near.
    pub(crate) fn prefetch_kept(&self, row: u32) {
        match &self.kept {
            Kept::F32(kept) => kernels::prefetch(&kept[self.numbers_of(row)]),
            Kept::F16(kept) => kernels::prefetch(&kept[self.numbers_of(row)]),
            Kept::Nothing => {}
        }
    }

    /// `near` for many rows at once; at most as many as `sums` has places.
    pub(crate) fn near_all(&self, question: &Question, rows: &[u32], sums: &mut [i32], out: &mut [f32]) {
        kernels::dots(&self.codes, self.per, rows, &question.codes, sums);
        for ((out, &row), &sum) in out.iter_mut().zip(rows).zip(sums.iter()) {
            *out = self.by_codes(question.head, self.heads[row as usize], sum - question.offset);
        }
    }

    /// The distance of two rows by their codes.
    pub(crate) fn near_pair(&self, a: u32, b: u32) -> f32 {
        let dot = kernels::dot_pair(
            kernels::of_row(&self.codes, self.per, a),
            kernels::of_row(&self.codes, self.per, b),
        );
        self.by_codes(self.heads[a as usize], self.heads[b as usize], dot)
    }

    /// The distance that a dot product of codes means.
    #[inline]
    pub(super) fn by_codes(&self, a: Head, b: Head, dot: i32) -> f32 {
        let dot = dot as f32 * (a.scale * b.scale);
        match self.metric {
            Metric::Cosine => 1.0 - dot,
            Metric::Dot => -dot,
            Metric::L2 => a.norm + b.norm - 2.0 * dot,
        }
    }

    /// By how much a distance by codes may be off: three standard deviations of roundings that are even in a step.
    pub(crate) fn slack(&self, question: &Question, row: u32, near: f32) -> f32 {
        self.slack_of(question, self.heads[row as usize], near)
    }

    pub(super) fn slack_of(&self, question: &Question, head: Head, near: f32) -> f32 {
        let asked = question.head;
        let (a, b) = (asked.scale * asked.scale / 12.0, head.scale * head.scale / 12.0);
        match self.metric {
            Metric::Cosine | Metric::Dot => 3.0 * (a * head.norm + b * asked.norm).sqrt(),
            Metric::L2 => {
                let noise = (a + b) * self.dimension as f32;
                2.0 * noise + 6.0 * (near.max(0.0) * (a + b)).sqrt()
            }
        }
    }

    /// The distance by what is kept.
    pub fn exact(&self, question: &Question, row: u32) -> f32 {
        let asked = &question.vector;
        let scale = self.heads[row as usize].scale;
        let l2 = self.metric == Metric::L2;
        let value = match &self.kept {
            Kept::F32(kept) if l2 => kernels::l2_f32(asked, &kept[self.numbers_of(row)]),
            Kept::F32(kept) => kernels::dot_f32(asked, &kept[self.numbers_of(row)]),
            Kept::F16(kept) if l2 => kernels::l2_f16(asked, &kept[self.numbers_of(row)], scale),
            Kept::F16(kept) => kernels::dot_f16(asked, &kept[self.numbers_of(row)]) * scale,
            Kept::Nothing => {
                let codes = kernels::of_row(&self.codes, self.per, row);
                if l2 { kernels::l2_u8(asked, codes, scale) } else { kernels::dot_u8(asked, codes) * scale }
            }
        };
        match self.metric {
            Metric::Cosine => 1.0 - value,
            Metric::Dot => -value,
            Metric::L2 => value,
        }
    }
}
