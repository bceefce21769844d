//! `model.toml`: what a model is, what its files must be, and what it must answer. Pure.

mod answers;
mod kinds;
mod parse;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

pub use answers::differs;
pub use parse::{MAX_BYTES, parse, told};

use crate::ModelName;

/// The file's name in a model's folder.
pub const FILE: &str = "model.toml";

/// What a model is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Manifest {
    /// Its name: letters, digits, `-`, `_`, `.`.
    pub name: String,
    /// Its version: as the name; another version is another model beside it.
    pub version: String,
    /// Under which terms it may be used.
    pub licence: String,
    /// What it is.
    #[serde(flatten)]
    pub kind: Kind,
    /// The precision it is meant to run in.
    pub precision: Precision,
    /// Every file that belongs to it, with its SHA-256 in hexadecimal digits. Others are not read.
    pub files: BTreeMap<String, String>,
    /// What it must answer before it serves anybody.
    pub examples: Vec<Example>,
}

impl Manifest {
    /// Its name with its version.
    pub fn full_name(&self) -> ModelName {
        ModelName::exact(&self.name, &self.version)
    }

    /// Whether a file of this name is read with the model where it lies in its folder.
    pub fn reads(&self, file: &str) -> bool {
        kinds::reads(&self.kind, file)
    }

    /// What it is, in a word or two.
    pub fn kind_name(&self) -> &'static str {
        match &self.kind {
            Kind::Encoder(spec) => match spec.output {
                EncoderOutput::Embedding => "an encoder for embeddings",
                EncoderOutput::Classes => "a classifier of texts",
                EncoderOutput::TokenClasses => "a classifier of tokens",
                EncoderOutput::Relevance => "a reranker",
            },
            Kind::Decoder(_) => "a decoder",
            Kind::Torchscript(_) => "a TorchScript module",
        }
    }
}

/// A number format of weights and computations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32 bits.
    #[default]
    F32,
    /// 16 bits with the exponent of 32.
    Bf16,
}

/// What a model is, and what belongs to that.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Kind {
    /// An encoder of the BERT family: `model.safetensors`, `config.json`, `tokenizer.json`.
    Encoder(EncoderSpec),
    /// A decoder (Llama, Mistral, Qwen2, Qwen3): `model.safetensors` or its numbered parts, `config.json`,
    /// `tokenizer.json`, and `tokenizer_config.json` with a chat template where it has one.
    Decoder(DecoderSpec),
    /// A TorchScript module: `model.pt`.
    Torchscript(ScriptSpec),
}

/// An encoder.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EncoderSpec {
    /// What its output is.
    pub output: EncoderOutput,
    /// How the vectors of a text's tokens become one, for `embedding`.
    pub pooling: Pooling,
    /// Whether vectors have length 1, for `embedding`.
    pub normalise: bool,
    /// Tokens of a text that it reads, special ones included; 0: as its `config.json` says.
    pub max_tokens: usize,
}

/// What an encoder puts out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EncoderOutput {
    /// A vector of each text.
    Embedding,
    /// A class of each text.
    Classes,
    /// A class of each token.
    TokenClasses,
    /// How well a passage answers a question.
    Relevance,
}

/// How vectors of tokens become one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// Their mean.
    #[default]
    Mean,
    /// The first token's.
    Cls,
}

/// A decoder.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DecoderSpec {
    /// Tokens that it reads and writes together; 0: as its `config.json` says.
    pub max_tokens: usize,
}

/// A TorchScript module.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScriptSpec {
    /// Memory that one call takes, in MB, beside the weights.
    pub memory_mb: u64,
}

/// What a model must answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Example {
    /// A payload of the model's task, without `model`.
    pub input: Value,
    /// A part of the result, down to numbers: what stands here must stand there.
    pub output: Value,
    /// How far numbers may be off.
    pub tolerance: f64,
}
