//! What a module returned: tensors, and lists and tables of them.

use std::collections::{BTreeMap, HashMap};

use serde::ser::{SerializeMap as _, SerializeSeq as _};
use serde::{Serialize, Serializer};

use crate::tensor::{Dtype, Encoding, Tensor, TensorError, Written, write_all};

/// What a module returned.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// Nothing.
    None,
    /// A tensor.
    Tensor(Tensor),
    /// A number that is no tensor.
    Float(f64),
    /// A whole number that is no tensor.
    Int(i64),
    /// True or false.
    Bool(bool),
    /// Text.
    Text(String),
    /// A tuple or a list.
    List(Vec<Answer>),
    /// A dict.
    Map(BTreeMap<String, Answer>),
}

impl Answer {
    /// As safetensors, with names as ways: `output` for a tensor alone, `0`, `1` for the items of a tuple, `scores` for that
    /// of a dict, `0.scores` for one in the other. Numbers become tensors without dimensions, text becomes metadata.
    ///
    /// # Errors
    /// The format refuses; it has no reason to.
    pub fn to_bytes(&self, mut metadata: HashMap<String, String>) -> Result<Vec<u8>, TensorError> {
        let mut numbers = Vec::new();
        let mut tensors = Vec::new();
        self.collect("", &mut tensors, &mut numbers, &mut metadata)?;
        tensors.extend(numbers.iter().map(|(name, tensor)| (name.clone(), tensor)));
        write_all(&tensors, metadata)
    }

    fn collect<'a>(
        &'a self,
        way: &str,
        tensors: &mut Vec<(String, &'a Tensor)>,
        numbers: &mut Vec<(String, Tensor)>,
        metadata: &mut HashMap<String, String>,
    ) -> Result<(), TensorError> {
        let name = || if way.is_empty() { "output".to_owned() } else { way.to_owned() };
        let below = |key: &str| if way.is_empty() { key.to_owned() } else { format!("{way}.{key}") };
        let mut number = |dtype, bytes: &[u8]| {
            Tensor::new(dtype, Vec::new(), bytes.to_vec()).map(|tensor| numbers.push((name(), tensor)))
        };
        match self {
            Self::None => Ok(()),
            Self::Tensor(tensor) => {
                tensors.push((name(), tensor));
                Ok(())
            }
            Self::Float(x) => number(Dtype::F64, &x.to_le_bytes()),
            Self::Int(n) => number(Dtype::I64, &n.to_le_bytes()),
            Self::Bool(b) => number(Dtype::Bool, &[u8::from(*b)]),
            Self::Text(text) => {
                metadata.insert(name(), text.clone());
                Ok(())
            }
            Self::List(items) => items
                .iter()
                .enumerate()
                .try_for_each(|(n, item)| item.collect(&below(&n.to_string()), tensors, numbers, metadata)),
            Self::Map(entries) => entries
                .iter()
                .try_for_each(|(key, item)| item.collect(&below(key), tensors, numbers, metadata)),
        }
    }
}

/// An answer with the way in which its tensors are written.
pub struct WrittenAnswer<'a>(pub &'a Answer, pub Encoding);

impl Serialize for WrittenAnswer<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Self(answer, encoding) = *self;
        match answer {
            Answer::None => to.serialize_unit(),
            Answer::Tensor(tensor) => Written(tensor, encoding).serialize(to),
            Answer::Float(x) if x.is_nan() => to.serialize_str("NaN"),
            Answer::Float(x) if x.is_infinite() => {
                to.serialize_str(if *x > 0.0 { "Infinity" } else { "-Infinity" })
            }
            Answer::Float(x) => to.serialize_f64(*x),
            Answer::Int(n) => to.serialize_i64(*n),
            Answer::Bool(b) => to.serialize_bool(*b),
            Answer::Text(text) => to.serialize_str(text),
            Answer::List(items) => {
                let mut list = to.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(&WrittenAnswer(item, encoding))?;
                }
                list.end()
            }
            Answer::Map(entries) => {
                let mut map = to.serialize_map(Some(entries.len()))?;
                for (key, item) in entries {
                    map.serialize_entry(key, &WrittenAnswer(item, encoding))?;
                }
                map.end()
            }
        }
    }
}
