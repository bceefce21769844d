//! Names and lanes: what is accepted is a safe subject token, and nothing is lost on the way.

use proptest::prelude::*;
use tasklane_domain::lane::{
    NOWHERE, consumer_name, lane_filter, parse_consumer_name, parse_work_subject, work_subject,
};
use tasklane_domain::name::{
    Problem, check_capability, check_pool, check_task_id, check_tenant, closest, normalize_task_type,
};
use tasklane_domain::priority::{ALL, Priority};

#[test]
fn task_types_have_one_spelling() {
    for (given, name) in [
        ("document_analysis", "document_analysis"),
        ("DocumentAnalysis", "document_analysis"),
        ("documentAnalysis", "document_analysis"),
        ("HTTPFetch", "http_fetch"),
        ("FetchHTTP", "fetch_http"),
        ("Document_Analysis", "document_analysis"),
        ("Embed2Text", "embed2_text"),
        ("X", "x"),
    ] {
        assert_eq!(normalize_task_type(given).as_deref(), Ok(name), "{given}");
    }
}

#[test]
fn refusals_say_what_is_wrong_and_what_to_do() {
    let text = |given: &str| normalize_task_type(given).unwrap_err().to_string();
    assert_eq!(
        text(""),
        "the task type is empty; give 1 to 64 characters of a-z, 0-9 and _, as in `document_analysis`"
    );
    assert_eq!(
        text("a b"),
        "task type `a b` has ' ' at position 2; use only a-z, 0-9 and _, as in `document_analysis`"
    );
    assert_eq!(text("7zip"), "task type `7zip` starts with '7'; start it with a letter");
    assert!(text(&"a".repeat(65)).ends_with("is too long; use at most 64 characters"));
    assert_eq!(check_pool("_").unwrap_err().problem, Problem::Reserved);
    assert!(
        text("a\u{1b}[31m").starts_with("task type `a\\u{1b}[31m` has '\\u{1b}'"),
        "control characters are shown"
    );
}

#[test]
fn did_you_mean_finds_the_near_and_leaves_the_far() {
    let known = ["document_analysis", "embed_text", "echo"];
    assert_eq!(closest("documnet_analysis", known), Some("document_analysis"));
    assert_eq!(closest("Ehco", known), Some("echo"));
    assert_eq!(closest("summarise", known), None);
    assert_eq!(closest("", known), None);
}

fn is_token(s: &str) -> bool {
    (1..=64).contains(&s.len()) && s.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

proptest! {
    #[test]
    fn whatever_is_accepted_is_a_safe_token(given in "\\PC{0,70}|[A-Za-z0-9_.*> -]{0,70}|[a-zA-Z0-9_]{1,64}") {
        if let Ok(name) = normalize_task_type(&given) {
            prop_assert!(is_token(&name) && name.starts_with(|c: char| c.is_ascii_lowercase()));
            prop_assert_eq!(normalize_task_type(&name), Ok(name.clone()), "a second time changes nothing");
            prop_assert_eq!(name.replace('_', ""), given.replace('_', "").to_ascii_lowercase(), "no letter is lost");
        }
        for check in [check_capability, check_pool, check_task_id, check_tenant] {
            match check(&given) {
                Ok(()) => prop_assert!(is_token(&given)),
                Err(e) => prop_assert!(e.to_string().chars().count() < 1_000),
            }
        }
    }

    #[test]
    fn a_word_is_closest_to_itself(words in prop::collection::vec("[a-z_]{1,64}", 1..6)) {
        for word in &words {
            prop_assert_eq!(closest(word, words.iter().map(String::as_str)), Some(word.as_str()));
        }
    }

    #[test]
    fn lanes_read_back(capability in "[a-z0-9_-]{1,64}", pool in "[a-z0-9_-]{1,64}", lane in 0u8..4) {
        let priority = Priority::from_lane(lane).unwrap();
        let subject = work_subject(&capability, &pool, priority);
        prop_assert_eq!(parse_work_subject(&subject), Some((capability.as_str(), pool.as_str(), priority)));
        let consumer = consumer_name(&pool, priority);
        prop_assert_eq!(parse_consumer_name(&consumer), Some((pool.as_str(), priority)));
        let filter = lane_filter(&pool, priority);
        let matches = filter.split('.').zip(subject.split('.')).all(|(f, s)| f == "*" || f == s);
        prop_assert!(matches && filter.split('.').count() == subject.split('.').count());
    }

    #[test]
    fn nothing_else_is_a_lane(subject in "(work\\.)?[a-z.*>_]{0,12}(\\.p[0-9]{0,2})?") {
        if let Some((capability, pool, priority)) = parse_work_subject(&subject) {
            prop_assert_eq!(work_subject(capability, pool, priority), subject);
        }
    }
}

#[test]
fn the_lane_of_nobody_is_a_lane() {
    let subject = work_subject("text_processing", NOWHERE, Priority::Normal);
    assert_eq!(subject, "work.text_processing._.p2");
    assert_eq!(parse_work_subject(&subject), Some(("text_processing", "_", Priority::Normal)));
}

#[test]
fn priorities_read_back() {
    for priority in ALL {
        assert_eq!(Priority::parse(&priority.to_string()), Ok(priority));
        assert_eq!(Priority::parse(&priority.lane().to_string()), Ok(priority));
        assert_eq!(Priority::from_lane(priority.lane()), Some(priority));
        let json = serde_json::to_string(&priority).unwrap();
        assert_eq!(json, format!("\"{priority}\""));
        assert_eq!(serde_json::from_str::<Priority>(&json).unwrap(), priority);
    }
    assert_eq!(Priority::from_lane(4), None);
    assert_eq!(
        Priority::parse("urgent").unwrap_err().to_string(),
        "unknown priority `urgent`; use critical, high, normal or low"
    );
}
