//! Tenants: who may call what, how fast and for how much money.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use tasklane_runtime::config::tables::{Notes, Section, Value};

use super::decimal::{Unfit, scaled};
use super::keys::{self, Reader};
use super::secret::{Bearers, Fingerprint};
use super::{Limits, names};

/// The tenant whose rules hold for everyone that the file does not name.
pub const DEFAULT_TENANT: &str = "default";

/// The highest limit of requests or tokens a minute.
const MAX_PER_MINUTE: u64 = 1_000_000_000_000;

/// The highest budget, in nano-USD: a thousand million dollars.
const MAX_BUDGET: u64 = 1_000_000_000 * 1_000_000_000;

/// How long a budget lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Per {
    /// A calendar day.
    Day,
    /// A calendar month.
    Month,
}

impl Per {
    /// The word for it in the file.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
        }
    }
}

/// What follows when a budget is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenSpent {
    /// The request is refused.
    #[default]
    Refuse,
    /// It waits until the next window opens.
    Queue,
    /// The next cheaper model of the route answers.
    Cheaper,
}

impl WhenSpent {
    /// The word for it in the file.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Queue => "queue",
            Self::Cheaper => "cheaper",
        }
    }
}

/// Money for a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// How much, in nano-USD; never 0.
    pub nano_usd: u64,
    /// For how long.
    pub per: Per,
}

/// The rules for a tenant.
#[derive(Debug, Clone)]
pub struct Tenant {
    /// Its name in the file.
    pub name: String,
    /// What all its calls together may use.
    pub limits: Limits,
    /// At most one for each window; empty: unlimited.
    pub budgets: Vec<Budget>,
    /// What follows when one of them is spent.
    pub when_spent: WhenSpent,
    /// The aliases and models it may ask for; none: all.
    pub models: Option<BTreeSet<String>>,
}

impl Tenant {
    /// A tenant without any limit.
    pub(super) fn unlimited(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            limits: Limits::default(),
            budgets: Vec::new(),
            when_spent: WhenSpent::Refuse,
            models: None,
        }
    }

    /// Whether it may ask for this alias. Who may ask for a route may not therefore ask for its models by name.
    #[must_use]
    pub fn allows(&self, alias: &str) -> bool {
        self.models.as_ref().is_none_or(|models| models.contains(alias))
    }
}

const KEYS: [&str; 6] =
    ["keys", "requests_per_minute", "tokens_per_minute", "budgets", "when_spent", "models"];

/// A client's key with its owner and where it is named.
struct Owned {
    print: Fingerprint,
    tenant: String,
    at: Range<usize>,
}

/// Reads `[tenants.*]`, their keys among them. `providers` are the fingerprints of the providers' keys.
pub(super) fn read(
    root: &Section<'_>,
    reader: Reader<'_>,
    providers: &BTreeMap<Fingerprint, &str>,
    notes: &mut Notes<'_>,
) -> (BTreeMap<String, Tenant>, Bearers) {
    let (mut tenants, mut owned) = (BTreeMap::new(), Vec::new());
    if let Some(all) = root.section("tenants", notes) {
        let mut aliases = root.names_in("routes");
        aliases.extend(root.names_in("models"));
        for (name, at, value) in all.entries() {
            if let Err(e) = tasklane_runtime::domain::name::check_tenant(name) {
                notes.add(&at, e.to_string());
            }
            let what = format!("tenant {}", names::shown(name));
            let Some(section) = Section::of(value, what, at, notes) else { continue };
            tenants.insert(name.to_owned(), tenant(name, &section, &aliases, notes));
            for value in section.list("keys", notes) {
                let what = format!("key of {}", section.what);
                if let Some(key) = keys::fetch(value, &what, reader, notes) {
                    let print = Fingerprint::of(key.expose());
                    owned.push(Owned { print, tenant: name.to_owned(), at: value.span() });
                }
            }
        }
    }
    tenants.entry(DEFAULT_TENANT.to_owned()).or_insert_with(|| Tenant::unlimited(DEFAULT_TENANT));
    (tenants, bearers(owned, providers, notes))
}

/// Every key has one owner: with two it would be chance whose money is spent.
fn bearers(mut owned: Vec<Owned>, providers: &BTreeMap<Fingerprint, &str>, notes: &mut Notes<'_>) -> Bearers {
    owned.sort_by_key(|key| key.at.start);
    let mut bearers = Bearers::default();
    let mut first: BTreeMap<Fingerprint, String> = BTreeMap::new();
    for key in owned {
        let tenant = names::shown(&key.tenant);
        if let Some(provider) = providers.get(&key.print) {
            let text =
                format!("is also the key of provider {}, which no client may hold", names::shown(provider));
            notes.add(&key.at, format!("a key of tenant {tenant} {text}"));
        }
        if let Some(other) = first.get(&key.print) {
            let text = format!("a key of tenant {tenant} is also a key of tenant {}", names::shown(other));
            notes.add(&key.at, text);
        }
        bearers.add(key.print, &key.tenant);
        first.entry(key.print).or_insert(key.tenant);
    }
    bearers
}

fn tenant(name: &str, section: &Section<'_>, aliases: &[&str], notes: &mut Notes<'_>) -> Tenant {
    section.only(&KEYS, notes);
    let words = [("refuse", WhenSpent::Refuse), ("queue", WhenSpent::Queue), ("cheaper", WhenSpent::Cheaper)];
    let mut budgets: Vec<Budget> = Vec::new();
    for value in section.list("budgets", notes) {
        let Some(budget) = budget(value, section, notes) else { continue };
        if budgets.iter().any(|other| other.per == budget.per) {
            notes.add(&value.span(), format!("{} has two budgets for the same time", section.what));
        }
        budgets.push(budget);
    }
    Tenant {
        name: name.to_owned(),
        limits: limits(section, notes),
        budgets,
        when_spent: section.word("when_spent", &words, notes).unwrap_or_default(),
        models: section.has("models").then(|| allowed(section, aliases, notes)),
    }
}

fn allowed(section: &Section<'_>, aliases: &[&str], notes: &mut Notes<'_>) -> BTreeSet<String> {
    let list = section.list("models", notes);
    if list.is_empty() && section.is_list("models") {
        let text = "is empty and allows nothing; leave it out to allow everything";
        notes.add(&section.span_of("models"), format!("{}: `models` {text}", section.what));
    }
    let mut allowed = BTreeSet::new();
    for value in list {
        match value.get_ref().as_str() {
            Some(alias) if aliases.contains(&alias) => {
                allowed.insert(alias.to_owned());
            }
            Some(alias) => {
                let hint = names::hint(alias, aliases.iter().copied());
                let text = format!("{}: there is no route or model {}", section.what, names::shown(alias));
                notes.add(&value.span(), text + &hint);
            }
            None => notes.add(&value.span(), format!("{}: `models` must be a list of names", section.what)),
        }
    }
    allowed
}

fn budget(value: &Value<'_>, tenant: &Section<'_>, notes: &mut Notes<'_>) -> Option<Budget> {
    let section = Section::of(value, format!("budget of {}", tenant.what), value.span(), notes)?;
    section.only(&["usd", "per"], notes);
    for key in ["usd", "per"].into_iter().filter(|key| !section.has(key)) {
        notes.add(&section.at, format!("{} has no `{key}`", section.what));
    }
    let per = section.word("per", &[("day", Per::Day), ("month", Per::Month)], notes);
    let number = section.number("usd", notes)?;
    let problem = match scaled(&number, 9) {
        Ok(0) => "is 0; to allow nothing at all, take the tenant's keys away",
        Ok(nano_usd) if nano_usd <= MAX_BUDGET => return Some(Budget { nano_usd, per: per? }),
        Ok(_) | Err(Unfit::TooLarge) => "is above a thousand million dollars",
        Err(Unfit::Negative) => "is negative",
        Err(Unfit::TooFine) => "has more than 9 places; the rest would be lost",
        Err(Unfit::NotANumber) => "must be a number",
    };
    notes.add(&section.span_of("usd"), format!("{}: `usd` {problem}", section.what));
    None
}

/// Reads the limits that providers, models and tenants may all have. 0 is refused: it would let nothing through.
pub(super) fn limits(section: &Section<'_>, notes: &mut Notes<'_>) -> Limits {
    Limits {
        requests_per_minute: section.whole("requests_per_minute", 1..=MAX_PER_MINUTE, notes),
        tokens_per_minute: section.whole("tokens_per_minute", 1..=MAX_PER_MINUTE, notes),
    }
}
