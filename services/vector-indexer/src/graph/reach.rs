//! Every row can be reached: pruning may leave a row that no list names, and a search would never find it. After
//! building, such rows are linked from a near row that has room, or in place of a link that nothing depends on.

use super::Graph;
use super::lists::{Lists, NONE};
use super::pool::row;
use super::walk::{Scratch, Walk};
use crate::space::{Question, Rows};

/// Who was reached, and from whom first.
struct Tree {
    parents: Vec<u32>,
    queue: Vec<u32>,
}

impl Graph {
    /// Links what cannot be reached from the entry on the ground.
    pub(super) fn connect(&mut self, rows: &Rows) {
        if self.is_empty() {
            return;
        }
        let mut tree = Tree { parents: vec![NONE; self.len() as usize], queue: Vec::new() };
        tree.grow(&self.lists, self.entry, self.entry);
        let (mut scratch, mut question) = (Scratch::new(), Question::empty());
        for lost in 0..self.len() {
            if tree.parents[lost as usize] != NONE {
                continue;
            }
            rows.question_by_code(lost, &mut question);
            let walk = Walk { lists: &self.lists, rows, question: &question };
            walk.nearest([self.entry].into_iter(), 0, 64, &mut scratch);
            let near = scratch.pool.keys().iter().map(|&key| row(key));
            // There are fewer links in use than rows reached, and each row has places for several: one is free.
            let place = near
                .chain(0..self.len())
                .filter(|&from| tree.parents[from as usize] != NONE)
                .find_map(|from| tree.free(&self.lists, from).map(|place| (from, place)));
            if let Some((from, place)) = place {
                self.lists.place(from, 0)[place] = lost;
                tree.grow(&self.lists, lost, from);
            }
        }
    }
}

impl Tree {
    /// Takes in a row that is reached from a parent, and all that is reached from it.
    fn grow(&mut self, lists: &Lists<u32>, row: u32, parent: u32) {
        self.parents[row as usize] = parent;
        self.queue.push(row);
        while let Some(from) = self.queue.pop() {
            for to in lists.of(from, 0) {
                if self.parents[to as usize] == NONE {
                    self.parents[to as usize] = from;
                    self.queue.push(to);
                }
            }
        }
    }

    /// A place in a row's list that is empty, or whose link is not how its row was reached: the last such.
    fn free(&self, lists: &Lists<u32>, from: u32) -> Option<usize> {
        let places = lists.places(from, 0);
        if let Some(empty) = places.iter().position(|&to| to == NONE) {
            return Some(empty);
        }
        places.iter().rposition(|&to| self.parents[to as usize] != from)
    }
}
