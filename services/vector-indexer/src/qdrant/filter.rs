//! A filter of ours in qdrant's words, with the same meaning. Pure; see `terms` for what it asks of.

use std::ops::Bound;

use qdrant_client::qdrant;
use qdrant_client::qdrant::condition::ConditionOneOf;
use qdrant_client::qdrant::r#match::MatchValue;

use super::terms;
use crate::filter::{Key, Node, Predicate, Test, Wrong};

/// The filter for qdrant; nothing for one that lets everything through.
///
/// # Errors
/// Bounds that are texts: qdrant has no order of texts.
pub fn filter(predicate: &Predicate) -> Result<Option<qdrant::Filter>, Wrong> {
    if predicate.is_everything() {
        return Ok(None);
    }
    let condition = condition(predicate.node())?;
    Ok(Some(match condition.condition_one_of {
        Some(ConditionOneOf::Filter(filter)) => filter,
        _ => all([condition]),
    }))
}

fn condition(node: &Node) -> Result<qdrant::Condition, Wrong> {
    let each = |nodes: &[Node]| nodes.iter().map(condition).collect::<Result<Vec<_>, _>>();
    Ok(match node {
        Node::All(nodes) => all(each(nodes)?).into(),
        Node::Any(nodes) if nodes.is_empty() => nothing(),
        Node::Any(nodes) => any(each(nodes)?).into(),
        Node::Not(node) => qdrant::Filter::must_not([condition(node)?]).into(),
        Node::Field(field, Test::Exists) => among(vec![terms::exists(field)]),
        Node::Field(field, Test::In(atoms)) => {
            among(atoms.iter().map(|atom| terms::equals(field, atom)).collect())
        }
        Node::Field(field, Test::Numbers(range)) => numbers(field, range),
        Node::Field(field, Test::Texts(_)) => {
            return Err(Wrong {
                path: format!("filter.{field}"),
                reason: "the collection is in qdrant, which has no order of texts; bounds are numbers there"
                    .to_owned(),
            });
        }
    })
}

fn all(conditions: impl Into<Vec<qdrant::Condition>>) -> qdrant::Filter {
    qdrant::Filter { must: conditions.into(), ..qdrant::Filter::default() }
}

fn any(conditions: impl Into<Vec<qdrant::Condition>>) -> qdrant::Filter {
    qdrant::Filter { should: conditions.into(), ..qdrant::Filter::default() }
}

/// No point is among these.
fn nothing() -> qdrant::Condition {
    ConditionOneOf::HasId(qdrant::HasIdCondition { has_id: Vec::new() }).into()
}

/// A point has one of these terms.
fn among(mut terms: Vec<String>) -> qdrant::Condition {
    let wanted = match terms.len() {
        0 => return nothing(),
        1 => MatchValue::Keyword(terms.swap_remove(0)),
        _ => MatchValue::Keywords(qdrant::RepeatedStrings { strings: terms }),
    };
    qdrant::FieldCondition {
        key: super::TERMS.to_owned(),
        r#match: Some(qdrant::Match { match_value: Some(wanted) }),
        ..qdrant::FieldCondition::default()
    }
    .into()
}

fn range(key: impl Into<String>, range: qdrant::Range) -> qdrant::Condition {
    qdrant::FieldCondition { key: key.into(), range: Some(range), ..qdrant::FieldCondition::default() }.into()
}

/// One of the field's numbers lies within the bounds.
fn numbers(field: &str, bounds: &crate::filter::Range<Key>) -> qdrant::Condition {
    let segment = terms::segment(field);
    let wide = [
        bound(&bounds.low).map(|(key, closed)| beside(key, above, closed)),
        bound(&bounds.high).map(|(key, closed)| beside(key, below, closed)),
    ];
    let wide = ConditionOneOf::Nested(qdrant::NestedCondition {
        key: format!("{}.{segment}", super::WIDE),
        filter: Some(all(wide.into_iter().flatten().collect::<Vec<_>>())),
    });
    any([range(format!("{}.{segment}", super::NUMBERS), plain(bounds)), wide.into()]).into()
}

/// From a number on, with it or without.
fn above(number: f64, closed: bool) -> qdrant::Range {
    match closed {
        true => qdrant::Range { gte: Some(number), ..qdrant::Range::default() },
        false => qdrant::Range { gt: Some(number), ..qdrant::Range::default() },
    }
}

/// Up to a number, with it or without.
fn below(number: f64, closed: bool) -> qdrant::Range {
    match closed {
        true => qdrant::Range { lte: Some(number), ..qdrant::Range::default() },
        false => qdrant::Range { lt: Some(number), ..qdrant::Range::default() },
    }
}

/// Bounds for numbers that an `f64` holds. Such a number is above a bound with a rest if it is above the `f64` below that
/// bound.
fn plain(bounds: &crate::filter::Range<Key>) -> qdrant::Range {
    let mut plain = qdrant::Range::default();
    if let Some((key, closed)) = bound(&bounds.low) {
        match key.parts() {
            (number, 0) if closed => plain.gte = Some(number),
            (number, _) => plain.gt = Some(number),
        }
    }
    if let Some((key, closed)) = bound(&bounds.high) {
        match key.parts() {
            (number, 0) if !closed => plain.lt = Some(number),
            (number, _) => plain.lte = Some(number),
        }
    }
    plain
}

/// A bound, and whether it is inside itself.
fn bound(bound: &Bound<Key>) -> Option<(Key, bool)> {
    match bound {
        Bound::Included(key) => Some((*key, true)),
        Bound::Excluded(key) => Some((*key, false)),
        Bound::Unbounded => None,
    }
}

/// Of a number in two halves: the first is on the right side, or it is equal and the second is.
fn beside(key: Key, side: fn(f64, bool) -> qdrant::Range, closed: bool) -> qdrant::Condition {
    let (high, low) = key.halves();
    let (high, low) = (high as f64, f64::from(low));
    let equal = qdrant::Range { gte: Some(high), lte: Some(high), ..qdrant::Range::default() };
    let tied = all([range(super::HIGH, equal), range(super::LOW, side(low, closed))]);
    any([range(super::HIGH, side(high, false)), tied.into()]).into()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn of(filter: Value) -> Result<Option<qdrant::Filter>, Wrong> {
        super::filter(&Predicate::parse(&filter).unwrap())
    }

    #[test]
    fn bounds_of_texts_are_refused_with_their_field() {
        let said = of(json!({"$or": [{"a": 1}, {"title": {"$gt": "m"}}]})).unwrap_err().to_string();
        assert!(said.starts_with("filter.title: ") && said.contains("qdrant"), "{said}");
        assert!(of(json!({"title": {"$ne": "m"}, "year": {"$gt": 1}})).is_ok());
    }

    #[test]
    fn what_everything_passes_is_no_filter() {
        assert_eq!(of(json!({})).unwrap(), None);
        assert_eq!(of(json!({"$not": {}})).unwrap().unwrap().must_not.len(), 1);
        assert_eq!(of(json!({"lang": "en"})).unwrap().unwrap().must.len(), 1);
        let nobody = of(json!({"lang": {"$in": []}})).unwrap().unwrap();
        assert_eq!(nobody.must, [nothing()]);
    }
}
