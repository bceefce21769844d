//! What was made and can be asked for again.

use std::collections::VecDeque;

use bytes::Bytes;
use serde_json::Value;

/// How many things are kept, the latest ones: a load test makes more than fit into memory.
const MAX: usize = 256;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Response,
    File,
    Batch,
}

#[derive(Debug)]
struct Thing {
    kind: Kind,
    id: String,
    value: Value,
    content: Bytes,
}

#[derive(Debug, Default)]
pub(super) struct Shelf(VecDeque<Thing>);

impl Shelf {
    /// Keeps a thing, in place of the one with its id.
    pub(super) fn put(&mut self, kind: Kind, id: &str, value: Value, content: Bytes) {
        self.remove(kind, id);
        if self.0.len() == MAX {
            self.0.pop_front();
        }
        self.0.push_back(Thing { kind, id: id.to_owned(), value, content });
    }

    pub(super) fn get(&self, kind: Kind, id: &str) -> Option<(Value, Bytes)> {
        let thing = self.0.iter().find(|thing| thing.kind == kind && thing.id == id)?;
        Some((thing.value.clone(), thing.content.clone()))
    }

    pub(super) fn remove(&mut self, kind: Kind, id: &str) {
        self.0.retain(|thing| thing.kind != kind || thing.id != id);
    }

    /// The latest first, as the API lists them.
    pub(super) fn list(&self, kind: Kind) -> Vec<Value> {
        self.0.iter().rev().filter(|thing| thing.kind == kind).map(|thing| thing.value.clone()).collect()
    }
}
