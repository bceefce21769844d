//! Filters in a real qdrant against the truth, `Predicate::matches`. It is skipped where there is no qdrant; see
//! `tasklane_testkit::qdrant`.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value, json};
use tasklane_testkit::qdrant::Qdrant;

use super::{Calls, Engine};
use crate::catalogue::{Backend, Record, Settings};
use crate::collection::With;
use crate::config::QdrantConfig;
use crate::filter::Predicate;
use crate::filter::tests::{filter, object, value};
use crate::graph::Params;
use crate::ops::Upsert;
use crate::space::{Metric, Precision};

const PATIENCE: Duration = Duration::from_secs(300);
/// Lists of points that filters are tried on.
const LISTS: u32 = 500;

async fn collection(server: &Qdrant, name: &str) -> Calls {
    let config = QdrantConfig { url: server.url(), ..QdrantConfig::default() };
    let settings = Settings {
        dimension: 2,
        metric: Metric::Cosine,
        precision: Precision::F32,
        graph: Params::default(),
        backend: Backend::Qdrant,
    };
    let engine = Engine::new(&config).unwrap();
    let calls = engine.calls(name, &Record::new(settings, 0), PATIENCE, None).unwrap();
    calls.create().await.unwrap();
    calls
}

fn point(n: usize, metadata: &Map<String, Value>) -> Upsert {
    let metadata = Value::Object(metadata.clone()).to_string();
    Upsert { id: format!("p{n}"), vector: vec![1.0, n as f32], text: None, metadata }
}

async fn found(calls: &Calls, predicate: &Predicate) -> BTreeSet<String> {
    let hits = calls.list(Some(predicate), None, 1_000, With::default()).await.unwrap();
    hits.into_iter().map(|hit| hit.id).collect()
}

fn wanted(points: &[Map<String, Value>], predicate: &Predicate) -> BTreeSet<String> {
    let all = points.iter().enumerate().filter(|(_, metadata)| predicate.matches(metadata));
    all.map(|(n, _)| format!("p{n}")).collect()
}

#[test]
fn qdrant_selects_what_matches() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let Some(server) = runtime.block_on(Qdrant::start()) else { return };
    let calls = runtime.block_on(collection(&server, "filters"));
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(LISTS) };
    let lists = (prop::collection::vec(object(value()), 1..24), prop::collection::vec(filter(), 1..12));
    let (asked, refused, some) = (Cell::new(0), Cell::new(0), Cell::new(0));
    let count = |which: &Cell<u32>| which.set(which.get() + 1);
    let tried = TestRunner::new(config).run(&lists, |(points, filters)| {
        runtime.block_on(async {
            let ids: Vec<String> = (0..24).map(|n| format!("p{n}")).collect();
            calls.delete(&ids).await.unwrap();
            let all = points.iter().enumerate().map(|(n, metadata)| point(n, metadata)).collect();
            calls.put(all).await.unwrap();
            for filter in filters {
                let predicate = Predicate::parse(&filter).unwrap();
                if super::filter::filter(&predicate).is_err() {
                    count(&refused);
                    continue;
                }
                let wanted = wanted(&points, &predicate);
                count(&asked);
                if !wanted.is_empty() && wanted.len() < points.len() {
                    count(&some);
                }
                prop_assert_eq!(found(&calls, &predicate).await, wanted, "{}", filter);
            }
            Ok(())
        })
    });
    if let Err(e) = tried {
        panic!("{e}\n{}", server.log());
    }
    let (asked, refused, some) = (asked.get(), refused.get(), some.get());
    println!("{asked} filters asked, {some} of them chose some points of several; {refused} refused");
    assert!(asked > 1_000 && some > 50, "hardly anything was asked");
}

#[test]
fn metadata_and_numbers_come_through() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let Some(server) = runtime.block_on(Qdrant::start()) else { return };
    runtime.block_on(async {
        let calls = collection(&server, "numbers").await;
        let numbers = [0.1 + 0.2, 0.3, 1e300, 5e-324, -0.0, 1e-7, 123_456_789.123_456_78, 1e16, -2.5];
        let points: Vec<Map<String, Value>> = numbers
            .iter()
            .map(|n| json!({"n": n, "deep": {"list": [[n, null]]}}).as_object().unwrap().clone())
            .collect();
        calls.put(points.iter().enumerate().map(|(n, m)| point(n, m)).collect()).await.unwrap();
        for number in numbers {
            for operator in ["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"] {
                for field in ["n", "deep.list"] {
                    let predicate = Predicate::parse(&json!({field: {operator: number}})).unwrap();
                    let wanted = wanted(&points, &predicate);
                    assert_eq!(found(&calls, &predicate).await, wanted, "{field} {operator} {number:e}");
                }
            }
        }
        let ids: Vec<String> = (0..numbers.len()).rev().map(|n| format!("p{n}")).collect();
        let read = calls.get(&ids, With::USUAL).await.unwrap();
        for (hit, metadata) in read.iter().zip(points.iter().rev()) {
            assert_eq!(hit.metadata.as_ref(), Some(metadata));
        }
        // As deep and as wide as a filter may be.
        let deep = (0..15).fold(
            json!({"n": {"$gt": 0, "$lt": 1}}),
            |inner, _| json!({"n": {"$exists": true}, "$not": inner}),
        );
        let mut wide: Vec<Value> = (0..250).map(|n| json!({"n": n})).collect();
        wide.push(json!({"n": 0.3}));
        for filter in [deep, json!({"$or": wide})] {
            let predicate = Predicate::parse(&filter).unwrap();
            assert_eq!(found(&calls, &predicate).await, wanted(&points, &predicate), "{filter}");
        }
        calls.remove().await.unwrap();
        calls.remove().await.unwrap();
        let gone = calls.count().await.unwrap_err();
        assert_eq!(gone.code().to_string(), "TL3503", "{gone}");
    });
}
