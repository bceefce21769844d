//! Tensors in JSON: nested lists, or bytes in base64. `[[1, 2], [3, 4]]` alone is a tensor too. What JSON has no number for
//! is `"NaN"`, `"Infinity"` and `"-Infinity"`.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap as _, SerializeSeq as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::numbers::{Numbers, One};
use super::{Dtype, MOST_DIMENSIONS, Tensor, TensorError, bytes_of};

/// How a tensor's numbers are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// As nested lists.
    #[default]
    Values,
    /// As little-endian bytes in base64.
    Base64,
}

/// A tensor with the way in which it is written.
pub struct Written<'t>(pub &'t Tensor, pub Encoding);

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Self(tensor, encoding) = self;
        let mut map = to.serialize_map(Some(3))?;
        map.serialize_entry("dtype", tensor.dtype().name())?;
        map.serialize_entry("shape", tensor.shape())?;
        match encoding {
            Encoding::Values => map.serialize_entry("values", &Rows { tensor, depth: 0, from: 0 })?,
            Encoding::Base64 => map.serialize_entry("base64", &STANDARD.encode(tensor.bytes()))?,
        }
        map.end()
    }
}

/// A part of a tensor: what is at `from`, below the first `depth` dimensions.
struct Rows<'t> {
    tensor: &'t Tensor,
    depth: usize,
    from: usize,
}

impl Serialize for Rows<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let shape = self.tensor.shape();
        let Some(&rows) = shape.get(self.depth) else {
            return match self.tensor.numbers(self.from).next() {
                Some(one) => one.serialize(to),
                None => to.serialize_unit(),
            };
        };
        // Of a tensor without numbers its first dimension is all that lists can say.
        let rows = if self.tensor.is_empty() && shape[..self.depth].contains(&0) { 0 } else { rows };
        let mut list = to.serialize_seq(Some(rows))?;
        if self.depth + 1 == shape.len() {
            for one in self.tensor.numbers(self.from).take(rows) {
                list.serialize_element(&one)?;
            }
        } else {
            let each: usize = shape[self.depth + 1..].iter().product();
            for row in 0..rows {
                let from = self.from + row * each;
                list.serialize_element(&Rows { tensor: self.tensor, depth: self.depth + 1, from })?;
            }
        }
        list.end()
    }
}

impl Serialize for One {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match *self {
            Self::Bool(b) => to.serialize_bool(b),
            Self::Int(n) => to.serialize_i64(n),
            Self::Single(x) if x.is_finite() => to.serialize_f32(x),
            Self::Double(x) if x.is_finite() => to.serialize_f64(x),
            Self::Single(x) => to.serialize_str(strange(f64::from(x))),
            Self::Double(x) => to.serialize_str(strange(x)),
        }
    }
}

fn strange(x: f64) -> &'static str {
    match x {
        f64::INFINITY => "Infinity",
        f64::NEG_INFINITY => "-Infinity",
        _ => "NaN",
    }
}

impl<'de> Deserialize<'de> for Tensor {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Whole)
    }
}

/// A tensor: a number, a list, or a table that says more.
struct Whole;

impl<'de> Visitor<'de> for Whole {
    type Value = Tensor;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a tensor: nested lists of numbers, or {\"dtype\", \"shape\", \"values\" or \"base64\"}")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Tensor, A::Error> {
        let mut nested = Nested::default();
        Part { into: &mut nested, depth: 0 }.visit_seq(list)?;
        nested.into_tensor(None, None).map_err(de::Error::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Tensor, A::Error> {
        let fields = Fields::deserialize(de::value::MapAccessDeserializer::new(map))?;
        fields.into_tensor().map_err(de::Error::custom)
    }

    fn visit_bool<E: de::Error>(self, b: bool) -> Result<Tensor, E> {
        single(|part| part.visit_bool(b))
    }

    fn visit_i64<E: de::Error>(self, n: i64) -> Result<Tensor, E> {
        single(|part| part.visit_i64(n))
    }

    fn visit_u64<E: de::Error>(self, n: u64) -> Result<Tensor, E> {
        single(|part| part.visit_u64(n))
    }

    fn visit_f64<E: de::Error>(self, x: f64) -> Result<Tensor, E> {
        single(|part| part.visit_f64(x))
    }
}

fn single<E: de::Error>(put: impl FnOnce(Part<'_>) -> Result<(), E>) -> Result<Tensor, E> {
    let mut nested = Nested::default();
    put(Part { into: &mut nested, depth: 0 })?;
    nested.into_tensor(None, None).map_err(E::custom)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    dtype: Option<String>,
    shape: Option<Vec<usize>>,
    values: Option<Nested>,
    base64: Option<String>,
}

impl Fields {
    fn into_tensor(self) -> Result<Tensor, TensorError> {
        let dtype = self.dtype.as_deref().map(Dtype::of).transpose()?;
        match (self.values, self.base64) {
            (Some(values), None) => values.into_tensor(dtype, self.shape),
            (None, Some(text)) => {
                let (Some(dtype), Some(shape)) = (dtype, self.shape) else {
                    return Err(TensorError("a tensor in base64 needs `dtype` and `shape`".to_owned()));
                };
                let data = STANDARD.decode(&text);
                Tensor::new(
                    dtype,
                    shape,
                    data.map_err(|e| TensorError(format!("`base64` cannot be read: {e}")))?,
                )
            }
            _ => Err(TensorError("a tensor has either `values` or `base64`".to_owned())),
        }
    }
}

/// Nested lists while they are read: all numbers in a row, and what is known of the shape.
#[derive(Default)]
struct Nested {
    numbers: Option<Numbers>,
    shape: Vec<Option<usize>>,
    /// How deep numbers are; unknown before the first.
    leaves: Option<usize>,
}

impl Nested {
    fn into_tensor(self, dtype: Option<Dtype>, said: Option<Vec<usize>>) -> Result<Tensor, TensorError> {
        let numbers = self.numbers.unwrap_or(Numbers::Floats(Vec::new()));
        let found: Vec<usize> = self.shape.iter().map(|n| n.unwrap_or_default()).collect();
        let dtype = dtype.unwrap_or_else(|| numbers.natural());
        let shape = match said {
            None => found,
            Some(said) => {
                let size = bytes_of(dtype, &said)? / dtype.size();
                // In one row they may come too; and of no numbers, lists say little.
                if said != found && !(size == numbers.len() && (found.len() == 1 || size == 0)) {
                    return Err(TensorError(format!("the values have the shape {found:?}, not {said:?}")));
                }
                said
            }
        };
        Tensor::new(dtype, shape, numbers.to_bytes(dtype)?)
    }

    fn int(&mut self, n: i64) -> Result<(), &'static str> {
        match self.numbers.get_or_insert_with(|| Numbers::Ints(Vec::new())) {
            Numbers::Ints(all) => all.push(n),
            Numbers::Floats(all) => all.push(n as f64),
            Numbers::Bools(_) => return Err("numbers stand beside true and false"),
        }
        Ok(())
    }

    fn float(&mut self, x: f64) -> Result<(), &'static str> {
        let numbers = self.numbers.get_or_insert_with(|| Numbers::Floats(Vec::new()));
        if let Numbers::Ints(all) = numbers {
            *numbers = Numbers::Floats(all.iter().map(|n| *n as f64).collect());
        }
        match numbers {
            Numbers::Floats(all) => {
                all.push(x);
                Ok(())
            }
            _ => Err("numbers stand beside true and false"),
        }
    }

    fn bool(&mut self, b: bool) -> Result<(), &'static str> {
        match self.numbers.get_or_insert_with(|| Numbers::Bools(Vec::new())) {
            Numbers::Bools(all) => {
                all.push(b);
                Ok(())
            }
            _ => Err("numbers stand beside true and false"),
        }
    }
}

impl<'de> Deserialize<'de> for Nested {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut nested = Self::default();
        Part { into: &mut nested, depth: 0 }.deserialize(from)?;
        Ok(nested)
    }
}

/// A list or a number at some depth.
struct Part<'n> {
    into: &'n mut Nested,
    depth: usize,
}

impl Part<'_> {
    /// A number stands here.
    fn leaf<E: de::Error>(&self) -> Result<(), E> {
        let known = self.into.leaves.unwrap_or(self.into.shape.len());
        if known != self.depth {
            return Err(E::custom("lists and numbers stand side by side"));
        }
        Ok(())
    }

    fn put<E: de::Error>(self, add: impl FnOnce(&mut Nested) -> Result<(), &'static str>) -> Result<(), E> {
        self.leaf()?;
        self.into.leaves = Some(self.depth);
        add(self.into).map_err(E::custom)
    }
}

impl<'de> DeserializeSeed<'de> for Part<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Part<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, true, false, \"NaN\", \"Infinity\", \"-Infinity\", or a list of them")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Self { into, depth } = self;
        if depth == MOST_DIMENSIONS {
            return Err(de::Error::custom(format!("more than {MOST_DIMENSIONS} lists in each other")));
        }
        if into.leaves.is_some_and(|leaves| depth >= leaves) {
            return Err(de::Error::custom("lists and numbers stand side by side"));
        }
        if into.shape.len() == depth {
            into.shape.push(None);
        }
        let mut n = 0;
        while list.next_element_seed(Part { into: &mut *into, depth: depth + 1 })?.is_some() {
            n += 1;
        }
        match into.shape[depth] {
            Some(first) if first != n => Err(de::Error::custom(format!(
                "a list has {n} items where the first of its kind has {first}"
            ))),
            _ => {
                into.shape[depth] = Some(n);
                Ok(())
            }
        }
    }

    fn visit_bool<E: de::Error>(self, b: bool) -> Result<(), E> {
        self.put(|nested| nested.bool(b))
    }

    fn visit_i64<E: de::Error>(self, n: i64) -> Result<(), E> {
        self.put(|nested| nested.int(n))
    }

    fn visit_u64<E: de::Error>(self, n: u64) -> Result<(), E> {
        match i64::try_from(n) {
            Ok(n) => self.visit_i64(n),
            // No format has it but as a float.
            Err(_) => self.visit_f64(n as f64),
        }
    }

    fn visit_f64<E: de::Error>(self, x: f64) -> Result<(), E> {
        self.put(|nested| nested.float(x))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<(), E> {
        match text {
            "NaN" => self.visit_f64(f64::NAN),
            "Infinity" => self.visit_f64(f64::INFINITY),
            "-Infinity" => self.visit_f64(f64::NEG_INFINITY),
            _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
        }
    }
}
