//! The object store `models`: one object for each version of a model, named `name/version`.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tasklane_runtime::bus::objects::ObjectFacts;
use tasklane_runtime::bus::{Bus, BusError};
use tasklane_runtime::contract::streams::MODELS;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::runtime::Handle;

use crate::manifest::Manifest;
use crate::{ModelName, StoreError, archive};

/// How long the store may send nothing before a download is given up.
const SILENCE: Duration = Duration::from_secs(60);
/// Bytes between the archive and the store.
const PIPE: usize = 4 << 20;

/// A model in the bucket.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Its name and version.
    pub name: ModelName,
    /// Its object.
    pub object: ObjectFacts,
}

/// All models of the bucket, by name. Objects whose names are none of ours are passed over.
///
/// # Errors
/// NATS.
pub async fn list(bus: &Bus) -> Result<Vec<Stored>, StoreError> {
    let objects = bus.objects(MODELS).await?.into_iter();
    let named = objects.filter_map(|object| {
        let name = ModelName::from_key(&object.name).filter(|name| name.version.is_some())?;
        Some(Stored { name, object })
    });
    let mut all: Vec<Stored> = named.collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(all)
}

/// Reads a model's manifest, and no more of it.
///
/// # Errors
/// There is no such model, its manifest is wrong, or NATS.
pub async fn manifest(bus: &Bus, name: &ModelName) -> Result<(String, Manifest), StoreError> {
    let (_, object) = open(bus, name).await?;
    let from = Pulled { from: object, on: Handle::current() };
    blocking(move || archive::peek(from)).await
}

/// Puts a model's folder into the bucket, in place of what has its name and version. It is there when its last byte is.
///
/// # Errors
/// A file that is not what the manifest says: nothing is put then. NATS.
pub async fn put(bus: &Bus, folder: &Path, manifest: &Manifest) -> Result<(), StoreError> {
    let (writer, mut reader) = tokio::io::duplex(PIPE);
    let (folder, packed, on) = (folder.to_owned(), manifest.clone(), Handle::current());
    let packing = tokio::task::spawn_blocking(move || {
        let mut pipe = Pushed { to: writer, on };
        let packed = archive::pack(&folder, &packed, std::io::BufWriter::with_capacity(1 << 20, &mut pipe));
        // The store takes the end of the pipe for the end of the object: after a failure it must not see one.
        match packed {
            Ok(()) => Ok(()),
            Err(e) => Err((e, pipe)),
        }
    });
    let key = manifest.full_name().key();
    let putting = bus.put_object(MODELS, &key, &mut reader);
    tokio::pin!(putting, packing);
    tokio::select! {
        put = &mut putting => {
            put?;
            match packing.await {
                Ok(packed) => packed.map_err(|(e, _)| e),
                Err(e) => Err(StoreError::io(Path::new("the archive"), &e)),
            }
        }
        packed = &mut packing => match packed {
            Ok(Ok(())) => Ok(putting.await?),
            // The half of an object that was sent is never named, so nobody sees it.
            Ok(Err((e, _pipe))) => Err(e),
            Err(e) => Err(StoreError::io(Path::new("the archive"), &e)),
        },
    }
}

/// Gets a model into a folder that does not exist yet; it does when the model is whole.
///
/// # Errors
/// There is no such model, it is not what its manifest says, the disk, or NATS.
pub async fn get(bus: &Bus, name: &ModelName, target: PathBuf) -> Result<Manifest, StoreError> {
    let (_, object) = open(bus, name).await?;
    let (from, wanted) = (Pulled { from: object, on: Handle::current() }, name.clone());
    blocking(move || archive::unpack(from, &wanted, &target)).await
}

async fn open(
    bus: &Bus,
    name: &ModelName,
) -> Result<(ObjectFacts, impl AsyncRead + Send + Unpin + use<>), StoreError> {
    bus.open_object(MODELS, &name.key()).await.map_err(|e| match e {
        BusError::NotFound(_) => StoreError::Absent(name.to_string()),
        e => e.into(),
    })
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(e) => Err(StoreError::io(Path::new("the archive"), &e)),
    }
}

/// An object, read from a blocking thread.
struct Pulled<R> {
    from: R,
    on: Handle,
}

impl<R: AsyncRead + Unpin> Read for Pulled<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = async { tokio::time::timeout(SILENCE, self.from.read(buffer)).await };
        self.on.block_on(read).unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
    }
}

/// The way to an object, written from a blocking thread.
struct Pushed<W> {
    to: W,
    on: Handle,
}

impl<W: AsyncWrite + Unpin> Write for Pushed<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.on.block_on(self.to.write(bytes))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.on.block_on(self.to.flush())
    }
}
