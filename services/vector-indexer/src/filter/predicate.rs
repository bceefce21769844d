//! A filter that was understood, and its meaning: `matches` is the truth that the index is held against.

use std::ops::Bound;

use serde_json::{Map, Value};

use super::number::Key;
use super::walk;

/// A filter. It is made by [`Predicate::parse`], which bounds it.
#[derive(Debug, Clone, PartialEq)]
pub struct Predicate(pub(crate) Node);

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
    Field(Box<str>, Test),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Test {
    Exists,
    /// Sorted, without repeats.
    In(Vec<Atom>),
    Numbers(Range<Key>),
    Texts(Range<Box<str>>),
}

/// What metadata is compared by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Atom {
    Null,
    Bool(bool),
    Number(Key),
    Text(Box<str>),
}

/// Two bounds. Nothing says that there is anything between them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Range<K> {
    pub(crate) low: Bound<K>,
    pub(crate) high: Bound<K>,
}

impl<K: Ord> Range<K> {
    pub(crate) fn everything() -> Self {
        Self { low: Bound::Unbounded, high: Bound::Unbounded }
    }

    /// The value lies under the lower bound.
    pub(crate) fn is_below<Q: Ord + ?Sized>(&self, value: &Q) -> bool
    where
        K: std::borrow::Borrow<Q>,
    {
        match &self.low {
            Bound::Included(low) => value < low.borrow(),
            Bound::Excluded(low) => value <= low.borrow(),
            Bound::Unbounded => false,
        }
    }

    /// The value lies over the upper bound.
    pub(crate) fn is_above<Q: Ord + ?Sized>(&self, value: &Q) -> bool
    where
        K: std::borrow::Borrow<Q>,
    {
        match &self.high {
            Bound::Included(high) => value > high.borrow(),
            Bound::Excluded(high) => value >= high.borrow(),
            Bound::Unbounded => false,
        }
    }

    fn holds<Q: Ord + ?Sized>(&self, value: &Q) -> bool
    where
        K: std::borrow::Borrow<Q>,
    {
        !self.is_below(value) && !self.is_above(value)
    }
}

impl Predicate {
    /// Whether a point with this metadata is let through.
    pub fn matches(&self, metadata: &Map<String, Value>) -> bool {
        self.0.holds(metadata)
    }

    /// What it says, for who puts it into another engine's words.
    pub(crate) fn node(&self) -> &Node {
        &self.0
    }

    /// Whether the filter lets everything through, whatever there is: `{}`.
    pub fn is_everything(&self) -> bool {
        matches!(&self.0, Node::All(nodes) if nodes.is_empty())
    }
}

impl Node {
    fn holds(&self, metadata: &Map<String, Value>) -> bool {
        match self {
            Self::All(nodes) => nodes.iter().all(|node| node.holds(metadata)),
            Self::Any(nodes) => nodes.iter().any(|node| node.holds(metadata)),
            Self::Not(node) => !node.holds(metadata),
            Self::Field(field, test) => walk::any(metadata, field, &mut |value| test.holds(value)),
        }
    }
}

impl Test {
    /// Whether a value of the field, no list, passes.
    fn holds(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Exists, _) => true,
            (Self::In(atoms), value) => among(atoms, value),
            (Self::Numbers(range), Value::Number(number)) => {
                Key::of(number).is_some_and(|key| range.holds(&key))
            }
            (Self::Texts(range), Value::String(text)) => range.holds(text.as_str()),
            (Self::Numbers(_) | Self::Texts(_), _) => false,
        }
    }
}

fn among(atoms: &[Atom], value: &Value) -> bool {
    let found = match value {
        Value::Null => atoms.binary_search(&Atom::Null),
        Value::Bool(bool) => atoms.binary_search(&Atom::Bool(*bool)),
        Value::Number(number) => match Key::of(number) {
            Some(key) => atoms.binary_search(&Atom::Number(key)),
            None => return false,
        },
        Value::String(text) => {
            let start = atoms.partition_point(|atom| !matches!(atom, Atom::Text(_)));
            return atoms[start..].binary_search_by(|atom| atom.text().cmp(text)).is_ok();
        }
        Value::Array(_) | Value::Object(_) => return false,
    };
    found.is_ok()
}

impl Atom {
    pub(crate) fn text(&self) -> &str {
        if let Self::Text(text) = self { text } else { "" }
    }
}
