//! The index against the truth, and the language with its mistakes.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{Index, Predicate, Way, beam, way};

fn parse(filter: &Value) -> Predicate {
    Predicate::parse(filter).unwrap_or_else(|wrong| panic!("{filter}: {wrong}"))
}

fn matches(filter: Value, metadata: &Value) -> bool {
    parse(&filter).matches(metadata.as_object().unwrap())
}

fn wrong(filter: Value) -> String {
    Predicate::parse(&filter).unwrap_err().to_string()
}

#[test]
fn the_language() {
    let point = json!({"lang": "en", "year": 2021, "tags": ["a", "b"], "price": 9.5, "draft": false, "none": null,
        "author": {"name": "Ada", "born": {"year": 1815}}, "pages": [{"n": 1}, {"n": 7}], "dot.ted": 1, "empty": []});
    for yes in [
        json!({}),
        json!({"lang": "en"}),
        json!({"lang": "en", "year": 2021.0}),
        json!({"year": {"$gte": 2020, "$lt": 2024}}),
        json!({"year": {"$gt": 2020, "$gte": 1}}),
        json!({"tags": "b"}),
        json!({"tags": {"$in": ["x", "a", 1, null]}}),
        json!({"tags": {"$nin": ["x", "y"]}}),
        json!({"tags": {"$ne": "c"}}),
        json!({"missing": {"$ne": 1}}),
        json!({"missing": {"$exists": false}}),
        json!({"none": null}),
        json!({"none": {"$exists": true}}),
        json!({"author": {"$exists": true}}),
        json!({"author.name": "Ada"}),
        json!({"author.born.year": {"$lt": 1900}}),
        json!({"pages.n": {"$gt": 5}}),
        json!({"dot.ted": 1}),
        json!({"empty": {"$exists": true}}),
        json!({"draft": false, "price": {"$lte": 9.5}}),
        json!({"lang": {"$gte": "e", "$lt": "f"}}),
        json!({"$or": [{"lang": "de"}, {"year": 2021}]}),
        json!({"$not": {"lang": "de"}}),
        json!({"$and": [{"lang": "en"}, {"$not": {"$or": [{"year": 1}, {"tags": "c"}]}}]}),
    ] {
        assert!(matches(yes.clone(), &point), "{yes}");
    }
    for no in [
        json!({"lang": "EN"}),
        json!({"lang": {"$gt": 5}}),
        json!({"year": "2021"}),
        json!({"year": {"$in": []}}),
        json!({"tags": {"$ne": "a"}}),
        json!({"tags": {"$nin": ["x", "b"]}}),
        json!({"missing": null}),
        json!({"empty": null}),
        json!({"author": "Ada"}),
        json!({"author.name": {"$exists": false}}),
        json!({"pages.n": {"$gt": 1, "$lt": 7}}),
        json!({"draft": 0}),
        json!({"$not": {}}),
    ] {
        assert!(!matches(no.clone(), &point), "{no}");
    }
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (filter, place) in [
        (json!([]), "filter: a filter is an object, not a list"),
        (json!({"year": {"$gte": [1]}}), "filter.year.$gte: a number or text is wanted, not a list"),
        (
            json!({"year": {"$gte": 1, "$lt": "b"}}),
            "filter.year: the bounds of a range are all numbers or all texts",
        ),
        (json!({"year": {"$almost": 1}}), "filter.year.$almost: there is no such operator"),
        (json!({"year": {"month": 1}}), "filter.year.month: $eq, $ne"),
        (json!({"year": {}}), "filter.year: $eq, $ne"),
        (json!({"tags": ["a"]}), "filter.tags: one value is wanted, not a list: use $in"),
        (json!({"tags": {"$in": "a"}}), "filter.tags.$in: a list of values is wanted, not a text"),
        (
            json!({"tags": {"$in": ["a", {}]}}),
            "filter.tags.$in.1: a text, a number, true, false or null is wanted",
        ),
        (json!({"a": {"$exists": 1}}), "filter.a.$exists: true or false is wanted, not a number"),
        (json!({"$or": []}), "filter.$or: at least one filter is wanted"),
        (json!({"$or": [{"a": 1}, 2]}), "filter.$or.1: a filter is an object, not a number"),
        (json!({"$nor": []}), "filter.$nor: a field's name is wanted"),
        (json!({"": 1}), "filter.: a field's name has 1 to 256 bytes"),
    ] {
        let said = wrong(filter);
        assert!(said.starts_with(place), "{said}");
    }
    let long = wrong(json!({"x".repeat(100_000): 1}));
    assert!(long.len() < 200, "{long}");
}

#[test]
fn filters_are_bounded() {
    let nested = |depth| (0..depth).fold(json!({"a": 1}), |inner, _| json!({"$not": inner}));
    parse(&nested(16));
    assert!(wrong(nested(17)).ends_with("filters nest at most 16 deep"));
    let wide = |terms: usize| (0..terms).map(|i| (format!("f{i}"), json!(1))).collect::<Map<_, _>>();
    parse(&Value::Object(wide(256)));
    assert!(wrong(Value::Object(wide(257))).ends_with("at most 256 conditions"));
    let values = |count: usize| json!({"a": {"$in": vec![1; count]}});
    parse(&values(4096));
    assert!(wrong(values(4097)).contains("at most 4096 values"));
}

#[test]
fn bounds_keep_the_tighter_one() {
    for (bounds, inside, outside) in [
        (json!({"$gt": 5, "$gte": 5}), json!(6), json!(5)),
        (json!({"$gte": 5, "$gt": 4}), json!(5), json!(4.5)),
        (json!({"$lt": 5, "$lte": 5}), json!(4), json!(5)),
        (json!({"$lte": 5, "$lt": 6}), json!(5), json!(5.5)),
        (json!({"$gt": 9007199254740992u64}), json!(9007199254740993u64), json!(9007199254740992.0)),
    ] {
        assert!(matches(json!({"a": bounds}), &json!({"a": inside})), "{bounds} {inside}");
        assert!(!matches(json!({"a": bounds}), &json!({"a": outside})), "{bounds} {outside}");
    }
    let mut index = Index::new();
    index.push(0, json!({"a": 3}).as_object().unwrap());
    assert!(
        index.select(&parse(&json!({"a": {"$gt": 5, "$lt": 1}}))).is_empty(),
        "bounds the wrong way round"
    );
}

#[test]
fn a_field_of_very_many_values() {
    let mut index = Index::new();
    let points: Vec<Value> = (0..5000u32)
        .map(|row| json!({"n": row.wrapping_mul(2_654_435_761) >> 8, "s": format!("{:07}", row * 7 % 5003)}))
        .collect();
    for (row, point) in points.iter().enumerate() {
        index.push(row as u32, point.as_object().unwrap());
    }
    index.push(3, json!({"n": -1}).as_object().unwrap());
    assert_eq!(index.len(), 5000, "a row that is there stays as it is");
    for filter in [
        json!({"n": {"$gte": 1_000_000, "$lt": 12_000_000}}),
        json!({"n": {"$gt": 16_000_000}}),
        json!({"n": {"$lte": -1}}),
        json!({"s": {"$gt": "0001000", "$lte": "0003999"}}),
        json!({"s": {"$lt": "0000003"}}),
        json!({"s": "0004242"}),
        json!({"s": {"$gte": ""}, "n": {"$ne": 0}}),
    ] {
        let filter = parse(&filter);
        let selected: Vec<u32> = index.select(&filter).iter().collect();
        let wanted: Vec<u32> =
            (0..5000).filter(|row| filter.matches(points[*row as usize].as_object().unwrap())).collect();
        assert_eq!(selected, wanted);
    }
    assert!(index.bytes() > 5000 * 30, "{}", index.bytes());
}

fn field() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c", "a.b", "b.c", "a.b.c", "c.a", ".", "a.", ".b"])
        .prop_map(str::to_owned)
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3i64..4).prop_map(Value::from),
        prop::sample::select(vec![i64::MAX, i64::MIN, (1 << 53) + 1, 1 << 53]).prop_map(Value::from),
        prop::sample::select(vec![u64::MAX, u64::MAX - 1]).prop_map(Value::from),
        prop::sample::select(vec![0.5, -0.0, 1.0, 2.0, 9_007_199_254_740_992.0, 1.8446744073709552e19])
            .prop_map(Value::from),
        "[abä]{0,2}".prop_map(Value::from),
    ]
}

pub(crate) fn value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            object(inner).prop_map(Value::Object),
        ]
    })
}

pub(crate) fn object(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Map<String, Value>> {
    let key = prop::sample::select(vec!["a", "b", "c", "a.b", "", "b."]).prop_map(str::to_owned);
    prop::collection::vec((key, value), 0..4).prop_map(|entries| entries.into_iter().collect())
}

fn condition() -> impl Strategy<Value = Value> {
    let bound = || {
        prop_oneof![
            (-3i64..4).prop_map(Value::from),
            (-2.0f64..2.0).prop_map(Value::from),
            Just(json!(u64::MAX))
        ]
    };
    let low = || prop::sample::select(vec!["$gt", "$gte"]);
    let high = || prop::sample::select(vec!["$lt", "$lte"]);
    prop_oneof![
        scalar(),
        (prop::sample::select(vec!["$eq", "$ne"]), scalar()).prop_map(|(op, value)| json!({op: value})),
        (prop::sample::select(vec!["$in", "$nin"]), prop::collection::vec(scalar(), 0..4))
            .prop_map(|(op, values)| json!({op: values})),
        any::<bool>().prop_map(|there| json!({"$exists": there})),
        (low(), bound()).prop_map(|(op, value)| json!({op: value})),
        (low(), bound(), high(), bound(), scalar())
            .prop_map(|(low, from, high, to, not)| json!({low: from, high: to, "$ne": not})),
        (low(), "[abä]{0,2}", high(), "[abä]{0,2}")
            .prop_map(|(low, from, high, to)| json!({low: from, high: to})),
    ]
}

pub(crate) fn filter() -> impl Strategy<Value = Value> {
    let leaf = prop::collection::vec((field(), condition()), 0..3)
        .prop_map(|entries| Value::Object(entries.into_iter().collect()));
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(|list| json!({"$and": list})),
            prop::collection::vec(inner.clone(), 1..4).prop_map(|list| json!({"$or": list})),
            inner.clone().prop_map(|inner| json!({"$not": inner})),
            (field(), condition(), inner).prop_map(|(field, is, inner)| json!({field: is, "$not": inner})),
        ]
    })
}

/// Any JSON at all, with the language's words in it.
fn anything() -> impl Strategy<Value = Value> {
    let word = prop_oneof![
        prop::sample::select(vec![
            "$and", "$or", "$not", "$in", "$nin", "$gt", "$lte", "$exists", "$eq", "a", ""
        ])
        .prop_map(str::to_owned),
        any::<String>(),
    ];
    let leaf =
        prop_oneof![scalar(), any::<f64>().prop_map(Value::from), any::<String>().prop_map(Value::from)];
    leaf.prop_recursive(20, 64, 4, move |inner| {
        let entries = prop::collection::vec((word.clone(), inner.clone()), 0..4);
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(Value::from),
            entries.prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn the_index_selects_what_matches(
        points in prop::collection::vec(object(value()), 0..24),
        filters in prop::collection::vec(filter(), 1..6),
        gap in 1u32..70_000,
    ) {
        let mut index = Index::new();
        for (row, point) in points.iter().enumerate() {
            index.push(row as u32 * gap, point);
        }
        for filter in filters {
            let filter = parse(&filter);
            let selected: Vec<u32> = index.select(&filter).iter().collect();
            let wanted: Vec<u32> = points.iter().enumerate()
                .filter(|(_, point)| filter.matches(point)).map(|(row, _)| row as u32 * gap).collect();
            prop_assert_eq!(selected, wanted, "{:?}", filter);
        }
    }

    #[test]
    fn any_json_is_a_filter_or_wrong(anything in anything(), point in object(value())) {
        match Predicate::parse(&anything) {
            Ok(filter) => {
                let mut index = Index::new();
                index.push(7, &point);
                prop_assert_eq!(index.select(&filter).contains(7), filter.matches(&point));
            }
            Err(wrong) => prop_assert!(wrong.path.starts_with("filter") && !wrong.reason.is_empty()),
        }
    }

    #[test]
    fn fewer_rows_never_leave_the_scan(rows in 1u64..2_000_000, share in 0.0f64..1.0, k in 1usize..200, ef in 1usize..800) {
        let selected = (rows as f64 * share) as u64;
        let taken = way(rows, selected, k, ef);
        if taken == Way::Scan {
            prop_assert_eq!(way(rows, selected / 2, k, ef), Way::Scan);
            prop_assert_eq!(way(rows, selected, k, ef + 50), Way::Scan, "a wider beam costs the graph more");
        }
        if selected <= k as u64 {
            prop_assert_eq!(taken, Way::Scan);
        }
        prop_assert_eq!(way(rows, rows, k, ef) == Way::InGraph, false, "there is nothing to filter");
        prop_assert_ne!(taken, Way::Plain, "there is something to filter");
    }
}

#[test]
fn usual_sizes_go_the_usual_way() {
    assert_eq!(way(200_000, 200, 10, 64), Way::Scan, "0.1 %");
    assert_eq!(way(200_000, 2_000, 10, 64), Way::Scan, "1 %");
    assert_eq!(way(200_000, 180_000, 10, 64), Way::InGraph, "90 %");
    assert_eq!(way(200_000, 200_000, 10, 64), Way::Plain);
    assert_eq!(way(500, 500, 10, 64), Way::Scan);
    assert_eq!(way(0, 0, 10, 64), Way::Scan);
}

#[test]
fn a_beam_grows_with_the_rows_and_shrinks_with_the_filter() {
    assert_eq!((beam(50_000, 50_000, 10), beam(200_000, 200_000, 10)), (192, 384));
    assert_eq!((beam(50_000, 25_000, 10), beam(200_000, 20_000, 10)), (96, 39));
    assert_eq!((beam(0, 0, 10), beam(200_000, 2_000, 10), beam(1 << 40, 1 << 40, 10)), (32, 32, 1024));
    assert_eq!(beam(50_000, 50_000, 1_000), 2_000, "more hits want a wider one");
    assert_eq!(way(200_000, 20_000, 10, beam(200_000, 20_000, 10)), Way::InGraph);
    assert_eq!(way(50_000, 5_000, 10, beam(50_000, 5_000, 10)), Way::Scan);
}
