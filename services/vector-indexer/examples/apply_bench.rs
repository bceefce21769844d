//! How fast batches are applied: `cargo run --release -p tasklane-vector-indexer --example apply_bench`.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement: it prints, and what fails is to fail"
)]

use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::json;
use tasklane_vector_indexer::{
    collection::{Collection, Config},
    ops::{Batch, Kind, Upsert},
    space::{Metric, Precision},
};

fn batch(random: &mut StdRng, number: usize, text: bool) -> Vec<u8> {
    let one = |at: usize| {
        let vector = (0..384).map(|_| random.random_range(-1.0..1.0)).collect();
        let metadata =
            json!({"source": format!("file-{}", number % 50), "page": at, "lang": "en"}).to_string();
        let text =
            text.then(|| format!("the text of point {at} in batch {number}, which has a few words to find"));
        Kind::Upsert(Upsert { id: format!("{number:08x}-{at}"), vector, text, metadata })
    };
    (0..1000).map(one).collect::<Batch>().encode().unwrap()
}

fn main() {
    for text in [false, true] {
        let mut random = StdRng::seed_from_u64(1);
        let batches: Vec<Vec<u8>> = (0..60).map(|number| batch(&mut random, number, text)).collect();
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::new("speed", 384, Metric::Cosine, Precision::F16);
        config.graph_rows = u32::MAX;
        config.most_rows = 1;
        let collection = Collection::open(folder.path(), config).unwrap();
        let (mut longest, began) = (Duration::ZERO, Instant::now());
        for (sequence, bytes) in (1..).zip(&batches) {
            let one = Instant::now();
            collection.apply(sequence, &Batch::decode(bytes).unwrap()).unwrap();
            longest = longest.max(one.elapsed());
        }
        let applied = began.elapsed();
        collection.flush().unwrap();
        let durable = began.elapsed();
        println!(
            "60,000 points of 384, text {text}: applied {:.0}/s (longest batch {longest:?}), durable {:.0}/s; {} MB of memory",
            60_000.0 / applied.as_secs_f64(),
            60_000.0 / durable.as_secs_f64(),
            collection.describe().memory.total() >> 20,
        );
    }
}
