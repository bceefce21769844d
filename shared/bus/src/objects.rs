//! Object stores: payloads, results and documents past the message size.

use async_nats::jetstream::object_store::{GetErrorKind, Object, ObjectInfo};
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::{Bus, BusError};

/// What is known of an object without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectFacts {
    /// Its name.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// The checksum of its bytes, as the store writes it.
    pub digest: String,
    /// When it was put, in microseconds since 1970.
    pub put_at_us: i64,
}

impl ObjectFacts {
    fn of(info: &ObjectInfo) -> Self {
        let micros = info.modified.map_or(0, |time| time.unix_timestamp_nanos() / 1_000);
        Self {
            name: info.name.clone(),
            size: info.size as u64,
            digest: info.digest.clone().unwrap_or_default(),
            put_at_us: i64::try_from(micros).unwrap_or_default(),
        }
    }
}

impl Bus {
    /// Puts an object.
    ///
    /// # Errors
    /// [`BusError::JetStream`].
    pub async fn put_object(
        &self,
        bucket: &str,
        name: &str,
        data: &mut (impl AsyncRead + Unpin),
    ) -> Result<(), BusError> {
        let failed = |e: &dyn std::fmt::Display| BusError::js(format!("put obj://{bucket}/{name}"), e);
        let store = self.js.get_object_store(bucket).await.map_err(|e| failed(&e))?;
        store.put(name, data).await.map(drop).map_err(|e| failed(&e))
    }

    /// Reads an object of at most `max` bytes.
    ///
    /// # Errors
    /// [`BusError::NotFound`], [`BusError::ObjectTooLarge`] before a byte is read, else [`BusError::JetStream`].
    pub async fn get_object(&self, bucket: &str, name: &str, max: usize) -> Result<Bytes, BusError> {
        let failed = |e: &dyn std::fmt::Display| BusError::js(format!("read obj://{bucket}/{name}"), e);
        let mut object = self.object(bucket, name).await?;
        let size = object.info().size;
        if size > max {
            return Err(BusError::ObjectTooLarge { name: format!("obj://{bucket}/{name}"), size, max });
        }
        let mut bytes = BytesMut::with_capacity(size);
        while object.read_buf(&mut bytes).await.map_err(|e| failed(&e))? > 0 {}
        Ok(bytes.freeze())
    }

    /// Begins to read an object. Its end is an error where the bytes are not those that were put.
    ///
    /// # Errors
    /// [`BusError::NotFound`], else [`BusError::JetStream`].
    pub async fn open_object(
        &self,
        bucket: &str,
        name: &str,
    ) -> Result<(ObjectFacts, impl AsyncRead + Send + Unpin + use<>), BusError> {
        let object = self.object(bucket, name).await?;
        Ok((ObjectFacts::of(object.info()), object))
    }

    async fn object(&self, bucket: &str, name: &str) -> Result<Object, BusError> {
        let failed = |e: &dyn std::fmt::Display| BusError::js(format!("read obj://{bucket}/{name}"), e);
        let store = self.js.get_object_store(bucket).await.map_err(|e| failed(&e))?;
        store.get(name).await.map_err(|e| match e.kind() {
            GetErrorKind::NotFound => BusError::NotFound(format!("obj://{bucket}/{name}")),
            _ => failed(&e),
        })
    }

    /// All objects of a bucket, in no order.
    ///
    /// # Errors
    /// [`BusError::JetStream`].
    pub async fn objects(&self, bucket: &str) -> Result<Vec<ObjectFacts>, BusError> {
        let failed = |e: &dyn std::fmt::Display| BusError::js(format!("list obj://{bucket}"), e);
        let store = self.js.get_object_store(bucket).await.map_err(|e| failed(&e))?;
        let mut list = store.list().await.map_err(|e| failed(&e))?;
        let mut found = Vec::new();
        while let Some(info) = list.next().await {
            let info = info.map_err(|e| failed(&e))?;
            if !info.deleted {
                found.push(ObjectFacts::of(&info));
            }
        }
        Ok(found)
    }

    /// Removes an object; that it is gone already is no error.
    ///
    /// # Errors
    /// [`BusError::JetStream`].
    pub async fn remove_object(&self, bucket: &str, name: &str) -> Result<(), BusError> {
        let failed = |e: &dyn std::fmt::Display| BusError::js(format!("remove obj://{bucket}/{name}"), e);
        let store = self.js.get_object_store(bucket).await.map_err(|e| failed(&e))?;
        match store.info(name).await {
            Ok(_) => store.delete(name).await.map_err(|e| failed(&e)),
            Err(_) => Ok(()),
        }
    }
}
