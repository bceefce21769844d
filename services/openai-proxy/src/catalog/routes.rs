//! Routes: from what a client asks for to the models that may answer, and in which order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tasklane_runtime::config::tables::{Notes, Section, Value, kind};

use super::models::{Kind, Model};
use super::names;

/// The most candidates of a route: enough for every fallback, few enough to try in one request.
const MAX_CANDIDATES: usize = 32;

/// The highest weight and the highest rank.
const MAX_WEIGHT: u64 = 1_000_000;

/// An alias and the models that may answer for it, all of one kind.
#[derive(Debug)]
pub struct Route {
    /// What a client asks for as `model`.
    pub alias: String,
    /// What all its models do.
    pub kind: Kind,
    /// Ranks in the order in which they are tried; none is empty. Models of a rank share the load.
    ranks: Vec<Vec<Share>>,
}

#[derive(Debug, Clone)]
struct Share {
    model: Arc<Model>,
    weight: u32,
}

impl Route {
    /// The route that a model's own name is.
    pub(super) fn to_itself(model: &Arc<Model>) -> Self {
        let share = Share { model: Arc::clone(model), weight: 1 };
        Self { alias: model.id.clone(), kind: model.kind, ranks: vec![vec![share]] }
    }

    /// The models rank by rank, each rank in the order of the file.
    #[must_use]
    pub fn as_written(&self) -> Vec<&Model> {
        self.ranks.iter().flatten().map(|share| share.model.as_ref()).collect()
    }

    /// The models in the order in which to try them: rank by rank, and within a rank drawn by weight, without
    /// putting back. A model with three times the weight is first three times as often.
    ///
    /// One `random` in `[0, 1)` is enough: its place within the drawn model's share of the range is again uniform in
    /// `[0, 1)`, and decides the next draw. Its 53 bits last for the first dozen draws or so, and whatever comes
    /// after those is still some order of all the rest.
    #[must_use]
    pub fn in_order(&self, random: f64) -> Vec<&Model> {
        let mut random = if random.is_finite() { random.clamp(0.0, 1.0) } else { 0.5 };
        let mut order = Vec::with_capacity(self.ranks.iter().map(Vec::len).sum());
        for rank in &self.ranks {
            let mut left: Vec<&Share> = rank.iter().collect();
            while !left.is_empty() {
                let (at, rest) = draw(&left, random);
                order.push(left.remove(at).model.as_ref());
                random = rest;
            }
        }
        order
    }
}

/// The place of the share in which `random` falls, and where in that share it fell, in `[0, 1)`.
fn draw(shares: &[&Share], random: f64) -> (usize, f64) {
    let total: f64 = shares.iter().map(|share| f64::from(share.weight)).sum();
    let mut point = random * total;
    for (at, share) in shares.iter().enumerate() {
        let weight = f64::from(share.weight);
        if point < weight {
            return (at, point / weight);
        }
        point -= weight;
    }
    // Only for a random of 1.
    (shares.len().saturating_sub(1), 0.0)
}

/// A candidate as written.
struct Candidate {
    model: Option<Arc<Model>>,
    weight: Option<u32>,
    rank: Option<u64>,
    at: std::ops::Range<usize>,
}

/// Reads `[routes.*]`; what has a mistake is left out.
pub(super) fn read(
    root: &Section<'_>,
    models: &BTreeMap<String, Arc<Model>>,
    notes: &mut Notes<'_>,
) -> BTreeMap<String, Route> {
    let Some(all) = root.section("routes", notes) else {
        return BTreeMap::new();
    };
    let named = root.names_in("models");
    let mut routes = BTreeMap::new();
    for (alias, at, value) in all.entries() {
        if let Err(text) = names::check(alias) {
            notes.add(&at, format!("route: {text}"));
        }
        let what = format!("route {}", names::shown(alias));
        if named.contains(&alias) {
            notes.add(&at, format!("{what} has the name of a model, which is a route already; rename one"));
        }
        let Some(section) = Section::of(value, what, at, notes) else { continue };
        if let Some(route) = route(alias, &section, models, &named, notes) {
            routes.insert(alias.to_owned(), route);
        }
    }
    routes
}

fn route(
    alias: &str,
    section: &Section<'_>,
    models: &BTreeMap<String, Arc<Model>>,
    named: &[&str],
    notes: &mut Notes<'_>,
) -> Option<Route> {
    section.only(&["candidates"], notes);
    let list = section.list("candidates", notes);
    if list.is_empty() && (!section.has("candidates") || section.is_list("candidates")) {
        notes.add(&section.span_of("candidates"), format!("{} has no candidates", section.what));
    }
    if list.len() > MAX_CANDIDATES {
        let text = format!("{} has more than {MAX_CANDIDATES} candidates", section.what);
        notes.add(&section.span_of("candidates"), text);
    }
    let mut seen = BTreeSet::new();
    let mut candidates: Vec<Candidate> = Vec::new();
    for value in list {
        let Some((name, candidate)) = candidate(value, section, models, named, notes) else { continue };
        if !seen.insert(name) {
            let text = format!("{} has {} twice", section.what, names::shown(name));
            notes.add(&candidate.at, text);
        }
        candidates.push(candidate);
    }
    one_kind(section, &candidates, notes);
    let ranks = ranks(section, &candidates, notes);
    let kind = candidates.iter().find_map(|c| c.model.as_ref().map(|m| m.kind))?;
    Some(Route { alias: alias.to_owned(), kind, ranks })
}

/// A candidate: a model's name alone, or a table with it.
fn candidate<'a>(
    value: &'a Value<'a>,
    route: &Section<'_>,
    models: &BTreeMap<String, Arc<Model>>,
    named: &[&str],
    notes: &mut Notes<'_>,
) -> Option<(&'a str, Candidate)> {
    let what = format!("candidate of {}", route.what);
    let (name, at, weight, rank) = if let Some(name) = value.get_ref().as_str() {
        (name, value.span(), None, None)
    } else if value.get_ref().is_table() {
        let section = Section::of(value, what.clone(), value.span(), notes)?;
        section.only(&["model", "weight", "rank"], notes);
        let weight = section.whole("weight", 1..=MAX_WEIGHT, notes);
        let rank = section.whole("rank", 0..=MAX_WEIGHT, notes);
        (section.needed_text("model", notes)?, section.span_of("model"), weight, rank)
    } else {
        let found = kind(value.get_ref());
        notes.add(
            &value.span(),
            format!("{what} must be a model's name or a table with `model`, not {found}"),
        );
        return None;
    };
    if !named.contains(&name) {
        let hint = names::hint(name, named.iter().copied());
        notes.add(&at, format!("{what}: there is no model {}{hint}", names::shown(name)));
    }
    let weight = weight.and_then(|weight| u32::try_from(weight).ok());
    Some((name, Candidate { model: models.get(name).cloned(), weight, rank, at }))
}

/// All must be of the first one's kind: no answer of the one can stand for the other.
fn one_kind(section: &Section<'_>, candidates: &[Candidate], notes: &mut Notes<'_>) {
    let mut models = candidates.iter().filter_map(|c| c.model.as_ref().map(|model| (c, model)));
    let Some((_, first)) = models.next() else { return };
    for (candidate, model) in models.filter(|(_, model)| model.kind != first.kind) {
        let text = format!(
            "{}: {} is of kind `{}`, but {} is of kind `{}`",
            section.what,
            names::shown(&model.id),
            model.kind.word(),
            names::shown(&first.id),
            first.kind.word(),
        );
        notes.add(&candidate.at, text);
    }
}

/// Candidates by rank. With ranks, those of one rank share by weight. Without ranks, weights mean that all share,
/// and no weights mean that the list is the order.
fn ranks(section: &Section<'_>, candidates: &[Candidate], notes: &mut Notes<'_>) -> Vec<Vec<Share>> {
    let ranked = candidates.iter().any(|c| c.rank.is_some());
    let weighted = candidates.iter().any(|c| c.weight.is_some());
    let mut ranks: BTreeMap<u64, Vec<Share>> = BTreeMap::new();
    for (place, candidate) in (0u64..).zip(candidates) {
        if ranked && candidate.rank.is_none() {
            let text = "has no `rank`, but others of its route have one; give all or none a rank";
            notes.add(&candidate.at, format!("candidate of {} {text}", section.what));
        }
        let rank = candidate.rank.unwrap_or(if weighted { 0 } else { place });
        if let Some(model) = &candidate.model {
            let share = Share { model: Arc::clone(model), weight: candidate.weight.unwrap_or(1) };
            ranks.entry(rank).or_default().push(share);
        }
    }
    ranks.into_values().collect()
}
