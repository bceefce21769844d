//! `ingest` on the command line.

use std::path::PathBuf;

use clap::Args;

use crate::collection::Backend;
use crate::units;

/// `ingest`.
#[derive(Debug, Args)]
pub struct IngestArgs {
    /// Folders, files, and http(s) addresses
    #[arg(value_name = "DIR|FILE|URL", required_unless_present = "retry")]
    pub sources: Vec<String>,
    /// The collection; it is created if there is none
    #[arg(long, short)]
    pub collection: String,
    /// Who keeps a collection that is created: the vector indexers (embedded, as it comes) or qdrant
    #[arg(long, value_enum)]
    pub backend: Option<Backend>,
    /// The model that embeds, NAME or NAME@VERSION; without it the collection's own, or minilm
    #[arg(long)]
    pub model: Option<String>,
    /// The most tokens of a chunk
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(16..=32_768))]
    pub max_tokens: u32,
    /// How many of them repeat the end of the chunk before
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub overlap: u32,
    /// Metadata of all chunks, such as lang=en; repeatable
    #[arg(long = "meta", value_name = "KEY=VALUE", value_parser = units::label)]
    pub meta: Vec<(String, String)>,
    /// How many documents are under way at once
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub parallel: u16,
    /// Write what failed to a file, for --retry
    #[arg(long, value_name = "FILE")]
    pub failures: Option<PathBuf>,
    /// Take the documents that failed from a file that --failures wrote
    #[arg(long, value_name = "FILE")]
    pub retry: Option<PathBuf>,
}
