//! The values of one field in their order, each with the rows that hold it.
//!
//! Values lie in blocks of a few hundred, and each block knows all of its rows, so that a range over very many
//! different values (times, prices) is the union of a few bitmaps and not of one for each value.

use std::borrow::Borrow;
use std::mem::size_of;

use roaring::{MultiOps, RoaringBitmap};

use super::predicate::Range;

/// Values of a block before it is split. Larger makes ranges faster and inserting in the middle slower.
const BLOCK: usize = 512;

/// A map from values to rows, for growing only.
#[derive(Debug)]
pub struct Ordered<K> {
    blocks: Vec<Block<K>>,
}

#[derive(Debug)]
struct Block<K> {
    /// Sorted; never empty.
    keys: Vec<K>,
    rows: Vec<Rows>,
    all: RoaringBitmap,
}

/// Most values of a field with very many are held by one row.
#[derive(Debug)]
enum Rows {
    One(u32),
    Many(RoaringBitmap),
}

impl<K> Default for Ordered<K> {
    fn default() -> Self {
        Self { blocks: Vec::new() }
    }
}

impl<K: Ord> Ordered<K> {
    /// Notes that a row has a value. Says about how many bytes that took, beside what the key holds elsewhere.
    pub fn insert<Q>(&mut self, value: &Q, row: u32, own: impl FnOnce(&Q) -> K) -> usize
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let at = self.block(value);
        let last = at + 1 == self.blocks.len();
        let Some(block) = self.blocks.get_mut(at) else {
            self.blocks.push(Block::of(vec![own(value)], vec![Rows::One(row)]));
            return size_of::<Block<K>>() + 64;
        };
        block.all.insert(row);
        match block.keys.binary_search_by(|key| key.borrow().cmp(value)) {
            Ok(place) => block.rows[place].insert(row),
            Err(place) if place == BLOCK && last => {
                block.all = union(&block.rows, std::iter::empty());
                self.blocks.push(Block::of(vec![own(value)], vec![Rows::One(row)]));
                size_of::<Block<K>>() + 64
            }
            Err(place) => {
                block.keys.insert(place, own(value));
                block.rows.insert(place, Rows::One(row));
                if block.keys.len() > BLOCK {
                    let half = block.split();
                    self.blocks.insert(at + 1, half);
                }
                size_of::<K>() + size_of::<Rows>() + 2
            }
        }
    }

    /// The block that holds the value or would.
    fn block<Q>(&self, value: &Q) -> usize
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        self.blocks
            .partition_point(|block| block.keys.first().is_some_and(|key| key.borrow() <= value))
            .saturating_sub(1)
    }

    /// Adds the rows that have a value.
    pub fn equal<Q>(&self, value: &Q, rows: &mut RoaringBitmap)
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let Some(block) = self.blocks.get(self.block(value)) else { return };
        let Ok(place) = block.keys.binary_search_by(|key| key.borrow().cmp(value)) else { return };
        match &block.rows[place] {
            Rows::One(row) => {
                rows.insert(*row);
            }
            Rows::Many(many) if rows.is_empty() => rows.clone_from(many),
            Rows::Many(many) => *rows |= many,
        }
    }

    /// The rows that have a value in the range.
    pub fn between(&self, range: &Range<K>) -> RoaringBitmap {
        let start =
            self.blocks.partition_point(|block| block.keys.last().is_some_and(|key| range.is_below(key)));
        let end =
            self.blocks.partition_point(|block| !block.keys.first().is_some_and(|key| range.is_above(key)));
        let blocks = self.blocks.get(start..end).unwrap_or_default();
        let mut whole = Vec::with_capacity(blocks.len());
        let mut parts: [&[Rows]; 2] = [&[], &[]];
        for (i, block) in blocks.iter().enumerate() {
            let low = block.keys.partition_point(|key| range.is_below(key));
            let high = block.keys.partition_point(|key| !range.is_above(key));
            if low == 0 && high == block.keys.len() {
                whole.push(&block.all);
            } else {
                // Only the first and the last block can be cut.
                parts[usize::from(i > 0)] = block.rows.get(low..high).unwrap_or_default();
            }
        }
        let mut found = union(parts[0], whole.into_iter());
        if !parts[1].is_empty() {
            found |= union(parts[1], std::iter::empty());
        }
        found
    }
}

impl<K: Ord> Block<K> {
    fn of(keys: Vec<K>, rows: Vec<Rows>) -> Self {
        let all = union(&rows, std::iter::empty());
        Self { keys, rows, all }
    }

    /// Keeps the lower half and gives away the upper.
    fn split(&mut self) -> Self {
        let half = self.keys.len() / 2;
        let upper = Self::of(self.keys.split_off(half), self.rows.split_off(half));
        self.all = union(&self.rows, std::iter::empty());
        upper
    }
}

impl Rows {
    fn insert(&mut self, row: u32) -> usize {
        match self {
            Self::One(one) if *one == row => 0,
            Self::One(one) => {
                *self = Self::Many([*one, row].into_iter().collect());
                64
            }
            Self::Many(many) => 4 * usize::from(many.insert(row)),
        }
    }
}

fn union<'a>(rows: &'a [Rows], also: impl Iterator<Item = &'a RoaringBitmap>) -> RoaringBitmap {
    let mut ones: Vec<u32> = Vec::new();
    let mut many: Vec<&'a RoaringBitmap> = also.collect();
    for rows in rows {
        match rows {
            Rows::One(row) => ones.push(*row),
            Rows::Many(rows) => many.push(rows),
        }
    }
    let mut found: RoaringBitmap = many.union();
    ones.sort_unstable();
    found.extend(ones);
    found
}
