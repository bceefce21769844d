//! A collection: points that are put in by a log, searched in memory, and kept on disk.
//!
//! New points go into a growing part that is scanned. When it is full it becomes a segment: its files are written, and
//! sooner or later it is merged with others and gets a graph. All that takes long is done by two threads of the
//! collection's own, the keeper and the builder, outside of what searches and writers hold; what they made is swapped
//! in. The manifest is written by no one else.

mod apply;
mod builder;
mod config;
mod describe;
mod error;
mod export;
mod hub;
mod keeper;
mod ledger;
mod list;
mod plan;
mod question;
mod recover;
mod search;
mod shared;
mod state;
mod words;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

pub use apply::Applied;
pub use config::Config;
pub use describe::{Description, Memory, SegmentDescription};
pub use error::Error;
pub use export::import;
pub use question::{Found, Hit, MOST_HITS, Search, Vectors, Way, With};

use self::{hub::lock, recover::Recovered, shared::Shared};
use crate::{filter::Predicate, ops::Batch, space::Rows};

/// See the head of this room. All methods may be called by many threads at once; those that say so wait.
pub struct Collection {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Collection {
    /// Opens a folder, or makes it. What is damaged there is thrown away, and [`Collection::sequence`] says from where
    /// the log has to be applied. One process has a folder open at a time.
    ///
    /// # Errors
    /// When the machine refuses.
    pub fn open(folder: impl Into<PathBuf>, config: Config) -> Result<Self, Error> {
        let folder = folder.into();
        let like = Rows::new(config.dimension, config.metric, config.precision);
        let Recovered { ledger, state } = recover::recover(&folder, &config, &like)?;
        let texts = keeper::open_texts(&folder)?;
        let shared = Arc::new(Shared::new(folder, config, like, ledger, state, texts));
        let mut collection = Self { shared, threads: Vec::new() };
        collection.start("vector-keeper", keeper::run)?;
        collection.start("vector-builder", builder::run)?;
        Ok(collection)
    }

    fn start(&mut self, name: &str, run: fn(&Shared)) -> Result<(), Error> {
        let shared = Arc::clone(&self.shared);
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || run(&shared))?;
        self.threads.push(thread);
        Ok(())
    }

    /// Applies a batch of the log. Sequences ascend; one that was applied before is not applied again. Waits while
    /// more is in memory than may be, so it is not to be called where one must not block.
    ///
    /// # Errors
    /// When what was applied before cannot be brought to disk, or the collection is closed. Then nothing was applied.
    pub fn apply(&self, sequence: u64, batch: &Batch) -> Result<Applied, Error> {
        self.shared.apply(sequence, batch)
    }

    /// A sequence of the log that has nothing for this collection counts as applied.
    ///
    /// # Errors
    /// As [`Collection::apply`].
    pub fn pass(&self, sequence: u64) -> Result<Applied, Error> {
        self.shared.apply(sequence, &Batch::default())
    }

    /// What is applied.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        *self.shared.applied.borrow()
    }

    /// The sequence up to which a replay after opening passes through states that never were: the index of texts may be
    /// further than the rest, and after damage some points are missing. Whoever follows a log serves from there on.
    #[must_use]
    pub fn settled(&self) -> u64 {
        self.shared.settled
    }

    /// Waits until a sequence is applied.
    ///
    /// # Errors
    /// When the collection is closed before.
    pub async fn wait_for(&self, sequence: u64) -> Result<(), Error> {
        let mut applied = self.shared.applied.subscribe();
        applied.wait_for(|applied| *applied >= sequence).await.map(drop).map_err(|_| Error::Closed)
    }

    /// Waits until texts up to a sequence are found, at most so long. Says whether they are. Blocks.
    #[must_use]
    pub fn wait_for_texts(&self, sequence: u64, limit: Duration) -> bool {
        self.shared.hub.change(|board| board.text_asked = board.text_asked.max(sequence));
        self.shared.hub.wait(limit, |board| board.stop || board.texted >= sequence).texted >= sequence
    }

    /// Searches.
    ///
    /// # Errors
    /// When the question is none, or the machine refuses to read.
    pub fn search(&self, search: &Search) -> Result<Found, Error> {
        self.shared.search(search)
    }

    /// The points with these ids that are there, and the sequence that they are of.
    ///
    /// # Errors
    /// When the machine refuses to read.
    pub fn get(&self, ids: &[String], with: With) -> Result<(Vec<Hit>, u64), Error> {
        self.shared.get(ids, with)
    }

    /// Points in the order of their ids, those after `after`, and the sequence that they are of. Every page looks at
    /// all that match.
    ///
    /// # Errors
    /// When the machine refuses to read.
    pub fn list(
        &self,
        filter: Option<&Predicate>,
        after: Option<&str>,
        limit: usize,
        with: With,
    ) -> Result<(Vec<Hit>, u64), Error> {
        self.shared.list(filter, after, limit.min(MOST_HITS), with)
    }

    /// What it is made of.
    #[must_use]
    pub fn describe(&self) -> Description {
        self.shared.describe()
    }

    /// Makes everything durable that is applied, and says up to which sequence that is. Blocks until it is done.
    ///
    /// # Errors
    /// When it cannot be done.
    pub fn flush(&self) -> Result<u64, Error> {
        let order = lock(&self.shared.order);
        let sequence = order.sequence;
        self.shared.seal(&order);
        drop(order);
        // A failure from before is not ours, one from now is.
        self.shared.hub.change(|board| board.trouble = None);
        let limit = Duration::from_secs(3600);
        let board = self
            .shared
            .hub
            .wait(limit, |board| board.stop || board.durable >= sequence || board.trouble.is_some());
        match (&board.trouble, board.durable >= sequence) {
            (_, true) => Ok(sequence),
            (Some(why), _) => Err(Error::Stuck(why.clone())),
            (None, false) => Err(Error::Closed),
        }
    }

    /// Waits until no segment wants merging or a graph, at most so long. Says whether that is so. Blocks.
    #[must_use]
    pub fn settle(&self, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        let left = until.saturating_duration_since(Instant::now());
        self.shared.hub.wait(left, |board| board.stop || (board.idle && !board.build && !board.wanted)).idle
    }

    /// A consistent copy of all that is applied, in a folder that is empty or not there, for [`import`]. Segments get
    /// a second name there where the file system can. Gives the copy's sequence. Blocks.
    ///
    /// # Errors
    /// When it cannot be done.
    pub fn export(&self, to: &Path) -> Result<u64, Error> {
        self.flush()?;
        self.shared.export(to)
    }
}

impl Drop for Collection {
    /// What is not durable comes again from the log: closing takes no longer than what is being written now.
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.shared.hub.change(|board| board.stop = true);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!(folder = %self.shared.folder.display(), "a collection's thread panicked");
            }
        }
    }
}
