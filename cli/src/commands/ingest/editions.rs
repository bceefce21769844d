//! What the collection has of an edition: looked at, given other names, left.

use std::sync::{Arc, PoisonError};

use serde_json::{Value, json};
use tasklane_runtime::telemetry::TraceContext;

use super::document::{Pipeline, Staged, at};
use super::plan::{self, Old};
use crate::collection::Point;

/// Points that are looked at together.
const PAGE: usize = 1000;
/// Points that are rewritten together: they carry their vectors.
const REWRITTEN: usize = plan::PIECE_CHUNKS;

impl Pipeline<'_> {
    /// Takes a document's name off an edition that it does not have any more.
    pub(super) async fn leave(&self, edition: &str, name: &str, trace: &TraceContext) -> Staged<()> {
        let lock = self.edition(edition);
        let mut written = lock.lock().await;
        let mut first = None;
        for filter in [json!({"edition": edition, "chunk": 0}), json!({"edition": edition})] {
            if first.is_none() {
                let found = self.page(&filter, (None, 1), &["metadata"], *written, trace).await?;
                first = found.into_iter().next();
            }
        }
        let Some(first) = first else { return Ok(()) };
        match plan::old(&first, name) {
            Old::Remove => {
                let all = json!({"edition": edition});
                *written = self.collection.remove(&all, Some(trace)).await.map_err(at("index"))?;
            }
            Old::Rename(names) => {
                self.rewrite(edition, &names, None, &mut written, trace).await?;
            }
        }
        Ok(())
    }

    /// Writes an edition's points anew with other names. A name that comes is on the first point last, and one that goes
    /// is off it first: what the first point says holds for all, whenever a run is killed. `chunks` is for names that
    /// come: where there are fewer points than so many, it says so, and the first stays as it is.
    pub(super) async fn rewrite(
        &self,
        edition: &str,
        names: &[String],
        chunks: Option<u64>,
        written: &mut u64,
        trace: &TraceContext,
    ) -> Staged<bool> {
        let (filter, with) = (json!({"edition": edition}), ["vector", "text", "metadata"]);
        let own = plan::point_id(edition, 0);
        let (mut first, mut after, mut seen) = (None, None::<String>, 0u64);
        // What is written meanwhile does not matter: the ids stay, and each is looked at once.
        let version = *written;
        if chunks.is_none() {
            // Off the first point first, whatever the backend's order is.
            let only = json!({"edition": edition, "chunk": 0});
            for mut point in self.page(&only, (None, 1), &with, version, trace).await? {
                point.metadata.insert("source".to_owned(), plan::named(names));
                *written = self.collection.put(&[json!(point)], Some(trace)).await.map_err(at("index"))?;
            }
        }
        loop {
            let page = (after.as_deref(), REWRITTEN);
            let points = self.page(&filter, page, &with, version, trace).await?;
            let Some(last) = points.last().map(|point| point.id.clone()) else { break };
            seen += points.len() as u64;
            let mut renamed = Vec::with_capacity(points.len());
            for mut point in points {
                point.metadata.insert("source".to_owned(), plan::named(names));
                match chunks.is_some() && point.id == own {
                    true => first = Some(json!(point)),
                    false => renamed.push(json!(point)),
                }
            }
            if !renamed.is_empty() {
                *written = self.collection.put(&renamed, Some(trace)).await.map_err(at("index"))?;
            }
            after = Some(last);
        }
        let whole = chunks.is_none_or(|chunks| chunks == seen);
        if let Some(first) = first.filter(|_| whole) {
            *written = self.collection.put(&[first], Some(trace)).await.map_err(at("index"))?;
        }
        Ok(whole)
    }

    /// All points of a filter.
    pub(super) async fn look(
        &self,
        filter: &Value,
        with: &[&str],
        sequence: u64,
        trace: &TraceContext,
    ) -> Staged<Vec<Point>> {
        let mut all: Vec<Point> = Vec::new();
        loop {
            let after = all.last().map(|point| point.id.clone());
            let page = self.page(filter, (after.as_deref(), PAGE), with, sequence, trace).await?;
            let whole = page.len() < PAGE;
            all.extend(page);
            if whole {
                return Ok(all);
            }
        }
    }

    async fn page(
        &self,
        filter: &Value,
        page: (Option<&str>, usize),
        with: &[&str],
        sequence: u64,
        trace: &TraceContext,
    ) -> Staged<Vec<Point>> {
        self.collection.points(filter, page, with, sequence, Some(trace)).await.map_err(at("look up"))
    }

    /// The lock of an edition.
    pub(super) fn edition(&self, edition: &str) -> Arc<tokio::sync::Mutex<u64>> {
        let mut editions = self.editions.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(editions.entry(edition.to_owned()).or_default())
    }
}
