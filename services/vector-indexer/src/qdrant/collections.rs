//! A collection in qdrant: made, counted, removed.

use std::collections::HashMap;

use qdrant_client::qdrant;
use qdrant_client::qdrant::{quantization_config, vectors_config};

use super::{Calls, DENSE, SPARSE, TERMS};
use crate::error::VectorError;
use crate::space::{Metric, Precision};

impl Calls {
    /// Makes the collection, and the index that filters go by.
    ///
    /// # Errors
    /// Qdrant is away, or refuses; what was made of it is removed again where that can be done.
    pub async fn create(&self) -> Result<(), VectorError> {
        let wanted = self.wanted();
        self.call("create_collection", |client| async move { client.create_collection(wanted).await })
            .await?;
        let index = qdrant::CreateFieldIndexCollection {
            collection_name: self.there.clone(),
            wait: Some(true),
            field_name: TERMS.to_owned(),
            field_type: Some(qdrant::FieldType::Keyword.into()),
            ..qdrant::CreateFieldIndexCollection::default()
        };
        let indexed =
            self.call("create_field_index", |client| async move { client.create_field_index(index).await });
        if let Err(e) = indexed.await {
            self.remove_again().await;
            return Err(e);
        }
        Ok(())
    }

    /// Removes what nobody is to use: the name was taken by another.
    pub async fn remove_again(&self) {
        if let Err(e) = self.remove().await {
            tracing::warn!(collection = %self.there, "an empty collection is left over in qdrant: {e}");
        }
    }

    /// Removes the collection; that there is none is fine.
    ///
    /// # Errors
    /// Qdrant is away.
    pub async fn remove(&self) -> Result<(), VectorError> {
        let name = self.there.clone();
        self.call("delete_collection", |client| async move { client.delete_collection(name).await })
            .await
            .map(drop)
    }

    /// How many points there are.
    ///
    /// # Errors
    /// Qdrant is away.
    pub async fn count(&self) -> Result<u64, VectorError> {
        let wanted = qdrant::CountPoints {
            collection_name: self.there.clone(),
            exact: Some(true),
            ..qdrant::CountPoints::default()
        };
        let counted = self.call("count", |client| async move { client.count(wanted).await }).await?;
        Ok(counted.result.map_or(0, |result| result.count))
    }

    fn wanted(&self) -> qdrant::CreateCollection {
        let (settings, config) = (self.settings, self.config());
        let (datatype, quantised) = match settings.precision {
            Precision::F32 => (qdrant::Datatype::Float32, None),
            Precision::F16 => (qdrant::Datatype::Float16, None),
            Precision::I8 => (qdrant::Datatype::Float32, Some(codes())),
        };
        let distance = match settings.metric {
            Metric::Cosine => qdrant::Distance::Cosine,
            Metric::Dot => qdrant::Distance::Dot,
            Metric::L2 => qdrant::Distance::Euclid,
        };
        let dense = qdrant::VectorParams {
            size: settings.dimension as u64,
            distance: distance.into(),
            datatype: Some(datatype.into()),
            ..qdrant::VectorParams::default()
        };
        let sparse = qdrant::SparseVectorParams { index: None, modifier: Some(qdrant::Modifier::Idf.into()) };
        let named = qdrant::VectorParamsMap { map: HashMap::from([(DENSE.to_owned(), dense)]) };
        qdrant::CreateCollection {
            collection_name: self.there.clone(),
            hnsw_config: Some(qdrant::HnswConfigDiff {
                m: Some(settings.graph.m.into()),
                ef_construct: Some(settings.graph.ef_construction.into()),
                ..qdrant::HnswConfigDiff::default()
            }),
            shard_number: Some(config.shards),
            replication_factor: Some(config.replicas),
            write_consistency_factor: Some(config.write_replicas),
            vectors_config: Some(qdrant::VectorsConfig {
                config: Some(vectors_config::Config::ParamsMap(named)),
            }),
            sparse_vectors_config: Some(qdrant::SparseVectorConfig {
                map: HashMap::from([(SPARSE.to_owned(), sparse)]),
            }),
            quantization_config: quantised,
            ..qdrant::CreateCollection::default()
        }
    }
}

/// Codes of 8 bits a number, which searches go by first.
fn codes() -> qdrant::QuantizationConfig {
    let codes = qdrant::ScalarQuantization {
        r#type: qdrant::QuantizationType::Int8.into(),
        ..qdrant::ScalarQuantization::default()
    };
    qdrant::QuantizationConfig { quantization: Some(quantization_config::Quantization::Scalar(codes)) }
}
