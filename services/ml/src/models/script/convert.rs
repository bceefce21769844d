//! Between plain tensors and libtorch's.

use std::collections::BTreeMap;

use tch::{IValue, Kind, TchError};

use super::{Answer, MOST_ANSWER_BYTES};
use crate::error::MlError;
use crate::tensor::{Dtype, Tensor};
use crate::torch::Device;

/// The longest reason that is told, in characters.
const MAX_REASON: usize = 300;
/// Lists in lists of an answer, at most.
const MOST_DEPTH: usize = 16;

const PAIRS: [(Dtype, Kind); 10] = [
    (Dtype::Bool, Kind::Bool),
    (Dtype::U8, Kind::Uint8),
    (Dtype::I8, Kind::Int8),
    (Dtype::I16, Kind::Int16),
    (Dtype::I32, Kind::Int),
    (Dtype::I64, Kind::Int64),
    (Dtype::F16, Kind::Half),
    (Dtype::Bf16, Kind::BFloat16),
    (Dtype::F32, Kind::Float),
    (Dtype::F64, Kind::Double),
];

/// A copy of a tensor for libtorch, on the device.
pub fn into_torch(tensor: &Tensor, device: Device) -> Result<tch::Tensor, TchError> {
    let kind =
        PAIRS.iter().find(|(dtype, _)| *dtype == tensor.dtype()).map_or(Kind::Uint8, |(_, kind)| *kind);
    // At most 2^30 bytes: every length fits.
    let shape: Vec<i64> = tensor.shape().iter().map(|n| i64::try_from(*n).unwrap_or_default()).collect();
    tch::Tensor::f_from_data_size(tensor.bytes(), &shape, kind)?.f_to_device(device.0)
}

/// Lets go of the memory of these tensors, whoever still holds them: where a call fails, tch 0.26 forgets to let go of its
/// inputs, and what it forgets must be small.
pub fn empty(tensors: Vec<tch::Tensor>) {
    for mut tensor in tensors {
        if let Err(e) = tensor.f_set_() {
            tracing::warn!("the inputs of a failed call stay in memory: {e}");
        }
    }
}

/// What a module returned.
///
/// # Errors
/// Something that is no data, or more of it than an answer may be.
pub fn answer(value: IValue, model: &str) -> Result<Answer, MlError> {
    let mut left = MOST_ANSWER_BYTES;
    part(value, 0, &mut left).map_err(|reason| MlError::Failed { model: model.to_owned(), reason })
}

fn part(value: IValue, depth: usize, left: &mut usize) -> Result<Answer, String> {
    if depth > MOST_DEPTH {
        return Err(format!("its answer has more than {MOST_DEPTH} lists in each other"));
    }
    let list = |items: Vec<IValue>, left: &mut usize| {
        let items = items.into_iter().map(|item| part(item, depth + 1, left));
        items.collect::<Result<_, _>>().map(Answer::List)
    };
    Ok(match value {
        IValue::None => Answer::None,
        IValue::Tensor(tensor) => Answer::Tensor(out(&tensor, left)?),
        IValue::Double(x) => Answer::Float(x),
        IValue::Int(n) => Answer::Int(n),
        IValue::Bool(b) => Answer::Bool(b),
        IValue::String(text) => Answer::Text(text),
        IValue::Tuple(items) | IValue::GenericList(items) => list(items, left)?,
        IValue::TensorList(items) => list(items.into_iter().map(IValue::Tensor).collect(), left)?,
        IValue::IntList(items) => list(items.into_iter().map(IValue::Int).collect(), left)?,
        IValue::DoubleList(items) => list(items.into_iter().map(IValue::Double).collect(), left)?,
        IValue::BoolList(items) => list(items.into_iter().map(IValue::Bool).collect(), left)?,
        IValue::StringList(items) => list(items.into_iter().map(IValue::String).collect(), left)?,
        IValue::GenericDict(entries) => {
            let mut map = BTreeMap::new();
            for (key, value) in entries {
                let key = match key {
                    IValue::String(text) => text,
                    IValue::Int(n) => n.to_string(),
                    _ => {
                        return Err(
                            "its answer has a dict whose keys are neither text nor whole numbers".to_owned()
                        );
                    }
                };
                map.insert(key, part(value, depth + 1, left)?);
            }
            Answer::Map(map)
        }
        _ => return Err("its answer has an object in it, which is no data".to_owned()),
    })
}

fn out(tensor: &tch::Tensor, left: &mut usize) -> Result<Tensor, String> {
    let told = |e: TchError| format!("its answer cannot be read: {}", reason(&e));
    let kind = tensor.f_kind().map_err(told)?;
    let dtype = PAIRS.iter().find(|(_, known)| *known == kind).map(|(dtype, _)| *dtype);
    let dtype = dtype.ok_or_else(|| format!("its answer is of {kind:?}, which is not taken"))?;
    let shape: Vec<usize> =
        tensor.size().into_iter().map(|n| usize::try_from(n).unwrap_or_default()).collect();
    let numbers = shape.iter().try_fold(1usize, |all, n| all.checked_mul(*n)).unwrap_or(usize::MAX);
    // A view of one number may have any shape at all: counted before anything is copied.
    let bytes = numbers.saturating_mul(dtype.size());
    *left = left
        .checked_sub(bytes)
        .ok_or_else(|| format!("its answer has more than {MOST_ANSWER_BYTES} bytes"))?;
    let mut data = vec![0; bytes];
    if bytes > 0 {
        tensor.f_copy_data_u8(&mut data, numbers).map_err(told)?;
    }
    Tensor::new(dtype, shape, data).map_err(|e| format!("its answer cannot be told: {e}"))
}

/// An error of libtorch in one line. TorchScript tells where in its code it happened, and at the very end what happened.
pub fn reason(error: &TchError) -> String {
    let text = error.to_string();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let line = match text.contains("Traceback of TorchScript") {
        true => lines
            .next_back()
            .map(|line| line.trim_start_matches("builtins.").trim_start_matches("RuntimeError: ")),
        false => lines.next(),
    };
    line.unwrap_or("no reason given").chars().take(MAX_REASON).collect()
}
