//! An encoder that is loaded: texts go in, numbers come out. Tokens are made on blocking threads, the numbers on the
//! model's own.

use std::ops::Range;
use std::sync::Arc;

use tch::Kind;

use super::load;
use super::net::{Net, Packed};
use super::shape::Shape;
use super::warm;
use crate::batch::{Lane, Runner};
use crate::error::MlError;
use crate::manifest::{EncoderSpec, Kind as ModelKind, Precision};
use crate::memory;
use crate::models::{Loading, Urgency};
use crate::text::template::longest_first;
use crate::text::windows::{self, windows};
use crate::text::{self, Content, Template, Tokenizer, Tokens};
use crate::torch::weights::Weights;
use crate::torch::{self, guard};

/// Items that one caller has in a lane at once: more would only make others wait.
const AT_ONCE: usize = 1_024;
/// Texts of so many bytes become tokens where they are: that is sooner done than another thread is woken.
const AT_HAND: usize = 512;
/// Tokens of a batch on a CPU, at most: more do not fit its caches. A batch of 8192 has a third less texts a second.
const CPU_TOKENS: usize = 1_024;
/// A batch of so few tokens is one thread's: the others may have gone to sleep, and to wake them for each layer takes several
/// times as long as they save (12 tokens, 2 cores of a virtual machine: 13.8 ms instead of 3.8; 2.2 instead of 3.1 if awake).
const SHORT: usize = 64;
/// Bytes of one text: making tokens takes some thirty times as much memory.
const MOST_BYTES: usize = 4 << 20;

/// An encoder. Cheap to clone; its threads end when the last clone is dropped.
#[derive(Clone)]
pub struct Handle(Arc<Inner>);

struct Inner {
    name: String,
    spec: EncoderSpec,
    shape: Shape,
    tokenizer: Tokenizer,
    lane: Lane<Computing>,
    max_tokens: usize,
    /// Tokens of a batch.
    batch_tokens: usize,
    bytes: u64,
}

/// What becomes of a text that is longer than the model reads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Truncation {
    /// Its end is left out.
    #[default]
    End,
    /// It is refused.
    Error,
    /// It is read in windows that overlap.
    Window,
}

/// A text as the model reads it.
#[derive(Debug, Clone, Default)]
pub struct Read {
    /// One input, or one for each window.
    pub inputs: Vec<Tokens>,
    /// The text's own tokens that each input holds.
    pub windows: Vec<Range<usize>>,
    /// The text's own tokens.
    pub content: Content,
    /// Whether a part of the text is not read.
    pub truncated: bool,
}

impl Read {
    /// Tokens that the model reads, special ones included.
    pub fn tokens(&self) -> usize {
        self.inputs.iter().map(|tokens| tokens.ids.len()).sum()
    }
}

/// One thread of the model.
struct Computing {
    net: Net,
    name: String,
    device: tch::Device,
    /// Threads where nothing else of the model runs, and where something does.
    threads: (usize, usize),
}

impl Runner for Computing {
    type Item = Tokens;
    type Answer = Vec<f32>;

    fn run(&mut self, items: &[Tokens], alone: bool) -> Result<Vec<Vec<f32>>, MlError> {
        let tokens: usize = items.iter().map(|tokens| tokens.ids.len()).sum();
        torch::use_threads(if alone && tokens > SHORT { self.threads.0 } else { self.threads.1 });
        let texts: Vec<&Tokens> = items.iter().collect();
        let (net, device) = (&mut self.net, self.device);
        let rows = guard::guarded(&self.name, || {
            let batch = Packed::new(&texts, &net.shape, device)?;
            net.answer(&batch)
        })?;
        // One text of numbers that are none spoils no other: the lane runs them one by one.
        if rows.iter().flatten().any(|number| !number.is_finite()) {
            return Err(MlError::Failed {
                model: self.name.clone(),
                reason: "it put out what is not a number".into(),
            });
        }
        Ok(rows)
    }
}

impl Handle {
    /// Loads an encoder. This blocks.
    ///
    /// # Errors
    /// [`MlError::BadModel`] with what is wrong in its folder.
    pub fn load(at: &Loading<'_>) -> Result<Self, MlError> {
        let name = format!("{}@{}", at.manifest.name, at.manifest.version);
        let bad = |reason: String| MlError::BadModel { model: name.clone(), reason };
        let ModelKind::Encoder(spec) = &at.manifest.kind else {
            return Err(MlError::Internal(format!("`{name}` is loaded as an encoder and is none")));
        };
        let json =
            std::fs::read(at.folder.join("config.json")).map_err(|e| bad(format!("`config.json`: {e}")))?;
        let shape = Shape::read(&json, spec.output).map_err(|e| bad(format!("`config.json`: {e}")))?;
        let tokenizer = Tokenizer::load(at.folder).map_err(&bad)?;
        if i64::from(tokenizer.largest()) >= shape.vocabulary {
            let (largest, rows) = (tokenizer.largest(), shape.vocabulary);
            return Err(bad(format!(
                "`tokenizer.json` makes the token {largest} and the model knows {rows}"
            )));
        }
        let max_tokens = reads(spec, &shape).map_err(&bad)?;
        let kind = match at.settings.precision.unwrap_or(at.manifest.precision) {
            Precision::F32 => Kind::Float,
            Precision::Bf16 => Kind::BFloat16,
        };
        let device = at.settings.device;
        let weights = Weights::open(at.folder, device, kind).map_err(&bad)?;
        // On a CPU a batch is computed without padding, and each core works on batches of its own.
        let on_cpu = device.0 == tch::Device::Cpu;
        let net = load::net(&weights, shape.clone(), spec, device, kind, !on_cpu).map_err(&bad)?;
        let mut batch = at.settings.batch;
        if on_cpu {
            batch.max_tokens = batch.max_tokens.min(CPU_TOKENS);
        }
        let cores = if at.settings.threads == 0 { torch::cores() } else { at.settings.threads };
        let runners = if on_cpu { cores } else { 1 };
        let threads = (cores, if on_cpu { 1 } else { cores });
        if on_cpu && kind == Kind::BFloat16 {
            // The code is made for a number of threads, too.
            torch::use_threads(threads.1);
            guard::guarded(&name, || warm::up(&net, batch.max_tokens, max_tokens))?;
            torch::use_threads(cores);
        }
        let one = |net| Computing { net, name: name.clone(), device: device.0, threads };
        let mut computing: Vec<Computing> = (1..runners).map(|_| one(net.share())).collect();
        computing.push(one(net));
        let meters = at.meters.of(&at.manifest.name);
        let lane = Lane::start(&name, computing, &batch, !on_cpu, meters)?;
        let bytes = weights.bytes();
        let (spec, batch_tokens) = (spec.clone(), batch.max_tokens);
        Ok(Self(Arc::new(Inner { name, spec, shape, tokenizer, lane, max_tokens, batch_tokens, bytes })))
    }

    /// Memory that it takes while it is loaded: its weights, and what a batch needs.
    pub fn memory_bytes(&self) -> u64 {
        self.0.bytes
    }

    /// What it is for.
    pub fn spec(&self) -> &EncoderSpec {
        &self.0.spec
    }

    /// Its shape.
    pub fn shape(&self) -> &Shape {
        &self.0.shape
    }

    /// Its name and version.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Tokens of an input, special ones included.
    pub fn max_tokens(&self) -> usize {
        self.0.max_tokens
    }

    /// Where a text's own tokens begin in an input.
    pub fn first_token(&self) -> usize {
        self.0.tokenizer.template().one(&[]).content
    }

    /// Turns texts into what the model reads. `places`: with where each token stands.
    ///
    /// # Errors
    /// [`MlError::BadInput`] where a text is too long and may not be cut, naming it.
    pub async fn read(
        &self,
        texts: Vec<String>,
        truncation: Truncation,
        places: bool,
    ) -> Result<Vec<Read>, MlError> {
        let this = Arc::clone(&self.0);
        let short = texts.iter().map(String::len).sum::<usize>() <= AT_HAND;
        let read = move || {
            let each = texts.iter().enumerate();
            each.map(|(n, text)| this.read(n, text, truncation, places)).collect()
        };
        if short { read() } else { text::reading(read).await }
    }

    /// Turns a question and passages into what the model reads: pairs, of which the longer text is cut first.
    ///
    /// # Errors
    /// What the tokenizer says.
    pub async fn read_pairs(&self, question: String, passages: Vec<String>) -> Result<Vec<Read>, MlError> {
        let this = Arc::clone(&self.0);
        text::reading(move || {
            // The question's tokens are made once for all passages.
            let question = this.content(&question, false)?.ids;
            passages.iter().map(|passage| this.pair(&question, passage)).collect()
        })
        .await
    }

    /// Asks for the numbers of all inputs, in their order.
    ///
    /// # Errors
    /// The first that went wrong; [`MlError::TooMuchMemory`] before anything is done.
    pub async fn ask(&self, inputs: Vec<Tokens>, urgency: Urgency) -> Result<Vec<Vec<f32>>, MlError> {
        let tokens = inputs.iter().map(|tokens| tokens.ids.len()).sum();
        let this = &*self.0;
        memory::admit(this.shape.request_bytes(this.spec.output, inputs.len(), tokens, this.batch_tokens))?;
        let mut rows = Vec::with_capacity(inputs.len());
        let mut inputs = inputs.into_iter().peekable();
        while inputs.peek().is_some() {
            let items = inputs.by_ref().take(AT_ONCE).map(|tokens| {
                let length = tokens.ids.len();
                (tokens, length)
            });
            for coming in self.0.lane.ask(items.collect(), urgency)? {
                // The thread is gone only where it was taken down with the model.
                rows.push(coming.await.map_err(|_| MlError::Gone(self.0.name.clone()))??);
            }
        }
        Ok(rows)
    }
}

/// Tokens of an input, special ones included.
fn reads(spec: &EncoderSpec, shape: &Shape) -> Result<usize, String> {
    let most = shape.most_tokens();
    match spec.max_tokens {
        0 => Ok(most),
        n if (8..=most).contains(&n) => Ok(n),
        n => Err(format!("`max_tokens` is {n}; it may be 8 to {most}")),
    }
}

impl Inner {
    fn content(&self, text: &str, places: bool) -> Result<Content, MlError> {
        if text.len() > MOST_BYTES {
            let (has, may) = (text.len(), MOST_BYTES >> 20);
            return Err(MlError::BadInput(format!(
                "a text has {has} bytes; it may have {may} MB, so split it"
            )));
        }
        let made = if places { self.tokenizer.places(text) } else { self.tokenizer.tokens(text) };
        made.map_err(|reason| MlError::BadInput(format!("the tokenizer of `{}`: {reason}", self.name)))
    }

    fn read(&self, number: usize, text: &str, truncation: Truncation, places: bool) -> Result<Read, MlError> {
        let content = self.content(text, places)?;
        let template: &Template = self.tokenizer.template();
        let room = self.max_tokens.saturating_sub(template.around_one());
        let long = content.ids.len() > room;
        let windows = match truncation {
            Truncation::Error if long => {
                let (has, may) = (content.ids.len(), room);
                return Err(MlError::BadInput(format!(
                    "text {number} has {has} tokens and `{}` reads {may}; `truncate` may be `end` or `window`",
                    self.name
                )));
            }
            Truncation::Window => windows(content.ids.len(), room),
            _ => std::iter::once(0..content.ids.len().min(room)).collect(),
        };
        let inputs = windows.iter().map(|window| template.one(&content.ids[window.clone()])).collect();
        Ok(Read { inputs, windows, content, truncated: long && truncation == Truncation::End })
    }

    fn pair(&self, question: &[u32], passage: &str) -> Result<Read, MlError> {
        let content = self.content(passage, false)?;
        let template = self.tokenizer.template();
        let room = self.max_tokens.saturating_sub(template.around_two());
        let (first, second) = longest_first(question.len(), content.ids.len(), room);
        let truncated = first < question.len() || second < content.ids.len();
        let inputs = vec![template.two(&question[..first], &content.ids[..second])];
        Ok(Read { inputs, windows: std::iter::once(0..second).collect(), content, truncated })
    }
}

/// One row of what the model said of a text's windows.
pub fn joined(windows: &[Range<usize>], rows: &[Vec<f32>]) -> Vec<f32> {
    match rows {
        [one] => one.clone(),
        _ => windows::mean(rows, &windows.iter().map(Range::len).collect::<Vec<_>>()),
    }
}
