//! `llm` on the command line.

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

/// `llm`.
#[derive(Debug, Subcommand)]
pub enum LlmCommand {
    /// What may be asked for, who answers it, and what it costs
    Models(ModelsArgs),
    /// What was used, by day, tenant and model
    Usage(UsageArgs),
    /// How much of their budgets tenants have spent
    Budgets(BudgetsArgs),
    /// Ask a model, once or in a conversation
    Chat(ChatArgs),
}

/// `llm models`.
#[derive(Debug, Args)]
pub struct ModelsArgs {
    /// What this tenant may ask for
    #[arg(long)]
    pub tenant: Option<String>,
}

/// `llm usage`.
#[derive(Debug, Args)]
pub struct UsageArgs {
    /// Of one tenant
    #[arg(long)]
    pub tenant: Option<String>,
    /// Of one model, by its name in the providers' file
    #[arg(long)]
    pub model: Option<String>,
    /// The first day, in UTC: 7d (ago) or 2026-11-21
    #[arg(long, value_name = "WHEN", default_value = "7d")]
    pub since: String,
    /// The last day; without it today
    #[arg(long, value_name = "WHEN")]
    pub until: Option<String>,
    /// What the rows stand for; without it, all three
    #[arg(long, value_delimiter = ',')]
    pub by: Vec<By>,
}

/// What rows are told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// The day.
    Day,
    /// The tenant.
    Tenant,
    /// The model.
    Model,
}

/// `llm budgets`.
#[derive(Debug, Args)]
pub struct BudgetsArgs {
    /// Of one tenant
    #[arg(long)]
    pub tenant: Option<String>,
}

/// `llm chat`.
#[derive(Debug, Clone, Default, Args)]
pub struct ChatArgs {
    /// What to ask; without it standard input is asked, and on a terminal a conversation begins
    pub prompt: Option<String>,
    /// A route or a model; without it the first route for chats
    #[arg(long)]
    pub model: Option<String>,
    /// Whose call it is
    #[arg(long)]
    pub tenant: Option<String>,
    /// What the model is told first
    #[arg(long, value_name = "TEXT")]
    pub system: Option<String>,
}
