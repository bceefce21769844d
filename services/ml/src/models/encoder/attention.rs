//! Attention within each text of a batch.
//!
//! On a CPU every text is computed by itself, and those of equal length together: nothing is padded, nothing masked. With
//! 16 bits and from some length on, two batched products around a softmax are faster than the fused kernel (1.7 times at
//! 106 tokens, 12 heads of 32, one core with AVX-512 BF16); they use memory that is kept from call to call. On a GPU the
//! batch is padded to its longest text and masked, because there a call costs more than the padding.

use tch::{Device, Kind, Result, Tensor};

/// From this length on the products are faster than the fused kernel in 16 bits.
const PRODUCTS_FROM: i64 = 40;
/// A text is filled up to a multiple of this for them: a quarter faster than exact lengths, and oneDNN keeps code for 7
/// lengths instead of 217, which took 0.3 GB.
const FULL: i64 = 32;

/// How attention is computed, with the memory that it keeps.
#[derive(Debug)]
pub struct Attention {
    device: Device,
    kind: Kind,
    padded: bool,
    kept: Option<Kept>,
}

/// Memory for one text's attention, which grows with the longest.
#[derive(Debug)]
struct Kept {
    qkv: Tensor,
    scores: Tensor,
    seen: Tensor,
}

impl Attention {
    /// Attention on a device. `padded`: the batch is filled up to its longest text.
    pub fn new(device: Device, kind: Kind, padded: bool) -> Self {
        Self { device, kind, padded, kept: None }
    }

    /// The same, without the memory that it keeps.
    #[must_use]
    pub fn fresh(&self) -> Self {
        Self::new(self.device, self.kind, self.padded)
    }

    /// What each token sees of its text: `qkv` has queries, keys and values of all tokens side by side, and rows on top that
    /// see nothing.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn run(&mut self, qkv: &Tensor, lengths: &[i64], heads: i64) -> Result<Tensor> {
        let (tokens, width) = (qkv.size()[0], qkv.size()[1] / 3);
        let qkv = qkv.f_view([tokens, 3, heads, width / heads])?;
        if self.padded {
            return masked(&qkv, lengths);
        }
        let out = Tensor::f_empty([tokens, heads, width / heads], (qkv.kind(), qkv.device()))?;
        let used: i64 = lengths.iter().sum();
        drop(out.f_narrow(0, used, tokens - used)?.f_zero_()?);
        let mut start = 0;
        for group in lengths.chunk_by(|a, b| a == b) {
            let (length, texts) = (group[0], group.len() as i64);
            if self.kind == Kind::BFloat16 && length >= PRODUCTS_FROM {
                for text in 0..texts {
                    self.products(&qkv, &out, start + text * length, length)?;
                }
            } else {
                fused(&qkv, &out, start, length, texts)?;
            }
            start += length * texts;
        }
        out.f_view([tokens, width])
    }

    /// One text by two batched products.
    fn products(&mut self, qkv: &Tensor, out: &Tensor, start: i64, length: i64) -> Result<()> {
        let (heads, side, full) = (qkv.size()[2], qkv.size()[3], (length + FULL - 1) / FULL * FULL);
        let kept = match &self.kept {
            Some(kept) if kept.qkv.size()[0] >= 3 * heads * full * side => kept,
            _ => self.kept.insert(Kept::new(full, heads, side, self.kind)?),
        };
        let parts = kept.qkv.f_narrow(0, 0, 3 * heads * full * side)?.f_view([3, heads, full, side])?;
        let mut own = parts.f_narrow(2, 0, length)?;
        own.f_copy_(&qkv.f_narrow(0, start, length)?.f_permute([1, 2, 0, 3])?)?;
        // What an earlier text left there might be no number, and nothing times that is none either.
        drop(parts.f_narrow(2, length, full - length)?.f_zero_()?);
        let (k, v) = (parts.f_select(0, 1)?, parts.f_select(0, 2)?);
        let q = parts.f_select(0, 0)?.f_mul_scalar_(1.0 / (side as f64).sqrt())?;
        let scores = kept.scores.f_narrow(0, 0, heads * full * full)?.f_view([heads, full, full])?;
        let seen = kept.seen.f_narrow(0, 0, heads * full * side)?.f_view([heads, full, side])?;
        let scores = q.f_bmm_out(&scores, &k.f_transpose(1, 2)?)?;
        drop(scores.f_narrow(2, length, full - length)?.f_fill_(f64::NEG_INFINITY)?);
        let scores = scores.f_internal_softmax_out(&scores, -1, false)?;
        let seen = scores.f_bmm_out(&seen, &v)?.f_narrow(1, 0, length)?;
        out.f_narrow(0, start, length)?.f_copy_(&seen.f_transpose(0, 1)?)
    }
}

impl Kept {
    fn new(length: i64, heads: i64, side: i64, kind: Kind) -> Result<Self> {
        // In steps, so that a slowly growing length does not allocate each time.
        let length = (length + 63) / 64 * 64;
        let empty = |numbers: i64| Tensor::f_zeros([numbers], (kind, Device::Cpu));
        Ok(Self {
            qkv: empty(3 * heads * length * side)?,
            scores: empty(heads * length * length)?,
            seen: empty(heads * length * side)?,
        })
    }
}

/// Texts of equal length, which lie one after another, by the fused kernel.
fn fused(qkv: &Tensor, out: &Tensor, start: i64, length: i64, texts: i64) -> Result<()> {
    let (heads, side) = (qkv.size()[2], qkv.size()[3]);
    let group = qkv.f_narrow(0, start, length * texts)?.f_view([texts, length, 3, heads, side])?;
    let part = |n: i64| group.f_select(2, n)?.f_transpose(1, 2);
    let seen = attend(&part(0)?, &part(1)?, &part(2)?, None)?;
    let mut place = out.f_narrow(0, start, length * texts)?.f_view([texts, length, heads, side])?;
    place.f_copy_(&seen.f_transpose(1, 2)?)
}

/// All texts at once, padded to the longest, with a mask where there is padding.
fn masked(qkv: &Tensor, lengths: &[i64]) -> Result<Tensor> {
    let (tokens, heads, side) = (qkv.size()[0], qkv.size()[2], qkv.size()[3]);
    let (texts, longest) = (lengths.len() as i64, lengths.iter().copied().max().unwrap_or(0));
    let (mut rows, mut places, mut start) = (Vec::new(), Vec::new(), 0);
    for (text, &length) in lengths.iter().enumerate() {
        // What is padded is read from the text's own first token and never looked at.
        rows.extend((0..longest).map(|n| if n < length { start + n } else { start }));
        places.extend((0..length).map(|n| text as i64 * longest + n));
        start += length;
    }
    let index = |numbers: &[i64]| Tensor::f_from_slice(numbers)?.f_to_device(qkv.device());
    let padded = qkv.f_index_select(0, &index(&rows)?)?.f_view([texts, longest, 3, heads, side])?;
    let part = |n: i64| padded.f_select(2, n)?.f_transpose(1, 2);
    let mask = match lengths.iter().all(|&length| length == longest) {
        true => None,
        false => {
            let each = Tensor::f_arange(longest, (Kind::Int64, qkv.device()))?.f_view([1, 1, 1, longest])?;
            Some(each.f_lt_tensor(&index(lengths)?.f_view([texts, 1, 1, 1])?)?)
        }
    };
    let seen = attend(&part(0)?, &part(1)?, &part(2)?, mask.as_ref())?;
    let flat = seen.f_transpose(1, 2)?.f_reshape([texts * longest, heads * side])?;
    let seen = flat.f_index_select(0, &index(&places)?)?;
    if start == tokens { Ok(seen) } else { seen.f_constant_pad_nd([0, 0, 0, tokens - start]) }
}

fn attend(q: &Tensor, k: &Tensor, v: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
    Tensor::f_scaled_dot_product_attention(q, k, v, mask, 0.0, false, None, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_ways_see_the_same() {
        let lengths = [70i64, 70, 41, 7, 7, 7, 1];
        // Three rows on top see nothing, and are seen by nobody.
        let (used, heads, side) = (lengths.iter().sum::<i64>(), 3, 8);
        let tokens = used + 3;
        tch::manual_seed(7);
        let qkv = Tensor::randn([tokens, 3 * heads * side], (Kind::Float, Device::Cpu));
        let run = |kind: Kind, padded: bool| {
            let mut attention = Attention::new(Device::Cpu, kind, padded);
            let first = attention.run(&qkv.to_kind(kind), &lengths, heads).unwrap();
            // What is kept from the first call must not be seen in the second.
            let again = attention.run(&qkv.to_kind(kind), &lengths, heads).unwrap();
            assert_eq!(first, again);
            again.to_kind(Kind::Float)
        };
        let exact = run(Kind::Float, false);
        let off = |other: &Tensor| (other - &exact).abs().max().double_value(&[]);
        assert!(off(&run(Kind::Float, true)) < 1e-5);
        assert!(off(&run(Kind::BFloat16, false)) < 0.03);
        assert!(off(&run(Kind::BFloat16, true)) < 0.03);
        // And it is attention: a text of one token sees itself.
        let own = qkv.narrow(0, used - 1, 1).narrow(1, 2 * heads * side, heads * side);
        assert!((exact.narrow(0, used - 1, 1) - own).abs().max().double_value(&[]) < 1e-6);
        assert_eq!(exact.narrow(0, used, 3).abs().max().double_value(&[]), 0.0);
    }
}
