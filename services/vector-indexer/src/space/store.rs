//! Rows in a file. Nothing that is read is trusted: memory is taken as bytes arrive, and numbers must be numbers.

use std::io::{Error, ErrorKind, Read, Result, Write};

use half::f16;

use super::kernels::{self, Block};
use super::rows::{Head, Kept, Rows};
use super::{MAX_DIMENSION, Metric, Precision};

const MAGIC: &[u8; 8] = b"TLROWS01";

impl Rows {
    /// Writes all rows.
    pub fn write(&self, to: &mut impl Write) -> Result<()> {
        let metric = match self.metric {
            Metric::Cosine => 0u8,
            Metric::Dot => 1,
            Metric::L2 => 2,
        };
        let precision = match self.precision {
            Precision::F32 => 0u8,
            Precision::F16 => 1,
            Precision::I8 => 2,
        };
        to.write_all(MAGIC)?;
        to.write_all(&[metric, precision, 0, 0])?;
        to.write_all(&(self.dimension as u32).to_le_bytes())?;
        to.write_all(&self.len().to_le_bytes())?;
        let mut bytes = Vec::new();
        for row in 0..self.len() {
            bytes.clear();
            let head = self.heads[row as usize];
            bytes.extend_from_slice(&head.scale.to_le_bytes());
            bytes.extend_from_slice(&head.norm.to_le_bytes());
            let codes = kernels::of_row(&self.codes, self.per, row);
            codes.iter().for_each(|block| bytes.extend_from_slice(&block.0));
            bytes.truncate(8 + self.dimension);
            match &self.kept {
                Kept::F32(kept) => {
                    kept[self.numbers_of(row)].iter().for_each(|n| bytes.extend_from_slice(&n.to_le_bytes()));
                }
                Kept::F16(kept) => {
                    kept[self.numbers_of(row)].iter().for_each(|n| bytes.extend_from_slice(&n.to_le_bytes()));
                }
                Kept::Nothing => {}
            }
            to.write_all(&bytes)?;
        }
        Ok(())
    }

    /// Reads rows, at most `limit` of them. What is not as it was written is an error of the kind `InvalidData` or
    /// `UnexpectedEof`. Reads no further than the rows go.
    pub fn read(from: &mut impl Read, limit: u32) -> Result<Self> {
        let mut head = [0; 20];
        from.read_exact(&mut head)?;
        let [m0, m1, m2, m3, m4, m5, m6, m7, metric, precision, _, _, d0, d1, d2, d3, c0, c1, c2, c3] = head;
        if [m0, m1, m2, m3, m4, m5, m6, m7] != *MAGIC {
            return Err(wrong("these are no rows"));
        }
        let metric = match metric {
            0 => Metric::Cosine,
            1 => Metric::Dot,
            2 => Metric::L2,
            _ => return Err(wrong("an unknown metric")),
        };
        let precision = match precision {
            0 => Precision::F32,
            1 => Precision::F16,
            2 => Precision::I8,
            _ => return Err(wrong("an unknown precision")),
        };
        let dimension = u32::from_le_bytes([d0, d1, d2, d3]) as usize;
        let count = u32::from_le_bytes([c0, c1, c2, c3]);
        if dimension == 0 || dimension > MAX_DIMENSION || count > limit {
            return Err(wrong("a dimension or a number of rows beyond the bounds"));
        }
        let mut rows = Self::new(dimension, metric, precision);
        rows.read_rows(from, count)?;
        Ok(rows)
    }

    fn read_rows(&mut self, from: &mut impl Read, count: u32) -> Result<()> {
        let width = match self.precision {
            Precision::F32 => 4,
            Precision::F16 => 2,
            Precision::I8 => 0,
        };
        let mut bytes = vec![0; 8 + self.dimension * (1 + width)];
        for _ in 0..count {
            from.read_exact(&mut bytes)?;
            let (head, rest) = bytes.split_at(8);
            let (codes, numbers) = rest.split_at(self.dimension);
            let mut parts = head.chunks_exact(4).map(number);
            let head =
                Head { scale: parts.next().unwrap_or_default(), norm: parts.next().unwrap_or_default() };
            let sound = |number: f32| number.is_finite() && number >= 0.0;
            if !sound(head.scale) || !sound(head.norm) {
                return Err(wrong("a row's scale is no number"));
            }
            let start = self.codes.len();
            self.codes.resize(start + self.per, Block([128; 64]));
            for (block, codes) in self.codes[start..].iter_mut().zip(codes.chunks(64)) {
                block.0[..codes.len()].copy_from_slice(codes);
            }
            let finite = match &mut self.kept {
                Kept::F32(kept) => {
                    let at = kept.len();
                    kept.extend(numbers.chunks_exact(4).map(number));
                    kept[at..].iter().all(|number| number.is_finite())
                }
                Kept::F16(kept) => {
                    let at = kept.len();
                    kept.extend(numbers.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]])));
                    kept[at..].iter().all(|number| number.is_finite())
                }
                Kept::Nothing => true,
            };
            if !finite {
                return Err(wrong("a row holds what is no number"));
            }
            self.add_head(head);
        }
        Ok(())
    }
}

fn number(bytes: &[u8]) -> f32 {
    bytes.try_into().map(f32::from_le_bytes).unwrap_or(f32::NAN)
}

fn wrong(why: &'static str) -> Error {
    Error::new(ErrorKind::InvalidData, why)
}
