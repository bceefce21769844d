//! One step's tokens in one row: those of several sequences, of some one and of others many, without any padding. Which
//! of them attend together, and where keys and values go. Pure.

use crate::generate::seats::Seat;

/// The next tokens of a sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Where its keys and values are.
    pub seat: Seat,
    /// How many of its tokens are there already.
    pub past: usize,
    /// The tokens that follow those.
    pub tokens: Vec<u32>,
    /// Whether anybody wants to know what follows the last of them.
    pub wanted: bool,
}

/// Tokens that attend together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The shelf.
    pub shelf: u32,
    /// The first row on it.
    pub row: usize,
    /// Where its tokens begin among all.
    pub start: usize,
    /// What each row has computed before. One row may bring several tokens; several rows bring one each.
    pub pasts: Vec<usize>,
    /// Tokens of each row.
    pub tokens: usize,
}

/// Tokens that leave keys and values on one shelf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// The shelf.
    pub shelf: u32,
    /// Where they begin among all.
    pub start: usize,
    /// The place of each: row and position.
    pub places: Vec<(usize, usize)>,
}

/// A step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layout {
    /// All tokens.
    pub tokens: Vec<i64>,
    /// The position of each in its own sequence.
    pub positions: Vec<i64>,
    /// Who attends together, in the order of the tokens.
    pub spans: Vec<Span>,
    /// Where keys and values go, in the order of the tokens.
    pub stores: Vec<Store>,
    /// Of each piece that is wanted, in the order of the pieces, where its last token is.
    pub wanted: Vec<i64>,
}

impl Layout {
    /// Lays pieces out: by shelf, there first those of one token by row, so that neighbours attend together.
    pub fn of(pieces: &[Piece]) -> Self {
        let mut order: Vec<usize> = (0..pieces.len()).collect();
        order.sort_by_key(|i| {
            let piece = &pieces[*i];
            (piece.seat.shelf, piece.tokens.len() > 1, piece.seat.row)
        });
        let mut layout = Self::default();
        let mut lasts = vec![0; pieces.len()];
        for i in order {
            layout.add(&pieces[i]);
            lasts[i] = layout.tokens.len() as i64 - 1;
        }
        layout.wanted =
            pieces.iter().zip(lasts).filter(|(piece, _)| piece.wanted).map(|(_, last)| last).collect();
        layout
    }

    fn add(&mut self, piece: &Piece) {
        let (start, shelf, row) = (self.tokens.len(), piece.seat.shelf, piece.seat.row);
        let places = (0..piece.tokens.len()).map(|i| (row, piece.past + i));
        match self.stores.last_mut() {
            Some(store) if store.shelf == shelf => store.places.extend(places),
            _ => self.stores.push(Store { shelf, start, places: places.collect() }),
        }
        match self.spans.last_mut() {
            Some(span)
                if span.shelf == shelf
                    && (span.tokens, piece.tokens.len()) == (1, 1)
                    && span.row + span.pasts.len() == row =>
            {
                span.pasts.push(piece.past);
            }
            _ => {
                let tokens = piece.tokens.len();
                self.spans.push(Span { shelf, row, start, pasts: vec![piece.past], tokens });
            }
        }
        self.tokens.extend(piece.tokens.iter().map(|token| i64::from(*token)));
        self.positions.extend((0..piece.tokens.len()).map(|i| (piece.past + i) as i64));
    }
}

impl Span {
    /// The keys that any token of it may see, from and to, where each sees `window` back.
    pub fn reach(&self, window: Option<usize>) -> (usize, usize) {
        let least = self.pasts.iter().min().copied().unwrap_or(0);
        let most = self.pasts.iter().max().copied().unwrap_or(0);
        let from = window.map_or(0, |window| (least + 1).saturating_sub(window));
        (from, most + self.tokens)
    }

    /// Whether all keys in reach may be seen by all of its tokens.
    pub fn sees_all(&self, window: Option<usize>) -> bool {
        let (from, to) = self.reach(window);
        self.tokens == 1
            && self.pasts.iter().all(|past| past + 1 == to)
            && window.is_none_or(|window| to - from <= window)
    }

    /// Whether it is a beginning, in which each token sees itself and all before it.
    pub fn is_beginning(&self, window: Option<usize>) -> bool {
        self.pasts == [0] && window.is_none_or(|window| self.tokens <= window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(shelf: u32, row: usize, past: usize, tokens: &[u32], wanted: bool) -> Piece {
        Piece { seat: Seat { shelf, row }, past, tokens: tokens.to_vec(), wanted }
    }

    #[test]
    fn neighbours_that_write_attend_together() {
        let pieces = [
            piece(2, 1, 5, &[50], true),
            piece(1, 0, 0, &[1, 2, 3], false),
            piece(2, 0, 9, &[40], true),
            piece(2, 3, 2, &[60], true),
            piece(1, 1, 4, &[70], true),
        ];
        let layout = Layout::of(&pieces);
        assert_eq!(layout.tokens, [70, 1, 2, 3, 40, 50, 60]);
        assert_eq!(layout.positions, [4, 0, 1, 2, 9, 5, 2]);
        assert_eq!(layout.wanted, [5, 4, 6, 0]);
        let spans: Vec<_> = layout.spans.iter().map(|s| (s.shelf, s.row, s.start, s.pasts.clone())).collect();
        assert_eq!(
            spans,
            [(1, 1, 0, vec![4]), (1, 0, 1, vec![0]), (2, 0, 4, vec![9, 5]), (2, 3, 6, vec![2])]
        );
        assert_eq!(layout.stores.iter().map(|s| (s.shelf, s.start)).collect::<Vec<_>>(), [(1, 0), (2, 4)]);
        assert_eq!(layout.stores[0].places, [(1, 4), (0, 0), (0, 1), (0, 2)]);
    }

    #[test]
    fn a_window_hides_what_lies_before_it() {
        let span = Span { shelf: 0, row: 0, start: 0, pasts: vec![9, 5], tokens: 1 };
        assert_eq!((span.reach(None), span.reach(Some(4))), ((0, 10), (2, 10)));
        assert!(!span.sees_all(None));
        let alone = Span { pasts: vec![9], ..span };
        assert!(alone.sees_all(None) && alone.sees_all(Some(4)));
        assert_eq!(alone.reach(Some(4)), (6, 10));
        let beginning = Span { pasts: vec![0], tokens: 5, ..alone };
        assert!(
            beginning.is_beginning(None)
                && beginning.is_beginning(Some(5))
                && !beginning.is_beginning(Some(4))
        );
    }
}
