//! What a decoder's thread does in one step: lets in who waits, computes everybody's next tokens at once, picks, tells, and
//! lets go who is done. Knows no thread; the time comes as an argument.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tch::{Kind, Tensor};
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;

use super::cache::Cache;
use super::layout::Piece;
use super::net::Net;
use crate::error::MlError;
use crate::generate::Ending;
use crate::generate::pick::{NoNumbers, Picker, Picking};
use crate::generate::seats::Seat;
use crate::generate::speak::{Decode, Speaker};
use crate::generate::turn::{self, Waiting};
use crate::models::Urgency;
use crate::torch;

/// A text that is to be written.
#[derive(Debug)]
pub struct Job {
    /// The prompt's tokens; at least one.
    pub prompt: Vec<u32>,
    /// Tokens that may follow; at least one.
    pub room: usize,
    /// How they are picked.
    pub picking: Picking,
    /// Strings that end it.
    pub stops: Vec<String>,
    /// How much it hurries.
    pub urgency: Urgency,
    /// When it came.
    pub came: Instant,
    /// Who wants to know. Whoever drops the other end wants no more.
    pub told: UnboundedSender<Told>,
}

/// What is told of a text.
#[derive(Debug)]
pub enum Told {
    /// More of it.
    Text(String),
    /// That was all.
    Ended(Result<Ended, MlError>),
}

/// How a text ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ended {
    /// Why.
    pub ending: Ending,
    /// Tokens that were written, the one that ended it included.
    pub tokens: usize,
    /// From joining to the end.
    pub took: Duration,
}

/// Bounds of a step.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Sequences at once.
    pub sequences: usize,
    /// Prompt tokens of one step while somebody writes: they wait for its end.
    pub short: usize,
    /// Prompt tokens of one step while nobody does.
    pub long: usize,
}

/// What a step did, for metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Did {
    /// Texts that it wrote on, or whose prompts it read.
    pub sequences: usize,
    /// Prompt tokens.
    pub read: usize,
    /// Tokens written.
    pub written: usize,
}

struct Sequence {
    job: Job,
    seat: Seat,
    /// The prompt and what was written.
    tokens: Vec<u32>,
    /// How many of them have left keys and values.
    computed: usize,
    picker: Picker,
    speaker: Speaker,
    joined: Instant,
}

/// A decoder with everybody it serves.
pub struct Engine {
    name: String,
    net: Net,
    cache: Cache,
    ends: Vec<u32>,
    decode: Arc<Decode>,
    bounds: Bounds,
    waiting: Vec<(Waiting<Instant>, Job)>,
    running: Vec<Sequence>,
    came: u64,
    /// How long those waited that joined since somebody asked.
    joined: Vec<Duration>,
    scores: Vec<f32>,
}

impl Engine {
    /// An engine that nobody waits for.
    pub fn new(
        name: String,
        net: Net,
        cache: Cache,
        ends: Vec<u32>,
        decode: Arc<Decode>,
        bounds: Bounds,
    ) -> Self {
        let (waiting, running, joined, scores) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { name, net, cache, ends, decode, bounds, waiting, running, came: 0, joined, scores }
    }

    /// Somebody who waits from now on.
    pub fn add(&mut self, job: Job) {
        let place = Waiting { priority: job.urgency.priority, until: job.urgency.until, number: self.came };
        self.came += 1;
        let at = self.waiting.partition_point(|(other, _)| turn::before(other, &place).is_lt());
        self.waiting.insert(at, (place, job));
    }

    /// How many wait, and how many are served.
    pub fn load(&self) -> (usize, usize) {
        (self.waiting.len(), self.running.len())
    }

    /// How long those waited that joined since this was last asked.
    pub fn joined(&mut self) -> impl Iterator<Item = Duration> + '_ {
        self.joined.drain(..)
    }

    /// Bytes held for keys and values.
    pub fn held(&self) -> u64 {
        self.cache.seats().used()
    }

    /// Gives back memory that nobody uses.
    pub fn rest(&mut self) {
        self.cache.clear();
    }

    /// Tells all that it is over.
    pub fn fail_all(&mut self, error: &MlError) {
        for (_, job) in self.waiting.drain(..) {
            tell(&job.told, Told::Ended(Err(error.clone())));
        }
        for sequence in std::mem::take(&mut self.running) {
            self.let_go(&sequence, Err(error.clone()));
        }
    }

    /// One step.
    pub fn step(&mut self, now: Instant) -> Did {
        self.let_go_who_left(now);
        self.let_in(now);
        let pieces = self.pieces();
        let parts: Vec<Piece> = pieces.iter().map(|(_, piece)| piece.clone()).collect();
        let mut did = Did { sequences: pieces.len(), ..Did::default() };
        let picked = self.compute(&parts);
        let mut gone = Vec::new();
        for ((i, piece), picked) in pieces.into_iter().zip(picked) {
            let sequence = &mut self.running[i];
            did.read += sequence.job.prompt.len().saturating_sub(sequence.computed).min(piece.tokens.len());
            sequence.computed += piece.tokens.len();
            let ended = match picked {
                Ok(None) => None,
                Ok(Some(token)) => {
                    did.written += 1;
                    sequence.take(token, &self.ends, &*self.decode).map(Ok)
                }
                Err(e) => Some(Err(e)),
            };
            if let Some(ended) = ended {
                gone.push((i, ended));
            }
        }
        gone.sort_by_key(|(i, _)| std::cmp::Reverse(*i));
        for (i, ended) in gone {
            let sequence = self.running.remove(i);
            let ended = ended.map(|ending| sequence.ended(ending));
            self.let_go(&sequence, ended);
        }
        did
    }

    fn let_go(&mut self, sequence: &Sequence, ended: Result<Ended, MlError>) {
        self.cache.leave(sequence.seat);
        tell(&sequence.job.told, Told::Ended(ended));
    }

    /// Who listens no more, or has no time left.
    fn let_go_who_left(&mut self, now: Instant) {
        self.waiting.retain(|(place, job)| {
            let late = place.until <= now;
            if late {
                tell(&job.told, Told::Ended(Err(MlError::TooLate)));
            }
            !late && !job.told.is_closed()
        });
        let (stay, go) = std::mem::take(&mut self.running)
            .into_iter()
            .partition(|one: &Sequence| one.job.urgency.until > now && !one.job.told.is_closed());
        self.running = stay;
        for sequence in go {
            self.let_go(&sequence, Err(MlError::TooLate));
        }
    }

    /// Lets in who waits, in order. Nobody passes one who finds no room, or a large text would wait for ever.
    fn let_in(&mut self, now: Instant) {
        while self.running.len() < self.bounds.sequences && !self.waiting.is_empty() {
            let tokens = self.waiting[0].1.prompt.len() + self.waiting[0].1.room;
            let seat = match self.cache.take(tokens) {
                Ok(Some(seat)) => seat,
                Ok(None) if self.running.is_empty() => {
                    let (_, job) = self.waiting.remove(0);
                    tell(&job.told, Told::Ended(Err(self.too_much(tokens))));
                    continue;
                }
                Ok(None) => return,
                Err(e) => {
                    tracing::warn!(model = self.name, "no memory for keys and values: {e}");
                    if self.running.is_empty() {
                        let (_, job) = self.waiting.remove(0);
                        tell(&job.told, Told::Ended(Err(torch::failed(&self.name, &e))));
                    }
                    return;
                }
            };
            let (_, job) = self.waiting.remove(0);
            self.joined.push(now.saturating_duration_since(job.came));
            self.running.push(Sequence {
                tokens: job.prompt.clone(),
                computed: 0,
                picker: Picker::new(job.picking, &job.prompt),
                speaker: Speaker::new(job.stops.clone()),
                joined: now,
                seat,
                job,
            });
        }
    }

    /// What a text of so many tokens would need, and that it cannot have it.
    fn too_much(&self, tokens: usize) -> MlError {
        too_much(self.cache.seats().cost(tokens), self.cache.seats().budget())
    }

    /// The next tokens of everybody, with the place of whom they are of.
    fn pieces(&self) -> Vec<(usize, Piece)> {
        let open: Vec<(usize, usize)> =
            self.running.iter().enumerate().map(|(i, one)| (i, one.tokens.len() - one.computed)).collect();
        let (writing, reading): (Vec<_>, Vec<_>) = open.into_iter().partition(|(_, open)| *open == 1);
        let shares = turn::shares(
            &reading.iter().map(|(_, open)| *open).collect::<Vec<_>>(),
            writing.len(),
            self.bounds.short,
            self.bounds.long,
        );
        let reading = reading.into_iter().zip(shares).map(|((i, _), share)| (i, share));
        writing
            .into_iter()
            .chain(reading)
            .filter(|(_, share)| *share > 0)
            .map(|(i, share)| {
                let one = &self.running[i];
                let end = one.computed + share;
                let tokens = one.tokens[one.computed..end].to_vec();
                (i, Piece { seat: one.seat, past: one.computed, tokens, wanted: end == one.tokens.len() })
            })
            .collect()
    }

    /// Computes pieces and picks a token for those that are wanted. What fails together is tried one by one, so that a
    /// bad one fails alone: keys and values of a second try go where those of the first went.
    fn compute(&mut self, pieces: &[Piece]) -> Vec<Result<Option<u32>, MlError>> {
        if pieces.is_empty() {
            return Vec::new();
        }
        match self.guarded(pieces) {
            Ok(picked) => picked,
            Err(e) if pieces.len() == 1 => vec![Err(e)],
            Err(e) => {
                tracing::warn!(
                    model = self.name,
                    sequences = pieces.len(),
                    "a step failed and is tried apart: {e}"
                );
                pieces.iter().flat_map(|piece| self.compute(std::slice::from_ref(piece))).collect()
            }
        }
    }

    fn guarded(&mut self, pieces: &[Piece]) -> Result<Vec<Result<Option<u32>, MlError>>, MlError> {
        let done = catch_unwind(AssertUnwindSafe(|| {
            let scores = self.net.step(&mut self.cache, pieces)?;
            self.pick(pieces, scores.as_ref())
        }));
        match done {
            Ok(done) => done.map_err(|e| torch::failed(&self.name, &e)),
            Err(_) => Err(MlError::Failed { model: self.name.clone(), reason: "it panicked".into() }),
        }
    }

    /// Picks by rows of scores. Where the highest is wanted, the device finds it, and only its number comes over.
    fn pick(
        &mut self,
        pieces: &[Piece],
        scores: Option<&Tensor>,
    ) -> Result<Vec<Result<Option<u32>, MlError>>, tch::TchError> {
        let Some(scores) = scores else { return Ok(pieces.iter().map(|_| Ok(None)).collect()) };
        let (best, tokens) = scores.f_max_dim(1, false)?;
        let best: Vec<f32> = Vec::try_from(best.f_to_kind(Kind::Float)?)?;
        let tokens: Vec<i64> = Vec::try_from(tokens)?;
        let mut rows = 0;
        let mut picked = Vec::with_capacity(pieces.len());
        for piece in pieces {
            if !piece.wanted {
                picked.push(Ok(None));
                continue;
            }
            let row = rows;
            rows += 1;
            let Some(sequence) = self.running.iter().find(|one| one.seat == piece.seat) else {
                picked.push(Err(MlError::Internal("a computed text is not served".into())));
                continue;
            };
            let token = if sequence.picker.is_highest() {
                let number = best.get(row).is_some_and(|best| best.is_finite());
                tokens.get(row).filter(|_| number).map(|token| *token as u32).ok_or(NoNumbers)
            } else {
                let line = scores.f_get(row as i64)?.f_to_kind(Kind::Float)?;
                self.scores.resize(line.numel(), 0.0);
                line.f_copy_data(&mut self.scores, line.numel())?;
                sequence.picker.pick(&mut self.scores)
            };
            picked.push(token.map(Some).map_err(|NoNumbers| {
                MlError::Failed {
                    model: self.name.clone(),
                    reason:
                        "its scores are not numbers; its weights are damaged or too large for the precision"
                            .into(),
                }
            }));
        }
        Ok(picked)
    }
}

impl Sequence {
    /// Takes the next token, tells what it makes of text, and says if that was the last.
    fn take(&mut self, token: u32, ends: &[u32], decode: &Decode) -> Option<Ending> {
        self.tokens.push(token);
        self.picker.picked(token);
        let ending = if ends.contains(&token) {
            Some(Ending::Stop)
        } else {
            let (text, stopped) = self.speaker.add(token, decode);
            self.say(text);
            if stopped {
                return Some(Ending::StopString);
            }
            (self.tokens.len() - self.job.prompt.len() >= self.job.room).then_some(Ending::Length)
        }?;
        let (text, stopped) = self.speaker.finish(decode);
        self.say(text);
        Some(if stopped { Ending::StopString } else { ending })
    }

    fn say(&self, text: String) {
        if !text.is_empty() {
            tell(&self.job.told, Told::Text(text));
        }
    }

    fn ended(&self, ending: Ending) -> Ended {
        let tokens = self.tokens.len() - self.job.prompt.len();
        Ended { ending, tokens, took: self.joined.elapsed() }
    }
}

/// The refusal of what needs more than there is for keys and values.
pub fn too_much(need: u64, has: u64) -> MlError {
    MlError::TooMuchMemory {
        need_mb: need.div_ceil(1 << 20),
        has_mb: has >> 20,
        advice: "ask for fewer tokens, or give it more with batch.kv_memory_mb",
    }
}

fn tell(to: &UnboundedSender<Told>, what: Told) {
    // Who has left is let go in the next step.
    to.send(what).ok();
}
