//! Which rows a filter selects, from bitmaps by field and value.

use std::borrow::Cow;
use std::collections::HashMap;
use std::mem::size_of;

use roaring::{MultiOps, RoaringBitmap};
use serde_json::{Map, Value};

use super::number::Key;
use super::ordered::Ordered;
use super::predicate::{Atom, Node, Predicate, Test};
use super::walk;

/// The metadata of rows, so that [`Index::select`] finds what [`Predicate::matches`] would, and nothing else.
/// It grows row by row; rows that were deleted are for whoever asks to take out.
#[derive(Debug, Default)]
pub struct Index {
    all: RoaringBitmap,
    fields: HashMap<Box<str>, Field>,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Field {
    present: RoaringBitmap,
    nulls: RoaringBitmap,
    bools: [RoaringBitmap; 2],
    numbers: Ordered<Key>,
    texts: Ordered<Box<str>>,
}

impl Index {
    /// An index of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in a row. A row is pushed once: a second time changes nothing.
    pub fn push(&mut self, row: u32, metadata: &Map<String, Value>) {
        if !self.all.insert(row) {
            return;
        }
        let (fields, bytes) = (&mut self.fields, &mut self.bytes);
        walk::each(metadata, &mut |path, value| {
            if let Some(field) = fields.get_mut(path) {
                *bytes += field.insert(row, value);
            } else {
                let mut field = Field::default();
                *bytes += size_of::<Field>() + 2 * path.len() + 64 + field.insert(row, value);
                fields.insert(path.into(), field);
            }
        });
    }

    /// How many rows were pushed.
    pub fn len(&self) -> u64 {
        self.all.len()
    }

    /// Whether no row was pushed.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// About how much memory the index takes.
    pub fn bytes(&self) -> u64 {
        (self.bytes + size_of::<Self>() + self.all.serialized_size()) as u64
    }

    /// Exactly the pushed rows that the filter lets through.
    pub fn select(&self, filter: &Predicate) -> RoaringBitmap {
        self.rows(&filter.0).into_owned()
    }

    fn rows(&self, node: &Node) -> Cow<'_, RoaringBitmap> {
        match node {
            Node::All(nodes) => self.all_of(nodes),
            Node::Any(nodes) => {
                let found: Vec<_> = nodes.iter().map(|node| self.rows(node)).collect();
                let found: Vec<&RoaringBitmap> = found.iter().map(AsRef::as_ref).collect();
                Cow::Owned(found.union())
            }
            Node::Not(inner) => Cow::Owned(&self.all - self.rows(inner).as_ref()),
            Node::Field(field, test) => match self.fields.get(field) {
                Some(field) => field.rows(test),
                None => Cow::Owned(RoaringBitmap::new()),
            },
        }
    }

    /// What is selected by all: smallest first, and what is ruled out is taken away from what is left.
    fn all_of(&self, nodes: &[Node]) -> Cow<'_, RoaringBitmap> {
        let (not, is): (Vec<&Node>, Vec<&Node>) = nodes.iter().partition(|node| matches!(node, Node::Not(_)));
        let mut is: Vec<_> = is.into_iter().map(|node| self.rows(node)).collect();
        is.sort_by_key(|rows| rows.len());
        let mut is = is.into_iter();
        let mut left = is.next().unwrap_or(Cow::Borrowed(&self.all));
        for rows in is {
            *left.to_mut() &= rows.as_ref();
        }
        for node in not {
            if let Node::Not(inner) = node
                && !left.is_empty()
            {
                *left.to_mut() -= self.rows(inner).as_ref();
            }
        }
        left
    }
}

impl Field {
    fn insert(&mut self, row: u32, value: &Value) -> usize {
        let new = 2 * usize::from(self.present.insert(row));
        new + match value {
            Value::Null => 2 * usize::from(self.nulls.insert(row)),
            Value::Bool(bool) => 2 * usize::from(self.bools[usize::from(*bool)].insert(row)),
            Value::Number(number) => match Key::of(number) {
                Some(key) => self.numbers.insert(&key, row, |key| *key),
                None => 0,
            },
            Value::String(text) => {
                let mut own = 0;
                let rows = self.texts.insert(text.as_str(), row, |text| {
                    own = text.len() + 16;
                    text.into()
                });
                own + rows
            }
            Value::Array(_) | Value::Object(_) => 0,
        }
    }

    fn rows(&self, test: &Test) -> Cow<'_, RoaringBitmap> {
        Cow::Owned(match test {
            Test::Exists => return Cow::Borrowed(&self.present),
            Test::In(atoms) => match atoms.as_slice() {
                [Atom::Null] => return Cow::Borrowed(&self.nulls),
                [Atom::Bool(bool)] => return Cow::Borrowed(&self.bools[usize::from(*bool)]),
                atoms => self.among(atoms),
            },
            Test::Numbers(range) => self.numbers.between(range),
            Test::Texts(range) => self.texts.between(range),
        })
    }

    fn among(&self, atoms: &[Atom]) -> RoaringBitmap {
        let mut rows = RoaringBitmap::new();
        for atom in atoms {
            match atom {
                Atom::Null => rows |= &self.nulls,
                Atom::Bool(bool) => rows |= &self.bools[usize::from(*bool)],
                Atom::Number(key) => self.numbers.equal(key, &mut rows),
                Atom::Text(text) => self.texts.equal::<str>(text, &mut rows),
            }
        }
        rows
    }
}
