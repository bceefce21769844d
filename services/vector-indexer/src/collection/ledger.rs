//! What is on disk and what is on its way there, and how a merge changes all of it alike.
//!
//! Three states of the collection, each exact at its sequence: `wanted` is to be made durable, `working` is being made
//! so, `durable` is what the manifest says. A merge rewrites rows by the deletions of `durable`, so that the manifest
//! after it is still exact; deletions that came later are carried over by [`Moves::carried`].

use std::{io, path::Path, sync::Arc};

use roaring::RoaringBitmap;

use crate::segment::{
    Segment, file,
    manifest::{Entry, Manifest},
};

/// The collection at a sequence.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    pub sequence: u64,
    pub entries: Vec<Entry>,
}

/// Guarded by one lock that no search takes.
pub struct Ledger {
    pub shape: String,
    /// Up to there a replay after damage passes through states that never were.
    pub settled: u64,
    pub next: u64,
    pub durable: Checkpoint,
    pub working: Option<Checkpoint>,
    pub wanted: Option<Checkpoint>,
    /// Folders that the manifest still may name.
    pub leaving: Vec<u64>,
}

impl Ledger {
    /// A number that no segment had.
    pub fn number(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    /// The manifest of what is durable.
    pub fn manifest(&self) -> Manifest {
        Manifest {
            identity: self.shape.clone(),
            sequence: self.durable.sequence,
            settled: self.settled.max(self.durable.sequence),
            next: self.next,
            segments: self.durable.entries.clone(),
        }
    }

    /// Writes the manifest, and removes what it does not name any more.
    pub fn write(&mut self, folder: &Path) -> io::Result<()> {
        self.manifest().write(folder)?;
        let waiting = [&self.working, &self.wanted].into_iter().flatten().flat_map(|state| &state.entries);
        let named: Vec<u64> = self.durable.entries.iter().chain(waiting).map(|entry| entry.number).collect();
        for number in std::mem::take(&mut self.leaving) {
            if named.contains(&number) {
                self.leaving.push(number);
            } else if file::remove(&Segment::folder(folder, number)).is_err() {
                // It is in nobody's way, and the next start removes it.
                tracing::debug!(number, "a segment's folder could not be removed");
            }
        }
        Ok(())
    }

    /// Segments became one.
    pub fn merged(&mut self, moves: &Moves) {
        for state in
            [Some(&mut self.durable), self.working.as_mut(), self.wanted.as_mut()].into_iter().flatten()
        {
            let deleted = moves.carried(|number| {
                state
                    .entries
                    .iter()
                    .find(|entry| entry.number == number)
                    .map(|entry| Arc::clone(&entry.deleted))
            });
            state.entries.retain(|entry| !moves.takes(entry.number));
            if let Some(deleted) = deleted {
                state.entries.push(Entry { deleted: Arc::new(deleted), ..moves.output.clone() });
            }
        }
        self.leaving.extend(moves.inputs.iter().map(|input| input.number));
        self.leaving.push(moves.output.number);
    }
}

/// Where a merge brought the rows of its inputs.
pub struct Moves {
    pub inputs: Vec<Input>,
    /// The new segment, with nothing deleted.
    pub output: Entry,
}

/// A segment that was merged.
pub struct Input {
    pub number: u64,
    /// Which rows were left out: those that were deleted in what was durable then.
    pub dropped: Arc<RoaringBitmap>,
    /// The new row of each, [`GONE`] for those.
    pub rows: Vec<u32>,
}

/// A row that was left out.
pub const GONE: u32 = u32::MAX;

impl Moves {
    pub fn takes(&self, number: u64) -> bool {
        self.inputs.iter().any(|input| input.number == number)
    }

    /// The deleted rows of the new segment, by those of its inputs; an input that is not there any more has no living
    /// row. `None` when no row of the new segment is alive, so that nobody needs it.
    pub fn carried(&self, deleted: impl Fn(u64) -> Option<Arc<RoaringBitmap>>) -> Option<RoaringBitmap> {
        let mut all = RoaringBitmap::new();
        for input in &self.inputs {
            let place = |row: u32| input.rows.get(row as usize).copied().filter(|new| *new != GONE);
            match deleted(input.number) {
                Some(deleted) => all.extend((&*deleted - &*input.dropped).iter().filter_map(place)),
                None => all.extend(input.rows.iter().copied().filter(|new| *new != GONE)),
            }
        }
        (all.len() < u64::from(self.output.rows)).then_some(all)
    }
}
