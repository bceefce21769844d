//! Snapshots in the object store, by name `<id>/<sequence>`.

use std::path::Path;

use tasklane_runtime::bus::Bus;
use tasklane_runtime::contract::streams::COLLECTIONS;
use tokio::io::AsyncWriteExt as _;

use super::{Snapshot, archive};
use crate::catalogue::Base;
use crate::collection;
use crate::error::VectorError;
use crate::shelf::Folders;

/// Puts a file.
pub async fn put(bus: &Bus, name: &str, file: &Path) -> Result<(), VectorError> {
    let mut file = tokio::fs::File::open(file).await?;
    Ok(bus.put_object(COLLECTIONS, name, &mut file).await?)
}

/// The snapshots of these ids, the newest first.
pub async fn list(bus: &Bus, ids: &[&str]) -> Result<Vec<Snapshot>, VectorError> {
    let mut found: Vec<Snapshot> = Vec::new();
    for object in bus.objects(COLLECTIONS).await? {
        let Some((id, sequence)) = object.name.split_once('/') else { continue };
        let Ok(sequence) = sequence.parse() else { continue };
        if ids.contains(&id) {
            found.push(Snapshot {
                sequence,
                bytes: object.size,
                taken_at_ms: object.put_at_us / 1_000,
                name: object.name,
            });
        }
    }
    found.sort_by_key(|one| std::cmp::Reverse((one.sequence, one.taken_at_ms)));
    Ok(found)
}

/// Makes a collection's folder of a snapshot.
///
/// # Errors
/// The object is not there or torn, or the disk refuses.
pub async fn fetch(bus: &Bus, folders: &Folders, base: &Base, folder: &Path) -> Result<(), VectorError> {
    let aside = folders.aside()?;
    let path = aside.path().join("copy.tar");
    let (facts, mut object) = bus.open_object(COLLECTIONS, &base.object).await?;
    let mut file = tokio::fs::File::create(&path).await?;
    // The end is an error where the bytes are not those that were put.
    tokio::io::copy(&mut object, &mut file).await?;
    file.flush().await?;
    drop(file);
    let (folder, copy) = (folder.to_path_buf(), aside.path().join("copy"));
    let made = tokio::task::spawn_blocking(move || {
        archive::unpack(&path, &copy, facts.size)?;
        collection::import(&copy, &folder).map_err(|e| VectorError::Internal(e.to_string()))
    });
    let sequence = made.await??;
    tracing::info!(object = %base.object, sequence, bytes = facts.size, "a snapshot was fetched");
    Ok(())
}
