//! Models: what they are called, how much they take in and give out, and what they cost.

use std::collections::BTreeMap;
use std::sync::Arc;

use tasklane_runtime::config::tables::{Notes, Section};

use super::price::{self, Price};
use super::providers::Provider;
use super::{Limits, names, tenants};

/// The largest believable context, in tokens.
const MAX_TOKENS: u64 = 100_000_000;

/// The longest name of a model at its provider, in characters.
const MAX_NAME: usize = 200;

/// What a model does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// It answers.
    Chat,
    /// It turns text into vectors.
    Embedding,
    /// It classifies text.
    Moderation,
}

impl Kind {
    /// The word for it in the file.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Embedding => "embedding",
            Self::Moderation => "moderation",
        }
    }
}

/// A model of a provider.
#[derive(Debug)]
pub struct Model {
    /// Its name in the file, which is also a route to it.
    pub id: String,
    /// Who serves it.
    pub provider: Arc<Provider>,
    /// Its name at the provider.
    pub name: String,
    /// What it does.
    pub kind: Kind,
    /// Input and output together, in tokens.
    pub context_tokens: u64,
    /// The longest answer, in tokens: what has to be reserved for a request that sets no bound of its own. 0 unless
    /// it is a chat model.
    pub max_output_tokens: u64,
    /// What it costs.
    pub price: Price,
    /// What all calls to it together may use, beside its provider's limits.
    pub limits: Limits,
}

const KEYS: [&str; 9] = [
    "provider",
    "name",
    "kind",
    "context_tokens",
    "max_output_tokens",
    "price",
    "free",
    "requests_per_minute",
    "tokens_per_minute",
];

/// Reads `[models.*]`; what has a mistake is left out.
pub(super) fn read(
    root: &Section<'_>,
    providers: &BTreeMap<String, Arc<Provider>>,
    notes: &mut Notes<'_>,
) -> BTreeMap<String, Arc<Model>> {
    let Some(all) = root.section("models", notes) else {
        if !root.has("models") {
            notes.add(&root.at, "the file names no model; add a table such as `[models.gpt-small]`");
        }
        return BTreeMap::new();
    };
    if all.entries().next().is_none() {
        notes.add(&all.at, "the file names no model; add a table such as `[models.gpt-small]`");
    }
    let named = root.names_in("providers");
    let mut models = BTreeMap::new();
    for (id, at, value) in all.entries() {
        if let Err(text) = names::check(id) {
            notes.add(&at, format!("model: {text}"));
        }
        let what = format!("model {}", names::shown(id));
        let Some(section) = Section::of(value, what, at, notes) else { continue };
        if let Some(model) = model(id, &section, providers, &named, notes) {
            models.insert(id.to_owned(), Arc::new(model));
        }
    }
    models
}

fn model(
    id: &str,
    section: &Section<'_>,
    providers: &BTreeMap<String, Arc<Provider>>,
    named: &[&str],
    notes: &mut Notes<'_>,
) -> Option<Model> {
    section.only(&KEYS, notes);
    let provider = section.needed_text("provider", notes).and_then(|name| {
        if !named.contains(&name) {
            let hint = names::hint(name, named.iter().copied());
            let text = format!("{}: there is no provider {}{hint}", section.what, names::shown(name));
            notes.add(&section.span_of("provider"), text);
        }
        providers.get(name).cloned()
    });
    let name = section.text("name", notes).unwrap_or(id);
    if name.is_empty() || name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
        let text = format!("`name` must have 1 to {MAX_NAME} characters, and no control characters");
        notes.add(&section.span_of("name"), format!("{}: {text}", section.what));
    }
    let kinds = [Kind::Chat, Kind::Embedding, Kind::Moderation].map(|kind| (kind.word(), kind));
    let kind = if section.has("kind") { section.word("kind", &kinds, notes) } else { Some(Kind::Chat) };
    let limits = tenants::limits(section, notes);
    let context_tokens = section.whole("context_tokens", 1..=MAX_TOKENS, notes);
    if !section.has("context_tokens") {
        notes.add(&section.at, format!("{} has no `context_tokens`", section.what));
    }
    // A mistyped kind says nothing about the price; what both kinds need is still looked at.
    let price = price::read(section, kind.unwrap_or(Kind::Embedding), notes);
    let max_output_tokens = output_bound(section, kind, context_tokens, notes);
    Some(Model {
        id: id.to_owned(),
        provider: provider?,
        name: name.to_owned(),
        kind: kind?,
        context_tokens: context_tokens?,
        max_output_tokens: max_output_tokens?,
        price: price?,
        limits,
    })
}

fn output_bound(
    section: &Section<'_>,
    kind: Option<Kind>,
    context_tokens: Option<u64>,
    notes: &mut Notes<'_>,
) -> Option<u64> {
    const KEY: &str = "max_output_tokens";
    let bound = section.whole(KEY, 1..=MAX_TOKENS, notes);
    if let (Some(bound), Some(context)) = (bound, context_tokens)
        && bound > context
    {
        let text = format!("`{KEY}` is above `context_tokens` ({context})");
        notes.add(&section.span_of(KEY), format!("{}: {text}", section.what));
    }
    match (kind?, section.has(KEY)) {
        (Kind::Chat, true) => bound,
        (Kind::Chat, false) => {
            let text = "it is what is reserved for a request without a bound of its own";
            notes.add(&section.at, format!("{} has no `{KEY}`; {text}", section.what));
            None
        }
        (_, false) => Some(0),
        (kind, true) => {
            let text = format!("`{KEY}` has no meaning for kind `{}`; leave it out", kind.word());
            notes.add(&section.span_of(KEY), format!("{}: {text}", section.what));
            None
        }
    }
}
