//! The nearest rows so far, sorted, with what was walked from already. A row and its distance are one number, so that
//! comparing is one instruction and ties are in order of rows.

/// A distance and a row as one number that sorts as they do. Its last bit is left for the pool, so that there may be
/// 2^31 rows.
#[inline]
pub(super) fn key(distance: f32, row: u32) -> u64 {
    let bits = distance.to_bits();
    let mask = ((bits.cast_signed() >> 31).cast_unsigned()) | 0x8000_0000;
    u64::from(bits ^ mask) << 32 | u64::from(row << 1)
}

/// The distance in a key.
#[inline]
pub(super) fn distance(key: u64) -> f32 {
    let bits = (key >> 32) as u32;
    let mask = if bits >> 31 == 1 { 0x8000_0000 } else { u32::MAX };
    f32::from_bits(bits ^ mask)
}

/// The row in a key.
#[inline]
pub(super) fn row(key: u64) -> u32 {
    key as u32 >> 1
}

/// Marks a key that was walked from.
const DONE: u64 = 1;

/// At most so many nearest.
#[derive(Default)]
pub(super) struct Pool {
    keys: Vec<u64>,
    most: usize,
    /// Before this one all are done.
    next: usize,
}

impl Pool {
    pub(super) fn begin(&mut self, most: usize) {
        self.keys.clear();
        self.most = most.max(1);
        self.next = 0;
    }

    /// What a key must be below to be taken.
    #[inline]
    pub(super) fn bound(&self) -> u64 {
        if self.keys.len() < self.most { u64::MAX } else { self.keys[self.most - 1] }
    }

    #[inline]
    pub(super) fn put(&mut self, key: u64) {
        if self.keys.len() == self.most {
            if key >= self.keys[self.most - 1] {
                return;
            }
            self.keys.pop();
        }
        let at = self.keys.partition_point(|&other| other < key);
        self.keys.insert(at, key);
        self.next = self.next.min(at);
    }

    /// The nearest that was not walked from; it counts as done now.
    pub(super) fn pop(&mut self) -> Option<u32> {
        while self.next < self.keys.len() {
            let at = self.next;
            self.next += 1;
            if self.keys[at] & DONE == 0 {
                self.keys[at] |= DONE;
                return Some(row(self.keys[at]));
            }
        }
        None
    }

    /// The one that is next, if nothing nearer comes.
    pub(super) fn peek(&self) -> Option<u32> {
        self.keys.get(self.next..)?.iter().find(|&key| key & DONE == 0).map(|&key| row(key))
    }

    /// All, nearest first.
    pub(super) fn keys(&self) -> &[u64] {
        &self.keys
    }
}
