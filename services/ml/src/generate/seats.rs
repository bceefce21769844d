//! Who sits where in the memory for keys and values. A sequence gets room for all that it may ever need before it
//! joins, so that nobody has to leave for want of memory. Rooms of like size lie side by side on a shelf: what sits
//! there is computed in one go.

use std::collections::BTreeMap;

/// A sequence's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seat {
    /// The shelf's number.
    pub shelf: u32,
    /// The row on it.
    pub row: usize,
}

/// What has to be done to memory for a seat, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The seat.
    pub seat: Seat,
    /// Shelves to be given up; nobody sits there.
    pub give_up: Vec<u32>,
    /// A shelf to be put up.
    pub put_up: Option<NewShelf>,
}

/// A shelf to be put up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewShelf {
    /// Its number.
    pub shelf: u32,
    /// Rows of it.
    pub rows: usize,
    /// Tokens of a row.
    pub capacity: usize,
}

struct Shelf {
    capacity: usize,
    taken: Vec<bool>,
}

/// All seats.
pub struct Seats {
    budget: u64,
    token_bytes: u64,
    context: usize,
    shelves: BTreeMap<u32, Shelf>,
    next: u32,
}

/// Rows side by side. More than this no longer make a step cheaper per sequence on a CPU.
const MOST_ROWS: usize = 8;
/// The smallest room.
const LEAST: usize = 64;

impl Seats {
    /// Seats in `budget` bytes, where a token takes `token_bytes`, for sequences of at most `context` tokens.
    pub fn new(budget: u64, token_bytes: u64, context: usize) -> Self {
        Self { budget, token_bytes: token_bytes.max(1), context, shelves: BTreeMap::new(), next: 0 }
    }

    /// Bytes that a sequence of so many tokens takes, beginning to end.
    pub fn cost(&self, tokens: usize) -> u64 {
        self.room(tokens) as u64 * self.token_bytes
    }

    /// Whether it fits where nobody else sits.
    pub fn could_fit(&self, tokens: usize) -> bool {
        tokens <= self.context && self.cost(tokens) <= self.budget
    }

    /// Bytes that all may take together.
    pub fn budget(&self) -> u64 {
        self.budget
    }

    /// Bytes of all shelves, empty ones included.
    pub fn used(&self) -> u64 {
        self.shelves.values().map(|shelf| self.bytes(shelf)).sum()
    }

    /// What a row has to hold for so many tokens: 2^n or 3 x 2^(n-1), so that at most a third is wasted and few sizes
    /// occur.
    fn room(&self, tokens: usize) -> usize {
        let mut size = LEAST;
        while size < tokens {
            let half = size / 2;
            size = if size.is_power_of_two() { size + half } else { size / 3 * 4 };
        }
        size.min(self.context.max(tokens))
    }

    fn bytes(&self, shelf: &Shelf) -> u64 {
        (shelf.taken.len() * shelf.capacity) as u64 * self.token_bytes
    }

    /// A seat for a sequence of so many tokens; nothing where there is no room now.
    pub fn take(&mut self, tokens: usize) -> Option<Taken> {
        if !self.could_fit(tokens) {
            return None;
        }
        let capacity = self.room(tokens);
        let free = self.shelves.iter_mut().filter(|(_, shelf)| shelf.capacity == capacity).find_map(
            |(id, shelf)| {
                let row = shelf.taken.iter().position(|taken| !taken)?;
                shelf.taken[row] = true;
                Some(Seat { shelf: *id, row })
            },
        );
        if let Some(seat) = free {
            return Some(Taken { seat, give_up: Vec::new(), put_up: None });
        }
        self.put_up(capacity)
    }

    fn put_up(&mut self, capacity: usize) -> Option<Taken> {
        let row = capacity as u64 * self.token_bytes;
        // One shelf may not take more than a quarter, or a lone sequence would leave no room for others.
        let wanted = (self.budget / 4 / row).clamp(1, MOST_ROWS as u64);
        let mut empty: Vec<u32> =
            self.shelves.iter().filter(|(_, s)| !s.taken.contains(&true)).map(|(id, _)| *id).collect();
        let seated: u64 =
            self.shelves.values().filter(|s| s.taken.contains(&true)).map(|s| self.bytes(s)).sum();
        let rows = wanted.min(self.budget.saturating_sub(seated) / row);
        if rows == 0 {
            return None;
        }
        let mut give_up = Vec::new();
        while self.used() + rows * row > self.budget {
            let shelf = empty.pop()?;
            self.shelves.remove(&shelf);
            give_up.push(shelf);
        }
        let (shelf, rows) = (self.next, rows as usize);
        self.next = self.next.wrapping_add(1);
        let mut taken = vec![false; rows];
        taken[0] = true;
        self.shelves.insert(shelf, Shelf { capacity, taken });
        Some(Taken {
            seat: Seat { shelf, row: 0 },
            give_up,
            put_up: Some(NewShelf { shelf, rows, capacity }),
        })
    }

    /// Gives a seat back. Its shelf stays for the next, until its memory is needed for another.
    pub fn leave(&mut self, seat: Seat) {
        if let Some(taken) = self.shelves.get_mut(&seat.shelf).and_then(|shelf| shelf.taken.get_mut(seat.row))
        {
            *taken = false;
        }
    }

    /// Forgets all shelves that nobody sits on; what they were.
    pub fn clear(&mut self) -> Vec<u32> {
        let empty: Vec<u32> =
            self.shelves.iter().filter(|(_, s)| !s.taken.contains(&true)).map(|(id, _)| *id).collect();
        for shelf in &empty {
            self.shelves.remove(shelf);
        }
        empty
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rooms_waste_at_most_a_third_and_end_with_the_context() {
        let seats = Seats::new(1 << 30, 1, 1_000);
        for (tokens, room) in
            [(1, 64), (64, 64), (65, 96), (97, 128), (129, 192), (300, 384), (769, 1_000), (1_000, 1_000)]
        {
            assert_eq!(seats.room(tokens), room, "{tokens}");
        }
    }

    #[test]
    fn neighbours_share_a_shelf_and_an_empty_one_makes_room() {
        let mut seats = Seats::new(1_024, 1, 1_024);
        let first = seats.take(60).unwrap();
        assert_eq!(first.put_up.map(|shelf| shelf.rows), Some(4));
        let second = seats.take(50).unwrap();
        assert_eq!((second.seat.shelf, second.seat.row, second.put_up), (first.seat.shelf, 1, None));
        assert!(seats.take(1_024).is_none());
        assert!(!seats.could_fit(1_025) && seats.could_fit(1_024));
        seats.leave(first.seat);
        seats.leave(second.seat);
        let large = seats.take(1_024).unwrap();
        assert_eq!(large.give_up, [first.seat.shelf]);
        assert_eq!(seats.used(), 1_024);
    }

    proptest! {
        #[test]
        fn nobody_shares_a_seat_and_memory_suffices(
            budget in 64u64..20_000, deeds in prop::collection::vec((any::<bool>(), 1usize..2_000), 1..120),
        ) {
            let mut seats = Seats::new(budget, 1, 1_500);
            let mut sitting: Vec<(Seat, usize)> = Vec::new();
            let mut up: HashMap<u32, NewShelf> = HashMap::new();
            for (take, n) in deeds {
                if take {
                    let could = seats.could_fit(n);
                    let Some(taken) = seats.take(n) else {
                        prop_assert!(!could || !sitting.is_empty(), "{} alone found no seat", n);
                        continue;
                    };
                    for shelf in taken.give_up {
                        prop_assert!(sitting.iter().all(|(seat, _)| seat.shelf != shelf));
                        up.remove(&shelf);
                    }
                    if let Some(shelf) = taken.put_up {
                        up.insert(shelf.shelf, shelf);
                    }
                    let shelf = up[&taken.seat.shelf];
                    prop_assert!(taken.seat.row < shelf.rows && shelf.capacity >= n);
                    prop_assert!(sitting.iter().all(|(seat, _)| *seat != taken.seat));
                    sitting.push((taken.seat, n));
                    let held: u64 = up.values().map(|s| (s.rows * s.capacity) as u64).sum();
                    prop_assert!(held <= budget && held == seats.used());
                } else if !sitting.is_empty() {
                    let (seat, _) = sitting.swap_remove(n % sitting.len());
                    seats.leave(seat);
                }
            }
        }
    }
}
