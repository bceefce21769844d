//! A decoder's weights: how they are put together, and their bytes. Only the tensor that is asked for is in memory beside
//! what was made of those before.

use std::path::Path;

use safetensors::Dtype;
use tch::{Device, Kind, Tensor};

use crate::torch::{self, line, weights};

/// The tensors of a model's folder.
pub struct Weights {
    files: weights::Weights,
    kind: Kind,
    device: Device,
    bytes: u64,
}

impl Weights {
    /// Opens a model's files and reads their headers. Tensors are given as `kind` on `device`.
    ///
    /// # Errors
    /// What is missing or malformed, and in which file.
    pub fn open(folder: &Path, kind: Kind, device: Device) -> Result<Self, String> {
        let files = weights::Weights::open(folder, torch::Device(device), kind)?;
        Ok(Self { files, kind, device, bytes: 0 })
    }

    /// Whether there is such a tensor.
    pub fn has(&self, name: &str) -> bool {
        self.files.has(name)
    }

    /// Bytes of all tensors given so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// A tensor.
    ///
    /// # Errors
    /// Where it is missing, has another shape, or cannot be read.
    pub fn take(&mut self, name: &str, shape: &[usize]) -> Result<Tensor, String> {
        self.check(name)?;
        let tensor = self.files.take(name, &sides(shape))?;
        Ok(self.counted(tensor))
    }

    /// Several tensors below each other in one: one multiplication then does the work of all. Each is `(name, rows)`.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub fn stacked(&mut self, parts: &[(String, usize)], columns: Option<usize>) -> Result<Tensor, String> {
        let size = |rows: usize| sides(&[Some(rows), columns].into_iter().flatten().collect::<Vec<_>>());
        let said = |name: &str, e: &tch::TchError| format!("`{name}`: {}", line(e));
        let rows = parts.iter().map(|(_, rows)| rows).sum();
        let first = parts.first().map_or("", |(name, _)| name);
        let stack = Tensor::f_empty(size(rows), (self.kind, self.device)).map_err(|e| said(first, &e))?;
        let mut at = 0;
        for (name, rows) in parts {
            self.check(name)?;
            let raw = self.files.raw(name, &size(*rows))?;
            let place = stack.f_narrow(0, at, *rows as i64);
            place.and_then(|mut place| place.f_copy_(&raw)).map_err(|e| said(name, &e))?;
            at += *rows as i64;
        }
        Ok(self.counted(stack))
    }

    /// Refuses what is not there, and number formats in which no decoder's weights lie.
    fn check(&self, name: &str) -> Result<(), String> {
        match self.files.dtype(name) {
            Some(Dtype::F32 | Dtype::F16 | Dtype::BF16) => Ok(()),
            Some(other) => Err(format!("`{name}` is {other:?}; supported are F32, F16 and BF16")),
            None => Err(format!("there is no tensor `{name}`")),
        }
    }

    fn counted(&mut self, tensor: Tensor) -> Tensor {
        self.bytes += (tensor.numel() * self.kind.elt_size_in_bytes()) as u64;
        tensor
    }
}

fn sides(shape: &[usize]) -> Vec<i64> {
    shape.iter().map(|side| *side as i64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "model.safetensors";
    const INDEX: &str = "model.safetensors.index.json";

    fn file(folder: &Path, header: &str, bytes: &[u8]) {
        let whole = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), bytes].concat();
        std::fs::write(folder.join(WHOLE), whole).unwrap();
    }

    fn open(folder: &Path) -> Result<Weights, String> {
        Weights::open(folder, Kind::Float, Device::Cpu)
    }

    #[test]
    fn a_tensor_is_read_and_what_is_wrong_with_a_file_is_said() {
        let folder = tempfile::tempdir().unwrap();
        assert!(open(folder.path()).err().unwrap().contains("neither"));
        let header = r#"{"a":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}"#;
        file(folder.path(), header, &[0x80, 0x3f, 0x00, 0xc0]);
        let mut weights = open(folder.path()).unwrap();
        assert_eq!(Vec::<f32>::try_from(weights.take("a", &[2]).unwrap()).unwrap(), [1.0, -2.0]);
        assert_eq!(weights.bytes(), 8);
        assert!(weights.take("a", &[3]).unwrap_err().contains("[2]"));
        assert!(weights.take("b", &[2]).unwrap_err().contains("no tensor `b`"));
        file(folder.path(), header, &[0x80, 0x3f]);
        assert!(open(folder.path()).err().unwrap().contains("cut off"));
        std::fs::write(folder.path().join(WHOLE), [0xff; 20]).unwrap();
        assert!(open(folder.path()).err().unwrap().contains("damaged"));
    }

    #[test]
    fn an_index_names_files_beside_it_and_no_others() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(INDEX), r#"{"weight_map":{"a":"../x"}}"#).unwrap();
        assert!(open(folder.path()).err().unwrap().contains("not a file's name"));
    }
}
