//! What a decoder's `config.json` says, checked: sizes, and which of the four architectures it is. Pure.

use serde::Deserialize;

use super::rope::{RawRope, Rope};

/// What stands in the file, as far as it matters here.
#[derive(Debug, Deserialize)]
struct Raw {
    model_type: String,
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    max_position_embeddings: usize,
    rms_norm_eps: f64,
    hidden_act: Option<String>,
    #[serde(default)]
    tie_word_embeddings: bool,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    mlp_bias: bool,
    sliding_window: Option<usize>,
    use_sliding_window: Option<bool>,
    max_window_layers: Option<usize>,
    layer_types: Option<Vec<String>>,
    rope_parameters: Option<RawRope>,
    rope_scaling: Option<RawRope>,
    rope_theta: Option<f64>,
    bos_token_id: Option<u32>,
    eos_token_id: Option<Ids>,
    quantization_config: Option<serde::de::IgnoredAny>,
}

/// One id or several.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Ids {
    /// One.
    One(u32),
    /// Several.
    Many(Vec<u32>),
}

impl Ids {
    /// As a list.
    pub fn list(&self) -> Vec<u32> {
        match self {
            Self::One(id) => vec![*id],
            Self::Many(ids) => ids.clone(),
        }
    }
}

/// The shape of a decoder.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    /// Tokens that there are.
    pub vocabulary: usize,
    /// Numbers that a token is between layers.
    pub hidden: usize,
    /// Numbers that it is inside of a layer's feed-forward part.
    pub inner: usize,
    /// How many heads ask.
    pub heads: usize,
    /// How many heads answer: each for the same number of those that ask.
    pub kv_heads: usize,
    /// Numbers of a head.
    pub head: usize,
    /// Tokens that it was made for.
    pub context: usize,
    /// What keeps a norm from dividing by zero.
    pub epsilon: f64,
    /// Whether the output reads the same table as the input.
    pub tied: bool,
    /// Whether queries, keys and values have a bias.
    pub qkv_bias: bool,
    /// Whether what comes out of attention has a bias.
    pub out_bias: bool,
    /// Whether the feed-forward part has biases.
    pub mlp_bias: bool,
    /// Whether queries and keys are normed per head.
    pub qk_norm: bool,
    /// How far back each layer sees; none: to the beginning.
    pub windows: Vec<Option<usize>>,
    /// How positions are written into queries and keys.
    pub rope: Rope,
    /// The token that begins a text, where there is one.
    pub begin: Option<u32>,
    /// Tokens that end a text.
    pub ends: Vec<u32>,
}

/// More than any model has; a file that says more is wrong, and would be obeyed with all memory.
const MOST: usize = 1 << 24;

impl Shape {
    /// Reads `config.json`.
    ///
    /// # Errors
    /// What is missing, contradicts itself, or is not supported.
    pub fn read(text: &str) -> Result<Self, String> {
        let raw: Raw = serde_json::from_str(text).map_err(|e| format!("config.json: {e}"))?;
        raw.shape().map_err(|e| format!("config.json: {e}"))
    }

    /// Bytes of keys and values that one token leaves in the cache, `width` bytes a number.
    pub fn cache_bytes(&self, width: usize) -> u64 {
        (2 * self.windows.len() * self.kv_heads * self.head * width) as u64
    }
}

impl Raw {
    fn shape(self) -> Result<Shape, String> {
        if self.quantization_config.is_some() {
            return Err("quantized weights are not supported; take the model in bf16 or f32".into());
        }
        if let Some(act) = self.hidden_act.as_deref().filter(|act| *act != "silu") {
            return Err(format!("hidden_act is `{act}`; only `silu` is supported"));
        }
        let (qkv_bias, out_bias, qk_norm) = match self.model_type.as_str() {
            "llama" => (self.attention_bias, self.attention_bias, false),
            "mistral" => (false, false, false),
            "qwen2" => (true, false, false),
            "qwen3" => (self.attention_bias, self.attention_bias, true),
            other => {
                return Err(format!(
                    "model_type is `{other}`; supported are llama, mistral, qwen2 and qwen3"
                ));
            }
        };
        let heads = self.num_attention_heads;
        let kv_heads = self.num_key_value_heads.unwrap_or(heads);
        for (what, size) in [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", heads),
            ("num_key_value_heads", kv_heads),
            ("head_dim", self.head_dim.unwrap_or(2)),
            ("max_position_embeddings", self.max_position_embeddings),
        ] {
            if !(1..=MOST).contains(&size) {
                return Err(format!("{what} is {size}"));
            }
        }
        if !heads.is_multiple_of(kv_heads) {
            return Err(format!("{heads} heads cannot share {kv_heads} heads of keys and values"));
        }
        let head = self.head_dim.unwrap_or(self.hidden_size / heads);
        if head == 0 || !head.is_multiple_of(2) {
            return Err(format!("a head of {head} numbers cannot be rotated in pairs"));
        }
        let rope =
            RawRope::merged(self.rope_parameters.as_ref(), self.rope_scaling.as_ref(), self.rope_theta)
                .read(head, self.max_position_embeddings)?;
        Ok(Shape {
            vocabulary: self.vocab_size,
            hidden: self.hidden_size,
            inner: self.intermediate_size,
            heads,
            kv_heads,
            head,
            context: self.max_position_embeddings,
            epsilon: self.rms_norm_eps,
            tied: self.tie_word_embeddings,
            qkv_bias,
            out_bias,
            mlp_bias: self.mlp_bias && self.model_type == "llama",
            qk_norm,
            windows: self.windows()?,
            rope,
            begin: self.bos_token_id,
            ends: self.eos_token_id.as_ref().map(Ids::list).unwrap_or_default(),
        })
    }

    /// Mistral's window holds for all layers. Qwen's holds where `layer_types` says so, or, in older files, from
    /// `max_window_layers` on; and only if `use_sliding_window`.
    fn windows(&self) -> Result<Vec<Option<usize>>, String> {
        let layers = self.num_hidden_layers;
        let window = self.sliding_window.filter(|window| *window > 0);
        match self.model_type.as_str() {
            "llama" => Ok(vec![None; layers]),
            "mistral" => Ok(vec![window; layers]),
            _ if !self.use_sliding_window.unwrap_or(false) => Ok(vec![None; layers]),
            _ => match &self.layer_types {
                None => {
                    let first = self.max_window_layers.unwrap_or(28);
                    Ok((0..layers).map(|layer| window.filter(|_| layer >= first)).collect())
                }
                Some(types) if types.len() != layers => {
                    Err(format!("layer_types names {} layers of {layers}", types.len()))
                }
                Some(types) => types
                    .iter()
                    .map(|kind| match kind.as_str() {
                        "full_attention" => Ok(None),
                        "sliding_attention" => Ok(window),
                        other => Err(format!("layer_types has `{other}`, which is not supported")),
                    })
                    .collect(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn qwen() -> Value {
        json!({"model_type": "qwen2", "vocab_size": 100, "hidden_size": 64, "intermediate_size": 96,
               "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2,
               "max_position_embeddings": 512, "rms_norm_eps": 1e-6, "rope_theta": 1e6, "eos_token_id": [1, 2]})
    }

    fn with(key: &str, value: Value) -> Result<Shape, String> {
        let mut config = qwen();
        config[key] = value;
        Shape::read(&config.to_string())
    }

    #[test]
    fn an_older_files_windows_begin_at_a_layer_and_only_where_they_are_used() {
        assert_eq!(with("sliding_window", json!(8)).unwrap().windows, [None; 4]);
        let mut config = qwen();
        config["sliding_window"] = json!(8);
        config["use_sliding_window"] = json!(true);
        config["max_window_layers"] = json!(3);
        let shape = Shape::read(&config.to_string()).unwrap();
        assert_eq!(shape.windows, [None, None, None, Some(8)]);
        assert_eq!((shape.head, shape.ends), (16, vec![1, 2]));
    }

    #[test]
    fn what_is_not_supported_is_refused_with_its_name() {
        for (key, value, said) in [
            ("model_type", json!("gemma"), "gemma"),
            ("hidden_act", json!("gelu"), "gelu"),
            ("num_key_value_heads", json!(3), "3 heads"),
            ("num_key_value_heads", json!(0), "num_key_value_heads is 0"),
            ("head_dim", json!(15), "15 numbers"),
            ("hidden_size", json!(1_000_000_000), "hidden_size"),
            ("rope_scaling", json!({"rope_type": "dynamic", "factor": 2.0}), "dynamic"),
            ("quantization_config", json!({"bits": 4}), "quantized"),
            ("vocab_size", json!(null), "null"),
        ] {
            let refusal = with(key, value).unwrap_err();
            assert!(refusal.contains("config.json") && refusal.contains(said), "{key}: {refusal}");
        }
    }
}
