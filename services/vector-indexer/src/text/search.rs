//! A question to the index: its words by OR, scored by BM25, and the best of what is allowed.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use tantivy::columnar::ColumnValues;
use tantivy::query::{BooleanQuery, EnableScoring, Occur, Query, TermQuery, Weight};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{Score, Searcher, SegmentReader, Term};

use super::TextError;
use super::words::{Of, Words};

/// How many different words of a question count: those that come first.
const WORDS: usize = 64;
/// How much of a question is read, in bytes.
const QUESTION: usize = 16 * 1024;

/// What a search sees: the index as a commit left it.
pub struct View {
    searcher: Searcher,
    // By segment. Opening a column costs as much as a short search does.
    uids: Vec<std::sync::Arc<dyn ColumnValues<u64>>>,
}

/// Whether a point may be found, by its uid.
pub type Allowed<'a> = Option<&'a (dyn Fn(u64) -> bool + Sync)>;

impl View {
    /// # Errors
    /// A segment without the numbers of its points is damaged.
    pub fn of(searcher: Searcher, uid: &str) -> Result<Self, TextError> {
        let column = |segment: &SegmentReader| {
            let column = segment.fast_fields().u64(uid)?;
            if column.num_docs() != segment.max_doc() {
                return Err(TextError::Damaged(format!(
                    "segment {} has another length",
                    segment.segment_id()
                )));
            }
            Ok(column.first_or_default_col(0))
        };
        let uids = searcher.segment_readers().iter().map(column).collect::<Result<_, _>>()?;
        Ok(Self { searcher, uids })
    }

    /// The best `k`, best first; equal scores in the order of their uids.
    pub fn search(
        &self,
        field: Field,
        question: &str,
        k: usize,
        allowed: Allowed<'_>,
    ) -> Result<Vec<(f32, u64)>, TextError> {
        let Some(query) = query(field, question) else { return Ok(Vec::new()) };
        if k == 0 || self.uids.is_empty() {
            return Ok(Vec::new());
        }
        let weight = query.weight(EnableScoring::enabled_from_searcher(&self.searcher))?;
        let mut best = Best { k, heap: BinaryHeap::new() };
        for (segment, uids) in self.searcher.segment_readers().iter().zip(&self.uids) {
            collect(weight.as_ref(), segment, uids.as_ref(), allowed, &mut best)?;
        }
        Ok(best.heap.into_sorted_vec().into_iter().map(|hit| (hit.score, hit.uid)).collect())
    }
}

/// Goes through a segment. What cannot be among the best any more is left out by tantivy (block-max WAND), and what
/// the segments before have found counts here.
fn collect(
    weight: &dyn Weight,
    segment: &SegmentReader,
    uids: &dyn ColumnValues<u64>,
    allowed: Allowed<'_>,
    best: &mut Best,
) -> Result<(), TextError> {
    let alive = segment.alive_bitset();
    let start = best.threshold();
    weight.for_each_pruning(start, segment, &mut |doc, score| {
        if alive.is_none_or(|alive| alive.is_alive(doc)) {
            let uid = uids.get_val(doc);
            if allowed.is_none_or(|allowed| allowed(uid)) {
                best.push(Hit { score, uid });
            }
        }
        best.threshold()
    })?;
    Ok(())
}

/// The words of a question, each once. `None` if it has none.
fn query(field: Field, question: &str) -> Option<Box<dyn Query>> {
    let mut words = Words::default();
    let mut terms = distinct(&mut words, question).into_iter().map(|word| -> Box<dyn Query> {
        Box::new(TermQuery::new(Term::from_field_text(field, word), IndexRecordOption::WithFreqs))
    });
    let first = terms.next()?;
    let Some(second) = terms.next() else { return Some(first) };
    let all = [first, second].into_iter().chain(terms).map(|term| (Occur::Should, term)).collect();
    Some(Box::new(BooleanQuery::new(all)))
}

/// The words of a question that count, each once.
pub fn distinct<'a>(words: &'a mut Words, question: &str) -> Vec<&'a str> {
    words.cut(start_of(question), Of::Question);
    let mut seen: Vec<&str> = Vec::new();
    for word in words.iter() {
        if seen.len() == WORDS {
            break;
        }
        if !seen.contains(&word) {
            seen.push(word);
        }
    }
    seen
}

fn start_of(question: &str) -> &str {
    &question[..question.floor_char_boundary(QUESTION)]
}

struct Best {
    k: usize,
    heap: BinaryHeap<Hit>,
}

impl Best {
    fn push(&mut self, hit: Hit) {
        if self.heap.len() < self.k {
            self.heap.push(hit);
        } else if let Some(mut worst) = self.heap.peek_mut()
            && hit < *worst
        {
            *worst = hit;
        }
    }

    /// Only a better score can still get in.
    fn threshold(&self) -> Score {
        if self.heap.len() < self.k {
            Score::MIN
        } else {
            self.heap.peek().map_or(Score::MIN, |worst| worst.score)
        }
    }
}

/// The best is the least, so that the heap has the worst on top.
#[derive(Debug, Clone, Copy)]
struct Hit {
    score: f32,
    uid: u64,
}

impl Ord for Hit {
    fn cmp(&self, other: &Self) -> Ordering {
        other.score.total_cmp(&self.score).then(self.uid.cmp(&other.uid))
    }
}

impl PartialOrd for Hit {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Hit {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Hit {}
