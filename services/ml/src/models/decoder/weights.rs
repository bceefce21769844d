//! Reads tensors from safetensors files, one file or the numbered parts that an index names. Only the tensor that is
//! asked for is in memory beside what was made of those before.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::Metadata;
use serde::Deserialize;
use tch::{Device, Kind, Tensor};

/// One file.
const WHOLE: &str = "model.safetensors";
/// Which part has which tensor.
const INDEX: &str = "model.safetensors.index.json";
/// As the format's own reader: no header is larger.
const MAX_HEADER: u64 = 100_000_000;

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

struct Part {
    file: File,
    name: String,
    /// Where the tensors' bytes begin.
    start: u64,
    header: Metadata,
}

/// The tensors of a model's folder.
pub struct Weights {
    parts: Vec<Part>,
    places: HashMap<String, usize>,
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
        let whole = folder.join(WHOLE).is_file();
        let names = if whole { BTreeSet::from([WHOLE.to_owned()]) } else { parts_of(folder)? };
        let mut weights = Self { parts: Vec::new(), places: HashMap::new(), kind, device, bytes: 0 };
        for name in names {
            let part = Part::open(folder, name)?;
            for tensor in part.header.offset_keys() {
                if weights.places.insert(tensor.clone(), weights.parts.len()).is_some() {
                    return Err(format!("{}: `{tensor}` is in another part, too", part.name));
                }
            }
            weights.parts.push(part);
        }
        Ok(weights)
    }

    /// Whether there is such a tensor.
    pub fn has(&self, name: &str) -> bool {
        self.places.contains_key(name)
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
        let raw = self.raw(name, shape)?;
        let tensor =
            raw.f_to_device(self.device).and_then(|t| t.f_to_kind(self.kind)).map_err(|e| said(name, &e))?;
        self.bytes += (tensor.numel() * self.kind.elt_size_in_bytes()) as u64;
        Ok(tensor)
    }

    /// Several tensors below each other in one: one multiplication then does the work of all. Each is `(name, rows)`.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub fn stacked(&mut self, parts: &[(String, usize)], columns: Option<usize>) -> Result<Tensor, String> {
        let rows: usize = parts.iter().map(|(_, rows)| rows).sum();
        let size: Vec<i64> = [Some(rows), columns].into_iter().flatten().map(|n| n as i64).collect();
        let first = parts.first().map_or("", |(name, _)| name);
        let stack = Tensor::f_empty(size, (self.kind, self.device)).map_err(|e| said(first, &e))?;
        let mut at = 0;
        for (name, rows) in parts {
            let shape: Vec<usize> = [Some(*rows), columns].into_iter().flatten().collect();
            let raw = self.raw(name, &shape)?;
            stack
                .f_narrow(0, at, *rows as i64)
                .and_then(|mut place| place.f_copy_(&raw))
                .map_err(|e| said(name, &e))?;
            at += *rows as i64;
        }
        self.bytes += (stack.numel() * self.kind.elt_size_in_bytes()) as u64;
        Ok(stack)
    }

    /// As it lies in its file.
    fn raw(&mut self, name: &str, shape: &[usize]) -> Result<Tensor, String> {
        let place = self.places.get(name).ok_or_else(|| format!("there is no tensor `{name}`"))?;
        let part = self.parts.get_mut(*place).ok_or_else(|| format!("there is no tensor `{name}`"))?;
        part.read(name, shape)
    }
}

impl Part {
    fn open(folder: &Path, name: String) -> Result<Self, String> {
        let fail = |e: &dyn std::fmt::Display| format!("{name}: {e}");
        let mut file = File::open(folder.join(&name)).map_err(|e| fail(&e))?;
        let all = file.metadata().map_err(|e| fail(&e))?.len();
        let mut length = [0; 8];
        file.read_exact(&mut length).map_err(|e| fail(&e))?;
        let length = u64::from_le_bytes(length);
        if length > MAX_HEADER.min(all) {
            return Err(fail(&"its header cannot be that long; the file is damaged"));
        }
        let mut header = vec![0; length as usize];
        file.read_exact(&mut header).map_err(|e| fail(&e))?;
        let header: Metadata = serde_json::from_slice(&header).map_err(|e| fail(&e))?;
        let start = 8 + length;
        if start + header.data_len() as u64 != all {
            return Err(fail(&"the file is not as long as its header says; it is cut off or damaged"));
        }
        Ok(Self { file, name, start, header })
    }

    fn read(&mut self, name: &str, shape: &[usize]) -> Result<Tensor, String> {
        let info = self.header.info(name).ok_or_else(|| format!("there is no tensor `{name}`"))?;
        if info.shape != shape {
            return Err(format!("`{name}` has the shape {:?}; config.json wants {shape:?}", info.shape));
        }
        let kind = match info.dtype {
            Dtype::F32 => Kind::Float,
            Dtype::F16 => Kind::Half,
            Dtype::BF16 => Kind::BFloat16,
            other => return Err(format!("`{name}` is {other:?}; supported are F32, F16 and BF16")),
        };
        let (from, to) = info.data_offsets;
        let mut bytes = vec![0; to - from];
        self.file
            .seek(SeekFrom::Start(self.start + from as u64))
            .and_then(|_| self.file.read_exact(&mut bytes))
            .map_err(|e| format!("{}: {e}", self.name))?;
        let size: Vec<i64> = shape.iter().map(|n| *n as i64).collect();
        Tensor::f_from_data_size(&bytes, &size, kind).map_err(|e| said(name, &e))
    }
}

/// The files that an index names: plain names beside it.
fn parts_of(folder: &Path) -> Result<BTreeSet<String>, String> {
    let text = std::fs::read_to_string(folder.join(INDEX))
        .map_err(|e| format!("there is neither {WHOLE} nor a readable {INDEX}: {e}"))?;
    let index: Index = serde_json::from_str(&text).map_err(|e| format!("{INDEX}: {e}"))?;
    let names: BTreeSet<String> = index.weight_map.into_values().collect();
    match names.iter().find(|name| Path::new(name).file_name() != Some(name.as_ref())) {
        Some(name) => Err(format!("{INDEX}: `{name}` is not a file's name")),
        None => Ok(names),
    }
}

fn said(name: &str, error: &tch::TchError) -> String {
    let text = error.to_string();
    format!("`{name}`: {}", text.lines().next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

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
