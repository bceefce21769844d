//! The model of a collection: a map, and a log that both are made from.
#![allow(clippy::unwrap_used, clippy::expect_used, dead_code, reason = "tests: what fails there is to fail")]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};

use serde_json::{Map, Value, json};
use tasklane_vector_indexer::{
    collection::{Collection, Config, Hit, Search, With},
    filter::Predicate,
    ops::{Batch, Delete, DeleteWhere, Kind, Upsert},
    space::{Metric, Precision},
};

pub const DIMENSION: usize = 5;
pub const WORDS: [&str; 5] = ["alpha", "beta", "gamma", "delta", "omega"];
pub const ALL: With = With { vector: true, text: true, metadata: true };

/// Small bounds, so that a few points make segments, merges and graphs.
pub fn config(metric: Metric) -> Config {
    let mut config = Config::new("test", DIMENSION, metric, Precision::F32);
    config.growing_rows = 12;
    config.graph_rows = 8;
    config.quiet = Duration::ZERO;
    config.text_every = Duration::from_millis(1);
    config
}

pub fn filter(filter: &Value) -> Predicate {
    Predicate::parse(filter).unwrap()
}

#[derive(Clone, Debug, Default)]
pub struct Model {
    pub points: BTreeMap<String, Upsert>,
}

impl Model {
    pub fn of(log: &[Batch]) -> Self {
        let mut model = Self::default();
        log.iter().for_each(|batch| model.apply(batch));
        model
    }

    pub fn apply(&mut self, batch: &Batch) {
        for op in &batch.ops {
            match op.kind.clone().unwrap() {
                Kind::Upsert(point) => drop(self.points.insert(point.id.clone(), point)),
                Kind::Delete(Delete { ids }) => ids.iter().for_each(|id| drop(self.points.remove(id))),
                Kind::DeleteWhere(DeleteWhere { filter: text }) => {
                    let filter = filter(&serde_json::from_str(&text).unwrap());
                    self.points.retain(|_, point| !filter.matches(&metadata(point)));
                }
                Kind::Clear(_) => self.points.clear(),
            }
        }
    }

    fn matching(&self, filter: Option<&Predicate>) -> Vec<&Upsert> {
        let matches = |point: &&Upsert| filter.is_none_or(|filter| filter.matches(&metadata(point)));
        self.points.values().filter(matches).collect()
    }

    /// Everything that can be asked is answered as by the model.
    pub fn check(&self, collection: &Collection, metric: Metric, question: &[f32], filter: &Predicate) {
        self.check_points(collection, metric, question, filter);
        let sequence = collection.sequence();
        assert!(collection.wait_for_texts(sequence, Duration::from_secs(60)), "texts do not come");
        for filter in [None, Some(filter)] {
            self.check_texts(collection, filter);
        }
    }

    /// The same without searches by text.
    pub fn check_points(
        &self,
        collection: &Collection,
        metric: Metric,
        question: &[f32],
        filter: &Predicate,
    ) {
        assert_eq!(collection.describe().points, self.points.len() as u64, "points");
        for filter in [None, Some(filter)] {
            self.check_list(collection, filter);
            for k in [3, 100] {
                self.check_vectors(collection, metric, question, filter, k);
            }
        }
    }

    fn check_list(&self, collection: &Collection, filter: Option<&Predicate>) {
        let expected = self.matching(filter);
        let (mut listed, mut after) = (Vec::new(), None);
        loop {
            let (page, _) = collection.list(filter, after.as_deref(), 7, ALL).unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.id.clone());
            listed.extend(page);
        }
        assert_eq!(listed.len(), expected.len(), "listed");
        listed.iter().zip(&expected).for_each(|(hit, point)| same(hit, point));
        let ids: Vec<String> = expected.iter().map(|point| point.id.clone()).chain(["none".into()]).collect();
        let (got, _) = collection.get(&ids, ALL).unwrap();
        assert_eq!(got.len(), expected.len(), "got");
        got.iter().zip(&expected).for_each(|(hit, point)| same(hit, point));
    }

    fn check_vectors(
        &self,
        collection: &Collection,
        metric: Metric,
        question: &[f32],
        filter: Option<&Predicate>,
        k: usize,
    ) {
        let search = Search {
            vector: Some(question.to_vec()),
            k,
            filter: filter.cloned(),
            with: ALL,
            ..Search::default()
        };
        let found = collection.search(&search).unwrap();
        let mut expected: Vec<f32> =
            self.matching(filter).iter().map(|point| distance(metric, &point.vector, question)).collect();
        expected.sort_by(f32::total_cmp);
        expected.truncate(k);
        assert_eq!(found.hits.len(), expected.len(), "hits of {k}, {}", found.way);
        let ids: BTreeSet<&str> = found.hits.iter().map(|hit| hit.id.as_str()).collect();
        assert_eq!(ids.len(), found.hits.len(), "an id twice");
        for (hit, expected) in found.hits.iter().zip(expected) {
            let point = &self.points[&hit.id];
            same(hit, point);
            let score = metric.score(expected);
            assert!((hit.score - score).abs() < 1e-3 * (1.0 + score.abs()), "{} is not {score}", hit.score);
            let own = metric.score(distance(metric, &point.vector, question));
            assert!((hit.score - own).abs() < 1e-3 * (1.0 + own.abs()), "the score is another point's");
        }
    }

    fn check_texts(&self, collection: &Collection, filter: Option<&Predicate>) {
        for word in WORDS {
            let text = Some(word.to_owned());
            let search = Search { text, k: 100, filter: filter.cloned(), with: ALL, ..Search::default() };
            let found = collection.search(&search).unwrap();
            found.hits.iter().for_each(|hit| same(hit, &self.points[&hit.id]));
            let ids: BTreeSet<&str> = found.hits.iter().map(|hit| hit.id.as_str()).collect();
            let has = |point: &&&Upsert| point.text.as_ref().is_some_and(|text| text.contains(word));
            let expected: BTreeSet<&str> =
                self.matching(filter).iter().filter(has).map(|point| point.id.as_str()).collect();
            assert_eq!(ids, expected, "points with {word}");
        }
    }
}

fn same(hit: &Hit, point: &Upsert) {
    assert_eq!(hit.id, point.id);
    assert_eq!(hit.text, point.text);
    assert_eq!(hit.metadata.as_ref().unwrap(), &metadata(point));
    assert_eq!(hit.vector.as_ref().unwrap().len(), point.vector.len());
}

fn metadata(point: &Upsert) -> Map<String, Value> {
    if point.metadata.is_empty() { Map::new() } else { serde_json::from_str(&point.metadata).unwrap() }
}

fn distance(metric: Metric, one: &[f32], other: &[f32]) -> f32 {
    let dot = |one: &[f32], other: &[f32]| one.iter().zip(other).map(|(a, b)| a * b).sum::<f32>();
    match metric {
        Metric::Cosine => 1.0 - dot(one, other) / (dot(one, one) * dot(other, other)).sqrt(),
        Metric::Dot => -dot(one, other),
        Metric::L2 => one.iter().zip(other).map(|(a, b)| (a - b) * (a - b)).sum(),
    }
}

/// A point; the seed decides all of it.
pub fn point(id: u32, seed: u64) -> Upsert {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5bf0_3635;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let vector = (0..DIMENSION).map(|_| (next() % 2000) as f32 / 100.0 - 10.005).collect();
    let words: Vec<&str> = (0..next() % 4).map(|_| WORDS[(next() % 5) as usize]).collect();
    let text = (next() % 4 != 0).then(|| words.join(" "));
    let metadata = if next() % 5 == 0 {
        String::new()
    } else {
        json!({"n": next() % 10, "tag": [WORDS[(next() % 5) as usize], "x"]}).to_string()
    };
    Upsert { id: format!("id-{id}"), vector, text, metadata }
}

/// Applies what of a log is not applied yet; the first batch has this sequence.
pub fn replay(collection: &Collection, log: &[Batch], first: u64) {
    for (batch, sequence) in log.iter().zip(first..) {
        let applied = collection.apply(sequence, batch).unwrap();
        assert_eq!(applied.refused, 0);
        assert!(collection.sequence() >= sequence);
    }
}

/// All files below a folder.
pub fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { all.extend(files(&path)) } else { all.push(path) }
    }
    all.sort();
    all
}
