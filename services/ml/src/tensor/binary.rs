//! Tensors as bytes: the safetensors format, a JSON header with every tensor's name, format, shape and place, and then the
//! bytes. Its metadata is a table of text, where a task says what else it wants.

use std::collections::{BTreeMap, HashMap};

use safetensors::tensor::{Dtype as Named, SafeTensors, TensorView};

use super::{Dtype, Tensor, TensorError};

/// The content type of such a payload or result.
pub const CONTENT_TYPE: &str = "application/x-safetensors";

const PAIRS: [(Dtype, Named); 10] = [
    (Dtype::Bool, Named::BOOL),
    (Dtype::U8, Named::U8),
    (Dtype::I8, Named::I8),
    (Dtype::I16, Named::I16),
    (Dtype::I32, Named::I32),
    (Dtype::I64, Named::I64),
    (Dtype::F16, Named::F16),
    (Dtype::Bf16, Named::BF16),
    (Dtype::F32, Named::F32),
    (Dtype::F64, Named::F64),
];

/// Tensors by name, and the metadata.
pub type Contents = (BTreeMap<String, Tensor>, BTreeMap<String, String>);

/// Reads all tensors.
///
/// # Errors
/// Bytes that are not this format, or a tensor that is none of ours.
pub fn read_all(bytes: &[u8]) -> Result<Contents, TensorError> {
    let wrong = |e: &dyn std::fmt::Display| TensorError(format!("the bytes are no safetensors: {e}"));
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| wrong(&e))?;
    let file = SafeTensors::deserialize(bytes).map_err(|e| wrong(&e))?;
    let mut tensors = BTreeMap::new();
    for (name, view) in file.iter() {
        let dtype = PAIRS.iter().find(|(_, named)| *named == view.dtype()).map(|(ours, _)| *ours);
        let dtype = dtype.ok_or_else(|| {
            TensorError(format!("`{name}` has the dtype {:?}, which is not taken", view.dtype()))
        })?;
        let tensor = Tensor::new(dtype, view.shape().to_vec(), view.data().to_vec());
        tensors.insert(name.to_owned(), tensor.map_err(|e| TensorError(format!("`{name}`: {e}")))?);
    }
    let metadata = header.metadata().clone().unwrap_or_default().into_iter().collect();
    Ok((tensors, metadata))
}

/// Writes tensors and metadata.
///
/// # Errors
/// The format refuses; it has no reason to.
pub fn write_all(
    tensors: &[(String, &Tensor)],
    metadata: HashMap<String, String>,
) -> Result<Vec<u8>, TensorError> {
    let failed = |e: safetensors::SafeTensorError| TensorError(format!("the tensors cannot be written: {e}"));
    let views = tensors.iter().map(|(name, tensor)| {
        let named =
            PAIRS.iter().find(|(ours, _)| *ours == tensor.dtype()).map_or(Named::U8, |(_, named)| *named);
        TensorView::new(named, tensor.shape().to_vec(), tensor.bytes()).map(|view| (name.as_str(), view))
    });
    let views: Vec<_> = views.collect::<Result<_, _>>().map_err(failed)?;
    safetensors::serialize(views, Some(metadata)).map_err(failed)
}
