//! A bounded run of the fuzz targets over mutations of the golden files.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../../../fuzz/src/targets.rs"]
mod targets;

use proptest::prelude::*;

/// The golden files: what a mutation starts from, so that it gets past the first bytes.
fn seeds() -> Vec<Vec<u8>> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut seeds: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
        .collect();
    seeds.sort();
    assert!(seeds.len() > 5, "the golden files are there");
    seeds
}

/// What a mutator does: overwrite, cut out, insert, repeat.
#[derive(Debug, Clone)]
enum Edit {
    Set(prop::sample::Index, u8),
    Cut(prop::sample::Index, usize),
    Insert(prop::sample::Index, Vec<u8>),
    Repeat(prop::sample::Index, usize),
}

fn edit() -> impl Strategy<Value = Edit> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(i, b)| Edit::Set(i, b)),
        (at(), 0usize..40).prop_map(|(i, n)| Edit::Cut(i, n)),
        (at(), proptest::collection::vec(any::<u8>(), 0..12)).prop_map(|(i, b)| Edit::Insert(i, b)),
        (at(), 0usize..60).prop_map(|(i, n)| Edit::Repeat(i, n)),
    ]
}

fn apply(mut bytes: Vec<u8>, edits: &[Edit]) -> Vec<u8> {
    for edit in edits {
        if bytes.is_empty() {
            return bytes;
        }
        let span = |i: &prop::sample::Index, n: usize| {
            let from = i.index(bytes.len());
            from..(from + n).min(bytes.len())
        };
        match edit {
            Edit::Set(i, b) => {
                let at = i.index(bytes.len());
                bytes[at] = *b;
            }
            Edit::Cut(i, n) => drop(bytes.drain(span(i, *n)).count()),
            Edit::Insert(i, new) => drop(bytes.splice(span(i, 0), new.iter().copied()).count()),
            Edit::Repeat(i, n) => bytes.extend_from_within(span(i, *n)),
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn no_mutation_of_what_is_on_the_wire_makes_a_reader_panic(
        seed in prop::sample::select(seeds()),
        choice: u8,
        edits in proptest::collection::vec(edit(), 0..6),
    ) {
        let bytes = apply(seed, &edits);
        targets::messages(&bytes);
        targets::submission(&[&[choice], &bytes[..]].concat());
    }
}
