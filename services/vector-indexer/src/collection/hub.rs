//! Where writers, the keeper and the builder meet: what there is to do, how far it is done, and the texts on their way
//! into their index. Searches do not come here.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::segment::stored::Record;

/// What is to be done with the index of texts.
pub enum TextOp {
    Put { id: Box<str>, uid: u64, record: Record },
    Remove(Box<str>),
    Clear,
}

impl TextOp {
    fn bytes(&self) -> u64 {
        match self {
            Self::Put { id, record, .. } => 64 + id.len() as u64 + record.bytes(),
            Self::Remove(id) => 64 + id.len() as u64,
            Self::Clear => 64,
        }
    }
}

/// What all may see and change, for a moment.
pub struct Board {
    pub stop: bool,
    /// Segments that are in memory only.
    pub unsaved: usize,
    /// A checkpoint waits to be made durable.
    pub wanted: bool,
    /// Texts that wait, in the order of the log.
    pub texts: Vec<TextOp>,
    pub text_bytes: u64,
    /// Up to which sequence the texts that wait go.
    pub text_sequence: u64,
    /// Somebody waits to find texts up to here.
    pub text_asked: u64,
    /// The index of texts is to be made anew.
    pub rebuild: bool,
    /// Up to where everything is durable.
    pub durable: u64,
    /// Up to where texts are found.
    pub texted: u64,
    pub last_write: Instant,
    /// The keeper's or the builder's last failure, until it succeeds.
    pub trouble: Option<String>,
    /// Segments may want merging or graphs.
    pub build: bool,
    /// The builder found nothing to do.
    pub idle: bool,
}

/// The board, and a bell for whoever waits for a change of it.
pub struct Hub {
    board: Mutex<Board>,
    changed: Condvar,
}

impl Hub {
    pub fn new(sequence: u64, texted: u64) -> Self {
        let board = Board {
            stop: false,
            unsaved: 0,
            wanted: false,
            texts: Vec::new(),
            text_bytes: 0,
            text_sequence: sequence,
            text_asked: 0,
            rebuild: texted < sequence,
            durable: sequence,
            texted,
            last_write: Instant::now(),
            trouble: None,
            build: true,
            idle: false,
        };
        Self { board: Mutex::new(board), changed: Condvar::new() }
    }

    pub fn lock(&self) -> MutexGuard<'_, Board> {
        lock(&self.board)
    }

    /// Changes the board and tells everybody.
    pub fn change<T>(&self, change: impl FnOnce(&mut Board) -> T) -> T {
        let value = change(&mut self.lock());
        self.changed.notify_all();
        value
    }

    /// Waits until something holds, or the time is over.
    pub fn wait(&self, limit: Duration, until: impl Fn(&Board) -> bool) -> MutexGuard<'_, Board> {
        let waited = self.changed.wait_timeout_while(self.lock(), limit, |board| !until(board));
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Board {
    /// Texts of a batch that was applied.
    pub fn put_texts(&mut self, ops: Vec<TextOp>, sequence: u64) {
        self.text_bytes += ops.iter().map(TextOp::bytes).sum::<u64>();
        self.texts.extend(ops);
        self.text_sequence = sequence;
    }

    /// Takes all texts that wait.
    pub fn take_texts(&mut self) -> (Vec<TextOp>, u64) {
        self.text_bytes = 0;
        (std::mem::take(&mut self.texts), self.text_sequence)
    }
}

/// A lock whose holder panicked is taken all the same: what it guards is never left half done.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
