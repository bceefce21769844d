//! `config.json` of an encoder: which family it is of, how large it is, and what its numbers mean. Pure.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::manifest::EncoderOutput;

/// Where the families differ: names of weights, numbers of positions, and the layers that put out classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// BERT, and what is built as it: MiniLM, BGE, E5, GTE.
    Bert,
    /// RoBERTa, XLM-R, CamemBERT: positions begin after the padding token's number.
    Roberta,
    /// DistilBERT: no types of tokens, no pooling layer.
    Distilbert,
}

/// What stands between the two layers of a feed-forward part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// GELU by the error function.
    Gelu,
    /// GELU by the hyperbolic tangent.
    GeluTanh,
    /// Nothing below zero.
    Relu,
    /// x times its sigmoid.
    Silu,
}

/// How numbers of classes become scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scoring {
    /// One class is right: softmax.
    OneOf,
    /// Each class by itself: sigmoid.
    Each,
    /// They are the answer: a regression.
    Plain,
}

/// An encoder's shape.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    /// Of which family.
    pub family: Family,
    /// Numbers of a token's vector.
    pub hidden: i64,
    /// Numbers between the two layers of a feed-forward part.
    pub inner: i64,
    /// Layers.
    pub layers: usize,
    /// Heads of attention.
    pub heads: i64,
    /// Tokens in the vocabulary.
    pub vocabulary: i64,
    /// Rows of the table of positions.
    pub positions: i64,
    /// The number of the first position.
    pub first_position: i64,
    /// Types of tokens; 0: the family has none.
    pub types: i64,
    /// What keeps the normalisation from dividing by zero.
    pub epsilon: f64,
    /// Between the layers of a feed-forward part.
    pub activation: Activation,
    /// Names of classes, in order.
    pub labels: Vec<String>,
    /// What the numbers of classes are.
    pub scoring: Scoring,
}

/// As it stands in the file. Families name things differently.
#[derive(Deserialize)]
struct Raw {
    model_type: String,
    #[serde(alias = "dim")]
    hidden_size: i64,
    #[serde(alias = "hidden_dim")]
    intermediate_size: i64,
    #[serde(alias = "n_layers")]
    num_hidden_layers: usize,
    #[serde(alias = "n_heads")]
    num_attention_heads: i64,
    vocab_size: i64,
    max_position_embeddings: i64,
    #[serde(default = "none")]
    type_vocab_size: i64,
    #[serde(default = "epsilon")]
    layer_norm_eps: f64,
    #[serde(alias = "activation", default = "gelu")]
    hidden_act: String,
    #[serde(default)]
    pad_token_id: Option<i64>,
    #[serde(default)]
    position_embedding_type: Option<String>,
    #[serde(default)]
    is_decoder: bool,
    #[serde(default)]
    id2label: BTreeMap<String, String>,
    #[serde(default)]
    num_labels: Option<usize>,
    #[serde(default)]
    problem_type: Option<String>,
}

fn none() -> i64 {
    0
}

fn epsilon() -> f64 {
    1e-12
}

fn gelu() -> String {
    "gelu".into()
}

impl Shape {
    /// Reads `config.json`.
    ///
    /// # Errors
    /// What is missing, or not served here.
    pub fn read(json: &[u8], output: EncoderOutput) -> Result<Self, String> {
        // A duplicate by alias (`hidden_dim` beside `intermediate_size`) is no error to whoever wrote the file.
        let value: Value = serde_json::from_slice(json).map_err(|e| e.to_string())?;
        let raw: Raw = serde_json::from_value(value).map_err(|e| e.to_string())?;
        let family = match raw.model_type.as_str() {
            "bert" => Family::Bert,
            "roberta" | "xlm-roberta" | "camembert" => Family::Roberta,
            "distilbert" => Family::Distilbert,
            other => {
                return Err(format!(
                    "`model_type` is {other}; bert, roberta, xlm-roberta, camembert and distilbert are served"
                ));
            }
        };
        raw.check()?;
        let first_position = match family {
            Family::Roberta => raw.pad_token_id.unwrap_or(1) + 1,
            _ => 0,
        };
        let labels = raw.labels(output)?;
        let scoring = raw.scoring(labels.len())?;
        let shape = Self {
            family,
            hidden: raw.hidden_size,
            inner: raw.intermediate_size,
            layers: raw.num_hidden_layers,
            heads: raw.num_attention_heads,
            vocabulary: raw.vocab_size,
            positions: raw.max_position_embeddings,
            first_position,
            types: if family == Family::Distilbert { 0 } else { raw.type_vocab_size },
            epsilon: raw.layer_norm_eps,
            activation: activation(&raw.hidden_act)?,
            labels,
            scoring,
        };
        if shape.most_tokens() < 8 {
            return Err(format!("it has {} positions, which is too few", shape.most_tokens()));
        }
        Ok(shape)
    }

    /// Memory of a request, about: its tokens, what is put out (as numbers, and as the text of an answer), and the layer
    /// that is computed of as many tokens as share a batch, in 32 bits.
    pub fn request_bytes(
        &self,
        output: EncoderOutput,
        texts: usize,
        tokens: usize,
        batch_tokens: usize,
    ) -> u64 {
        let [hidden, inner] = [self.hidden, self.inner].map(|n| u64::try_from(n).unwrap_or(0));
        let (texts, tokens, labels) = (texts as u64, tokens as u64, self.labels.len() as u64);
        let numbers = match output {
            EncoderOutput::Embedding => texts * hidden,
            EncoderOutput::Classes | EncoderOutput::Relevance => texts * labels,
            EncoderOutput::TokenClasses => tokens * labels,
        };
        tokens * 16 + numbers * 20 + tokens.min(batch_tokens as u64) * 4 * (8 * hidden + 2 * inner)
    }

    /// Tokens of a text that it can read.
    pub fn most_tokens(&self) -> usize {
        usize::try_from(self.positions - self.first_position).unwrap_or(0)
    }
}

impl Raw {
    fn check(&self) -> Result<(), String> {
        if let Some(other) = self.position_embedding_type.as_deref().filter(|kind| *kind != "absolute") {
            return Err(format!("`position_embedding_type` is {other}; only absolute is served"));
        }
        if self.is_decoder {
            return Err("`is_decoder` is set: it is no encoder".into());
        }
        let sizes = [self.hidden_size, self.intermediate_size, self.num_attention_heads, self.vocab_size];
        let bad = sizes.iter().any(|size| !(1..=1 << 24).contains(size))
            || !(0..=1 << 20).contains(&self.max_position_embeddings)
            || !(0..=255).contains(&self.type_vocab_size)
            || !(1..=512).contains(&self.num_hidden_layers)
            || self.pad_token_id.is_some_and(|id| !(0..1 << 20).contains(&id));
        if bad || self.hidden_size % self.num_attention_heads != 0 {
            return Err("a size is out of bounds, or `hidden_size` is no multiple of the heads".into());
        }
        Ok(())
    }

    /// The names of the classes, in the order of their numbers.
    fn labels(&self, output: EncoderOutput) -> Result<Vec<String>, String> {
        if output == EncoderOutput::Embedding {
            return Ok(Vec::new());
        }
        let count = match (self.id2label.len(), self.num_labels) {
            (0, None) => 2,
            (0, Some(count)) => count,
            (named, _) => named,
        };
        if output == EncoderOutput::Relevance {
            return match count {
                1 => Ok(vec!["relevance".into()]),
                _ => Err(format!("it has {count} classes; what tells relevance has one")),
            };
        }
        if !(1..=100_000).contains(&count) {
            return Err(format!("it has {count} classes"));
        }
        let name = |n: usize| {
            let key = n.to_string();
            if self.id2label.is_empty() {
                Some(format!("LABEL_{n}"))
            } else {
                self.id2label.get(&key).cloned()
            }
        };
        (0..count).map(|n| name(n).ok_or_else(|| format!("`id2label` lacks {n}"))).collect()
    }

    fn scoring(&self, labels: usize) -> Result<Scoring, String> {
        match self.problem_type.as_deref() {
            Some("multi_label_classification") => Ok(Scoring::Each),
            Some("regression") => Ok(Scoring::Plain),
            Some("single_label_classification") | None if labels == 1 => Ok(Scoring::Each),
            Some("single_label_classification") | None => Ok(Scoring::OneOf),
            Some(other) => Err(format!("`problem_type` is {other}, which is not known")),
        }
    }
}

fn activation(name: &str) -> Result<Activation, String> {
    match name {
        "gelu" => Ok(Activation::Gelu),
        "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" => Ok(Activation::GeluTanh),
        "relu" => Ok(Activation::Relu),
        "silu" | "swish" => Ok(Activation::Silu),
        other => Err(format!("`hidden_act` is {other}; gelu, gelu_new, relu and silu are served")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(change: Value, output: EncoderOutput) -> Result<Shape, String> {
        let mut config = json!({"model_type": "bert", "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
            "num_attention_heads": 4, "vocab_size": 100, "max_position_embeddings": 64, "type_vocab_size": 2});
        for (key, value) in change.as_object().unwrap() {
            config[key] = value.clone();
        }
        Shape::read(config.to_string().as_bytes(), output)
    }

    #[test]
    fn families_are_told_apart() {
        let bert = read(json!({}), EncoderOutput::Embedding).unwrap();
        assert_eq!(
            (bert.family, bert.first_position, bert.most_tokens(), bert.types),
            (Family::Bert, 0, 64, 2)
        );
        let roberta = json!({"model_type": "xlm-roberta", "pad_token_id": 1, "max_position_embeddings": 514});
        let roberta = read(roberta, EncoderOutput::Embedding).unwrap();
        assert_eq!((roberta.first_position, roberta.most_tokens()), (2, 512));
        let distil = json!({"model_type": "distilbert", "dim": 32, "n_heads": 4, "n_layers": 1, "hidden_dim": 64,
            "vocab_size": 100, "max_position_embeddings": 64, "activation": "relu"});
        let distil = Shape::read(distil.to_string().as_bytes(), EncoderOutput::Embedding).unwrap();
        assert_eq!(
            (distil.family, distil.types, distil.activation),
            (Family::Distilbert, 0, Activation::Relu)
        );
    }

    #[test]
    fn classes_and_their_scores_are_as_the_file_says() {
        let two = read(json!({}), EncoderOutput::Classes).unwrap();
        assert_eq!((two.labels, two.scoring), (vec!["LABEL_0".into(), "LABEL_1".into()], Scoring::OneOf));
        let named =
            json!({"id2label": {"1": "bad", "0": "good"}, "problem_type": "multi_label_classification"});
        let named = read(named, EncoderOutput::Classes).unwrap();
        assert_eq!((named.labels, named.scoring), (vec!["good".into(), "bad".into()], Scoring::Each));
        let one = read(json!({"id2label": {"0": "x"}}), EncoderOutput::Relevance).unwrap();
        assert_eq!((one.labels.len(), one.scoring), (1, Scoring::Each));
    }

    #[test]
    fn what_is_not_served_is_refused() {
        for (change, word) in [
            (json!({"model_type": "deberta"}), "deberta"),
            (json!({"hidden_act": "mish"}), "mish"),
            (json!({"position_embedding_type": "relative_key"}), "relative_key"),
            (json!({"is_decoder": true}), "encoder"),
            (json!({"num_attention_heads": 5}), "multiple"),
            (json!({"num_attention_heads": 0}), "bounds"),
            (json!({"max_position_embeddings": 2}), "positions"),
            (json!({"id2label": {"0": "a", "2": "b"}}), "lacks 1"),
            (json!({"problem_type": "guessing"}), "guessing"),
            (json!({"hidden_size": "wide"}), "wide"),
        ] {
            let said = read(change.clone(), EncoderOutput::Classes).unwrap_err();
            assert!(said.contains(word), "{change}: {said}");
        }
        assert!(read(json!({}), EncoderOutput::Relevance).unwrap_err().contains("2 classes"));
    }
}
