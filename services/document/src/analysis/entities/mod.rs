//! Entities that their form gives away: mail addresses, web addresses, IBANs, dates, sums of money, phone numbers.
//!
//! Precision comes before recall: what is ambiguous is told without a normalised value or not at all. One place in
//! the text is one entity; kinds earlier in `EntityKind` win.

mod dates;
mod iban;
mod money;
mod phone;
mod web;

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

pub use self::dates::is_month;
use crate::render::Rendered;

/// What an entity is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntityKind {
    /// A web address.
    Url,
    /// A mail address.
    Email,
    /// An international bank account number whose checksum is right.
    Iban,
    /// A date that exists.
    Date,
    /// A sum of money with its currency.
    Money,
    /// A phone number.
    Phone,
}

/// One entity, however often it stands in the text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entity {
    /// What it is.
    pub kind: EntityKind,
    /// As it is first written.
    pub text: String,
    /// Normalised: an ISO 8601 date, `1234.50 EUR`, an address in lower case, a number without spaces. None where
    /// that would be a guess, as for `03/04/2024`.
    pub value: Option<String>,
    /// How often it stands in the text, in whatever form.
    pub count: u32,
    /// Where it first stands in the plain text of the document, in bytes.
    pub start: usize,
    /// One past its last byte there.
    pub end: usize,
    /// The page of the block it stands in, where the format has pages.
    pub page: Option<u32>,
}

/// One match: its bytes and its normalised value.
struct Found {
    start: usize,
    end: usize,
    value: Option<String>,
}

type Finder = fn(&str) -> Vec<Found>;

const FINDERS: [(EntityKind, Finder); 6] = [
    (EntityKind::Url, web::urls),
    (EntityKind::Email, web::emails),
    (EntityKind::Iban, iban::find),
    (EntityKind::Date, dates::find),
    (EntityKind::Money, money::find),
    (EntityKind::Phone, phone::find),
];

/// At most `max` different entities of each kind in the first `bytes` of the rendered text, by first mention.
pub fn find(rendered: &Rendered, bytes: usize, max: usize) -> Vec<Entity> {
    let text = &rendered.text[..rendered.text.floor_char_boundary(bytes)];
    let mut taken = vec![false; text.len()];
    let mut entities: Vec<Entity> = Vec::new();
    for (kind, finder) in FINDERS {
        let mut known: HashMap<String, usize> = HashMap::new();
        let first = entities.len();
        let mut matches = finder(text);
        matches.sort_by_key(|found| found.start);
        for Found { start, end, value } in matches {
            if taken[start..end].contains(&true) {
                continue;
            }
            taken[start..end].fill(true);
            let key = value.clone().unwrap_or_else(|| text[start..end].to_owned());
            if let Some(entity) = known.get(&key).and_then(|index| entities.get_mut(*index)) {
                entity.count += 1;
            } else if entities.len() - first < max {
                known.insert(key, entities.len());
                let block = rendered.spans.partition_point(|span| span.start <= start).saturating_sub(1);
                let page = rendered.spans.get(block).and_then(|span| span.page);
                let text = text[start..end].to_owned();
                entities.push(Entity { kind, text, value, count: 1, start, end, page });
            }
        }
    }
    entities.sort_by_key(|entity| entity.start);
    entities
}

/// Compiles a pattern of ours; one that is wrong finds nothing, and a test sees that none is.
fn pattern(source: &str) -> Option<regex::Regex> {
    regex::Regex::new(source).ok()
}

#[cfg(test)]
mod tests;
