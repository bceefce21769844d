//! Every task type, there and back; and what is refused with which code.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::rig::{Rig, point, points, vector};

fn ids(found: &Value) -> Vec<&str> {
    found["hits"].as_array().unwrap().iter().map(|hit| hit["id"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_put_is_found_filtered_read_and_deleted() {
    let Some(rig) = Rig::start(&["one"]).await else { return };
    there_and_back(&rig).await;
}

/// What has the same answers whoever keeps the points.
pub async fn there_and_back(rig: &Rig) {
    let is_embedded = rig.qdrant.is_none();
    let create = json!({"action": "create", "collection": "docs", "dimension": 4, "backend": rig.backend()});
    let made = rig.done("vector_collections", create.clone()).await;
    assert_eq!(made, json!({"collection": "docs", "created": true}));
    let again = rig.done("vector_collections", create).await;
    assert_eq!(again["created"], false);
    let sequence = rig.put("docs", points(0..300)).await;
    let search = async |more: Value| {
        let mut payload = json!({"collection": "docs", "top_k": 3, "min_sequence": sequence});
        payload.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        rig.done("vector_search", payload).await
    };
    let found = search(json!({"vector": vector(100)})).await;
    assert_eq!(ids(&found)[0], "p00100", "{found}");
    assert!(
        found["sequence"].as_u64().unwrap() >= sequence && found["hits"][0]["score"].as_f64().unwrap() > 0.99
    );
    assert_eq!(found["hits"][0]["metadata"], json!({"n": 100, "even": true}));
    assert_eq!(found["hits"][0]["text"], "number 100");
    // The same question in base64, and the vector as it is kept.
    let bytes: Vec<u8> = vector(100).iter().flat_map(|number| number.to_le_bytes()).collect();
    let found = search(json!({"vector": STANDARD.encode(bytes), "with": ["vector"]})).await;
    assert_eq!((ids(&found)[0], found["hits"][0]["vector"].as_array().unwrap().len()), ("p00100", 4));
    assert!(found["hits"][0].get("text").is_none());
    let found = search(json!({"vector": vector(100), "filter": {"even": false, "n": {"$gt": 250}}})).await;
    assert_eq!(ids(&found), ["p00251", "p00253", "p00255"], "{found}");
    let found = search(json!({"text": "number 77"})).await;
    let way = if is_embedded { "text" } else { "qdrant" };
    assert_eq!((ids(&found)[0], &found["way"]), ("p00077", &json!(way)), "{found}");
    assert!(found["hits"][0]["score"].as_f64().unwrap() > 2.0, "a rare word counts: {found}");
    let found = search(json!({"text": "77", "vector": vector(77), "mode": "hybrid"})).await;
    assert_eq!(ids(&found)[0], "p00077");
    assert!((found["hits"][0]["score"].as_f64().unwrap() - 2.0 / 61.0).abs() < 1e-6, "{found}");
    let way = if is_embedded { "and text" } else { "qdrant" };
    assert!(found["way"].as_str().unwrap().ends_with(way), "{found}");

    let gone = rig.done("vector_delete", json!({"collection": "docs", "ids": ["p00100", "nobody"]})).await;
    let gone = rig.done("vector_delete", json!({"collection": "docs", "filter": {"n": {"$lt": 50}}})).await["sequence"]
        .as_u64()
        .max(gone["sequence"].as_u64())
        .unwrap();
    let left = rig.ids("docs", gone).await;
    assert_eq!((left.len(), left[0].as_str()), (249, "p00050"));
    let read = json!({"collection": "docs", "ids": ["p00060", "p00100"], "with": ["text", "vector"]});
    let read = rig.done("vector_points", read).await;
    assert_eq!(read["points"].as_array().unwrap().len(), 1, "{read}");
    // As it came, it may be put again.
    let mut back = read["points"][0].clone();
    back["id"] = "copy".into();
    let copied = rig.put("docs", json!([back])).await;
    assert_eq!(rig.ids("docs", copied).await[0], "copy");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_aliases_and_the_end_of_a_collection() {
    let Some(rig) = Rig::start(&["one"]).await else { return };
    names_and_ends(&rig).await;
}

/// What has the same answers whoever keeps the points.
pub async fn names_and_ends(rig: &Rig) {
    rig.create("first", 4).await;
    rig.create("second", 4).await;
    rig.put("first", points(0..3)).await;
    let alias = async |to: &str| {
        let payload = json!({"action": "alias", "alias": "live", "collection": to});
        rig.done("vector_collections", payload).await
    };
    alias("first").await;
    let sequence = rig.put("live", json!([point(9)])).await;
    assert_eq!(rig.ids("live", sequence).await.len(), 4);
    alias("second").await;
    assert!(rig.ids("live", 0).await.is_empty());
    let listed = rig.done("vector_collections", json!({"action": "list"})).await;
    let listed: Vec<_> = listed["collections"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            (one["collection"].as_str().unwrap(), one["points"].as_u64().unwrap(), one["aliases"].to_string())
        })
        .collect();
    assert_eq!(listed, [("first", 4, "[]".to_owned()), ("second", 0, "[\"live\"]".to_owned())]);
    let described = rig.done("vector_collections", json!({"action": "describe", "collection": "live"})).await;
    assert_eq!((&described["collection"], &described["metric"]), (&json!("second"), &json!("cosine")));

    assert_eq!(
        rig.code("vector_collections", json!({"action": "drop", "collection": "live"})).await,
        "TL2503"
    );
    rig.done("vector_collections", json!({"action": "drop", "collection": "first"})).await;
    assert_eq!(
        rig.code("vector_search", json!({"collection": "first", "vector": vector(1)})).await,
        "TL2501"
    );
    // The same name again is another collection.
    rig.create("first", 4).await;
    assert!(rig.ids("first", 0).await.is_empty());
    rig.done("vector_collections", json!({"action": "unalias", "alias": "live"})).await;
    assert_eq!(rig.code("vector_points", json!({"collection": "live"})).await, "TL2501");
    let log = rig.stack.client.bus.subjects("VECTORS", "vectors.*", 10).await.unwrap();
    assert!(log.is_empty(), "what was dropped is in the log still: {log:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_says_why() {
    let Some(rig) = Rig::start(&["one"]).await else { return };
    refused(&rig).await;
    let restore = json!({"action": "restore", "collection": "docs", "snapshot": "1"});
    assert_eq!(rig.code("vector_snapshot", restore).await, "TL2505");
    let there = json!({"action": "create", "collection": "there", "dimension": 4, "backend": "qdrant"});
    let (code, text) = rig.ask("vector_collections", there).await.unwrap_err();
    assert!(code == "TL2503" && text.contains("qdrant.url"), "{code} {text}");
    let other = json!({"action": "create", "collection": "docs", "dimension": 4, "backend": "qdrant"});
    assert_eq!(rig.code("vector_collections", other).await, "TL2502");
}

/// What has the same answers whoever keeps the points.
pub async fn refused(rig: &Rig) {
    rig.create("docs", 4).await;
    let create = |more: Value| {
        let mut payload = json!({"action": "create", "collection": "docs", "dimension": 4,
            "precision": "f32", "backend": rig.backend()});
        payload.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ("vector_collections", payload)
    };
    let put = |point: Value| ("vector_indexing", json!({"collection": "docs", "points": [point]}));
    let search = |more: Value| {
        let mut payload = json!({"collection": "docs"});
        payload.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ("vector_search", payload)
    };
    for ((task_type, payload), code) in [
        (create(json!({"metric": "l2"})), "TL2502"),
        (create(json!({"dimension": 5})), "TL2502"),
        (create(json!({"collection": "Docs"})), "TL2503"),
        (create(json!({"dimension": 0})), "TL1010"),
        (create(json!({"colour": "red"})), "TL1010"),
        (put(json!({"id": "a", "vector": [1, 2, 3]})), "TL2503"),
        (put(json!({"id": "a", "vector": [0, 0, 0, 0]})), "TL2503"),
        (put(json!({"id": "", "vector": [1, 0, 0, 0]})), "TL1010"),
        (put(json!({"id": "ä".repeat(200), "vector": [1, 0, 0, 0]})), "TL2503"),
        (put(json!({"id": "a", "vector": "AAAA"})), "TL1002"),
        (search(json!({})), "TL2503"),
        (search(json!({"vector": [1, 0, 0]})), "TL2503"),
        (search(json!({"vector": [1, 0, 0, 0], "mode": "text"})), "TL2503"),
        (search(json!({"vector": [1, 0, 0, 0], "filter": {"n": {"$gte": []}}})), "TL2504"),
        (search(json!({"vector": [1, 0, 0, 0], "filter": {"$nor": []}})), "TL2504"),
        (("vector_delete", json!({"collection": "docs"})), "TL2503"),
        (("vector_delete", json!({"collection": "docs", "filter": {}})), "TL2503"),
        (("vector_points", json!({"collection": "nobody"})), "TL2501"),
    ] {
        assert_eq!(rig.code(task_type, payload.clone()).await, code, "{task_type} {payload}");
    }
}
