//! Which rows a walk has seen. A mark is the number of the walk, so that none need be wiped between two walks.

/// A mark for every row; small, so that they stay near the processor.
#[derive(Default)]
pub(super) struct Marks {
    marks: Vec<u8>,
    epoch: u8,
}

impl Marks {
    /// Begins a walk among so many rows.
    pub(super) fn begin(&mut self, rows: u32) {
        if self.marks.len() < rows as usize {
            self.marks.resize(rows as usize, 0);
        }
        if self.epoch == u8::MAX {
            self.marks.fill(0);
            self.epoch = 0;
        }
        self.epoch += 1;
    }

    /// Marks a row, and says whether it was unmarked.
    #[inline]
    pub(super) fn first(&mut self, row: u32) -> bool {
        let mark = &mut self.marks[row as usize];
        let first = *mark != self.epoch;
        *mark = self.epoch;
        first
    }
}
