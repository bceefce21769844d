//! The forward pass of an encoder. All texts of a batch lie one after another without padding: everything but attention
//! looks at one token at a time, so that next to nothing is computed for tokens that are not there.

use tch::{Kind, Result, Tensor};

use super::attention::Attention;
use super::head::Head;
use super::rows::rows;
use super::shape::{Activation, Shape};
use crate::text::Tokens;
use crate::torch::packed::Packing;

/// A linear layer.
#[derive(Debug)]
pub struct Linear {
    /// Rows are what it puts out.
    pub weight: Tensor,
    /// Added to what it puts out.
    pub bias: Tensor,
}

/// A normalisation of each token's vector, in 32 bits.
#[derive(Debug)]
pub struct Norm {
    /// Factors.
    pub weight: Tensor,
    /// Added afterwards.
    pub bias: Tensor,
    /// What keeps it from dividing by zero.
    pub epsilon: f64,
}

/// One layer.
#[derive(Debug)]
pub struct Layer {
    /// Queries, keys and values in one.
    pub qkv: Linear,
    /// After attention.
    pub out: Linear,
    /// After that.
    pub out_norm: Norm,
    /// The first layer of the feed-forward part.
    pub up: Linear,
    /// Its second layer.
    pub down: Linear,
    /// After that.
    pub down_norm: Norm,
}

/// An encoder's weights, and what it needs to run them. Copies share the weights.
#[derive(Debug)]
pub struct Net {
    /// Its shape.
    pub shape: Shape,
    /// Vectors of tokens.
    pub words: Tensor,
    /// Vectors of positions.
    pub positions: Tensor,
    /// Vectors of types of tokens.
    pub types: Option<Tensor>,
    /// After their sum.
    pub norm: Norm,
    /// The layers.
    pub layers: Vec<Layer>,
    /// What makes an answer of the last layer's vectors.
    pub head: Head,
    /// The number format of weights and products. What layers hand on, and its normalisation, is in 32 bits: with 16 the
    /// cosine to the 32-bit model's vectors is a third as good.
    pub kind: Kind,
    /// How attention is computed.
    pub attention: Attention,
    /// What multiplies by the layers' weights where they are packed.
    pub packing: Option<Packing>,
}

/// A batch as it lies in memory.
#[derive(Debug)]
pub struct Packed {
    /// Tokens of each text.
    pub lengths: Vec<i64>,
    ids: Tensor,
    positions: Tensor,
    /// `None`: all are of type 0.
    types: Option<Tensor>,
}

impl Packed {
    /// Puts texts one after another. They should be sorted by length: equal lengths are computed together.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn new(texts: &[&Tokens], shape: &Shape, device: tch::Device) -> Result<Self> {
        let tokens = texts.iter().map(|tokens| tokens.ids.len()).sum();
        // A GPU's kernels are made for all sizes.
        let rows = if device == tch::Device::Cpu { rows(tokens) } else { tokens };
        let all = |one: &dyn Fn(&Tokens) -> Vec<i64>| {
            let mut flat: Vec<i64> = texts.iter().flat_map(|tokens| one(tokens)).collect();
            // Rows that nobody looks at: a token and a position that every model has.
            flat.resize(rows, 0);
            Tensor::f_from_slice(&flat)?.f_to_device(device)
        };
        let first = shape.first_position;
        let typed = shape.types > 1 && texts.iter().any(|tokens| tokens.types.iter().any(|&kind| kind != 0));
        Ok(Self {
            lengths: texts.iter().map(|tokens| tokens.ids.len() as i64).collect(),
            ids: all(&|tokens| tokens.ids.iter().map(|&id| i64::from(id)).collect())?,
            positions: all(&|tokens| (first..first + tokens.ids.len() as i64).collect())?,
            types: match typed {
                true => Some(all(&|tokens| tokens.types.iter().map(|&kind| i64::from(kind)).collect())?),
                false => None,
            },
        })
    }

    /// Where each text begins.
    pub fn starts(&self) -> Vec<i64> {
        self.lengths
            .iter()
            .scan(0, |next, length| {
                let start = *next;
                *next += length;
                Some(start)
            })
            .collect()
    }

    /// Tokens of all texts.
    pub fn tokens(&self) -> i64 {
        self.lengths.iter().sum()
    }
}

impl Linear {
    /// Applies it.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn run(&self, x: &Tensor) -> Result<Tensor> {
        x.f_linear(&self.weight, Some(&self.bias))
    }

    /// Applies it, where its weights may be packed.
    fn by(&self, x: &Tensor, packing: Option<&Packing>) -> Result<Tensor> {
        match packing {
            Some(packing) => packing.linear(x, &self.weight, Some(&self.bias)),
            None => self.run(x),
        }
    }

    pub(super) fn share(&self) -> Self {
        Self { weight: self.weight.shallow_clone(), bias: self.bias.shallow_clone() }
    }
}

impl Norm {
    fn run(&self, x: &Tensor) -> Result<Tensor> {
        let shape = self.weight.size();
        x.f_layer_norm(shape.as_slice(), Some(&self.weight), Some(&self.bias), self.epsilon, true)
    }

    fn share(&self) -> Self {
        let (weight, bias) = (self.weight.shallow_clone(), self.bias.shallow_clone());
        Self { weight, bias, epsilon: self.epsilon }
    }
}

impl Net {
    /// The last layer's vectors of all tokens, one text after another.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn forward(&mut self, batch: &Packed) -> Result<Tensor> {
        let mut x = self.embed(batch)?;
        let packing = self.packing.as_ref();
        for layer in &self.layers {
            let qkv = layer.qkv.by(&x.f_to_kind(self.kind)?, packing)?;
            let seen = self.attention.run(&qkv, &batch.lengths, self.shape.heads)?;
            x = layer.out_norm.run(&x.f_add_(&layer.out.by(&seen, packing)?)?)?;
            let inner = activate(layer.up.by(&x.f_to_kind(self.kind)?, packing)?, self.shape.activation)?;
            x = layer.down_norm.run(&x.f_add_(&layer.down.by(&inner, packing)?)?)?;
        }
        x.f_narrow(0, 0, batch.tokens())
    }

    /// The answers: a row of 32-bit numbers for each text, or for each of its tokens.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn answer(&mut self, batch: &Packed) -> Result<Vec<Vec<f32>>> {
        let hidden = self.forward(batch)?;
        let rows = self
            .head
            .run(&hidden, batch, self.kind)?
            .f_to_kind(Kind::Float)?
            .f_to_device(tch::Device::Cpu)?;
        let width = rows.size().last().copied().unwrap_or(0);
        let rows = rows.f_contiguous()?;
        let mut flat = vec![0f32; rows.numel()];
        rows.f_copy_data(&mut flat, rows.numel())?;
        let mut rest = flat.as_slice();
        let mut answers = Vec::with_capacity(batch.lengths.len());
        for &length in &batch.lengths {
            let numbers = if self.head.of_tokens() { length * width } else { width };
            let (row, after) = rest.split_at((numbers as usize).min(rest.len()));
            answers.push(row.to_vec());
            rest = after;
        }
        Ok(answers)
    }

    fn embed(&self, batch: &Packed) -> Result<Tensor> {
        let look = |table: &Tensor, rows: &Tensor| Tensor::f_embedding(table, rows, -1, false, false);
        let mut x = look(&self.words, &batch.ids)?.f_to_kind(Kind::Float)?;
        let types = match (&self.types, &batch.types) {
            (None, _) => None,
            (Some(table), Some(types)) => Some(look(table, types)?),
            (Some(table), None) => Some(table.f_narrow(0, 0, 1)?),
        };
        if let Some(types) = types {
            x = x.f_add_(&types)?;
        }
        x = x.f_add_(&look(&self.positions, &batch.positions)?)?;
        self.norm.run(&x)
    }

    /// A copy for another thread, which shares the weights.
    #[must_use]
    pub fn share(&self) -> Self {
        Self {
            shape: self.shape.clone(),
            words: self.words.shallow_clone(),
            positions: self.positions.shallow_clone(),
            types: self.types.as_ref().map(Tensor::shallow_clone),
            norm: self.norm.share(),
            layers: self.layers.iter().map(Layer::share).collect(),
            head: self.head.share(),
            kind: self.kind,
            attention: self.attention.fresh(),
            // A module of one's own, for its calls are not made for several threads.
            packing: self.packing.as_ref().and_then(|_| Packing::find(self.kind, self.words.device())),
        }
    }
}

impl Layer {
    fn share(&self) -> Self {
        Self {
            qkv: self.qkv.share(),
            out: self.out.share(),
            out_norm: self.out_norm.share(),
            up: self.up.share(),
            down: self.down.share(),
            down_norm: self.down_norm.share(),
        }
    }
}

fn activate(mut x: Tensor, activation: Activation) -> Result<Tensor> {
    match activation {
        Activation::Gelu => x.f_gelu_("none"),
        Activation::GeluTanh => x.f_gelu_("tanh"),
        Activation::Relu => x.f_relu_(),
        Activation::Silu => x.f_silu_(),
    }
}
