//! What filters over metadata cost: taking rows in and selecting them, in microseconds of CPU time.
//!
//! `cargo run --release -p tasklane-vector-indexer --example filter_bench -- [rows]`

#![allow(clippy::unwrap_used, reason = "a benchmark stops where something is wrong")]

use std::hint::black_box;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Map, Value, json};
use tasklane_vector_indexer::filter::{Index, Predicate};

fn cpu_us() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}

fn main() {
    let rows: u32 = std::env::args().nth(1).and_then(|rows| rows.parse().ok()).unwrap_or(200_000);
    let mut random = StdRng::seed_from_u64(3);
    let points: Vec<Map<String, Value>> = (0..rows)
        .map(|row| {
            let lang = ["en", "de", "fr", "zh"][random.random_range(0..4)];
            let point = json!({
                "lang": lang, "year": random.random_range(1990..2026),
                "time": random.random_range(0..1u64 << 50), "source": format!("folder/file-{}.pdf", row / 10),
                "tags": [format!("t{}", random.random_range(0..100)), format!("t{}", random.random_range(0..100))],
                "price": random.random_range(0.0..1000.0), "ok": random.random_bool(0.9),
                "nested": {"page": row % 300},
            });
            point.as_object().unwrap().clone()
        })
        .collect();
    let mut index = Index::new();
    let start = cpu_us();
    for (row, point) in points.iter().enumerate() {
        index.push(row as u32, point);
    }
    let push = (cpu_us() - start) / f64::from(rows);
    let mut selects = Map::new();
    for filter in [
        json!({"lang": "en"}),
        json!({"ok": true, "lang": {"$in": ["en", "de"]}}),
        json!({"source": "folder/file-17.pdf"}),
        json!({"year": {"$gte": 2010, "$lt": 2020}}),
        json!({"tags": "t5", "year": {"$gte": 2000}}),
        json!({"lang": {"$ne": "en"}}),
        json!({"$or": [{"tags": "t1"}, {"tags": "t2"}, {"nested.page": {"$lt": 30}}]}),
        json!({"time": {"$gte": 1u64 << 49}}),
        json!({"time": {"$gte": 1u64 << 49, "$lt": (1u64 << 49) + (1 << 46)}}),
        json!({"price": {"$lt": 900.0}, "time": {"$gt": 1u64 << 47}, "lang": "fr"}),
        json!({"$not": {"tags": {"$in": ["t1", "t2", "t3"]}}}),
    ] {
        let predicate = Predicate::parse(&filter).unwrap();
        let times = 200;
        let start = cpu_us();
        for _ in 0..times {
            black_box(index.select(black_box(&predicate)));
        }
        let us = (cpu_us() - start) / f64::from(times);
        selects.insert(filter.to_string(), json!({"us": us.round(), "rows": index.select(&predicate).len()}));
    }
    let report = json!({"rows": rows, "push_us": push, "bytes_per_row": index.bytes() / u64::from(rows), "select": selects});
    println!("{report:#}");
}
