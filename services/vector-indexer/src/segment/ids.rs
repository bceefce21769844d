//! The ids of a part's rows, and which row has an id.
//!
//! Texts lie one after another, found by their ends; a table of open addressing holds 32 bits of each hash beside the
//! row, so that a look-up that finds nothing touches the table alone. Its memory is the ids, 4 bytes a row for the end
//! and 8 to 16 for the table.

use std::{
    hash::{BuildHasher, RandomState},
    io::{self, Read, Write},
    sync::OnceLock,
};

use crate::ops::MOST_ID;

const EMPTY: u64 = u64::MAX;

/// Ids by row, rows by id. An id that is pushed again belongs to the newer row.
#[derive(Default)]
pub struct Ids {
    texts: String,
    ends: Vec<u32>,
    /// Upper half of the hash, then the row. A power of two long, at most three quarters full.
    table: Vec<u64>,
    used: usize,
}

/// An id's hash, to be computed once for all parts. The key is this process's own: nobody outside can choose ids that
/// collide.
#[must_use]
pub fn hash(id: &str) -> u64 {
    static KEY: OnceLock<RandomState> = OnceLock::new();
    KEY.get_or_init(RandomState::new).hash_one(id)
}

impl Ids {
    /// How many rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The id of a row; an empty text for a row that is none.
    #[must_use]
    pub fn get(&self, row: u32) -> &str {
        let row = row as usize;
        let from = row.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        let to = self.ends.get(row).copied().unwrap_or(from);
        self.texts.get(from as usize..to as usize).unwrap_or_default()
    }

    /// The newest row with an id, dead or alive.
    #[must_use]
    pub fn find(&self, id: &str, hash: u64) -> Option<u32> {
        self.slot(id, hash)
            .and_then(|slot| self.table.get(slot))
            .filter(|entry| **entry != EMPTY)
            .map(|entry| *entry as u32)
    }

    /// Adds the next row. `false`, and nothing is added, when the part's texts would pass 4 GiB.
    pub fn push(&mut self, id: &str, hash: u64) -> bool {
        let (Ok(end), Ok(row)) = (u32::try_from(self.texts.len() + id.len()), u32::try_from(self.ends.len()))
        else {
            return false;
        };
        if row == u32::MAX {
            return false;
        }
        if (self.used + 1) * 4 > self.table.len() * 3 {
            self.grow();
        }
        let slot = self.slot(id, hash);
        self.texts.push_str(id);
        self.ends.push(end);
        if let Some(entry) = slot.and_then(|slot| self.table.get_mut(slot)) {
            self.used += usize::from(*entry == EMPTY);
            *entry = packed(hash, row);
        }
        true
    }

    /// Where the id is in the table, or would be. `None` in a table without room.
    fn slot(&self, id: &str, hash: u64) -> Option<usize> {
        let mask = self.table.len().checked_sub(1)?;
        let mut slot = hash as usize & mask;
        loop {
            let entry = *self.table.get(slot)?;
            if entry == EMPTY || (entry >> 32 == hash >> 32 && self.get(entry as u32) == id) {
                return Some(slot);
            }
            slot = (slot + 1) & mask;
        }
    }

    fn grow(&mut self) {
        let rows = (self.ends.len() + 1).max(8);
        // The hash's lower half is not kept: the ids are hashed again.
        self.table = vec![EMPTY; (rows * 2).next_power_of_two()];
        self.used = 0;
        for row in 0..self.ends.len() as u32 {
            let hash = hash(self.get(row));
            let slot = self.slot(self.get(row), hash);
            if let Some(entry) = slot.and_then(|slot| self.table.get_mut(slot)) {
                self.used += usize::from(*entry == EMPTY);
                *entry = packed(hash, row);
            }
        }
    }

    /// Memory it takes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        (self.texts.capacity() + self.ends.capacity() * 4 + self.table.capacity() * 8) as u64
    }

    /// Writes it.
    ///
    /// # Errors
    /// What the writer says.
    pub fn write(&self, to: &mut impl Write) -> io::Result<()> {
        for row in 0..self.ends.len() as u32 {
            let id = self.get(row).as_bytes();
            to.write_all(&(id.len() as u16).to_le_bytes())?;
            to.write_all(id)?;
        }
        Ok(())
    }

    /// Reads `rows` ids.
    ///
    /// # Errors
    /// When there are fewer, or something is no id.
    pub fn read(from: &mut impl Read, rows: usize) -> io::Result<Self> {
        let bad = |why| io::Error::new(io::ErrorKind::InvalidData, why);
        let mut ids = Self::default();
        let mut buffer = [0; MOST_ID];
        for _ in 0..rows {
            let mut length = [0; 2];
            from.read_exact(&mut length)?;
            let id = buffer
                .get_mut(..usize::from(u16::from_le_bytes(length)))
                .ok_or_else(|| bad("an id is too long"))?;
            from.read_exact(id)?;
            let id = std::str::from_utf8(id).map_err(|_| bad("an id is no text"))?;
            if id.is_empty() || !ids.push(id, hash(id)) {
                return Err(bad("an id is empty, or there are too many"));
            }
        }
        Ok(ids)
    }
}

fn packed(hash: u64, row: u32) -> u64 {
    hash & 0xffff_ffff_0000_0000 | u64::from(row)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn like_a_map(pushed in proptest::collection::vec("[a-d]{1,4}", 0..400)) {
            let mut ids = Ids::default();
            let mut model = HashMap::new();
            for (row, id) in pushed.iter().enumerate() {
                prop_assert!(ids.push(id, hash(id)));
                model.insert(id.as_str(), row as u32);
            }
            let mut bytes = Vec::new();
            ids.write(&mut bytes).unwrap();
            for ids in [&ids, &Ids::read(&mut bytes.as_slice(), pushed.len()).unwrap()] {
                prop_assert_eq!(ids.len(), pushed.len());
                for (row, id) in pushed.iter().enumerate() {
                    prop_assert_eq!(ids.get(row as u32), id);
                    prop_assert_eq!(ids.find(id, hash(id)), model.get(id.as_str()).copied());
                }
                prop_assert_eq!(ids.find("e", hash("e")), None);
                prop_assert_eq!(ids.get(pushed.len() as u32), "");
            }
            if !bytes.is_empty() {
                prop_assert!(Ids::read(&mut &bytes[..bytes.len() - 1], pushed.len()).is_err());
            }
        }
    }
}
