//! Collections that are in a qdrant, by the same tasks. Skipped where there is no qdrant: `TASKLANE_TEST_QDRANT` names its
//! program, and nothing here fetches one.

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};
use tasklane_testkit::otlp::{Kind, OtlpReceiver, ReceivedSpan};
use tasklane_testkit::qdrant::Qdrant;
use tasklane_testkit::{client, wait};

use crate::rig::{Rig, point, points, vector};
use crate::tasks;

#[tokio::test(flavor = "multi_thread")]
async fn on_qdrant_what_is_put_is_found_filtered_read_and_deleted() {
    let Some(rig) = Rig::start_on_qdrant(&["one"]).await else { return };
    tasks::there_and_back(&rig).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_qdrant_names_aliases_and_the_end_of_a_collection() {
    let Some(rig) = Rig::start_on_qdrant(&["one"]).await else { return };
    tasks::names_and_ends(&rig).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_qdrant_what_is_refused_says_why() {
    let Some(mut rig) = Rig::start_on_qdrant(&["one"]).await else { return };
    tasks::refused(&rig).await;
    let (code, text) =
        rig.ask("vector_snapshot", json!({"action": "take", "collection": "docs"})).await.unwrap_err();
    assert!(code == "TL2503" && text.contains("qdrant"), "{code} {text}");
    let search = |more: Value| {
        let mut payload = json!({"collection": "docs", "vector": vector(1)});
        payload.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        payload
    };
    let (code, text) =
        rig.ask("vector_search", search(json!({"filter": {"title": {"$gt": "m"}}}))).await.unwrap_err();
    assert!(code == "TL2504" && text.starts_with("filter.title: "), "{code} {text}");
    assert_eq!(rig.code("vector_search", search(json!({"min_sequence": 7}))).await, "TL2503");
    // One whose vector indexer knows no qdrant, beside one that does.
    rig.stack.term("one");
    rig.stack.ended("one").await;
    rig.indexer("two", &[]).await;
    let listed = rig.done("vector_collections", json!({"action": "list"})).await;
    let told = &listed["collections"][0];
    assert_eq!((&told["backend"], told.get("points")), (&json!("qdrant"), None), "{listed}");
    let id = rig
        .stack
        .client
        .submit_with("vector_search", search(json!({})), json!({"retry": {"max_attempts": 1}}))
        .await;
    let result = rig.stack.client.result(&id).await;
    assert_eq!(result["attempts"][0]["error"]["code"], "TL3503", "{result}");
    assert!(result["error"]["message"].as_str().unwrap().contains("qdrant.url"), "{result}");
}

/// The answers are those of going through all points, whatever the metric and the precision.
#[tokio::test(flavor = "multi_thread")]
async fn hits_are_those_of_going_through_all() {
    let Some(rig) = Rig::start_on_qdrant(&["one"]).await else { return };
    let mut rng = StdRng::seed_from_u64(7);
    let mut random = |count: usize| -> Vec<Vec<f32>> {
        (0..count).map(|_| (0..16).map(|_| rng.random_range(-1.0f32..1.0)).collect()).collect()
    };
    let (rows, questions) = (random(500), random(10));
    for (metric, precision) in
        [("cosine", "f32"), ("dot", "f32"), ("l2", "f32"), ("cosine", "f16"), ("l2", "i8")]
    {
        let name = format!("{metric}-{precision}");
        let create = json!({"action": "create", "collection": name, "dimension": 16, "metric": metric,
            "precision": precision, "backend": "qdrant", "graph": {"m": 24, "ef_construction": 64}});
        rig.done("vector_collections", create).await;
        let points: Vec<Value> =
            rows.iter().enumerate().map(|(n, row)| json!({"id": n.to_string(), "vector": row})).collect();
        rig.put(&name, json!(points)).await;
        for question in &questions {
            let mut all: Vec<(f32, usize)> =
                rows.iter().enumerate().map(|(n, row)| (score(metric, question, row), n)).collect();
            all.sort_by(|a, b| if metric == "l2" { a.0.total_cmp(&b.0) } else { b.0.total_cmp(&a.0) });
            let search = json!({"collection": name, "vector": question, "top_k": 10, "ef": 200});
            let found = rig.done("vector_search", search.clone()).await;
            let hits = found["hits"].as_array().unwrap();
            assert_eq!(hits.len(), 10);
            for (hit, (score, _)) in hits.iter().zip(&all) {
                let n: usize = hit["id"].as_str().unwrap().parse().unwrap();
                let said = hit["score"].as_f64().unwrap() as f32;
                let tolerance = if precision == "f32" { 1e-4 } else { 2e-3 };
                let own = self::score(metric, question, &rows[n]);
                assert!(
                    (said - own).abs() < tolerance && (own - score).abs() < tolerance,
                    "{name}: {hit} {own} {score}"
                );
            }
            let least = all[4].0;
            let mut bounded = search;
            bounded["min_score"] = json!(if metric == "l2" { least + 1e-3 } else { least - 1e-3 });
            let found = rig.done("vector_search", bounded).await;
            let count = found["hits"].as_array().unwrap().len();
            assert!((4..10).contains(&count), "{name}: {count} hits within {least}");
        }
    }
}

fn score(metric: &str, a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    match metric {
        "cosine" => dot(a, b) / (dot(a, a).sqrt() * dot(b, b).sqrt()),
        "dot" => dot(a, b),
        _ => a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f32>().sqrt(),
    }
}

/// Words are ranked as the embedded backend ranks them where texts are about as long as is assumed of all.
#[tokio::test(flavor = "multi_thread")]
async fn words_rank_as_in_the_embedded_backend() {
    let Some(rig) = Rig::start_on_qdrant(&["one"]).await else { return };
    let texts: Vec<String> = (0..60)
        .map(|n| {
            let filler: Vec<String> = (0..120 + n).map(|word| format!("w{}", (word * 7 + n) % 200)).collect();
            let prisms = "prism ".repeat(n % 7);
            let lens = if n % 5 == 0 { "Linse" } else { "" };
            format!("{prisms} {} {lens}", filler.join(" "))
        })
        .collect();
    let points: Vec<Value> = texts
        .iter()
        .enumerate()
        .map(|(n, text)| json!({"id": format!("t{n:02}"), "vector": vector(n), "text": text}))
        .collect();
    let mut answers = Vec::new();
    for backend in ["embedded", "qdrant"] {
        let create = json!({"action": "create", "collection": backend, "dimension": 4, "backend": backend});
        rig.done("vector_collections", create).await;
        let sequence = rig.put(backend, json!(points)).await;
        let search = json!({"collection": backend, "text": "prism LINSE nobody", "top_k": 60, "with": [], "min_sequence": sequence});
        answers.push(rig.done("vector_search", search).await["hits"].as_array().unwrap().clone());
    }
    assert_eq!(answers[0].len(), answers[1].len());
    for hit in &answers[0] {
        let other = answers[1].iter().find(|other| other["id"] == hit["id"]).unwrap();
        let (own, other) = (hit["score"].as_f64().unwrap(), other["score"].as_f64().unwrap());
        assert!((own - other).abs() / own < 0.1, "{hit}: {other}");
    }
    let none = json!({"collection": "qdrant", "text": " ... "});
    assert!(rig.done("vector_search", none).await["hits"].as_array().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_have_every_point_once() {
    let Some(rig) = Rig::start_on_qdrant(&["one"]).await else { return };
    rig.create("docs", 4).await;
    rig.put("docs", points(0..230)).await;
    let (mut seen, mut after) = (Vec::new(), None::<String>);
    loop {
        let mut page = json!({"collection": "docs", "limit": 50, "filter": {"n": {"$gte": 10}}});
        if let Some(after) = &after {
            page["after"] = after.as_str().into();
            // The page's last point may go meanwhile.
            rig.done("vector_delete", json!({"collection": "docs", "ids": [after]})).await;
        }
        let page = rig.done("vector_points", page).await["points"].as_array().unwrap().clone();
        let Some(last) = page.last() else { break };
        after = Some(last["id"].as_str().unwrap().to_owned());
        seen.extend(page.iter().map(|point| point["id"].as_str().unwrap().to_owned()));
    }
    seen.sort();
    let all: Vec<String> = (10..230).map(|n| format!("p{n:05}")).collect();
    assert_eq!(seen, all);
    // In the order that was asked for, and what came comes back.
    let read = json!({"collection": "docs", "ids": ["p00011", "nobody", "p00010", "p00011"], "with": ["text", "metadata"]});
    let read = rig.done("vector_points", read).await;
    let told = |n: usize| {
        let mut point = point(n);
        point.as_object_mut().unwrap().remove("vector");
        point
    };
    let twice: Vec<Value> = read["points"].as_array().unwrap().clone();
    assert!(twice.iter().all(|one| *one == told(10) || *one == told(11)), "{read}");
    assert_eq!(twice[0], told(11));
    // Of one id twice in a task the last counts, and twice the same task is once.
    let (mut first, second) = (point(500), point(500));
    first["text"] = "first".into();
    rig.put("docs", json!([first, second])).await;
    rig.put("docs", json!([second])).await;
    let read =
        rig.done("vector_points", json!({"collection": "docs", "ids": ["p00500"], "with": ["text"]})).await;
    assert_eq!(read["points"], json!([{"id": "p00500", "text": "number 500"}]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_a_qdrant_that_is_killed() {
    let Some(mut rig) = Rig::start_on_qdrant(&["one", "two"]).await else { return };
    rig.create("docs", 4).await;
    let (mut acknowledged, mut next, mut again) = (0, 0, 0);
    for round in 0..4 {
        rig.put("docs", points(next..next + 50)).await;
        next += 50;
        // Tasks that meet a qdrant that is gone are tried again until it is back.
        let ids: Vec<String> = (0..5).map(|n| format!("put-{round}-{n}")).collect();
        for (n, id) in ids.iter().enumerate() {
            if n == 2 {
                rig.qdrant.as_mut().unwrap().kill9();
            }
            let payload = json!({"collection": "docs", "points": points(next..next + 20)});
            let task = client::task(id, "vector_indexing", payload, json!({"retry": {"max_attempts": 10}}));
            rig.stack.client.bus.store_surely(task).await.unwrap();
            next += 20;
        }
        // One that may not be tried again says what is the matter.
        let search = json!({"collection": "docs", "vector": vector(1)});
        let once = json!({"retry": {"max_attempts": 1}});
        let id = rig.stack.client.submit_with("vector_search", search, once).await;
        let result = rig.stack.client.result(&id).await;
        let said = &result["attempts"][0]["error"];
        assert_eq!(said["code"], "TL3503", "{result}");
        assert!(
            said["message"].as_str().unwrap().contains("no qdrant answers at http://127.0.0.1:"),
            "{said}"
        );
        rig.qdrant.as_mut().unwrap().start_again().await;
        for id in &ids {
            let result = rig.stack.client.result(id).await;
            assert_eq!(result["status"], "succeeded", "{result}");
            again += result["attempts"].as_array().unwrap().len() - 1;
        }
        acknowledged = next;
        assert_eq!(rig.ids("docs", 0).await.len(), acknowledged, "round {round}");
    }
    let described = rig.done("vector_collections", json!({"action": "describe", "collection": "docs"})).await;
    assert_eq!(described["points"], acknowledged);
    assert!(again > 0, "no write met a qdrant that was gone");
    println!("{acknowledged} points, {again} attempts that failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_opens_it_and_is_not_told() {
    const KEY: &str = "a-key-of-the-operator";
    let Some(qdrant) = Qdrant::start_with(&[("QDRANT__SERVICE__API_KEY", KEY)]).await else { return };
    let Some(mut rig) = Rig::start(&[]).await else { return };
    let file = rig.folder.path().join("key");
    std::fs::write(&file, format!("{KEY}\n")).unwrap();
    let url = qdrant.url();
    let settings =
        [("TASKLANE_QDRANT_URL", url.as_str()), ("TASKLANE_QDRANT_API_KEY_FILE", file.to_str().unwrap())];
    rig.indexer("one", &settings).await;
    let create = json!({"action": "create", "collection": "docs", "dimension": 4, "backend": "qdrant"});
    rig.done("vector_collections", create).await;
    rig.put("docs", points(0..3)).await;
    assert!(!rig.stack.log("one").contains(KEY));
    // Without it nothing opens, and that is no fault of the task.
    rig.stack.term("one");
    rig.stack.ended("one").await;
    rig.indexer("two", &settings[..1]).await;
    let search = json!({"collection": "docs", "vector": vector(1)});
    let id =
        rig.stack.client.submit_with("vector_search", search, json!({"retry": {"max_attempts": 1}})).await;
    let result = rig.stack.client.result(&id).await;
    assert_eq!(result["attempts"][0]["error"]["code"], "TL3503", "{result}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_hangs_is_not_waited_for_and_calls_are_spans() {
    let Some(mut rig) = Rig::start_on_qdrant(&[]).await else { return };
    let receiver = OtlpReceiver::start().await.unwrap();
    let url = rig.qdrant.as_ref().unwrap().url();
    let endpoint = receiver.endpoint();
    let settings = [
        ("TASKLANE_QDRANT_URL", url.as_str()),
        ("TASKLANE_QDRANT_TIMEOUT_MS", "500"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", "100"),
    ];
    rig.indexer("one", &settings).await;
    rig.create("docs", 4).await;
    rig.put("docs", points(0..5)).await;
    rig.qdrant.as_ref().unwrap().pause();
    let search = json!({"collection": "docs", "vector": vector(1)});
    let once = json!({"retry": {"max_attempts": 1}});
    let id = rig.stack.client.submit_with("vector_search", search.clone(), once).await;
    let result = rig.stack.client.result(&id).await;
    let attempt = &result["attempts"][0];
    assert_eq!(attempt["error"]["code"], "TL3503", "{result}");
    assert!((400.0..4_000.0).contains(&attempt["duration_ms"].as_f64().unwrap()), "{attempt}");
    rig.qdrant.as_ref().unwrap().resume();
    let found = rig.done("vector_search", search).await;
    assert_eq!(found["hits"].as_array().unwrap().len(), 5);

    // Create, index, upsert, and two searches; a parent ends, and comes, after what is below it.
    let parent = |spans: &[ReceivedSpan], span: &ReceivedSpan| {
        spans.iter().find(|parent| parent.span_id == span.parent_span_id).map(|parent| parent.name.clone())
    };
    let all = |spans: &[ReceivedSpan]| {
        let calls = spans.iter().filter(|span| span.attribute("db.system.name").is_some());
        calls.filter(|call| parent(spans, call).is_some()).count() == 5
    };
    let spans = receiver.wait_for(all, wait::PATIENCE).await.unwrap_or_else(|e| panic!("{e}"));
    let described = rig.done("vector_collections", json!({"action": "describe", "collection": "docs"})).await;
    let there = format!("tasklane-{}", described["id"].as_str().unwrap());
    for operation in ["create_collection", "create_field_index", "upsert", "query"] {
        let name = format!("{operation} {there}");
        let span = spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("{spans:?}"));
        assert_eq!(span.kind, Kind::Client);
        for (key, value) in [
            ("db.system.name", "qdrant"),
            ("db.operation.name", operation),
            ("db.collection.name", there.as_str()),
        ] {
            assert_eq!(span.attribute(key), Some(value), "{name}");
        }
        let parent = parent(&spans, span);
        assert!(parent.is_some_and(|name| name.starts_with("process vector_")), "{}", receiver.tree());
    }
    let failed = spans.iter().find(|span| span.attribute("error.type") == Some("TL3503"));
    assert!(failed.is_some_and(|span| span.name.starts_with("query ")), "{}", receiver.tree());
}
