//! A collection against a map: whatever is done to both, they answer alike, also after restarts at any point.
#![allow(clippy::unwrap_used, reason = "tests: what fails there is to fail")]

mod common;

use std::time::Duration;

use common::{Model, config, filter, point, replay};
use proptest::prelude::*;
use serde_json::{Value, json};
use tasklane_vector_indexer::{
    collection::Collection,
    ops::{Batch, Clear, Delete, DeleteWhere, Kind},
    space::Metric,
};

#[derive(Clone, Debug)]
enum Step {
    Apply(Vec<Kind>),
    Flush,
    Settle,
    Restart,
    Check(Vec<f32>, Value),
}

fn a_filter() -> impl Strategy<Value = Value> {
    prop_oneof![
        (0..10).prop_map(|n| json!({"n": {"$gte": n}})),
        (0..10).prop_map(|n| json!({"n": n})),
        (0_usize..5).prop_map(|word| json!({"tag": common::WORDS[word]})),
        (0_usize..5, 0..10)
            .prop_map(|(word, n)| json!({"$or": [{"tag": common::WORDS[word]}, {"n": {"$lt": n}}]})),
        Just(json!({"n": {"$exists": false}})),
    ]
}

fn a_kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        40 => (0_u32..60, any::<u64>()).prop_map(|(id, seed)| Kind::Upsert(point(id, seed))),
        6 => proptest::collection::vec(0_u32..70, 1..5)
            .prop_map(|ids| Kind::Delete(Delete { ids: ids.iter().map(|id| format!("id-{id}")).collect() })),
        1 => a_filter().prop_map(|filter| Kind::DeleteWhere(DeleteWhere { filter: filter.to_string() })),
        1 => prop_oneof![9 => Just(None), 1 => Just(Some(()))].prop_map(|clear| match clear {
            Some(()) => Kind::Clear(Clear {}),
            None => Kind::Delete(Delete { ids: vec!["nobody".into()] }),
        }),
    ]
}

fn a_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => proptest::collection::vec(a_kind(), 1..30).prop_map(Step::Apply),
        1 => Just(Step::Flush),
        1 => Just(Step::Settle),
        1 => Just(Step::Restart),
        2 => (proptest::collection::vec(-10.0_f32..10.0, common::DIMENSION), a_filter())
            .prop_map(|(question, filter)| Step::Check(question, filter)),
    ]
}

fn run(metric: Metric, steps: &[Step]) {
    let folder = tempfile::tempdir().unwrap();
    let question = [1.0, -2.0, 3.0, 0.5, 0.0];
    let some = filter(&json!({"n": {"$gte": 5}}));
    let mut log: Vec<Batch> = Vec::new();
    let mut collection = Collection::open(folder.path(), config(metric)).unwrap();
    for step in steps.iter().chain(&[Step::Flush, Step::Settle, Step::Restart]) {
        match step {
            Step::Apply(kinds) => {
                log.push(kinds.iter().cloned().collect());
                replay(&collection, &log[log.len() - 1..], log.len() as u64);
            }
            Step::Flush => assert_eq!(collection.flush().unwrap(), log.len() as u64),
            Step::Settle => assert!(collection.settle(Duration::from_secs(60))),
            Step::Restart => {
                drop(collection);
                collection = Collection::open(folder.path(), config(metric)).unwrap();
                let sequence = collection.sequence();
                assert!(sequence <= log.len() as u64);
                let model = Model::of(&log[..sequence as usize]);
                model.check_points(&collection, metric, &question, &some);
                if collection.settled() <= sequence {
                    model.check(&collection, metric, &question, &some);
                }
                replay(&collection, &log, 1);
                Model::of(&log).check(&collection, metric, &question, &some);
            }
            Step::Check(question, wanted) => {
                Model::of(&log).check(&collection, metric, question, &filter(wanted))
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn like_the_model(metric in prop_oneof![Just(Metric::Cosine), Just(Metric::Dot), Just(Metric::L2)],
                      steps in proptest::collection::vec(a_step(), 1..25)) {
        run(metric, &steps);
    }
}

#[test]
fn many_points_and_many_restarts() {
    let batch = |from: u32| {
        Step::Apply((from..from + 25).map(|id| Kind::Upsert(point(id % 90, u64::from(id)))).collect())
    };
    let steps: Vec<Step> = (0..24)
        .flat_map(|n| {
            let then = [Step::Flush, Step::Restart, Step::Settle][n as usize % 3].clone();
            [batch(n * 25), then]
        })
        .collect();
    run(Metric::L2, &steps);
}
