//! `ask` on the command line.

use clap::Args;

use crate::commands::search::args::NarrowArgs;

/// `ask`.
#[derive(Debug, Args)]
pub struct AskArgs {
    /// The collection
    pub collection: String,
    /// The question
    pub question: String,
    /// The model that answers: of `llm models`, or one of our own that writes; without it the first that chats
    #[arg(long, short)]
    pub model: Option<String>,
    /// How many sources the model gets
    #[arg(short, long = "top-k", value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..=50))]
    pub k: u16,
    /// The longest answer, in tokens, of a model of our own
    #[arg(long, value_name = "N", default_value_t = 512)]
    pub max_tokens: u32,
    /// Whose call it is
    #[arg(long)]
    pub tenant: Option<String>,
    /// Which chunks, and who orders them.
    #[command(flatten)]
    pub narrow: NarrowArgs,
}
