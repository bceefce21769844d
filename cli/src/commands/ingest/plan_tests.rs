//! What is decided for documents, by examples and against a collection that is a map.

use super::*;
use proptest::prelude::*;

fn recipe() -> Recipe {
    Recipe { model: "minilm@1".into(), max_tokens: 200, overlap_tokens: 0, meta: BTreeMap::new() }
}

fn chunk(text: &str) -> Chunk {
    Chunk { text: text.into(), ..Chunk::default() }
}

fn point(edition: &str, chunk: usize, names: &[&str]) -> Point {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let metadata = json!({"source": named(&names), "edition": edition, "chunk": chunk, "chunks": 3});
    let metadata = metadata.as_object().unwrap().clone();
    Point { id: point_id(edition, chunk), metadata, ..Point::default() }
}

#[test]
fn an_edition_is_a_content_and_its_recipe() {
    let edition = recipe().edition("abc");
    assert!(edition.len() == 16 && edition == recipe().edition("abc"));
    let mut others = vec![recipe().edition("abd")];
    others.push(Recipe { model: "minilm@2".into(), ..recipe() }.edition("abc"));
    others.push(Recipe { max_tokens: 201, ..recipe() }.edition("abc"));
    others.push(Recipe { overlap_tokens: 1, ..recipe() }.edition("abc"));
    others.push(Recipe { meta: [("lang".to_owned(), "en".into())].into(), ..recipe() }.edition("abc"));
    others.push(edition);
    let different: BTreeSet<_> = others.iter().collect();
    assert_eq!(different.len(), others.len());
}

#[test]
fn what_is_there_says_what_is_to_be_done() {
    let of = |points: &[Point]| step(points, "a", "new");
    assert_eq!(of(&[]), (Step::Index, BTreeSet::new()));
    assert_eq!(of(&[point("new", 0, &["a"])]), (Step::Unchanged, BTreeSet::new()));
    assert_eq!(of(&[point("new", 0, &["b"])]).0, Step::Name(vec!["b".into(), "a".into()]));
    // Not whole: the first chunk is written last.
    assert_eq!(of(&[point("new", 1, &["a"])]).0, Step::Index);
    // The run before was killed when the new edition was whole and the old one was still there.
    let both = of(&[point("new", 0, &["a"]), point("old", 0, &["a"]), point("old", 1, &["a"])]);
    assert_eq!(both, (Step::Unchanged, ["old".to_owned()].into()));
    let full: Vec<String> = (0..MAX_NAMES).map(|n| n.to_string()).collect();
    let full: Vec<&str> = full.iter().map(String::as_str).collect();
    assert_eq!(of(&[point("new", 0, &full)]).0, Step::Unchanged);
}

#[test]
fn an_old_edition_goes_when_nobody_has_it() {
    assert_eq!(old(&point("old", 0, &["a"]), "a"), Old::Remove);
    assert_eq!(old(&point("old", 0, &["a", "b"]), "a"), Old::Rename(vec!["b".into()]));
    assert_eq!(old(&point("old", 0, &["b"]), "a"), Old::Rename(vec!["b".into()]));
}

#[test]
fn a_point_tells_where_it_is_from() {
    let cut: Cut = serde_json::from_value(json!({
        "format": "pdf", "metadata": {"title": " "}, "warnings": [],
        "chunks": [{"index": 0, "text": "x", "heading_path": ["A", "B"], "page_from": 3, "page_to": 4}],
    }))
    .unwrap();
    let recipe = Recipe { meta: [("lang".to_owned(), "en".into())].into(), ..recipe() };
    let document = Document { names: &["/d/r.pdf".to_owned()], sha256: "s", edition: "e", cut: &cut };
    let expected = json!({"id": "e-0", "vector": "AAAA", "text": "x", "metadata": {
        "source": "/d/r.pdf", "title": "A", "format": "pdf", "page": 3, "heading": "A > B", "chunk": 0, "chunks": 1,
        "sha256": "s", "model": "minilm@1", "edition": "e", "lang": "en"}});
    let point = document.point(&recipe, 0, "AAAA");
    assert_eq!(point, expected);
    let ours = |key: &&String| *key != "lang" && !OURS.contains(&key.as_str());
    assert_eq!(point["metadata"].as_object().unwrap().keys().find(ours), None);
    assert_eq!(Cut::default().title("https://a.b/c/"), "c");
    let written: Point = serde_json::from_value(point).unwrap();
    let there =
        |chunks, whose: &str| there(std::slice::from_ref(&written), chunks, &[whose.to_owned()]).count();
    assert_eq!((there(1, "/d/r.pdf"), there(2, "/d/r.pdf"), there(1, "/d/s.pdf")), (1, 0, 0));
}

#[test]
fn a_collection_keeps_its_model() {
    assert_eq!(model(None, None), Ok(None));
    assert_eq!(model(Some("minilm"), None), Ok(Some("minilm".into())));
    for wanted in [None, Some("minilm"), Some("minilm@1")] {
        assert_eq!(model(wanted, Some("minilm@1")), Ok(Some("minilm@1".into())), "{wanted:?}");
    }
    assert!(
        model(Some("minilm@2"), Some("minilm@1")).is_err() && model(Some("mini"), Some("minilm@1")).is_err()
    );
}

/// What `question` selects, of a collection in memory.
fn select(all: &BTreeMap<String, Point>, source: &str, edition: &str) -> Vec<Point> {
    let is = |point: &Point, key: &str, value: &Value| point.metadata.get(key) == Some(value);
    let own = |point: &Point| is(point, "edition", &edition.into());
    let mine = |point: &Point| names(&point.metadata).iter().any(|name| name == source);
    let wanted =
        |point: &&Point| (own(point) && is(point, "chunk", &0.into())) || (mine(point) && !own(point));
    all.values().filter(wanted).cloned().collect()
}

/// One document's run over a collection in memory, which may be killed after so many writes. Says whether it ended.
fn run(all: &mut BTreeMap<String, Point>, source: &str, content: u8, mut writes: usize) -> Option<Step> {
    let edition = format!("e{content}");
    let mut write = |all: &mut BTreeMap<String, Point>, point: Point| {
        writes = writes.checked_sub(1)?;
        all.insert(point.id.clone(), point);
        Some(())
    };
    let (step, others) = step(&select(all, source, &edition), source, &edition);
    let names = match &step {
        Step::Unchanged => vec![],
        Step::Name(names) => names.clone(),
        Step::Index => vec![source.to_owned()],
    };
    if !names.is_empty() {
        for chunk in [1, 2, 0] {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            write(all, point(&edition, chunk, &names))?;
        }
    }
    for other in others {
        let own = |point: &&Point| point.metadata.get("edition") == Some(&other.as_str().into());
        let of: Vec<Point> = all.values().filter(own).cloned().collect();
        let first = of.iter().find(|point| point.id == point_id(&other, 0)).or(of.first());
        let Some(first) = first else { continue };
        match old(first, source) {
            Old::Remove => {
                writes = writes.checked_sub(1)?;
                all.retain(|_, point| point.metadata.get("edition") != Some(&other.as_str().into()));
            }
            Old::Rename(names) => {
                for mut point in of {
                    writes = writes.checked_sub(1)?;
                    point.metadata.insert("source".into(), named(&names));
                    all.insert(point.id.clone(), point);
                }
            }
        }
    }
    Some(step)
}

proptest! {
    #[test]
    fn pieces_are_all_chunks_once_and_the_first_comes_last(sizes in proptest::collection::vec(0usize..60_000, 0..300)) {
        let chunks: Vec<Chunk> = sizes.iter().map(|&size| chunk(&"x".repeat(size))).collect();
        let pieces = pieces(&chunks);
        let mut seen: Vec<usize> = pieces.iter().flat_map(Clone::clone).collect();
        prop_assert_eq!(pieces.last().map(|piece| piece.start), (!chunks.is_empty()).then_some(0));
        seen.sort_unstable();
        prop_assert_eq!(seen, (0..chunks.len()).collect::<Vec<_>>());
        for piece in &pieces {
            let bytes: usize = sizes[piece.clone()].iter().sum();
            prop_assert!(!piece.is_empty() && piece.len() <= PIECE_CHUNKS);
            prop_assert!(piece.len() == 1 || bytes <= PIECE_BYTES);
        }
        let (first, rest) = (pieces.len() / 2, pieces.len() - pieces.len() / 2);
        let there = pieces[..first].iter().flat_map(Clone::clone).collect();
        prop_assert_eq!(missing(pieces, &there).len(), rest);
    }

    #[test]
    fn whatever_is_killed_a_run_to_the_end_makes_it_right(
        history in proptest::collection::vec((0..4u8, 0..3u8, 0..9usize), 0..24),
    ) {
        let mut all = BTreeMap::new();
        let mut last = BTreeMap::new();
        for (source, content, writes) in history {
            run(&mut all, &source.to_string(), content, writes);
            last.insert(source, content);
        }
        for (source, content) in &last {
            prop_assert!(run(&mut all, &source.to_string(), *content, usize::MAX).is_some());
        }
        for (source, content) in &last {
            let step = run(&mut all, &source.to_string(), *content, usize::MAX);
            prop_assert_eq!(step, Some(Step::Unchanged));
        }
        // Each document is found under its content, and under no other.
        for point in all.values() {
            let edition = point.metadata["edition"].as_str().unwrap().to_owned();
            let expected: BTreeSet<String> =
                last.iter().filter(|(_, content)| format!("e{content}") == edition).map(|(s, _)| s.to_string()).collect();
            prop_assert_eq!(names(&point.metadata).into_iter().collect::<BTreeSet<_>>(), expected);
        }
        let contents: BTreeSet<u8> = last.values().copied().collect();
        prop_assert_eq!(all.len(), 3 * contents.len());
    }
}
