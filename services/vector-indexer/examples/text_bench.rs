//! Full text search of the vector indexer beside a bare tantivy over the same texts, in CPU seconds.
//!
//! `cargo run --release -p tasklane-vector-indexer --example text_bench -- [texts] [questions] [rounds]`
//!
//! Words are drawn by Zipf's law from 50,000, 60 to 140 a text; a question has two to four words that lie together in
//! a text. Both sides have the same memory to write with and one commit, are asked in turns, and
//! are asked all questions once before.

#![allow(clippy::unwrap_used, reason = "a benchmark stops where something is wrong")]

use std::cell::RefCell;
use std::hint::black_box;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;
use tantivy::collector::TopDocs;
use tantivy::query::{BooleanQuery, Occur, Query, TermQuery};
use tantivy::schema::{FAST, Field, IndexRecordOption, Schema, TextFieldIndexing, TextOptions};
use tantivy::tokenizer::TextAnalyzer;
use tantivy::{Index, IndexReader, ReloadPolicy, TantivyDocument, Term};
use tasklane_vector_indexer::text::Texts;

const VOCABULARY: usize = 50_000;
const MEMORY: usize = 24 << 20;

fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

struct Corpus {
    texts: Vec<String>,
    questions: Vec<String>,
}

fn corpus(texts: usize, questions: usize) -> Corpus {
    let mut random = StdRng::seed_from_u64(7);
    let mut sum = 0.0;
    let sums: Vec<f64> = (1..=VOCABULARY)
        .map(|rank| {
            sum += 1.0 / rank as f64;
            sum
        })
        .collect();
    let word = |random: &mut StdRng| {
        let at = random.random_range(0.0..sum);
        format!("w{}", sums.partition_point(|until| *until < at))
    };
    let text = |random: &mut StdRng| {
        let words: Vec<String> = (0..random.random_range(60..=140)).map(|_| word(random)).collect();
        words.join(" ")
    };
    let texts: Vec<String> = (0..texts).map(|_| text(&mut random)).collect();
    let questions = (0..questions)
        .map(|_| {
            let words: Vec<&str> = texts[random.random_range(0..texts.len())].split(' ').collect();
            let start = random.random_range(0..words.len() - 4);
            words[start..start + random.random_range(2..=4)].join(" ")
        })
        .collect();
    Corpus { texts, questions }
}

/// What one would write with tantivy and nothing else.
struct Bare {
    analyzer: RefCell<TextAnalyzer>,
    reader: IndexReader,
    text: Field,
}

impl Bare {
    fn of(corpus: &Corpus, folder: &std::path::Path) -> Self {
        let mut schema = Schema::builder();
        let indexing = TextFieldIndexing::default().set_index_option(IndexRecordOption::WithFreqs);
        let text = schema.add_text_field("text", TextOptions::default().set_indexing_options(indexing));
        let uid = schema.add_u64_field("uid", FAST);
        let index = Index::create_in_dir(folder, schema.build()).unwrap();
        let mut writer = index.writer_with_num_threads::<TantivyDocument>(1, MEMORY).unwrap();
        for (number, words) in corpus.texts.iter().enumerate() {
            let mut document = TantivyDocument::new();
            document.add_text(text, words);
            document.add_u64(uid, number as u64);
            writer.add_document(document).unwrap();
        }
        writer.commit().unwrap();
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into().unwrap();
        Self { analyzer: RefCell::new(index.tokenizer_for_field(text).unwrap()), reader, text }
    }

    fn search(&self, question: &str, k: usize) -> Vec<(f32, tantivy::DocAddress)> {
        let mut words = Vec::new();
        self.analyzer
            .borrow_mut()
            .token_stream(question)
            .process(&mut |token| words.push(token.text.clone()));
        words.sort_unstable();
        words.dedup();
        let term = |word: &String| -> (Occur, Box<dyn Query>) {
            let term = Term::from_field_text(self.text, word);
            (Occur::Should, Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs)))
        };
        let query = BooleanQuery::new(words.iter().map(term).collect());
        self.reader.searcher().search(&query, &TopDocs::with_limit(k).order_by_score()).unwrap()
    }
}

fn main() {
    let arguments: Vec<usize> =
        std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let given = |place: usize, usual: usize| arguments.get(place).copied().unwrap_or(usual);
    let (texts, questions, rounds) = (given(0, 50_000), given(1, 2_000), given(2, 5));
    let corpus = corpus(texts, questions);
    let (ours_in, bare_in) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let start = cpu();
    let bare = Bare::of(&corpus, bare_in.path());
    let bare_build = cpu() - start;
    let start = cpu();
    let ours = Texts::open(ours_in.path()).unwrap();
    for (number, text) in corpus.texts.iter().enumerate() {
        ours.put(&number.to_string(), number as u64, text).unwrap();
    }
    ours.commit(1).unwrap();
    let ours_build = cpu() - start;

    let mut differ = 0;
    for question in &corpus.questions {
        let (a, b) = (ours.search(question, 10, None).unwrap(), bare.search(question, 10));
        let equal = a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| (a.0 - b.0).abs() <= 1e-4 * b.0);
        differ += usize::from(!equal);
    }
    let third = |uid: u64| uid.is_multiple_of(3);
    let (mut ours_s, mut bare_s, mut filtered_s) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let timed = |search: &dyn Fn(&str)| {
            let start = cpu();
            corpus.questions.iter().for_each(|question| search(question));
            cpu() - start
        };
        ours_s.push(timed(&|question| drop(black_box(ours.search(question, 10, None)))));
        bare_s.push(timed(&|question| drop(black_box(bare.search(question, 10)))));
        filtered_s.push(timed(&|question| drop(black_box(ours.search(question, 10, Some(&third))))));
    }
    let best = |seconds: &[f64]| seconds.iter().copied().fold(f64::INFINITY, f64::min);
    let rate = |seconds: &[f64]| (questions as f64 / best(seconds)).round();
    let report = json!({
        "texts": texts, "questions": questions, "rounds": rounds,
        "build_cpu_s": {"ours": ours_build, "tantivy": bare_build},
        "questions_per_cpu_s": {"ours": rate(&ours_s), "tantivy": rate(&bare_s), "ours_a_third_allowed": rate(&filtered_s)},
        "ours_over_tantivy": best(&bare_s) / best(&ours_s),
        "rounds_cpu_s": {"ours": ours_s, "tantivy": bare_s},
        "answers_that_differ": differ,
        "bytes": ours.bytes().unwrap(),
    });
    println!("{report:#}");
}
