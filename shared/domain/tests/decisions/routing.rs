//! Routing: only who can do it gets it, whoever is chosen is explained, and nothing depends on chance.

use proptest::prelude::*;
use tasklane_domain::decide::{Missing, choose, decide, missing};
use tasklane_domain::eligibility::{check, is_eligible};
use tasklane_domain::score::{Weights, expected_wait_ms, pressure, score};
use tasklane_domain::{Measured, Needs, Pool};

const TYPES: [&str; 3] = ["echo", "embed_text", "document_analysis"];

fn any_figure() -> impl Strategy<Value = f64> {
    prop_oneof![4 => 0.0..100_000.0, 1 => any::<f64>()]
}

fn measured() -> impl Strategy<Value = Measured> {
    (0u64..100, any_figure(), any_figure(), any_figure()).prop_map(
        |(count, mean_ms, p95_ms, memory_p95_mb)| Measured { count, mean_ms, p95_ms, memory_p95_mb },
    )
}

prop_compose! {
    fn pool()(
        worker_type in "[ab]",
        capabilities in prop::collection::btree_set("[c-f]", 0..5),
        task_types in prop::collection::btree_map(prop::sample::select(&TYPES[..]), prop::option::of(measured()), 0..4),
        workers in 0u32..4, slots in 0u32..5, memory_mb in prop::sample::select(vec![0, 1, 512, 4096]),
        live in prop::bool::weighted(0.8), paused in prop::bool::weighted(0.2),
        backlog in prop_oneof![Just(0), 0u64..1_000, any::<u64>()],
    ) -> Pool {
        let task_types = task_types.into_iter().map(|(name, m)| (name.to_owned(), m)).collect();
        let name = String::new();
        Pool { name, worker_type, capabilities, task_types, workers, slots, memory_mb, live, paused, backlog }
    }
}

/// Up to six pools with names of their own, in any order.
fn pools() -> impl Strategy<Value = Vec<Pool>> {
    let named = prop::collection::vec(pool(), 0..6).prop_map(|mut pools| {
        pools.iter_mut().enumerate().for_each(|(i, p)| p.name = format!("pool-{i}"));
        pools
    });
    named.prop_shuffle()
}

prop_compose! {
    fn needs()(
        capabilities in prop::sample::subsequence(vec!["c", "d", "e"], 0..3),
        preferred_worker_type in prop::option::of("[ab]"),
        max_time_ms in prop_oneof![1u64..100_000, any::<u64>()],
        memory_mb in prop::sample::select(vec![0, 256, 1024]),
    ) -> Needs {
        let capabilities = capabilities.into_iter().map(str::to_owned).collect();
        Needs { capabilities, preferred_worker_type, max_time_ms, memory_mb }
    }
}

fn weights() -> impl Strategy<Value = Weights> {
    let any = (any::<f64>(), any::<f64>(), any::<f64>(), any::<f64>(), any::<f64>()).prop_map(
        |(capability, preferred, performance, pressure, unknown_mean_ms)| Weights {
            capability,
            preferred,
            performance,
            pressure,
            unknown_mean_ms,
        },
    );
    prop_oneof![3 => Just(Weights::default()), 1 => any]
}

fn task_type() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&TYPES[..])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_task_goes_only_to_who_can_do_it(t in task_type(), n in needs(), ps in pools(), w in weights()) {
        if let Some(choice) = choose(t, &n, &ps, &w) {
            let p = &ps[choice.index];
            prop_assert!(p.live && !p.paused && p.slots > 0, "runs");
            prop_assert!(p.task_types.contains_key(t), "serves the type");
            prop_assert!(n.capabilities.iter().all(|c| p.capabilities.contains(c)), "has the capabilities");
            prop_assert!(p.memory_mb == 0 || p.memory_mb >= n.memory_mb, "has the memory");
        } else {
            prop_assert!(ps.iter().all(|p| !is_eligible(p, t, &n)), "nobody is passed over");
        }
    }

    #[test]
    fn the_fast_answer_is_the_explained_one(t in task_type(), n in needs(), ps in pools(), w in weights()) {
        let decision = decide(t, &n, &ps, &w);
        let choice = choose(t, &n, &ps, &w);
        prop_assert_eq!(decision.chosen, choice.map(|c| c.index));
        prop_assert_eq!(decision.candidates.first().filter(|c| c.eligible).map(|c| c.score), choice.map(|c| c.score));
        for p in &ps {
            prop_assert_eq!(check(p, t, &n).is_ok(), is_eligible(p, t, &n));
        }
        prop_assert_eq!(decision.chosen.is_some(), missing(t, &n, &ps) == Missing::Nothing);
    }

    #[test]
    fn the_explanation_names_every_candidate(t in task_type(), n in needs(), ps in pools(), w in weights()) {
        let decision = decide(t, &n, &ps, &w);
        let mut named: Vec<&str> = decision.candidates.iter().map(|c| c.pool.as_str()).collect();
        let mut all: Vec<&str> = ps.iter().map(|p| p.name.as_str()).collect();
        named.sort_unstable();
        all.sort_unstable();
        prop_assert_eq!(named, all);
        prop_assert!(!decision.reason.is_empty() && decision.candidates.iter().all(|c| !c.why.is_empty()));
        prop_assert!(decision.candidates.is_sorted_by_key(|c| !c.eligible), "the eligible first");
        let eligible: Vec<f64> = decision.candidates.iter().filter(|c| c.eligible).map(|c| c.score).collect();
        prop_assert!(eligible.is_sorted_by(|a, b| a >= b), "the best first");
        if let Some(index) = decision.chosen {
            let named = decision.reason.contains(&format!("`{}`", ps[index].name));
            prop_assert!(named, "the reason names the chosen");
        }
    }

    #[test]
    fn the_order_of_the_pools_makes_no_difference(
        (ps, shuffled) in pools().prop_flat_map(|ps| (Just(ps.clone()), Just(ps).prop_shuffle())),
        t in task_type(), n in needs(), w in weights(),
    ) {
        let (a, b) = (decide(t, &n, &ps, &w), decide(t, &n, &shuffled, &w));
        prop_assert_eq!(a.chosen.map(|i| &ps[i].name), b.chosen.map(|i| &shuffled[i].name));
        prop_assert_eq!(a.candidates, b.candidates);
        prop_assert_eq!(a.reason, b.reason);
    }

    #[test]
    fn every_number_is_finite_and_in_range(p in pool(), t in task_type(), n in needs(), w in weights()) {
        let s = score(&p, t, &n, &w);
        for share in [s.capability, s.preferred, s.performance] {
            prop_assert!((0.0..=1.0).contains(&share));
        }
        prop_assert!(s.pressure >= 0.0 && s.wait_ms >= 0.0);
        prop_assert!(s.total.is_finite() && s.wait_ms.is_finite() && s.pressure.is_finite());
    }

    #[test]
    fn a_longer_queue_never_scores_better(p in pool(), more in any::<u64>(), t in task_type(), n in needs()) {
        let busier = Pool { backlog: p.backlog.saturating_add(more), ..p.clone() };
        let w = Weights::default();
        prop_assert!(score(&busier, t, &n, &w).total <= score(&p, t, &n, &w).total);
        let larger = Pool { slots: p.slots + 1, ..p.clone() };
        prop_assert!(expected_wait_ms(&larger, t, &w) <= expected_wait_ms(&p, t, &w));
    }

    #[test]
    fn no_preference_changes_no_order(ps in pools(), t in task_type(), n in needs()) {
        let indifferent = Needs { preferred_worker_type: None, ..n };
        let blind = Weights { preferred: 0.0, ..Weights::default() };
        let with = choose(t, &indifferent, &ps, &Weights::default()).map(|c| c.index);
        // Subtracting the same 0.3 everywhere may round differently; what is chosen is as good.
        let without = choose(t, &indifferent, &ps, &blind).map(|c| c.index);
        if let (Some(a), Some(b)) = (with, without) {
            let of = |i: usize| score(&ps[i], t, &indifferent, &blind).total;
            prop_assert!((of(a) - of(b)).abs() <= 1e-9 * of(b).abs().max(1.0));
        } else {
            prop_assert_eq!(with, without);
        }
    }
}

fn document() -> Pool {
    let m = Measured { count: 100, mean_ms: 1_000.0, p95_ms: 3_000.0, memory_p95_mb: 0.0 };
    Pool {
        name: "document".into(),
        worker_type: "document_processor".into(),
        capabilities: ["text_processing".to_owned()].into(),
        task_types: [("document_analysis".to_owned(), Some(m))].into(),
        workers: 1,
        slots: 4,
        memory_mb: 1024,
        live: true,
        paused: false,
        backlog: 0,
    }
}

fn generic() -> Pool {
    let capabilities = ["text_processing".to_owned(), "basic_computation".to_owned()].into();
    let task_types = [("document_analysis".to_owned(), None), ("echo".to_owned(), None)].into();
    Pool { name: "generic".into(), worker_type: "generic".into(), capabilities, task_types, ..document() }
}

fn analysis() -> Needs {
    Needs {
        capabilities: vec!["text_processing".into()],
        preferred_worker_type: Some("document_processor".into()),
        max_time_ms: 30_000,
        memory_mb: 512,
    }
}

fn chosen(backlog: u64) -> &'static str {
    let pools = [Pool { backlog, ..document() }, generic()];
    let index = choose("document_analysis", &analysis(), &pools, &Weights::default()).unwrap().index;
    ["document", "generic"][index]
}

#[test]
fn work_spills_over_before_it_waits_too_long() {
    // Four slots, a second each, 30 s allowed: 60 tasks wait 15 s, 72 wait 18 s.
    assert_eq!((chosen(0), chosen(20), chosen(50)), ("document", "document", "document"));
    assert_eq!((chosen(72), chosen(1_000)), ("generic", "generic"));
    assert_eq!(pressure(0.0, 30_000), 0.0);
    assert!(pressure(3_000.0, 30_000) < 0.1, "small for a short wait");
    assert!(pressure(f64::INFINITY, 0).is_finite());
    assert!(pressure(16_000.0, 30_000) > 0.4, "more than preferred type and performance before the limit");
}

#[test]
fn ties_go_to_the_shorter_wait_then_the_specialist_then_the_name() {
    let w = Weights { pressure: 0.0, performance: 0.0, ..Weights::default() };
    let needs = Needs { preferred_worker_type: None, ..analysis() };
    let choice = |pools: &[Pool]| {
        let index = choose("document_analysis", &needs, pools, &w).unwrap().index;
        pools[index].name.clone()
    };
    assert_eq!(choice(&[Pool { backlog: 1, ..document() }, generic()]), "generic");
    assert_eq!(choice(&[generic(), document()]), "document");
    assert_eq!(choice(&[Pool { name: "z".into(), ..document() }, document()]), "document");
}

#[test]
fn explanations_read_like_sentences() {
    let pools =
        [document(), generic(), Pool { name: "small".into(), memory_mb: 64, live: false, ..generic() }];
    let decision = decide("document_analysis", &analysis(), &pools, &Weights::default());
    assert_eq!(
        decision.reason,
        "pool `document` is the best of 2 eligible pools with 0.99; next is `generic` with 0.65"
    );
    assert_eq!(
        decision.candidates[0].why,
        "capability match 1 of 1, preferred type `document_processor`, p95 3000 ms of 30000 ms allowed, expected \
         wait 0 ms (0 tasks on 4 slots, pressure 0.00)"
    );
    assert_eq!(
        decision.candidates[2].why,
        "has no live worker; gives a task 64 MB of memory where 512 MB are needed"
    );
}

#[test]
fn who_was_missing_is_told() {
    let text = |t: &str, n: &Needs, pools: &[Pool]| missing(t, n, pools).to_string();
    let n = analysis();
    assert!(text("echo", &n, &[]).starts_with("no worker has announced itself"));
    assert_eq!(
        text("document_analysys", &n, &[document()]),
        "no worker serves task type `document_analysys`; did you mean `document_analysis`?"
    );
    let gpu = Needs { capabilities: vec!["text_processing".into(), "gpu".into()], ..n.clone() };
    assert_eq!(
        text("document_analysis", &gpu, &[generic(), document()]),
        "no pool that serves this task type (document, generic) has gpu; start a worker that does, or require less"
    );
    let both = Needs { capabilities: vec!["a".into(), "b".into()], ..n.clone() };
    let with = |c: &str| Pool { name: c.to_owned(), capabilities: [c.to_owned()].into(), ..document() };
    assert!(text("document_analysis", &both, &[with("a"), with("b")]).contains("(a, b) has a, b together"));
    let huge = Needs { memory_mb: 9_000, ..n.clone() };
    assert!(text("document_analysis", &huge, &[document()]).contains("is 1024 MB on pool `document`"));
    let down = [Pool { live: false, ..document() }, Pool { paused: true, ..generic() }];
    assert_eq!(
        text("document_analysis", &n, &down),
        "the pools that could do it are not running: no live worker in document; paused: generic; \
         start a worker of one"
    );
    assert_eq!(missing("document_analysis", &n, &[document()]), Missing::Nothing);
}

#[test]
fn wrong_weights_are_refused() {
    assert_eq!(Weights::default().validate(), Ok(()));
    let wrong = Weights { pressure: f64::NAN, preferred: -0.1, ..Weights::default() }.validate().unwrap_err();
    let fields: Vec<&str> = wrong.iter().map(|v| v.field.as_str()).collect();
    assert_eq!(fields, ["weights.preferred", "weights.pressure"]);
}
