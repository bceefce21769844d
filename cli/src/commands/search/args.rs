//! `search` on the command line, and what `ask` has in common with it.

use clap::Args;
use serde_json::Value;

use super::question;

/// `search`.
#[derive(Debug, Args)]
pub struct SearchArgs {
    /// The collection
    pub collection: String,
    /// What is looked for
    pub question: String,
    /// How many
    #[arg(short, long = "top-k", value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub k: u16,
    /// By words and by meaning
    #[arg(long, conflicts_with = "text")]
    pub hybrid: bool,
    /// By words alone, without a model
    #[arg(long)]
    pub text: bool,
    /// Which chunks, and who orders them.
    #[command(flatten)]
    pub narrow: NarrowArgs,
}

/// Which chunks are looked at, by which models.
#[derive(Debug, Default, Args)]
pub struct NarrowArgs {
    /// Only chunks with this metadata: lang=en, year>=2020, lang!=de, or JSON; repeatable
    #[arg(long = "filter", short, value_name = "KEY=VALUE", value_parser = question::filter)]
    pub filters: Vec<Value>,
    /// A model that puts what was found in a better order
    #[arg(long, value_name = "MODEL")]
    pub rerank: Option<String>,
    /// The model that embeds the question; without it the one that filled the collection
    #[arg(long, value_name = "MODEL")]
    pub embed_model: Option<String>,
}
