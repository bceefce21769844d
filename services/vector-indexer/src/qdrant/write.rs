//! Putting and removing points. Both are done when qdrant says that every search finds it so.

use std::collections::HashMap;

use prost::Message as _;
use qdrant_client::qdrant;
use qdrant_client::qdrant::points_selector::PointsSelectorOneOf;

use super::{Calls, filter, points};
use crate::error::VectorError;
use crate::filter::Predicate;
use crate::ops::Upsert;

/// Bytes of one call, about.
const BYTES: usize = 4 << 20;
/// Points of one call, at most.
const POINTS: usize = 1_000;

impl Calls {
    /// Puts points, one call after the other, each waited for. The same points again change nothing.
    ///
    /// # Errors
    /// Qdrant is away, or refuses; then part of them may be there.
    pub async fn put(&self, upserts: Vec<Upsert>) -> Result<(), VectorError> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        for upsert in last_of_each(upserts) {
            let point = points::point(upsert)?;
            let size = point.encoded_len();
            if !batch.is_empty() && (bytes + size > BYTES || batch.len() == POINTS) {
                self.upsert(std::mem::take(&mut batch)).await?;
                bytes = 0;
            }
            bytes += size;
            batch.push(point);
        }
        if batch.is_empty() { Ok(()) } else { self.upsert(batch).await }
    }

    async fn upsert(&self, points: Vec<qdrant::PointStruct>) -> Result<(), VectorError> {
        let wanted = qdrant::UpsertPoints {
            collection_name: self.there.clone(),
            wait: Some(true),
            points,
            ..qdrant::UpsertPoints::default()
        };
        let done = self.call("upsert", |client| async move { client.upsert_points(wanted).await }).await?;
        self.completed(done)
    }

    /// Removes points by their ids.
    ///
    /// # Errors
    /// Qdrant is away, or refuses.
    pub async fn delete(&self, ids: &[String]) -> Result<(), VectorError> {
        let ids = ids.iter().map(|id| points::uuid(id).into()).collect();
        self.remove_points(PointsSelectorOneOf::Points(qdrant::PointsIdsList { ids })).await
    }

    /// Removes points that match.
    ///
    /// # Errors
    /// Qdrant is away, or cannot be asked for this filter.
    pub async fn delete_where(&self, predicate: &Predicate) -> Result<(), VectorError> {
        let filter = filter::filter(predicate)?.unwrap_or_default();
        self.remove_points(PointsSelectorOneOf::Filter(filter)).await
    }

    async fn remove_points(&self, which: PointsSelectorOneOf) -> Result<(), VectorError> {
        let wanted = qdrant::DeletePoints {
            collection_name: self.there.clone(),
            wait: Some(true),
            points: Some(qdrant::PointsSelector { points_selector_one_of: Some(which) }),
            ..qdrant::DeletePoints::default()
        };
        let done = self.call("delete", |client| async move { client.delete_points(wanted).await }).await?;
        self.completed(done)
    }

    /// What was only taken note of may be found later, or by some: that is not what was promised.
    fn completed(&self, done: qdrant::PointsOperationResponse) -> Result<(), VectorError> {
        let status = done.result.map(|result| result.status()).unwrap_or_default();
        match status {
            qdrant::UpdateStatus::Completed => Ok(()),
            other => Err(self.away(format_args!("qdrant says that a write is {}", other.as_str_name()))),
        }
    }
}

/// Of points with the same id the last one counts, as it does where they are put one after the other.
fn last_of_each(upserts: Vec<Upsert>) -> Vec<Upsert> {
    let mut places: HashMap<String, usize> = HashMap::with_capacity(upserts.len());
    let mut kept: Vec<Upsert> = Vec::with_capacity(upserts.len());
    for upsert in upserts {
        match places.get(&upsert.id) {
            Some(place) => kept[*place] = upsert,
            None => {
                places.insert(upsert.id.clone(), kept.len());
                kept.push(upsert);
            }
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_an_id_counts() {
        let point = |id: &str, n: f32| Upsert { id: id.into(), vector: vec![n], ..Upsert::default() };
        let kept = last_of_each(vec![point("a", 1.0), point("b", 2.0), point("a", 3.0)]);
        assert_eq!(kept, [point("a", 3.0), point("b", 2.0)]);
    }
}
