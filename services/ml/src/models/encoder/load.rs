//! Finds an encoder's weights by the names that its family gives them.

use tch::{Kind, Tensor};

use super::attention::Attention;
use super::head::{Between, Head};
use super::net::{Layer, Linear, Net, Norm};
use super::shape::{Family, Shape};
use crate::manifest::{EncoderOutput, EncoderSpec};
use crate::torch::Device;
use crate::torch::packed::Packing;
use crate::torch::weights::Weights;

/// Names of one layer's parts, below the layer's own name.
struct Names {
    layer: &'static str,
    query: &'static str,
    key: &'static str,
    value: &'static str,
    out: &'static str,
    out_norm: &'static str,
    up: &'static str,
    down: &'static str,
    down_norm: &'static str,
}

const BERT: Names = Names {
    layer: "encoder.layer",
    query: "attention.self.query",
    key: "attention.self.key",
    value: "attention.self.value",
    out: "attention.output.dense",
    out_norm: "attention.output.LayerNorm",
    up: "intermediate.dense",
    down: "output.dense",
    down_norm: "output.LayerNorm",
};

const DISTILBERT: Names = Names {
    layer: "transformer.layer",
    query: "attention.q_lin",
    key: "attention.k_lin",
    value: "attention.v_lin",
    out: "attention.out_lin",
    out_norm: "sa_layer_norm",
    up: "ffn.lin1",
    down: "ffn.lin2",
    down_norm: "output_layer_norm",
};

/// A model's weights, with what its names begin with.
struct Source<'a> {
    weights: &'a Weights,
    /// `bert.` and the like where the model was saved with a head, else empty.
    prefix: &'static str,
    epsilon: f64,
}

/// Makes a net of its weights. `padded`: as attention has it.
///
/// # Errors
/// What is missing or has another shape.
pub fn net(
    weights: &Weights,
    shape: Shape,
    spec: &EncoderSpec,
    device: Device,
    kind: Kind,
    padded: bool,
) -> Result<Net, String> {
    let (own, names) = match shape.family {
        Family::Bert => ("bert.", BERT),
        Family::Roberta => ("roberta.", BERT),
        Family::Distilbert => ("distilbert.", DISTILBERT),
    };
    let prefix = if weights.has(&format!("{own}embeddings.word_embeddings.weight")) { own } else { "" };
    let source = Source { weights, prefix, epsilon: shape.epsilon };
    let (hidden, table) = (shape.hidden, |name: &str, rows: i64, columns: i64| {
        weights.take(&format!("{prefix}embeddings.{name}.weight"), &[rows, columns])
    });
    let packing = Packing::find(kind, device.0);
    let layer = |n| source.layer(&names, n, &shape).and_then(|layer| packed(layer, packing.as_ref()));
    let layers = (0..shape.layers).map(layer).collect::<Result<_, _>>()?;
    Ok(Net {
        words: table("word_embeddings", shape.vocabulary, hidden)?,
        positions: table("position_embeddings", shape.positions, hidden)?,
        types: match shape.types {
            0 => None,
            types => Some(table("token_type_embeddings", types, hidden)?),
        },
        norm: source.norm("embeddings.LayerNorm", hidden)?,
        layers,
        head: source.head(spec, &shape)?,
        kind,
        attention: Attention::new(device.0, kind, padded),
        packing,
        shape,
    })
}

/// A layer with its weights in the order in which they are multiplied by.
fn packed(mut layer: Layer, packing: Option<&Packing>) -> Result<Layer, String> {
    if let Some(packing) = packing {
        for linear in [&mut layer.qkv, &mut layer.out, &mut layer.up, &mut layer.down] {
            linear.weight = packing.pack(&linear.weight).map_err(|e| e.to_string())?;
        }
    }
    Ok(layer)
}

impl Source<'_> {
    fn linear(&self, name: &str, out: i64, into: i64) -> Result<Linear, String> {
        let weight = self.weights.take(&format!("{name}.weight"), &[out, into])?;
        let bias = self.weights.take(&format!("{name}.bias"), &[out])?;
        Ok(Linear { weight, bias })
    }

    /// A normalisation. The oldest files call its weights `gamma` and `beta`.
    fn norm(&self, name: &str, size: i64) -> Result<Norm, String> {
        let name = format!("{}{name}", self.prefix);
        let old = self.weights.has(&format!("{name}.gamma"));
        let (weight, bias) = if old { ("gamma", "beta") } else { ("weight", "bias") };
        Ok(Norm {
            weight: self.weights.exact(&format!("{name}.{weight}"), &[size])?,
            bias: self.weights.exact(&format!("{name}.{bias}"), &[size])?,
            epsilon: self.epsilon,
        })
    }

    fn layer(&self, names: &Names, number: usize, shape: &Shape) -> Result<Layer, String> {
        let (hidden, inner) = (shape.hidden, shape.inner);
        let below = |part: &str| format!("{}.{number}.{part}", names.layer);
        let linear =
            |part: &str, out, into| self.linear(&format!("{}{}", self.prefix, below(part)), out, into);
        let three = [names.query, names.key, names.value]
            .map(|part| linear(part, hidden, hidden))
            .into_iter()
            .collect::<Result<Vec<_>, _>>()?;
        let join = |of: fn(&Linear) -> &Tensor| {
            let parts: Vec<&Tensor> = three.iter().map(of).collect();
            Tensor::f_cat(&parts, 0).map_err(|e| e.to_string())
        };
        Ok(Layer {
            qkv: Linear { weight: join(|linear| &linear.weight)?, bias: join(|linear| &linear.bias)? },
            out: linear(names.out, hidden, hidden)?,
            out_norm: self.norm(&below(names.out_norm), hidden)?,
            up: linear(names.up, inner, hidden)?,
            down: linear(names.down, hidden, inner)?,
            down_norm: self.norm(&below(names.down_norm), hidden)?,
        })
    }

    fn head(&self, spec: &EncoderSpec, shape: &Shape) -> Result<Head, String> {
        let (hidden, labels) = (shape.hidden, shape.labels.len() as i64);
        match spec.output {
            EncoderOutput::Embedding => Ok(Head::Pool(spec.pooling)),
            EncoderOutput::TokenClasses => {
                Ok(Head::TokenClasses(self.linear("classifier", labels, hidden)?))
            }
            EncoderOutput::Classes | EncoderOutput::Relevance => {
                let (between, activation, out) = match shape.family {
                    Family::Bert => (format!("{}pooler.dense", self.prefix), Between::Tanh, "classifier"),
                    Family::Roberta => ("classifier.dense".into(), Between::Tanh, "classifier.out_proj"),
                    Family::Distilbert => ("pre_classifier".into(), Between::Relu, "classifier"),
                };
                let between = Some((self.linear(&between, hidden, hidden)?, activation));
                Ok(Head::Classes { between, out: self.linear(out, labels, hidden)? })
            }
        }
    }
}
