//! Object stores: payloads, results and documents past the message size.

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::{Bus, BusError};

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
        let store = self.js.get_object_store(bucket).await.map_err(|e| failed(&e))?;
        let mut object = store.get(name).await.map_err(|e| match e.kind() {
            async_nats::jetstream::object_store::GetErrorKind::NotFound => {
                BusError::NotFound(format!("obj://{bucket}/{name}"))
            }
            _ => failed(&e),
        })?;
        let size = object.info().size;
        if size > max {
            return Err(BusError::ObjectTooLarge { name: format!("obj://{bucket}/{name}"), size, max });
        }
        let mut bytes = BytesMut::with_capacity(size);
        while object.read_buf(&mut bytes).await.map_err(|e| failed(&e))? > 0 {}
        Ok(bytes.freeze())
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
