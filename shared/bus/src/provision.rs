//! Makes streams, consumers and buckets as the contract defines them; and waits for those that another makes.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy};
use async_nats::jetstream::{kv, object_store};
use tasklane_contract::streams::{self, BucketDef, ConsumerDef, Policy, StreamDef};

use crate::{Bus, BusError};

impl Bus {
    /// Makes or updates every stream, bucket and object store. Safe to repeat, and from several routers at once.
    ///
    /// # Errors
    /// [`BusError::JetStream`], naming what could not be made.
    pub async fn provision(&self, policy: &Policy) -> Result<(), BusError> {
        for def in streams::streams(policy) {
            self.make_stream(def).await?;
        }
        for def in streams::buckets(policy) {
            let name = def.name;
            self.js
                .create_or_update_key_value(kv_config(&def))
                .await
                .map_err(|e| BusError::js(format!("make the bucket {name}"), e))?;
        }
        for def in streams::object_stores(policy) {
            self.make_object_store(&def).await?;
        }
        Ok(())
    }

    /// Makes or updates one stream.
    ///
    /// # Errors
    /// [`BusError::JetStream`].
    pub async fn make_stream(&self, def: StreamDef) -> Result<(), BusError> {
        let name = def.name;
        self.js
            .create_or_update_stream(stream_config(def))
            .await
            .map(drop)
            .map_err(|e| BusError::js(format!("make the stream {name}"), e))
    }

    /// Removes a stream with all that is in it; that it is gone already is no error.
    ///
    /// # Errors
    /// [`BusError::JetStream`].
    pub async fn drop_stream(&self, name: &str) -> Result<(), BusError> {
        match self.js.delete_stream(name).await {
            Ok(_) => Ok(()),
            Err(e) if e.to_string().contains("not found") => Ok(()),
            Err(e) => Err(BusError::js(format!("remove the stream {name}"), e)),
        }
    }

    async fn make_object_store(&self, def: &BucketDef) -> Result<(), BusError> {
        let what = format!("make the object store {}", def.name);
        if let Ok(found) = self.js.get_stream(format!("OBJ_{}", def.name)).await {
            let mut config = found.cached_info().config.clone();
            let wanted = (def.replicas, def.max_age, def.max_bytes);
            if (config.num_replicas, config.max_age, config.max_bytes) == wanted {
                return Ok(());
            }
            (config.num_replicas, config.max_age, config.max_bytes) = wanted;
            return self.js.update_stream(config).await.map(drop).map_err(|e| BusError::js(what, e));
        }
        let config = object_store::Config {
            bucket: def.name.to_owned(),
            max_age: def.max_age,
            max_bytes: def.max_bytes,
            num_replicas: def.replicas,
            ..object_store::Config::default()
        };
        self.js.create_object_store(config).await.map(drop).map_err(|e| BusError::js(what, e))
    }

    /// Makes or updates a consumer.
    ///
    /// # Errors
    /// [`BusError::JetStream`].
    pub async fn make_consumer(&self, def: &ConsumerDef) -> Result<(), BusError> {
        self.js
            .create_consumer_on_stream(consumer_config(def), def.stream)
            .await
            .map(drop)
            .map_err(|e| BusError::js(format!("make the consumer {} on {}", def.name, def.stream), e))
    }

    /// Removes a consumer; that it is gone already is no error.
    ///
    /// # Errors
    /// [`BusError::JetStream`].
    pub async fn drop_consumer(&self, stream: &str, name: &str) -> Result<(), BusError> {
        match self.js.delete_consumer_from_stream(name, stream).await {
            Ok(_) => Ok(()),
            Err(e) if e.to_string().contains("not found") => Ok(()),
            Err(e) => Err(BusError::js(format!("remove the consumer {name} from {stream}"), e)),
        }
    }

    /// Waits until another process has made a consumer.
    pub async fn await_consumer(&self, stream: &str, name: &str) {
        let mut said = false;
        while self.lane(stream, name).await.is_err() {
            if !said {
                tracing::info!(stream, consumer = name, "waiting for the router to make our consumers");
                said = true;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until another process has made the buckets: they are made last.
    pub async fn await_buckets(&self) {
        let mut said = false;
        while self.js.get_object_store(streams::DOCUMENTS).await.is_err() {
            if !said {
                tracing::info!("waiting for the router to make streams and buckets");
                said = true;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

fn stream_config(def: StreamDef) -> Config {
    Config {
        name: def.name.to_owned(),
        subjects: def.subjects,
        retention: if def.work_queue { RetentionPolicy::WorkQueue } else { RetentionPolicy::Limits },
        discard: DiscardPolicy::Old,
        max_age: def.max_age,
        max_bytes: def.max_bytes,
        max_messages: -1,
        max_messages_per_subject: def.max_per_subject,
        max_message_size: -1,
        max_consumers: -1,
        duplicate_window: def.dedupe,
        num_replicas: def.replicas,
        allow_direct: true,
        allow_atomic_publish: true,
        allow_message_schedules: def.schedules,
        allow_rollup: def.schedules,
        ..Config::default()
    }
}

fn kv_config(def: &BucketDef) -> kv::Config {
    kv::Config {
        bucket: def.name.to_owned(),
        history: 1,
        max_age: def.max_age,
        num_replicas: def.replicas,
        ..kv::Config::default()
    }
}

fn consumer_config(def: &ConsumerDef) -> pull::Config {
    pull::Config {
        durable_name: Some(def.name.clone()),
        ack_policy: AckPolicy::Explicit,
        ack_wait: def.ack_wait,
        max_deliver: -1,
        filter_subjects: def.filters.clone(),
        max_ack_pending: def.max_ack_pending,
        max_waiting: 4096,
        ..pull::Config::default()
    }
}
