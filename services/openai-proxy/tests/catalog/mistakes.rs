//! Mistakes: all of them are found, each on its line, and nothing is called wrong that is right.

use proptest::prelude::*;
use tasklane_openai_proxy::catalog::{KeySource, MAX_BYTES, Mistake, parse};

use super::example::EXAMPLE;
use super::{any_key, lines};

fn some_keys(source: &KeySource) -> Result<Option<String>, String> {
    match source.to_string().as_str() {
        s if s.contains("ABSENT") || s.contains("/absent") => Ok(None),
        s if s.contains("/refused") => Err("it is locked".to_owned()),
        s if s.contains("EMPTY") => Ok(Some(" \n".to_owned())),
        s if s.contains("ODD") => Ok(Some("two words".to_owned())),
        _ => any_key(source),
    }
}

/// Holds the mistakes found in a text against those it announces with `#!`, one for one.
fn check(name: &str, text: &str) {
    let Err(mut found) = parse(text, &some_keys) else { panic!("{name}: nothing was found") };
    assert!(found.is_sorted(), "{name}: in the order of the file");
    let mut missing = Vec::new();
    for (at, line) in text.lines().enumerate() {
        for part in line.split("#!").skip(1).map(str::trim) {
            let hit = found.iter().position(|m| m.line == at + 1 && m.text.contains(part));
            match hit {
                Some(hit) => drop(found.remove(hit)),
                None => missing.push(format!("line {}: {part}", at + 1)),
            }
        }
    }
    assert!(
        missing.is_empty() && found.is_empty(),
        "{name}\nannounced, not found:\n{}\nfound, not announced:\n{}",
        missing.join("\n"),
        lines(&found)
    );
}

#[test]
fn providers() {
    check("providers", include_str!("../broken/providers.toml"));
}

#[test]
fn models() {
    check("models", include_str!("../broken/models.toml"));
}

#[test]
fn routes() {
    check("routes", include_str!("../broken/routes.toml"));
}

#[test]
fn tenants() {
    check("tenants", include_str!("../broken/tenants.toml"));
}

#[test]
fn line_ends_of_windows_change_nothing() {
    check("tenants", &include_str!("../broken/tenants.toml").replace('\n', "\r\n"));
}

#[test]
fn columns_count_characters() {
    let text = "# ä\n[providers.p]\nbase_url = \"http://h\"\nkey = { env = 'A', \"ö\" = 1 }\n[models]\n";
    let found = parse(text, &any_key).unwrap_err();
    let places: Vec<(usize, usize)> = found.iter().map(|m| (m.line, m.column)).collect();
    assert_eq!(places, [(4, 20), (5, 2)], "{}", lines(&found));
    let text = "[providers.'ä']\nbase_url='http://h'\n[models]\n'öö' = { provider = 'x' }";
    let found = parse(text, &any_key).unwrap_err();
    let provider = found.iter().find(|m| m.text.contains("there is no provider `x`")).unwrap();
    assert_eq!((provider.line, provider.column), (4, 21));
}

#[test]
fn what_is_not_toml_is_found_in_several_places() {
    let text = "[providers.p]\nbase_url = http\n[models.m]\nprovider = \"p\nfree = tru\n";
    let found = parse(text, &any_key).unwrap_err();
    let at: Vec<usize> = found.iter().map(|m| m.line).collect();
    assert!(
        found.iter().all(|m| m.text.starts_with("not TOML: ")) && [2, 4, 5].iter().all(|l| at.contains(l))
    );
}

#[test]
fn an_empty_and_a_huge_file_are_refused() {
    let empty = Mistake {
        line: 1,
        column: 1,
        text: "the file names no model; add a table such as `[models.gpt-small]`".to_owned(),
    };
    assert_eq!(parse("", &any_key).unwrap_err(), [empty]);
    let full = format!("{EXAMPLE}#{}", "x".repeat(MAX_BYTES - EXAMPLE.len() - 1));
    assert!(parse(&full, &any_key).is_ok());
    let huge = parse(&format!("{full}x"), &any_key).unwrap_err();
    assert!(huge.len() == 1 && huge[0].text.contains("longer than 1048576"));
}

#[test]
fn too_many_candidates_are_refused() {
    let mut text = String::from("[providers.p]\nbase_url = \"http://h\"\n");
    for n in 0..33 {
        text += &format!(
            "[models.m{n}]\nprovider = \"p\"\ncontext_tokens = 9\nmax_output_tokens = 9\nfree = true\n"
        );
    }
    let list = |n: usize| (0..n).map(|n| format!("\"m{n}\"")).collect::<Vec<_>>().join(",");
    assert!(parse(&format!("{text}[routes.r]\ncandidates = [{}]\n", list(32)), &any_key).is_ok());
    let found = parse(&format!("{text}[routes.r]\ncandidates = [{}]\n", list(33)), &any_key).unwrap_err();
    assert!(found.len() == 1 && found[0].text.contains("more than 32"), "{}", lines(&found));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    /// Whatever is done to the text, it is read or refused, and every mistake is inside it.
    #[test]
    fn damaged_files_never_panic(
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0usize..12, "[\\[\\]{}=\"'#.,a0\n é-]{0,4}"), 1..4),
    ) {
        let mut text: Vec<char> = EXAMPLE.chars().collect();
        for (place, length, instead) in cuts {
            let start = place.index(text.len());
            let end = (start + length).min(text.len());
            text.splice(start..end, instead.chars());
        }
        let text: String = text.into_iter().collect();
        if let Err(found) = parse(&text, &any_key) {
            prop_assert!(!found.is_empty());
            for mistake in &found {
                let line = text.split('\n').nth(mistake.line - 1);
                let length = line.map(|line| line.chars().count());
                prop_assert!(length.is_some_and(|n| (1..=n + 1).contains(&mistake.column)), "{mistake}");
                prop_assert!(!mistake.text.contains('\n') && !mistake.text.is_empty());
            }
        }
    }

    /// An unknown key is found where it was put, in whichever table that is, and is the only mistake.
    #[test]
    fn an_unknown_key_is_found_on_its_line(place in any::<prop::sample::Index>()) {
        let headers: Vec<usize> = EXAMPLE.lines().enumerate().filter(|(_, l)| l.starts_with('[')).map(|(n, _)| n).collect();
        let at = headers[place.index(headers.len())] + 1;
        let mut text: Vec<&str> = EXAMPLE.lines().collect();
        text.insert(at, "  zzzzzz = 1");
        let found = parse(&text.join("\n"), &any_key).unwrap_err();
        prop_assert_eq!(found.iter().map(|m| (m.line, m.column)).collect::<Vec<_>>(), [(at + 1, 3)]);
        prop_assert!(found[0].text.contains("has no key `zzzzzz`"));
    }
}
