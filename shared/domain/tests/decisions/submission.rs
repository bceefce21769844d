//! What a publisher may ask for, delays and deadlines.

use proptest::prelude::*;
use tasklane_domain::expiry::{self, Admit, admit, retry_comes_too_late, time_limit_ms};
use tasklane_domain::requirements::{Limits, Requirements, validate};

fn problems(asked: &Requirements) -> Vec<String> {
    validate(asked, &Limits::default()).err().unwrap_or_default().iter().map(ToString::to_string).collect()
}

#[test]
fn everything_wrong_is_told_at_once() {
    let asked = Requirements {
        required_capabilities: vec!["gpu".into(), "g p u".into(), "gpu".into()],
        preferred_worker_type: Some("ML".into()),
        max_processing_time_ms: Some(0),
        memory_requirement_mb: Some(u64::MAX),
    };
    assert_eq!(
        problems(&asked),
        [
            "requirements.required_capabilities[1]: capability `g p u` has ' ' at position 2; \
             use only a-z, 0-9, _ and -, as in `text_processing`",
            "requirements.required_capabilities[2]: capability `gpu` is listed twice; list it once",
            "requirements.preferred_worker_type: worker type `ML` has 'M' at position 1; \
             use only a-z, 0-9, _ and -, as in `document_processor`",
            "requirements.max_processing_time_ms: 0 ms is out of range; give 1 to 86400000 ms, or leave it out",
            "requirements.memory_requirement_mb: 18446744073709551615 MB is out of range; \
             give 1 to 1048576 MB, or leave it out",
        ]
    );
}

#[test]
fn a_long_list_gets_a_short_answer() {
    let many = Requirements { required_capabilities: vec!["?".into(); 10_000], ..Requirements::default() };
    assert_eq!(problems(&many).len(), 17);
    let most = (0..16).map(|i| format!("c{i}")).collect();
    assert!(problems(&Requirements { required_capabilities: most, ..Requirements::default() }).is_empty());
}

#[test]
fn a_typo_is_refused_by_name() {
    let e = serde_json::from_str::<Requirements>(r#"{"memory_mb": 5}"#).unwrap_err();
    assert!(e.to_string().contains("unknown field `memory_mb`"), "{e}");
    assert_eq!(serde_json::from_str::<Requirements>("{}").unwrap(), Requirements::default());
}

proptest! {
    #[test]
    fn a_task_is_admitted_in_its_window(
        now in 0u64..200, start in prop::option::of(0u64..200), end in prop::option::of(0u64..200),
    ) {
        match admit(now, start, end) {
            Admit::Now => prop_assert!(start.is_none_or(|s| s <= now) && end.is_none_or(|e| now < e)),
            Admit::Delay(ms) => {
                prop_assert!(ms > 0);
                prop_assert_eq!(admit(now + ms, start, end), Admit::Now);
                prop_assert_ne!(admit(now + ms - 1, start, end), Admit::Now);
            }
            Admit::Expired => {
                let end = end.unwrap();
                prop_assert!(end <= now || start.is_some_and(|s| end <= s));
                prop_assert_eq!(admit(now + 1, start, Some(end)), Admit::Expired, "for good");
            }
        }
    }

    #[test]
    fn no_attempt_outlives_its_deadline(now in any::<u64>(), max in any::<u64>(), end in prop::option::of(any::<u64>())) {
        let limit = time_limit_ms(now, max, end);
        prop_assert!(limit <= max);
        prop_assert!(end.is_none_or(|e| limit <= e.saturating_sub(now)));
        prop_assert_eq!(retry_comes_too_late(now, 0, end), end.is_some_and(|e| e <= now));
    }
}

#[test]
fn impossible_times_are_violations() {
    let day = 24 * 3_600_000;
    assert_eq!(expiry::validate(1_000, Some(5_000), Some(6_000), day), Ok(()));
    assert_eq!(expiry::validate(1_000, None, Some(1), day), Ok(()), "it expires, with a result");
    let wrong = expiry::validate(1_000, Some(day * 3), Some(5), day).unwrap_err();
    let fields: Vec<&str> = wrong.iter().map(|v| v.field.as_str()).collect();
    assert_eq!(fields, ["not_before", "deadline"]);
}
