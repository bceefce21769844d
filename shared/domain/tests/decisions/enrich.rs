//! Enrichment: publisher before rule before measurement before default, within bounds.

use proptest::prelude::*;
use tasklane_domain::enrich::{Defaults, Measured, Rule, combine, enrich, max_attempts};
use tasklane_domain::requirements::Requirements;

fn measured() -> impl Strategy<Value = Measured> {
    (any::<u64>(), any::<f64>(), any::<f64>(), any::<f64>()).prop_map(
        |(count, mean_ms, p95_ms, memory_p95_mb)| Measured {
            count: count % 100,
            mean_ms,
            p95_ms,
            memory_p95_mb,
        },
    )
}

fn names() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec("[a-d]", 0..4)
}

#[test]
fn measurements_become_limits() {
    let m = Measured { count: 50, mean_ms: 900.0, p95_ms: 4_000.5, memory_p95_mb: 100.0 };
    let needs = enrich(&Requirements::default(), &Rule::default(), Some(&m), &Defaults::default());
    assert_eq!((needs.max_time_ms, needs.memory_mb), (12_002, 150));
    let quick = Measured { p95_ms: 1.0, ..m };
    let needs = enrich(&Requirements::default(), &Rule::default(), Some(&quick), &Defaults::default());
    assert_eq!(needs.max_time_ms, Defaults::default().measured_time_min_ms);
    let slow = Measured { p95_ms: 1e12, ..m };
    let needs = enrich(&Requirements::default(), &Rule::default(), Some(&slow), &Defaults::default());
    assert_eq!(needs.max_time_ms, Defaults::default().measured_time_max_ms);
    let few = Measured { count: 19, ..m };
    let needs = enrich(&Requirements::default(), &Rule::default(), Some(&few), &Defaults::default());
    assert_eq!((needs.max_time_ms, needs.memory_mb), (60_000, 0));
}

proptest! {
    #[test]
    fn the_first_with_a_word_on_it_decides(
        asked_time in prop::option::of(1u64..1_000_000), rule_time in prop::option::of(1u64..1_000_000),
        asked_mb in prop::option::of(1u64..1_000_000), rule_mb in prop::option::of(1u64..1_000_000),
        asked_type in prop::option::of("[a-c]"), rule_type in prop::option::of("[a-c]"),
        asked_names in names(), rule_names in names(), m in prop::option::of(measured()),
    ) {
        let asked = Requirements {
            required_capabilities: asked_names.clone(),
            preferred_worker_type: asked_type.clone(),
            max_processing_time_ms: asked_time,
            memory_requirement_mb: asked_mb,
        };
        let rule = Rule {
            required_capabilities: rule_names.clone(),
            preferred_worker_type: rule_type.clone(),
            max_processing_time_ms: rule_time,
            memory_requirement_mb: rule_mb,
            max_attempts: None,
        };
        let needs = enrich(&asked, &rule, m.as_ref(), &Defaults::default());
        if let Some(ms) = asked_time.or(rule_time) {
            prop_assert_eq!(needs.max_time_ms, ms);
        }
        if let Some(mb) = asked_mb.or(rule_mb) {
            prop_assert_eq!(needs.memory_mb, mb);
        }
        prop_assert_eq!(&needs.preferred_worker_type, &asked_type.or(rule_type));
        let named = if asked_names.is_empty() { rule_names } else { asked_names };
        for (i, name) in needs.capabilities.iter().enumerate() {
            prop_assert!(named.contains(name) && !needs.capabilities[..i].contains(name));
        }
        prop_assert!(named.iter().all(|name| needs.capabilities.contains(name)));
        prop_assert_eq!(needs.lane_capability(), named.first().map_or("any", String::as_str));
    }

    #[test]
    fn whatever_was_measured_the_limits_are_bounded(
        m in measured(), time_factor in any::<f64>(), memory_headroom in any::<f64>(),
    ) {
        let d = Defaults { time_factor, memory_headroom, ..Defaults::default() };
        let needs = enrich(&Requirements::default(), &Rule::default(), Some(&m), &d);
        let from_measurement = d.measured_time_min_ms..=d.measured_time_max_ms;
        prop_assert!(from_measurement.contains(&needs.max_time_ms) || needs.max_time_ms == d.max_time_ms);
    }

    #[test]
    fn pools_combine_to_something_between_them(a in 0.0..1e6, b in 0.0..1e6, na in 0u64..100, nb in 0u64..100) {
        let of = |count, ms| Measured { count, mean_ms: ms, p95_ms: ms, memory_p95_mb: ms };
        match combine([&of(na, a), &of(nb, b), &of(5, f64::NAN)]) {
            None => prop_assert_eq!(na + nb, 0),
            Some(m) => {
                prop_assert_eq!(m.count, na + nb);
                prop_assert!((a.min(b) - 1e-6..=a.max(b) + 1e-6).contains(&m.mean_ms));
                prop_assert!(m.is_sane());
            }
        }
    }
}

#[test]
fn there_is_always_one_attempt() {
    let rule = Rule { max_attempts: Some(7), ..Rule::default() };
    let d = Defaults::default();
    assert_eq!(max_attempts(Some(2), &rule, &d), 2);
    assert_eq!(max_attempts(None, &rule, &d), 7);
    assert_eq!(max_attempts(None, &Rule::default(), &d), 3);
    assert_eq!(max_attempts(Some(0), &rule, &d), 1);
}
