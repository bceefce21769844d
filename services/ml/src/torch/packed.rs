//! Weights in the order in which the CPU multiplies by them. With a bf16 matrix as it lies in a file, libtorch reorders it for
//! every multiplication, which for a few rows costs more than the multiplication. oneDNN does it once, by two operations that
//! libtorch has for its own compiler, and that can be reached without C++ only from TorchScript: so here is a module of a
//! few lines, made in memory.

use std::io::{Cursor, Write};

use tch::{CModule, Device, Kind, TchError, Tensor};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// The module. `_linear_pointwise` also adds a bias, and another tensor, while it is at it.
const CODE: &str = r#"class Packed(Module):
  __parameters__ = []
  __buffers__ = []
  def pack(self: __torch__.Packed, w: Tensor) -> Tensor:
    return ops.mkldnn._reorder_linear_weight(w)
  def linear(self: __torch__.Packed, x: Tensor, w: Tensor) -> Tensor:
    _0 = annotate(List[Optional[number]], [])
    return ops.mkldnn._linear_pointwise(x, w, None, "none", _0, "")
  def linear_biased(self: __torch__.Packed, x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    _0 = annotate(List[Optional[number]], [])
    return ops.mkldnn._linear_pointwise(x, w, b, "none", _0, "")
  def plus(self: __torch__.Packed, x: Tensor, w: Tensor, to: Tensor) -> Tensor:
    return ops.mkldnn._linear_pointwise(x, to, w, None, "add")
  def plus_biased(self: __torch__.Packed, x: Tensor, w: Tensor, to: Tensor, b: Tensor) -> Tensor:
    return ops.mkldnn._linear_pointwise(x, to, w, b, "add")
"#;

/// An instance of it without attributes, as Python pickles it (protocol 2).
const INSTANCE: &[u8] = b"\x80\x02c__torch__\nPacked\n)\x81}b.";
/// An empty tuple, pickled.
const NO_CONSTANTS: &[u8] = b"\x80\x02).";

/// Multiplies by packed weights.
#[derive(Debug)]
pub struct Packing {
    module: CModule,
}

impl Packing {
    /// Where it pays: bf16 on a CPU that multiplies it by itself. Elsewhere nothing, and weights stay as they are.
    pub fn find(kind: Kind, device: Device) -> Option<Self> {
        if kind != Kind::BFloat16 || device != Device::Cpu {
            return None;
        }
        match Self::tried() {
            Ok(packing) => Some(packing),
            Err(e) => {
                tracing::info!("weights are not packed for this CPU: {e}");
                None
            }
        }
    }

    fn tried() -> Result<Self, String> {
        let said = |e: TchError| e.to_string().lines().next().unwrap_or_default().to_owned();
        // Profiles of every shape ever seen would grow for ever.
        tch::jit::f_set_profiling_mode(false).map_err(said)?;
        let archive = archive().map_err(|e| e.to_string())?;
        let packing = Self { module: CModule::load_data(&mut archive.as_slice()).map_err(said)? };
        packing.is_right().map_err(said)?.then_some(packing).ok_or_else(|| "its results are wrong".into())
    }

    /// Whether a small multiplication comes to the same as without it.
    fn is_right(&self) -> Result<bool, TchError> {
        let _guard = tch::no_grad_guard();
        let bf16 = |size: [i64; 2]| {
            let count = size[0] * size[1];
            let numbers = Tensor::f_arange(count, (Kind::Float, Device::Cpu))?;
            numbers.f_sin()?.f_view(size)?.f_to_kind(Kind::BFloat16)
        };
        let (x, weight, to) = (bf16([3, 64])?, bf16([96, 64])?, bf16([3, 96])?);
        let packed = self.pack(&weight)?;
        let plain = x.f_linear(&weight, None::<&Tensor>)?.f_add(&to)?;
        let apart = plain.f_sub(&self.plus(&x, &packed, None, &to)?)?.f_abs()?.f_max()?;
        // The one is rounded twice and the other once, each time by up to one part in 256.
        let most = f64::try_from(&plain.f_abs()?.f_max()?)? * 4.0 / 256.0;
        Ok(f64::try_from(&apart)? <= most)
    }

    /// A weight in packed order. It is good for nothing else.
    ///
    /// # Errors
    /// Where libtorch refuses.
    pub fn pack(&self, weight: &Tensor) -> Result<Tensor, TchError> {
        self.module.method_ts("pack", &[weight])
    }

    /// `x W' + bias`.
    ///
    /// # Errors
    /// Where libtorch refuses.
    pub fn linear(&self, x: &Tensor, packed: &Tensor, bias: Option<&Tensor>) -> Result<Tensor, TchError> {
        match bias {
            None => self.module.method_ts("linear", &[x, packed]),
            Some(bias) => self.module.method_ts("linear_biased", &[x, packed, bias]),
        }
    }

    /// `to + x W' + bias`, rounded once.
    ///
    /// # Errors
    /// Where libtorch refuses.
    pub fn plus(
        &self,
        x: &Tensor,
        packed: &Tensor,
        bias: Option<&Tensor>,
        to: &Tensor,
    ) -> Result<Tensor, TchError> {
        match bias {
            None => self.module.method_ts("plus", &[x, packed, to]),
            Some(bias) => self.module.method_ts("plus_biased", &[x, packed, to, bias]),
        }
    }
}

/// The module's archive: what `torch.jit.save` writes, without what is only for people.
fn archive() -> zip::result::ZipResult<Vec<u8>> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let files: [(&str, &[u8]); 4] = [
        ("packed/data.pkl", INSTANCE),
        ("packed/code/__torch__.py", CODE.as_bytes()),
        ("packed/constants.pkl", NO_CONSTANTS),
        ("packed/version", b"3\n"),
    ];
    for (name, bytes) in files {
        writer.start_file(name, stored)?;
        writer.write_all(bytes)?;
    }
    Ok(writer.finish()?.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apart(a: &Tensor, b: &Tensor) -> f64 {
        let (a, b) = (a.to_kind(Kind::Float), b.to_kind(Kind::Float));
        f64::try_from((a - b).abs().max()).unwrap()
    }

    #[test]
    fn packed_weights_multiply_as_plain_ones() {
        let Some(packing) = Packing::find(Kind::BFloat16, Device::Cpu) else {
            println!("SKIPPED: packed weights: absent: bf16 this CPU does not multiply it by itself");
            return;
        };
        tch::manual_seed(1);
        let random = |size: &[i64]| Tensor::randn(size, (Kind::Float, Device::Cpu)).to_kind(Kind::BFloat16);
        for (rows, from, to) in [(1, 64, 96), (8, 1_024, 300), (33, 100, 7), (257, 48, 512)] {
            let (x, weight) = (random(&[rows, from]), random(&[to, from]) * 0.1);
            let (bias, other) = (random(&[to]), random(&[rows, to]));
            let packed = packing.pack(&weight).unwrap();
            let exact = x.to_kind(Kind::Float).linear(&weight.to_kind(Kind::Float), None::<&Tensor>);
            // bf16 has 8 bits: numbers up to 16 are off by up to 1/32 each time that they are rounded.
            let near = 0.07;
            assert!(apart(&packing.linear(&x, &packed, None).unwrap(), &exact) < near);
            let biased = &exact + &bias;
            assert!(apart(&packing.linear(&x, &packed, Some(&bias)).unwrap(), &biased) < near);
            let plus = &exact + &other;
            assert!(apart(&packing.plus(&x, &packed, None, &other).unwrap(), &plus) < near);
            let all = biased + &other;
            assert!(apart(&packing.plus(&x, &packed, Some(&bias), &other).unwrap(), &all) < near);
        }
    }

    #[test]
    fn only_where_it_pays_and_mistakes_are_errors() {
        assert!(Packing::find(Kind::Float, Device::Cpu).is_none());
        if let Some(packing) = Packing::find(Kind::BFloat16, Device::Cpu) {
            let x = Tensor::zeros([1, 8], (Kind::BFloat16, Device::Cpu));
            let packed = packing.pack(&Tensor::zeros([4, 16], (Kind::BFloat16, Device::Cpu))).unwrap();
            assert!(packing.linear(&x, &packed, None).is_err());
        }
    }
}
