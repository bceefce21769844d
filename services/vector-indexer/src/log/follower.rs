//! The follower: reads the whole log in its order, and applies each message to its collection.
//!
//! It begins after what all open collections have, and begins again wherever it may have missed something: a lost
//! connection, a collection that was made anew, one that was opened after messages of it had been passed over. Sequences
//! that are applied already are not applied twice, so that beginning too early does no harm.
//!
//! Snapshots remove messages. Where sequences are missing between two messages, the catalogue is asked whether a snapshot
//! holds what is not there: it was named there before anything was removed.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tasklane_runtime::bus::follow::{Followed, Following};
use tasklane_runtime::contract::streams::VECTORS;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::{id_of, renumber};
use crate::collection::Error;
use crate::error::VectorError;
use crate::meters::Meters;
use crate::ops::Batch;
use crate::shelf::{Entry, Import, Shelf};

/// Messages and bytes that are applied before anything else is looked at.
const RUN: (usize, usize) = (64, 8 << 20);
/// How often collections without messages are told how far the log is.
const TICK: Duration = Duration::from_secs(1);
/// Nothing came for so long though it was asked for: there is nothing.
const QUIET: Duration = Duration::from_secs(2);
/// How long it rests before it begins again, and before a full disk is tried again.
const REST: Duration = Duration::from_millis(250);
/// How long an id may be unknown before its messages are passed over: the catalogue of a cluster may lag a moment.
const UNKNOWN: [Duration; 2] = [Duration::ZERO, Duration::from_millis(200)];

/// How far the follower is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// All of the log up to here is applied.
    pub position: u64,
    /// Messages behind it, when the last one came.
    pub pending: u64,
    /// It has been at the end once.
    pub caught_up: bool,
}

/// See the head of this room.
pub struct Follower {
    shelf: Shelf,
    meters: Meters,
    stop: CancellationToken,
    progress: watch::Sender<Progress>,
    /// Where this reading of the log began.
    start: u64,
    /// Openings of collections that have all of the log from `start` on that was read.
    whole: HashSet<u64>,
    /// The last message of each id since.
    seen: HashMap<String, u64>,
    /// Ids of no collection, whose messages are passed over.
    skipped: HashSet<String>,
}

/// Whose a message is.
enum Whose {
    /// A collection's.
    Of(Arc<Entry>),
    /// Nobody's.
    Nobodys,
    /// A collection's that lacks something before it: the log is to be read again.
    Again,
}

/// A message with the collection that it is for.
struct Ready {
    entry: Arc<Entry>,
    message: Followed,
}

impl Follower {
    /// A follower for what is on the shelf, until `stop`. How far it is can be watched.
    pub fn new(shelf: Shelf, meters: Meters, stop: CancellationToken) -> (Self, watch::Receiver<Progress>) {
        let (progress, seen) = watch::channel(Progress::default());
        (
            Self {
                shelf,
                meters,
                stop,
                progress,
                start: 0,
                whole: HashSet::new(),
                seen: HashMap::new(),
                skipped: HashSet::new(),
            },
            seen,
        )
    }

    /// Follows until it is stopped, whatever happens.
    pub async fn run(mut self) {
        let stop = self.stop.clone();
        while !stop.is_cancelled() {
            tokio::select! {
                ended = self.once() => if let Err(e) = ended {
                    tracing::warn!("the log cannot be followed now: {e}");
                },
                () = stop.cancelled() => return,
            }
            tokio::time::sleep(REST).await;
        }
    }

    /// Follows until something makes it necessary to begin again.
    async fn once(&mut self) -> Result<(), VectorError> {
        self.shelf.settle(Import::Older).await?;
        let bus = self.shelf.bus().clone();
        let last = renumber::past(&bus, self.shelf.highest_base(), self.shelf.highest_applied()).await?;
        self.shelf.go_back(last).await;
        let mut position = self.shelf.applied().unwrap_or(last);
        let mut following = bus.follow(VECTORS, position + 1).await?;
        // A snapshot may have been taken before the server knew of us.
        if self.shelf.settle(Import::Older).await? {
            return Ok(());
        }
        self.start = position;
        self.whole.clear();
        self.seen.clear();
        self.skipped.clear();
        if following.ahead() == 0 {
            position = position.max(last);
        }
        tracing::debug!(from = position + 1, ahead = following.ahead(), "following the log");
        self.tell(position, following.ahead());
        self.follow(&mut following, position).await
    }

    async fn follow(&mut self, following: &mut Following, mut position: u64) -> Result<(), VectorError> {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut heard, mut passed) = (Instant::now(), 0);
        loop {
            tokio::select! {
                biased;
                message = following.next() => {
                    let Some(message) = message else { return Ok(()) };
                    heard = Instant::now();
                    match self.take(following, message, position).await? {
                        Some(reached) => position = reached,
                        None => return Ok(()),
                    }
                }
                _ = tick.tick() => {
                    if heard.elapsed() >= QUIET {
                        self.tell(position, 0);
                    }
                    let entries = self.shelf.entries();
                    if !entries.iter().all(|entry| self.is_whole(entry)) {
                        return Ok(());
                    }
                    if passed < position {
                        self.pass(position).await?;
                        passed = position;
                    }
                    // What a snapshot has and the log does not, nobody sends any more.
                    if heard.elapsed() >= QUIET && self.shelf.entries().iter().any(|entry| entry.is_older()) {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Takes a message and those that have come with it. Gives how far it is then; nothing where it has to begin again.
    async fn take(
        &mut self,
        following: &mut Following,
        first: Followed,
        mut position: u64,
    ) -> Result<Option<u64>, VectorError> {
        let (mut ready, mut bytes, mut pending) = (Vec::new(), 0, first.pending);
        let mut next = Some(first);
        while let Some(message) = next {
            pending = message.pending;
            if message.sequence != position + 1 {
                // What is missing may have been of any collection.
                self.apply(std::mem::take(&mut ready)).await?;
                self.pass(position).await?;
                if self.shelf.settle(Import::Older).await? {
                    return Ok(None);
                }
            }
            let sequence = message.sequence;
            bytes += message.body.len();
            let whose = self.whose(&message, &mut ready).await?;
            if !matches!(whose, Whose::Again) {
                self.see(&message);
            }
            match whose {
                Whose::Of(entry) => ready.push(Ready { entry, message }),
                Whose::Nobodys => {}
                Whose::Again => {
                    self.apply(ready).await?;
                    return Ok(None);
                }
            }
            position = sequence;
            let is_full = ready.len() >= RUN.0 || bytes >= RUN.1;
            next = if is_full { None } else { following.ready() };
        }
        // Said before it is done, so that a disk that refuses shows.
        self.meters.behind(pending + ready.len() as u64);
        self.apply(ready).await?;
        self.tell(position, pending);
        Ok(Some(position))
    }

    /// Whose a message is. Before the catalogue is asked, what is ready is applied: a collection that is
    /// replaced is to be held by nobody.
    async fn whose(&mut self, message: &Followed, ready: &mut Vec<Ready>) -> Result<Whose, VectorError> {
        let Some(id) = id_of(&message.subject) else { return Ok(Whose::Nobodys) };
        if let Some(entry) = self.shelf.by_id(id) {
            return Ok(if self.is_whole(&entry) { Whose::Of(entry) } else { Whose::Again });
        }
        if self.skipped.contains(id) {
            return Ok(Whose::Nobodys);
        }
        self.apply(std::mem::take(ready)).await?;
        for patience in UNKNOWN {
            tokio::time::sleep(patience).await;
            self.shelf.settle(Import::Missing).await?;
            if let Some(entry) = self.shelf.by_id(id) {
                return Ok(if self.is_whole(&entry) { Whose::Of(entry) } else { Whose::Again });
            }
        }
        tracing::info!(id, sequence = message.sequence, "a log of no collection is passed over");
        self.skipped.insert(id.to_owned());
        Ok(Whose::Nobodys)
    }

    /// Whether a collection has all that was read of the log. One that was opened later, or again, has if it lacks nothing from
    /// before the reading began, and no message of it went to another opening or to nobody since.
    fn is_whole(&mut self, entry: &Entry) -> bool {
        if self.whole.contains(&entry.opening) {
            return true;
        }
        let sequence = entry.collection.sequence();
        let seen = self.seen.get(&entry.record.id).copied().unwrap_or(0);
        let is_whole = sequence >= self.start && sequence >= seen;
        if is_whole {
            self.whole.insert(entry.opening);
        }
        is_whole
    }

    /// A message of an id went by.
    fn see(&mut self, message: &Followed) {
        let Some(id) = id_of(&message.subject) else { return };
        match self.seen.get_mut(id) {
            Some(last) => *last = message.sequence,
            None => drop(self.seen.insert(id.to_owned(), message.sequence)),
        }
    }

    async fn apply(&self, ready: Vec<Ready>) -> Result<(), VectorError> {
        if ready.is_empty() {
            return Ok(());
        }
        let (meters, stop) = (self.meters.clone(), self.stop.clone());
        let applied = tokio::task::spawn_blocking(move || {
            ready.into_iter().try_for_each(|Ready { entry, message }| one(&entry, &message, &meters, &stop))
        });
        applied.await?
    }

    /// Every collection has all up to here.
    async fn pass(&self, position: u64) -> Result<(), VectorError> {
        let late: Vec<Arc<Entry>> = self
            .shelf
            .entries()
            .into_iter()
            .filter(|entry| self.whole.contains(&entry.opening) && entry.collection.sequence() < position)
            .collect();
        if late.is_empty() {
            return Ok(());
        }
        let passed = tokio::task::spawn_blocking(move || {
            for entry in late {
                if let Err(e) = entry.collection.pass(position) {
                    tracing::warn!(collection = %entry.name, "a collection does not go on: {e}");
                }
            }
        });
        Ok(passed.await?)
    }

    fn tell(&self, position: u64, pending: u64) {
        self.meters.behind(pending);
        self.progress.send_modify(|progress| {
            progress.position = position;
            progress.pending = pending;
            progress.caught_up |= pending == 0;
        });
    }
}

/// Applies a message. Where the disk refuses, it waits: the next one is not applied before this one.
#[expect(clippy::disallowed_methods, reason = "this is a thread for what blocks")]
fn one(
    entry: &Entry,
    message: &Followed,
    meters: &Meters,
    stop: &CancellationToken,
) -> Result<(), VectorError> {
    let (collection, sequence) = (&entry.collection, message.sequence);
    let batch = Batch::decode(&message.body).unwrap_or_else(|e| {
        tracing::error!(collection = %entry.name, sequence, "a message of the log is left out: {e}");
        meters.refused(1);
        Batch::default()
    });
    loop {
        match collection.apply(sequence, &batch) {
            Ok(applied) => {
                if applied.refused > 0 {
                    tracing::warn!(collection = %entry.name, sequence, refused = applied.refused,
                        "operations of the log could not be applied");
                    meters.refused(applied.refused);
                }
                if !applied.repeated {
                    entry.logged(message.body.len() as u64);
                }
                return Ok(());
            }
            // It is being dropped or made anew.
            Err(Error::Closed) => return Ok(()),
            Err(e) => {
                tracing::error!(collection = %entry.name, sequence, "nothing can be applied: {e}");
                if stop.is_cancelled() || entry.closed.is_cancelled() {
                    return Err(VectorError::of(&entry.name, e));
                }
                std::thread::sleep(REST * 4);
            }
        }
    }
}
