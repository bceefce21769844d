//! Weights of safetensors files, by name. The header is read first and then each tensor by itself, so that loading takes
//! the memory of the weights and of one tensor more, and no file is mapped that could change underneath.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::Metadata;
use serde::Deserialize;
use tch::{Kind, Tensor};

use super::{Device, line};

/// The list of parts of weights that lie in several files.
const INDEX: &str = "model.safetensors.index.json";
/// Weights in one file.
const SINGLE: &str = "model.safetensors";
/// Bytes of a header; the format's own bound.
const MAX_HEADER: u64 = 100_000_000;
/// Bytes of the list of parts.
const MAX_INDEX: u64 = 64 << 20;

/// Where one tensor lies.
#[derive(Debug, Clone)]
struct Place {
    file: usize,
    start: u64,
    bytes: usize,
    dtype: Dtype,
    shape: Vec<i64>,
}

/// The weights of a model, which are read as they are asked for.
#[derive(Debug)]
pub struct Weights {
    files: Vec<File>,
    places: BTreeMap<String, Place>,
    device: Device,
    kind: Kind,
}

impl Weights {
    /// Reads the headers of a model's weights: one file, or the parts that its index names. Tensors of floating point
    /// come as `kind`, whatever the file holds.
    ///
    /// # Errors
    /// What is missing or broken, for people.
    pub fn open(folder: &Path, device: Device, kind: Kind) -> Result<Self, String> {
        let mut weights = Self { files: Vec::new(), places: BTreeMap::new(), device, kind };
        for name in parts(folder)? {
            let file = File::open(folder.join(&name)).map_err(|e| format!("`{name}`: {e}"))?;
            weights.add(file).map_err(|e| format!("`{name}`: {e}"))?;
        }
        Ok(weights)
    }

    fn add(&mut self, mut file: File) -> Result<(), String> {
        let whole = file.metadata().map_err(|e| e.to_string())?.len();
        let mut length = [0u8; 8];
        file.read_exact(&mut length).map_err(|_| "it is too short for safetensors".to_owned())?;
        let header = u64::from_le_bytes(length);
        if header > MAX_HEADER || header + 8 > whole {
            return Err("its header cannot be that long; the file is damaged".into());
        }
        let mut bytes = vec![0; header as usize];
        file.read_exact(&mut bytes).map_err(|e| e.to_string())?;
        // This makes sure that tensors lie one after the other, each as long as its shape says.
        let metadata: Metadata = serde_json::from_slice(&bytes).map_err(|e| format!("its header: {e}"))?;
        if metadata.data_len() as u64 != whole - header - 8 {
            return Err("it is not as long as its header says; the file is cut off or damaged".into());
        }
        for (name, info) in metadata.tensors() {
            let (start, end) = info.data_offsets;
            let shape = info.shape.iter().map(|&side| i64::try_from(side)).collect::<Result<_, _>>();
            let place = Place {
                file: self.files.len(),
                start: header + 8 + start as u64,
                bytes: end - start,
                dtype: info.dtype,
                shape: shape.map_err(|e| e.to_string())?,
            };
            if self.places.insert(name.clone(), place).is_some() {
                return Err(format!("the tensor `{name}` is in another part, too"));
            }
        }
        self.files.push(file);
        Ok(())
    }

    /// Whether there is such a tensor.
    pub fn has(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    /// The names of all tensors, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.places.keys().map(String::as_str)
    }

    /// Bytes that all tensors take as they are loaded.
    pub fn bytes(&self) -> u64 {
        let width = self.kind.elt_size_in_bytes() as u64;
        self.places
            .values()
            .map(|place| match kind_of(place.dtype) {
                Some(kind) if is_float(kind) => {
                    place.bytes as u64 / kind.elt_size_in_bytes().max(1) as u64 * width
                }
                _ => place.bytes as u64,
            })
            .sum()
    }

    /// A tensor of this shape.
    ///
    /// # Errors
    /// Where it is missing, has another shape, or a number format that libtorch does not know.
    pub fn take(&self, name: &str, shape: &[i64]) -> Result<Tensor, String> {
        self.converted(name, self.raw(name, shape)?, self.kind)
    }

    /// A tensor of this shape in 32 bits, whatever the precision of the others.
    ///
    /// # Errors
    /// As [`Weights::take`].
    pub fn exact(&self, name: &str, shape: &[i64]) -> Result<Tensor, String> {
        self.converted(name, self.raw(name, shape)?, Kind::Float)
    }

    /// A tensor of any shape.
    ///
    /// # Errors
    /// As [`Weights::take`].
    pub fn any(&self, name: &str) -> Result<Tensor, String> {
        self.converted(name, self.read(name, self.place(name)?)?, self.kind)
    }

    /// A tensor of this shape as it lies in its file, in the machine's memory.
    ///
    /// # Errors
    /// As [`Weights::take`].
    pub fn raw(&self, name: &str, shape: &[i64]) -> Result<Tensor, String> {
        let place = self.place(name)?;
        if place.shape != shape {
            return Err(format!("`{name}` has the shape {:?} and should have {shape:?}", place.shape));
        }
        self.read(name, place)
    }

    /// The number format in which a tensor lies in its file.
    pub fn dtype(&self, name: &str) -> Option<Dtype> {
        self.places.get(name).map(|place| place.dtype)
    }

    fn place(&self, name: &str) -> Result<&Place, String> {
        self.places.get(name).ok_or_else(|| format!("the weights lack `{name}`"))
    }

    /// The bytes that were read are gone when this returns: beside the tensor, there is then room for a converted one.
    fn read(&self, name: &str, place: &Place) -> Result<Tensor, String> {
        let kind = kind_of(place.dtype)
            .ok_or_else(|| format!("`{name}` is {:?}, which is not read here", place.dtype))?;
        // libtorch is told the shape and reads as much: fewer bytes would be read past their end.
        let width = kind.elt_size_in_bytes() as i64;
        let size = place.shape.iter().try_fold(width, |size, &side| size.checked_mul(side));
        if size.and_then(|size| usize::try_from(size).ok()) != Some(place.bytes) {
            return Err(format!("`{name}` has another size than its shape says"));
        }
        let mut bytes = vec![0u8; place.bytes];
        self.files[place.file]
            .read_exact_at(&mut bytes, place.start)
            .map_err(|e| format!("`{name}`: {e}"))?;
        Tensor::f_from_data_size(&bytes, &place.shape, kind).map_err(|e| format!("`{name}`: {}", line(&e)))
    }

    fn converted(&self, name: &str, tensor: Tensor, float: Kind) -> Result<Tensor, String> {
        let kind = if is_float(tensor.kind()) { float } else { tensor.kind() };
        let made = tensor.f_to_kind(kind).and_then(|tensor| tensor.f_to_device(self.device.0));
        made.map_err(|e| format!("`{name}`: {}", line(&e)))
    }
}

/// The files of a model's weights.
fn parts(folder: &Path) -> Result<Vec<String>, String> {
    if folder.join(SINGLE).is_file() {
        return Ok(vec![SINGLE.to_owned()]);
    }
    #[derive(Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let path = folder.join(INDEX);
    let length = path.metadata().map_err(|_| format!("there is neither `{SINGLE}` nor `{INDEX}`"))?.len();
    if length > MAX_INDEX {
        return Err(format!("`{INDEX}` is longer than it may be"));
    }
    let text = std::fs::read(&path).map_err(|e| format!("`{INDEX}`: {e}"))?;
    let index: Index = serde_json::from_slice(&text).map_err(|e| format!("`{INDEX}`: {e}"))?;
    let mut names: Vec<String> = index.weight_map.into_values().collect();
    names.sort();
    names.dedup();
    match names.iter().find(|name| name.is_empty() || name.contains(['/', '\\']) || name.starts_with('.')) {
        Some(outside) => {
            Err(format!("`{INDEX}` names `{outside}`, which is not beside it: that is not a file's name"))
        }
        None => Ok(names),
    }
}

fn is_float(kind: Kind) -> bool {
    matches!(kind, Kind::Float | Kind::Double | Kind::Half | Kind::BFloat16)
}

fn kind_of(dtype: Dtype) -> Option<Kind> {
    Some(match dtype {
        Dtype::F32 => Kind::Float,
        Dtype::F64 => Kind::Double,
        Dtype::F16 => Kind::Half,
        Dtype::BF16 => Kind::BFloat16,
        Dtype::I64 => Kind::Int64,
        Dtype::I32 => Kind::Int,
        Dtype::I16 => Kind::Int16,
        Dtype::I8 => Kind::Int8,
        Dtype::U8 => Kind::Uint8,
        Dtype::BOOL => Kind::Bool,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
    }

    fn open(bytes: &[u8]) -> Result<Weights, String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(SINGLE), bytes).unwrap();
        let weights = Weights::open(folder.path(), Device(tch::Device::Cpu), Kind::Float)?;
        for name in weights.names() {
            drop(weights.any(name)?);
        }
        // The folder goes with this function; what was read stays.
        Ok(weights)
    }

    #[test]
    fn parts_are_found_and_tensors_come_in_the_asked_precision() {
        let folder = tempfile::tempdir().unwrap();
        let one = file(r#"{"a":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}"#, &[0x80, 0x3f, 0, 0x40]);
        let two = file(r#"{"b":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}"#, &7i64.to_le_bytes());
        std::fs::write(folder.path().join("one.safetensors"), one).unwrap();
        std::fs::write(folder.path().join("two.safetensors"), two).unwrap();
        let index = r#"{"weight_map":{"a":"one.safetensors","b":"two.safetensors"}}"#;
        std::fs::write(folder.path().join(INDEX), index).unwrap();
        let weights = Weights::open(folder.path(), Device(tch::Device::Cpu), Kind::Float).unwrap();
        let a = weights.take("a", &[2]).unwrap();
        assert_eq!((a.kind(), Vec::<f32>::try_from(&a).unwrap()), (Kind::Float, vec![1.0, 2.0]));
        assert_eq!(weights.any("b").unwrap().int64_value(&[0]), 7);
        assert_eq!((weights.bytes(), weights.has("b"), weights.has("c")), (16, true, false));
        assert!(weights.take("a", &[1]).unwrap_err().contains("shape [2]"));
        assert!(weights.take("c", &[1]).unwrap_err().contains("lack `c`"));
        std::fs::copy(folder.path().join("one.safetensors"), folder.path().join("two.safetensors")).unwrap();
        let twice = Weights::open(folder.path(), Device(tch::Device::Cpu), Kind::Float);
        assert!(twice.unwrap_err().contains("`a` is in another part, too"));
    }

    #[test]
    fn broken_files_are_refused() {
        let good = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
        assert!(open(&file(good, &[0; 8])).is_ok());
        for bad in [
            file(good, &[0; 7]),
            file(good, &[0; 9]),
            file(r#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#, &[0; 8]),
            file(r#"{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}"#, &[0; 8]),
            file(r#"{"a":{"dtype":"F32","shape":[9223372036854775807,4],"data_offsets":[0,8]}}"#, &[0; 8]),
            file("{", &[0; 8]),
            u64::MAX.to_le_bytes().to_vec(),
            vec![1, 2, 3],
            vec![],
        ] {
            assert!(open(&bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn parts_lie_beside_their_index() {
        let folder = tempfile::tempdir().unwrap();
        let index = folder.path().join(INDEX);
        std::fs::write(&index, r#"{"weight_map":{"a":"../elsewhere.safetensors"}}"#).unwrap();
        assert!(parts(folder.path()).unwrap_err().contains("not beside"));
        std::fs::remove_file(index).unwrap();
        assert!(parts(folder.path()).unwrap_err().contains("neither"));
    }
}
