//! What makes an answer of the last layer's vectors: pooling, or layers that put out classes.

use tch::{Kind, Result, Tensor};

use super::net::{Linear, Packed};
use crate::manifest::Pooling;

/// How an answer is made.
#[derive(Debug)]
pub enum Head {
    /// A vector of each text.
    Pool(Pooling),
    /// Classes of each text, by its first token.
    Classes {
        /// The layer between, where the family has one.
        between: Option<(Linear, Between)>,
        /// The layer that puts out classes.
        out: Linear,
    },
    /// Classes of each token.
    TokenClasses(Linear),
}

/// What comes after the layer between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Between {
    /// BERT's and RoBERTa's.
    Tanh,
    /// DistilBERT's.
    Relu,
}

impl Head {
    /// Whether there is an answer for each token instead of each text.
    pub fn of_tokens(&self) -> bool {
        matches!(self, Self::TokenClasses(_))
    }

    /// The answers: a row for each text or token. `kind`: of the head's weights.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn run(&self, hidden: &Tensor, batch: &Packed, kind: Kind) -> Result<Tensor> {
        match self {
            Self::Pool(Pooling::Mean) => mean(hidden, batch),
            Self::Pool(Pooling::Cls) => first(hidden, batch),
            Self::TokenClasses(out) => out.run(&hidden.f_to_kind(kind)?),
            Self::Classes { between, out } => {
                let mut x = first(hidden, batch)?.f_to_kind(kind)?;
                if let Some((layer, activation)) = between {
                    x = layer.run(&x)?;
                    x = match activation {
                        Between::Tanh => x.f_tanh_()?,
                        Between::Relu => x.f_relu_()?,
                    };
                }
                out.run(&x)
            }
        }
    }

    pub(super) fn share(&self) -> Self {
        match self {
            Self::Pool(pooling) => Self::Pool(*pooling),
            Self::Classes { between, out } => Self::Classes {
                between: between.as_ref().map(|(layer, activation)| (layer.share(), *activation)),
                out: out.share(),
            },
            Self::TokenClasses(out) => Self::TokenClasses(out.share()),
        }
    }
}

/// The first token's vector of each text.
fn first(hidden: &Tensor, batch: &Packed) -> Result<Tensor> {
    let starts = Tensor::f_from_slice(&batch.starts())?.f_to_device(hidden.device())?;
    hidden.f_index_select(0, &starts)
}

/// The mean of each text's vectors.
fn mean(hidden: &Tensor, batch: &Packed) -> Result<Tensor> {
    let device = hidden.device();
    let texts = batch.lengths.len() as i64;
    let owners: Vec<i64> =
        batch.lengths.iter().zip(0..).flat_map(|(&length, text)| (0..length).map(move |_| text)).collect();
    let owners = Tensor::f_from_slice(&owners)?.f_to_device(device)?;
    let width = hidden.size()[1];
    let sums = Tensor::f_zeros([texts, width], (Kind::Float, device))?;
    let sums = sums.f_index_add(0, &owners, hidden)?;
    let lengths = Tensor::f_from_slice(&batch.lengths)?.f_to_device(device)?.f_to_kind(Kind::Float)?;
    sums.f_div(&lengths.f_view([texts, 1])?)
}
