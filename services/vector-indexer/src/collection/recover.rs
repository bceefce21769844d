//! Opening a collection's folder: what is whole is used, what is not is thrown away, and the sequence says from where
//! the log has to be applied again.
//!
//! Without its manifest a folder is worth nothing: the collection starts at 0. Without a segment it starts before that
//! segment's oldest row, with the rows of the others that are older still. Deletions that came later are not taken
//! back: each is a matter of one row and the log, so that after the replay all is as it was; until then (`settled`)
//! points that were deleted or replaced later are missing.

use std::{fs, io, path::Path, sync::Arc};

use roaring::RoaringBitmap;

use super::{
    Config, Error,
    ledger::{Checkpoint, Ledger},
    state::{Growing, Place, State},
};
use crate::{
    ops::uid,
    segment::{
        Segment,
        file::{self, Unread},
        manifest::Manifest,
    },
    space::Rows,
};

/// What of a folder can be used.
pub struct Recovered {
    pub ledger: Ledger,
    pub state: State,
}

/// Reads a folder, and removes from it what is worth nothing.
pub fn recover(folder: &Path, config: &Config, like: &Rows) -> Result<Recovered, Error> {
    fs::create_dir_all(folder)?;
    let manifest = match Manifest::read(folder) {
        Ok(manifest) if manifest.identity == config.shape() => Some(manifest),
        Ok(_) => None,
        Err(Unread::Damaged { path, why }) => {
            if path.exists() {
                tracing::warn!(path = %path.display(), why, "a collection's manifest is damaged; it starts anew");
            }
            None
        }
        Err(why) => return Err(why.into()),
    };
    let fresh = manifest.is_none();
    let manifest = manifest.unwrap_or(Manifest {
        identity: config.shape(),
        sequence: 0,
        settled: 0,
        next: 1,
        segments: Vec::new(),
    });
    sweep(folder, &manifest, fresh)?;
    let (places, lost) = load(folder, &manifest, like)?;
    let mut sequence = manifest.sequence;
    let mut places = places;
    if let Some(oldest) = lost {
        sequence = sequence.min(oldest.saturating_sub(1));
        places.iter_mut().for_each(|place| forget_after(place, sequence));
        places.retain(|place| !place.dead());
        tracing::warn!(folder = %folder.display(), sequence, "a damaged segment is thrown away; the log has to be applied again");
    }
    let mut ledger = Ledger {
        shape: manifest.identity,
        settled: manifest.settled.max(manifest.sequence),
        next: manifest.next,
        durable: Checkpoint { sequence, entries: places.iter().map(Place::entry).collect() },
        working: None,
        wanted: None,
        leaving: manifest.segments.iter().map(|entry| entry.number).collect(),
    };
    if fresh || lost.is_some() {
        ledger.write(folder)?;
    }
    Ok(Recovered { ledger, state: State { growing: Growing::like(like), places } })
}

/// Removes what the manifest does not name, and that has a name as we give them.
fn sweep(folder: &Path, manifest: &Manifest, all: bool) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let named = |number| manifest.segments.iter().any(|entry| entry.number == number);
        let left = name.parse::<u64>().is_ok_and(|number| !named(number));
        if all && !name.starts_with("tmp-") {
            file::remove(&entry.path())?;
        } else if left || name.starts_with("tmp-") {
            if let Err(why) = file::remove(&entry.path()) {
                tracing::warn!(path = %entry.path().display(), %why, "what nobody needs could not be removed");
            }
        } else if entry.file_type()?.is_dir() {
            file::remove(&entry.path().join("tmp-graph"))?;
        }
    }
    Ok(())
}

/// The segments that are whole, and the oldest sequence of those that are not.
fn load(folder: &Path, manifest: &Manifest, like: &Rows) -> Result<(Vec<Place>, Option<u64>), Error> {
    let mut places = Vec::new();
    let mut lost = None;
    for entry in &manifest.segments {
        match Segment::load(folder, entry, like) {
            Ok(segment) => {
                places.push(Place { segment: Arc::new(segment), deleted: Arc::clone(&entry.deleted) });
            }
            Err(Unread::Damaged { path, why }) => {
                tracing::warn!(path = %path.display(), why, "a segment is damaged");
                lost = Some(lost.unwrap_or(u64::MAX).min(entry.first));
            }
            Err(why) => return Err(why.into()),
        }
    }
    Ok((places, lost))
}

/// Rows of later sequences come again from the log.
fn forget_after(place: &mut Place, sequence: u64) {
    let last = uid(sequence, 0xffff);
    let kept = place.segment.part.uids.partition_point(|uid| *uid <= last) as u32;
    let later: RoaringBitmap = (kept..place.segment.rows()).collect();
    *Arc::make_mut(&mut place.deleted) |= later;
}
