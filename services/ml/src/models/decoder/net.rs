//! The decoder itself: Llama, Mistral, Qwen2 and Qwen3 differ in biases, norms and windows only. It computes the tokens
//! of several sequences in one row; only attention looks at each of them apart.

use tch::{Device, Kind, TchError, Tensor};

use super::cache::{Cache, Shelf};
use super::layout::{Layout, Piece, Span};
use super::shape::Shape;
use super::weights::Weights;
use crate::torch::packed::Packing;

/// A matrix, packed if the net packs.
struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
}

struct Layer {
    before_attention: Tensor,
    qkv: Linear,
    /// Of queries and keys, head by head.
    qk_norm: Option<Tensor>,
    out: Linear,
    before_mlp: Tensor,
    gate_up: Linear,
    down: Linear,
    window: Option<usize>,
}

/// A decoder's weights.
pub struct Net {
    shape: Shape,
    embed: Tensor,
    layers: Vec<Layer>,
    norm: Tensor,
    head: Linear,
    packing: Option<Packing>,
    turns: Tensor,
    kind: Kind,
    device: Device,
    bytes: u64,
}

/// What all layers of a step share.
struct Step {
    layout: Layout,
    cos: Tensor,
    /// With the sign that a half gets when the halves change places.
    sin: Tensor,
    /// Where the tokens of each store go.
    places: Vec<Tensor>,
    /// What each span may not see, for each window that occurs.
    masks: Vec<(Option<usize>, Vec<Option<Tensor>>)>,
}

impl Net {
    /// Reads the weights of a model of this shape.
    ///
    /// # Errors
    /// What is missing or has another shape.
    pub fn load(shape: Shape, mut weights: Weights, kind: Kind, device: Device) -> Result<Self, String> {
        let packing = Packing::find(kind, device);
        let mut load = Load { shape: &shape, weights: &mut weights, packing: packing.as_ref(), extra: 0 };
        let embed = load.weights.take("model.embed_tokens.weight", &[shape.vocabulary, shape.hidden])?;
        let layers = (0..shape.windows.len()).map(|i| load.layer(i)).collect::<Result<_, _>>()?;
        let norm = load.weights.take("model.norm.weight", &[shape.hidden])?;
        let head = load.head(&embed)?;
        let bytes = load.extra + weights.bytes();
        let turns = Tensor::f_from_slice(&shape.rope.turns).and_then(|turns| turns.f_to_device(device));
        let turns = turns.map_err(|e| e.to_string())?;
        Ok(Self { embed, layers, norm, head, packing, turns, kind, device, bytes, shape })
    }

    /// Its shape.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Bytes of its weights.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Number format and device.
    pub fn options(&self) -> (Kind, Device) {
        (self.kind, self.device)
    }

    /// Computes the next tokens of sequences, and keeps their keys and values. Gives a row of scores for each piece that is
    /// wanted, in their order; none where none is.
    ///
    /// # Errors
    /// Where libtorch refuses.
    pub fn step(&self, cache: &mut Cache, pieces: &[Piece]) -> Result<Option<Tensor>, TchError> {
        let _guard = tch::no_grad_guard();
        let step = self.prepare(cache, pieces)?;
        let tokens = self.tensor(&step.layout.tokens)?;
        let mut x = self.embed.f_index_select(0, &tokens)?;
        for (i, layer) in self.layers.iter().enumerate() {
            x = self.layer(cache, &step, i, layer, x)?;
        }
        if step.layout.wanted.is_empty() {
            return Ok(None);
        }
        let last = x.f_index_select(0, &self.tensor(&step.layout.wanted)?)?;
        self.linear(&self.head, &self.norm(&last, &self.norm)?).map(Some)
    }

    fn linear(&self, by: &Linear, x: &Tensor) -> Result<Tensor, TchError> {
        match &self.packing {
            Some(packing) => packing.linear(x, &by.weight, by.bias.as_ref()),
            None => x.f_linear(&by.weight, by.bias.as_ref()),
        }
    }

    /// The same, added to what there is.
    fn plus(&self, to: &Tensor, by: &Linear, x: &Tensor) -> Result<Tensor, TchError> {
        match &self.packing {
            Some(packing) => packing.plus(x, &by.weight, by.bias.as_ref(), to),
            None => to.f_add(&x.f_linear(&by.weight, by.bias.as_ref())?),
        }
    }

    fn tensor(&self, numbers: &[i64]) -> Result<Tensor, TchError> {
        Tensor::f_from_slice(numbers)?.f_to_device(self.device)
    }

    fn prepare(&self, cache: &mut Cache, pieces: &[Piece]) -> Result<Step, TchError> {
        let layout = Layout::of(pieces);
        let positions = self.tensor(&layout.positions)?.f_to_kind(Kind::Float)?.f_unsqueeze(1)?;
        let angles = positions.f_mul(&self.turns)?.f_unsqueeze(1)?;
        let (cos, sin) = (self.scaled(&angles.f_cos()?)?, self.scaled(&angles.f_sin()?)?);
        let places = layout.stores.iter().map(|store| {
            let capacity = cache.get(store.shelf)?.capacity;
            let places: Vec<i64> =
                store.places.iter().map(|(row, at)| (row * capacity + at) as i64).collect();
            self.tensor(&places)
        });
        let places = places.collect::<Result<_, _>>()?;
        let mut masks: Vec<(Option<usize>, Vec<Option<Tensor>>)> = Vec::new();
        for window in self.layers.iter().map(|layer| layer.window) {
            if masks.iter().all(|(known, _)| *known != window) {
                let of = layout.spans.iter().map(|span| self.mask(span, window));
                masks.push((window, of.collect::<Result<_, _>>()?));
            }
        }
        Ok(Step {
            cos: Tensor::f_cat(&[&cos, &cos], -1)?,
            sin: Tensor::f_cat(&[&sin.f_neg()?, &sin], -1)?,
            places,
            masks,
            layout,
        })
    }

    fn scaled(&self, turned: &Tensor) -> Result<Tensor, TchError> {
        let scale = self.shape.rope.scale;
        let scaled = if scale == 1.0 { turned.shallow_clone() } else { turned.f_mul_scalar(scale)? };
        scaled.f_to_kind(self.kind)
    }

    /// What is added to the scores of keys: nothing to those that may be seen, minus infinity to the others.
    fn mask(&self, span: &Span, window: Option<usize>) -> Result<Option<Tensor>, TchError> {
        if span.sees_all(window) || span.is_beginning(window) {
            return Ok(None);
        }
        let (from, to) = span.reach(window);
        let first: Vec<i64> = span.pasts.iter().map(|past| *past as i64).collect();
        let steps = Tensor::f_arange(span.tokens as i64, (Kind::Int64, self.device))?;
        // By row, head, token, key.
        let at = self.tensor(&first)?.f_view([-1, 1, 1, 1])?.f_add(&steps.f_view([1, 1, -1, 1])?)?;
        let keys = Tensor::f_arange_start(from as i64, to as i64, (Kind::Int64, self.device))?;
        let mut hidden = keys.f_gt_tensor(&at)?;
        if let Some(window) = window {
            let behind = keys.f_le_tensor(&at.f_sub_scalar(window as i64)?)?;
            hidden = hidden.f_logical_or(&behind)?;
        }
        let zeros = Tensor::f_zeros(hidden.size(), (self.kind, self.device))?;
        zeros.f_masked_fill(&hidden, f64::NEG_INFINITY).map(Some)
    }

    fn norm(&self, x: &Tensor, weight: &Tensor) -> Result<Tensor, TchError> {
        x.f_rms_norm([self.shape.hidden as i64], Some(weight), self.shape.epsilon)
    }

    fn layer(
        &self,
        cache: &mut Cache,
        step: &Step,
        i: usize,
        layer: &Layer,
        x: Tensor,
    ) -> Result<Tensor, TchError> {
        let qkv = self.linear(&layer.qkv, &self.norm(&x, &layer.before_attention)?)?;
        let attended = self.attention(cache, step, i, layer, &qkv)?;
        let x = self.plus(&x, &layer.out, &attended)?;
        let gate_up = self.linear(&layer.gate_up, &self.norm(&x, &layer.before_mlp)?)?;
        let inner = self.shape.inner as i64;
        let mut gate = gate_up.f_narrow(1, 0, inner)?.f_silu()?;
        let gated = gate.f_mul_(&gate_up.f_narrow(1, inner, inner)?)?;
        self.plus(&x, &layer.down, &gated)
    }

    fn attention(
        &self,
        cache: &mut Cache,
        step: &Step,
        i: usize,
        layer: &Layer,
        qkv: &Tensor,
    ) -> Result<Tensor, TchError> {
        let [heads, kv_heads, head] =
            [self.shape.heads, self.shape.kv_heads, self.shape.head].map(|n| n as i64);
        let of =
            |first: i64, count: i64| qkv.f_narrow(1, first * head, count * head)?.f_view([-1, count, head]);
        let mut qk = of(0, heads + kv_heads)?;
        if let Some(weight) = &layer.qk_norm {
            qk = qk.f_rms_norm([head], None::<&Tensor>, self.shape.epsilon)?.f_mul(weight)?;
        }
        let qk = qk.f_mul(&step.cos)?.f_addcmul(&qk.f_roll([head / 2], [2])?, &step.sin)?;
        let (keys, values) = (qk.f_narrow(1, heads, kv_heads)?, of(heads + kv_heads, kv_heads)?);
        for (store, places) in step.layout.stores.iter().zip(&step.places) {
            let (start, count) = (store.start as i64, store.places.len() as i64);
            let shelf = cache.get(store.shelf)?;
            let kept = &mut shelf.layers[i];
            // The result is the tensor itself.
            drop(kept.keys.f_index_copy_(0, places, &keys.f_narrow(0, start, count)?)?);
            drop(kept.values.f_index_copy_(0, places, &values.f_narrow(0, start, count)?)?);
        }
        let queries = qk.f_narrow(1, 0, heads)?;
        let masks = step.masks.iter().find(|(window, _)| *window == layer.window).map(|(_, masks)| masks);
        let mut parts = Vec::with_capacity(step.layout.spans.len());
        for (n, span) in step.layout.spans.iter().enumerate() {
            let mask = masks.and_then(|masks| masks.get(n)).and_then(Option::as_ref);
            parts.push(self.span(cache.get(span.shelf)?, i, span, layer.window, mask, &queries)?);
        }
        match parts.len() {
            1 => parts.pop().ok_or_else(|| TchError::Shape("no tokens".into())),
            _ => Tensor::f_cat(&parts, 0),
        }
    }

    /// Attention of tokens that attend together: some rows with a token each, or one row with several.
    fn span(
        &self,
        shelf: &Shelf,
        i: usize,
        span: &Span,
        window: Option<usize>,
        mask: Option<&Tensor>,
        queries: &Tensor,
    ) -> Result<Tensor, TchError> {
        let [heads, kv_heads, head] =
            [self.shape.heads, self.shape.kv_heads, self.shape.head].map(|n| n as i64);
        let (rows, tokens) = (span.pasts.len() as i64, span.tokens as i64);
        let (from, to) = span.reach(window);
        let capacity = shelf.capacity as i64;
        let kept = &shelf.layers[i];
        let seen = |all: &Tensor| {
            all.f_narrow(0, span.row as i64 * capacity, rows * capacity)?
                .f_view([rows, capacity, kv_heads, head])?
                .f_narrow(1, from as i64, (to - from) as i64)?
                .f_transpose(1, 2)
        };
        let (keys, values) = (seen(&kept.keys)?, seen(&kept.values)?);
        let q = queries.f_narrow(0, span.start as i64, rows * tokens)?;
        let attend = |q: &Tensor, causal: bool, shared: bool| {
            Tensor::f_scaled_dot_product_attention(q, &keys, &values, mask, 0.0, causal, None, shared)
        };
        if tokens == 1 {
            // The heads that share keys are as so many tokens of one head: each key is read once for all of them.
            let q = q.f_reshape([rows, kv_heads, heads / kv_heads, head])?;
            return attend(&q, false, false)?.f_reshape([rows, heads * head]);
        }
        let q = q.f_unsqueeze(0)?.f_transpose(1, 2)?;
        attend(&q, mask.is_none(), heads != kv_heads)?.f_transpose(1, 2)?.f_reshape([tokens, heads * head])
    }
}

/// What is on the way from a model's files to a net.
struct Load<'a> {
    shape: &'a Shape,
    weights: &'a mut Weights,
    packing: Option<&'a Packing>,
    /// Bytes of what is in memory twice.
    extra: u64,
}

impl Load<'_> {
    fn packed(&self, weight: Tensor) -> Result<Tensor, String> {
        match self.packing {
            Some(packing) => packing.pack(&weight).map_err(|e| e.to_string()),
            None => Ok(weight),
        }
    }

    /// Several matrices as one. `parts` are names with rows.
    fn stack(
        &mut self,
        i: usize,
        parts: &[(&str, usize)],
        columns: usize,
        bias: bool,
    ) -> Result<Linear, String> {
        let named = |what: &str| -> Vec<_> {
            parts.iter().map(|(part, rows)| (format!("model.layers.{i}.{part}.{what}"), *rows)).collect()
        };
        let weight = self.weights.stacked(&named("weight"), Some(columns))?;
        let bias = bias.then(|| self.weights.stacked(&named("bias"), None)).transpose()?;
        Ok(Linear { weight: self.packed(weight)?, bias })
    }

    fn layer(&mut self, i: usize) -> Result<Layer, String> {
        let shape = self.shape;
        let name = |part: &str| format!("model.layers.{i}.{part}");
        let (q, kv) = (shape.heads * shape.head, shape.kv_heads * shape.head);
        let qkv = [("self_attn.q_proj", q), ("self_attn.k_proj", kv), ("self_attn.v_proj", kv)];
        let gate_up = [("mlp.gate_proj", shape.inner), ("mlp.up_proj", shape.inner)];
        let (hidden, inner) = (shape.hidden, shape.inner);
        Ok(Layer {
            before_attention: self.weights.take(&name("input_layernorm.weight"), &[hidden])?,
            qkv: self.stack(i, &qkv, hidden, shape.qkv_bias)?,
            qk_norm: if shape.qk_norm { Some(self.qk_norm(&name)?) } else { None },
            out: self.stack(i, &[("self_attn.o_proj", hidden)], q, shape.out_bias)?,
            before_mlp: self.weights.take(&name("post_attention_layernorm.weight"), &[hidden])?,
            gate_up: self.stack(i, &gate_up, hidden, shape.mlp_bias)?,
            down: self.stack(i, &[("mlp.down_proj", hidden)], inner, shape.mlp_bias)?,
            window: shape.windows.get(i).copied().flatten(),
        })
    }

    /// The norm's weights once for each head, so that queries and keys are normed in one go.
    fn qk_norm(&mut self, name: &dyn Fn(&str) -> String) -> Result<Tensor, String> {
        let q = self.weights.take(&name("self_attn.q_norm.weight"), &[self.shape.head])?;
        let k = self.weights.take(&name("self_attn.k_norm.weight"), &[self.shape.head])?;
        let wide = |t: &Tensor, heads: usize| t.f_unsqueeze(0)?.f_expand([heads as i64, -1], false);
        wide(&q, self.shape.heads)
            .and_then(|q| Tensor::f_cat(&[q, wide(&k, self.shape.kv_heads)?], 0))
            .map_err(|e: TchError| e.to_string())
    }

    /// The table of the output. Where it is that of the input, too, it is in memory twice if it is packed: the input reads
    /// rows of it.
    fn head(&mut self, embed: &Tensor) -> Result<Linear, String> {
        let tied = self.shape.tied || !self.weights.has("lm_head.weight");
        let weight = if tied {
            embed.shallow_clone()
        } else {
            self.weights.take("lm_head.weight", &[self.shape.vocabulary, self.shape.hidden])?
        };
        if tied && self.packing.is_some() {
            self.extra += (embed.numel() * embed.kind().elt_size_in_bytes()) as u64;
        }
        Ok(Linear { weight: self.packed(weight)?, bias: None })
    }
}
