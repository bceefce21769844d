//! Flat lists of neighbours: of every row on the ground, and above of the rows that are drawn higher. While a graph
//! is built they are atomic, so that one thread may walk where another links.

use std::sync::atomic::{AtomicU32, Ordering};

/// Where a list ends before its place does.
pub(super) const NONE: u32 = u32::MAX;

/// The highest level that is drawn.
pub(super) const MAX_LEVEL: u32 = 24;

/// A place in a list.
pub(super) trait Slot {
    /// The neighbour, or [`NONE`].
    fn row(&self) -> u32;
}

impl Slot for u32 {
    #[inline]
    fn row(&self) -> u32 {
        *self
    }
}

impl Slot for AtomicU32 {
    // Whoever walks meanwhile may see a list half rewritten: every number in it is a row that was linked, and that is
    // all that a walk needs.
    #[inline]
    fn row(&self) -> u32 {
        self.load(Ordering::Relaxed)
    }
}

/// The lists of all rows on all levels.
pub(super) struct Lists<S> {
    /// The length of a list above the ground; on it they are twice as long.
    pub(super) m: usize,
    /// `2 * m` places for every row.
    pub(super) ground: Vec<S>,
    /// For each row, how many lists above the ground stand before its own; one more entry at the end.
    pub(super) starts: Vec<u32>,
    /// `m` places for every row and level above the ground.
    pub(super) upper: Vec<S>,
}

impl<S: Slot> Lists<S> {
    /// Empty lists for rows of these levels.
    pub(super) fn new(m: usize, levels: impl Iterator<Item = u32>, empty: impl Fn() -> S) -> Self {
        let (mut starts, mut before) = (vec![0], 0);
        for level in levels {
            before += level;
            starts.push(before);
        }
        let ground = (0..(starts.len() - 1) * m * 2).map(|_| empty()).collect();
        let upper = (0..before as usize * m).map(|_| empty()).collect();
        Self { m, ground, starts, upper }
    }

    /// How many rows there are.
    pub(super) fn len(&self) -> u32 {
        (self.starts.len() - 1) as u32
    }

    /// The highest level of a row.
    pub(super) fn level(&self, row: u32) -> u32 {
        self.starts[row as usize + 1] - self.starts[row as usize]
    }

    /// The places of a row's list on a level that the row is on.
    #[inline]
    pub(super) fn places(&self, row: u32, level: u32) -> &[S] {
        if level == 0 {
            let width = 2 * self.m;
            let at = row as usize * width;
            return &self.ground[at..at + width];
        }
        let at = (self.starts[row as usize] + level - 1) as usize * self.m;
        &self.upper[at..at + self.m]
    }

    /// A row's neighbours on a level that the row is on.
    #[inline]
    pub(super) fn of(&self, row: u32, level: u32) -> impl Iterator<Item = u32> {
        self.places(row, level).iter().map(Slot::row).take_while(|&row| row != NONE)
    }

    /// The memory that they take.
    pub(super) fn bytes(&self) -> u64 {
        let places = (self.ground.capacity() + self.upper.capacity()) * size_of::<S>();
        (places + self.starts.capacity() * 4) as u64
    }
}

impl Lists<u32> {
    /// The places of a list, to be changed.
    pub(super) fn place(&mut self, row: u32, level: u32) -> &mut [u32] {
        if level == 0 {
            let width = 2 * self.m;
            return &mut self.ground[row as usize * width..][..width];
        }
        let at = (self.starts[row as usize] + level - 1) as usize * self.m;
        &mut self.upper[at..at + self.m]
    }
}

impl Lists<AtomicU32> {
    /// The lists when nobody links any more.
    pub(super) fn frozen(self) -> Lists<u32> {
        let plain = |slots: Vec<AtomicU32>| slots.into_iter().map(AtomicU32::into_inner).collect();
        Lists { m: self.m, ground: plain(self.ground), starts: self.starts, upper: plain(self.upper) }
    }
}
