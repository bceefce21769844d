//! The ml service: embeddings a second beside sentence-transformers and LitServe, what the platform adds to one short text,
//! tokens a second beside transformers, and memory over many texts. The others run from Python, by scripts of `peers`.

mod embeddings;
mod generation;
mod kit;
mod latency;
mod litserve;
mod memory;
mod nearness;
pub mod peer;
mod stage;
pub mod tasks;
pub mod texts;

use serde::Serialize;

use self::embeddings::Embeddings;
use self::generation::Generation;
use self::kit::Kit;
use self::latency::Latency;
use self::memory::Memory;
use crate::args::{Args, What};
use crate::error::LoadError;
use crate::report::Bar;
use crate::stack::Programs;

/// Everything that was measured of the ml service.
#[derive(Debug, Default, Serialize)]
pub struct Ml {
    /// Vectors a second.
    pub embeddings: Option<Embeddings>,
    /// What is added to a short text.
    pub latency: Option<Latency>,
    /// Tokens a second.
    pub generation: Option<Generation>,
    /// Memory over many texts.
    pub memory: Option<Memory>,
}

impl Ml {
    /// The promises.
    pub fn bars(&self) -> Vec<Bar> {
        let embeddings = self.embeddings.iter().flat_map(Embeddings::bars);
        let generation = self.generation.iter().flat_map(Generation::bars);
        let latency = self.latency.iter().flat_map(Latency::bars);
        embeddings.chain(latency).chain(generation).chain(self.memory.iter().map(Memory::bar)).collect()
    }
}

/// Measures what is wanted.
///
/// # Errors
/// Where a program or a package is missing, or a task fails.
pub async fn measure(programs: &Programs, args: &Args) -> Result<Ml, LoadError> {
    let (kit, mut ml) = (Kit::new(args)?, Ml::default());
    if args.wants(What::MlEmbeddings) {
        let embeddings = embeddings::measure(programs, args, &kit).await?;
        println!("{}", embeddings.table());
        ml.embeddings = Some(embeddings);
    }
    if args.wants(What::MlLatency) {
        let latency = latency::measure(programs, args, &kit).await?;
        println!("{}", latency.table());
        ml.latency = Some(latency);
    }
    if args.wants(What::MlGeneration) {
        let generation = generation::measure(programs, args, &kit).await?;
        println!("{}", generation.table());
        ml.generation = Some(generation);
    }
    if args.wants(What::MlMemory) {
        let memory = memory::measure(programs, args, &kit).await?;
        println!("{}", memory.table());
        ml.memory = Some(memory);
    }
    Ok(ml)
}
