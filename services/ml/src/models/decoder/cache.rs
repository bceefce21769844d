//! Keys and values of the tokens that were computed, shelf by shelf, each put up at once and written in place.

use std::collections::HashMap;

use tch::{Device, Kind, TchError, Tensor};

use crate::generate::seats::{Seat, Seats};

/// What one layer keeps on one shelf: rows of tokens, of heads.
#[derive(Debug)]
pub struct Kept {
    /// Keys.
    pub keys: Tensor,
    /// Values.
    pub values: Tensor,
}

/// A shelf.
pub struct Shelf {
    /// Tokens of a row.
    pub capacity: usize,
    /// One for each layer.
    pub layers: Vec<Kept>,
}

/// The shelves.
pub struct Cache {
    seats: Seats,
    shelves: HashMap<u32, Shelf>,
    layers: usize,
    /// Heads, and numbers of each.
    head: [i64; 2],
    options: (Kind, Device),
}

impl Cache {
    /// An empty one.
    pub fn new(seats: Seats, layers: usize, head: [i64; 2], options: (Kind, Device)) -> Self {
        Self { seats, shelves: HashMap::new(), layers, head, options }
    }

    /// The plan of its seats.
    pub fn seats(&self) -> &Seats {
        &self.seats
    }

    /// A seat for a sequence of so many tokens; none where there is no room now.
    ///
    /// # Errors
    /// Where libtorch has no memory after all.
    pub fn take(&mut self, tokens: usize) -> Result<Option<Seat>, TchError> {
        let Some(taken) = self.seats.take(tokens) else { return Ok(None) };
        for shelf in &taken.give_up {
            self.shelves.remove(shelf);
        }
        if let Some(new) = taken.put_up {
            let made = self.shelf(new.rows, new.capacity);
            match made {
                Ok(shelf) => self.shelves.insert(new.shelf, shelf),
                Err(e) => {
                    self.seats.leave(taken.seat);
                    self.clear();
                    return Err(e);
                }
            };
        }
        Ok(Some(taken.seat))
    }

    /// Gives a seat back.
    pub fn leave(&mut self, seat: Seat) {
        self.seats.leave(seat);
    }

    /// Gives all memory back that nobody sits in.
    pub fn clear(&mut self) {
        for shelf in self.seats.clear() {
            self.shelves.remove(&shelf);
        }
    }

    /// A shelf.
    ///
    /// # Errors
    /// Where there is none, which is a fault of ours.
    pub fn get(&mut self, shelf: u32) -> Result<&mut Shelf, TchError> {
        self.shelves.get_mut(&shelf).ok_or_else(|| TchError::Shape(format!("there is no shelf {shelf}")))
    }

    fn shelf(&self, rows: usize, capacity: usize) -> Result<Shelf, TchError> {
        let size = [(rows * capacity) as i64, self.head[0], self.head[1]];
        let layer = || {
            // Zeros: what lies behind a row's end is masked, but a mask does not hide what is no number.
            Ok(Kept {
                keys: Tensor::f_zeros(size, self.options)?,
                values: Tensor::f_zeros(size, self.options)?,
            })
        };
        let layers = (0..self.layers).map(|_| layer()).collect::<Result<_, TchError>>()?;
        Ok(Shelf { capacity, layers })
    }
}
