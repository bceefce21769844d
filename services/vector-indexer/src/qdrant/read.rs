//! Searching, and reading points.

use std::collections::HashMap;

use qdrant_client::qdrant;
use qdrant_client::qdrant::{query, vector_input};

use super::{Calls, DENSE, SPARSE, filter, points, words};
use crate::collection::{Hit, Search, With};
use crate::error::VectorError;
use crate::filter::Predicate;
use crate::space::Precision;
use crate::text;

impl Calls {
    /// The best hits, as the embedded backend would rank and score them; by both questions at once where there are two.
    ///
    /// # Errors
    /// Qdrant is away, or cannot be asked for the filter.
    pub async fn search(&self, search: &Search) -> Result<Vec<Hit>, VectorError> {
        let wanted = search.candidates();
        let filter = search.filter.as_ref().map(filter::filter).transpose()?.flatten();
        let near = async {
            match &search.vector {
                Some(vector) => self.nearest(vector, search, wanted, filter.clone()).await,
                None => Ok(Vec::new()),
            }
        };
        let best = async {
            match search.text.as_deref().and_then(words::of_question) {
                Some(words) => self.best(words, search, wanted, filter.clone()).await,
                None => Ok(Vec::new()),
            }
        };
        let (near, best) = tokio::try_join!(near, best)?;
        let hits = match (search.vector.is_some(), search.text.is_some()) {
            (true, true) => fused(near, best, search.k),
            (true, false) => near,
            _ => best,
        };
        Ok(hits.into_iter().filter(|hit| search.admits(hit.score, self.settings.metric)).collect())
    }

    async fn nearest(
        &self,
        vector: &[f32],
        search: &Search,
        limit: usize,
        filter: Option<qdrant::Filter>,
    ) -> Result<Vec<Hit>, VectorError> {
        let quantised = (self.settings.precision == Precision::I8)
            .then_some(qdrant::QuantizationSearchParams { rescore: Some(true), ..Default::default() });
        let params = qdrant::SearchParams {
            hnsw_ef: search.ef.map(|ef| ef as u64),
            quantization: quantised,
            ..qdrant::SearchParams::default()
        };
        let dense = vector_input::Variant::Dense(qdrant::DenseVector { data: vector.to_vec() });
        self.query(DENSE, dense, Some(params), search.with, limit, filter).await
    }

    async fn best(
        &self,
        words: qdrant::SparseVector,
        search: &Search,
        limit: usize,
        filter: Option<qdrant::Filter>,
    ) -> Result<Vec<Hit>, VectorError> {
        self.query(SPARSE, vector_input::Variant::Sparse(words), None, search.with, limit, filter).await
    }

    async fn query(
        &self,
        using: &str,
        question: vector_input::Variant,
        params: Option<qdrant::SearchParams>,
        with: With,
        limit: usize,
        filter: Option<qdrant::Filter>,
    ) -> Result<Vec<Hit>, VectorError> {
        let nearest = query::Variant::Nearest(qdrant::VectorInput { variant: Some(question) });
        let wanted = qdrant::QueryPoints {
            collection_name: self.there.clone(),
            query: Some(qdrant::Query { variant: Some(nearest) }),
            using: Some(using.to_owned()),
            filter,
            params,
            limit: Some(limit as u64),
            with_payload: Some(points::with_payload(with)),
            with_vectors: points::with_vectors(with),
            ..qdrant::QueryPoints::default()
        };
        let found = self.call("query", |client| async move { client.query(wanted).await }).await?;
        let hit = |point: qdrant::ScoredPoint| points::hit(point.payload, point.vectors, point.score, with);
        found.result.into_iter().map(hit).collect()
    }

    /// Points by their ids, in the order of these; nobody's are left out.
    ///
    /// # Errors
    /// Qdrant is away.
    pub async fn get(&self, ids: &[String], with: With) -> Result<Vec<Hit>, VectorError> {
        let wanted = qdrant::GetPoints {
            collection_name: self.there.clone(),
            ids: ids.iter().map(|id| points::uuid(id).into()).collect(),
            with_payload: Some(points::with_payload(with)),
            with_vectors: points::with_vectors(with),
            ..qdrant::GetPoints::default()
        };
        let found = self.call("get", |client| async move { client.get_points(wanted).await }).await?;
        let hits = retrieved(found.result, with)?;
        let by_id: HashMap<&str, &Hit> = hits.iter().map(|hit| (hit.id.as_str(), hit)).collect();
        Ok(ids.iter().filter_map(|id| by_id.get(id.as_str()).copied().cloned()).collect())
    }

    /// Points that match, after one of them, in the order of their ids' UUIDs.
    ///
    /// # Errors
    /// Qdrant is away, or cannot be asked for the filter.
    pub async fn list(
        &self,
        predicate: Option<&Predicate>,
        after: Option<&str>,
        limit: usize,
        with: With,
    ) -> Result<Vec<Hit>, VectorError> {
        // Qdrant begins at a point and not after it; that one may be gone meanwhile.
        let extra = usize::from(after.is_some());
        let wanted = qdrant::ScrollPoints {
            collection_name: self.there.clone(),
            filter: predicate.map(filter::filter).transpose()?.flatten(),
            offset: after.map(|id| points::uuid(id).into()),
            limit: Some(u32::try_from(limit + extra).unwrap_or(u32::MAX)),
            with_payload: Some(points::with_payload(with)),
            with_vectors: points::with_vectors(with),
            ..qdrant::ScrollPoints::default()
        };
        let found = self.call("scroll", |client| async move { client.scroll(wanted).await }).await?;
        let mut hits = retrieved(found.result, with)?;
        hits.retain(|hit| Some(hit.id.as_str()) != after);
        hits.truncate(limit);
        Ok(hits)
    }
}

fn retrieved(found: Vec<qdrant::RetrievedPoint>, with: With) -> Result<Vec<Hit>, VectorError> {
    found.into_iter().map(|point| points::hit(point.payload, point.vectors, 0.0, with)).collect()
}

/// Both lists as one, by their ranks.
fn fused(near: Vec<Hit>, best: Vec<Hit>, k: usize) -> Vec<Hit> {
    let mut all: Vec<Option<Hit>> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut ranked = |hits: Vec<Hit>| {
        let place = |hit: Hit| {
            *places.entry(hit.id.clone()).or_insert_with(|| {
                all.push(Some(hit));
                all.len() - 1
            })
        };
        hits.into_iter().map(place).collect::<Vec<usize>>()
    };
    let (near, best) = (ranked(near), ranked(best));
    let order = text::fuse(&[&near, &best], k);
    order.into_iter().filter_map(|(score, place)| Some(Hit { score, ..all[place].take()? })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_both_know_is_one_hit() {
        let hits = |ids: &[&str]| -> Vec<Hit> {
            ids.iter().map(|id| Hit { id: (*id).into(), ..Hit::default() }).collect()
        };
        let fused = fused(hits(&["a", "b"]), hits(&["b", "c"]), 2);
        assert_eq!(fused.iter().map(|hit| hit.id.as_str()).collect::<Vec<_>>(), ["b", "a"]);
        assert!((fused[0].score - (1.0 / 62.0 + 1.0 / 61.0)).abs() < 1e-7);
    }
}
