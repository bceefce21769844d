//! An answer in the documents' own words, where there is no model that writes: the sentences of the sources that come
//! nearest to the question, by the model that filled the collection.

use serde::Deserialize;
use serde_json::json;
use tasklane_runtime::contract::code;

use super::prompt::Source;
use super::teller::Answer;
use crate::commands::search::EMBED;
use crate::error::{CliError, Exit};
use crate::work::Work;

/// Sentences that are compared, at most, and characters of one.
const MOST: usize = 200;
const LENGTHS: std::ops::RangeInclusive<usize> = 20..=500;
/// Sentences of an answer, at most, and how much farther than the nearest the others may be.
const QUOTED: usize = 3;
const BESIDE: f32 = 0.1;

#[derive(Debug, Deserialize)]
struct Embedded {
    vectors: Vec<Vec<f32>>,
}

/// A sentence, and the number of its source, from 1.
type Sentence<'s> = (&'s str, usize);

/// The answer. `model` is the one that filled the collection.
///
/// # Errors
/// The sources have no sentence, or nobody embeds.
pub async fn quote(
    work: &Work<'_>,
    model: &str,
    question: &str,
    sources: &[Source],
) -> Result<Answer, CliError> {
    let all: Vec<Sentence> = (1..)
        .zip(sources)
        .flat_map(|(n, source)| sentences(&source.text).into_iter().map(move |sentence| (sentence, n)))
        .take(MOST)
        .collect();
    if all.is_empty() {
        return Err(CliError::new(code::NOT_FOUND, Exit::Failed, "what was found has no sentence to quote"));
    }
    let input: Vec<&str> = std::iter::once(question).chain(all.iter().map(|(text, _)| *text)).collect();
    let payload = json!({"model": model, "input": input, "truncate": "window"});
    let embedded: Embedded = work.session.read(EMBED, &work.ask(EMBED, &payload, None).await?)?;
    let Some((question, vectors)) = embedded.vectors.split_first() else {
        return Err(CliError::new(code::UNREADABLE, Exit::Failed, format!("{model} gave no vector")));
    };
    let near = all.iter().zip(vectors).map(|(sentence, vector)| (cosine(question, vector), *sentence));
    let text: Vec<String> =
        nearest(near.collect()).into_iter().map(|(text, n)| format!("{text} [{n}]")).collect();
    let summary = "no model that writes is set up: these are the documents' own words".to_owned();
    Ok(Answer { model: model.to_owned(), text: text.join("\n"), summary })
}

/// The nearest sentences, nearest first, each text once.
fn nearest(mut all: Vec<(f32, Sentence<'_>)>) -> Vec<Sentence<'_>> {
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    let least = all.first().map_or(0.0, |best| best.0) - BESIDE;
    let mut chosen: Vec<Sentence> = Vec::new();
    for (_, sentence) in all.into_iter().take_while(|(score, _)| *score >= least) {
        if chosen.len() < QUOTED && chosen.iter().all(|other| other.0 != sentence.0) {
            chosen.push(sentence);
        }
    }
    chosen
}

/// Sentences of a text: what ends with a line, or with a mark and a blank. Rows of tables are lines, too; headings say
/// nothing, and are often what was asked.
fn sentences(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let mut rest = line.trim_matches(|c: char| c.is_whitespace() || "|*->".contains(c));
        while !rest.is_empty() {
            let end = [". ", "? ", "! "].iter().filter_map(|mark| rest.find(mark)).min();
            let (sentence, after) = match end {
                Some(at) => rest.split_at(at + 1),
                None => (rest, ""),
            };
            if LENGTHS.contains(&sentence.chars().count()) {
                found.push(sentence.trim());
            }
            rest = after.trim_start();
        }
    }
    found
}

fn cosine(one: &[f32], other: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
    dot(one, other) / (dot(one, one) * dot(other, other)).sqrt().max(f32::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_falls_into_its_sentences() {
        let text = "## What the tower costs\n\nIt costs 142,000 crowns. Is that much? Nobody on the rock can say. So it is!\n| short |\n";
        assert_eq!(sentences(text), ["It costs 142,000 crowns.", "Nobody on the rock can say."]);
        assert!(sentences(&"x".repeat(501)).is_empty());
    }

    #[test]
    fn the_nearest_are_quoted_each_once() {
        let all = vec![
            (0.5, ("b", 1)),
            (0.7, ("a", 2)),
            (0.69, ("a", 1)),
            (0.65, ("c", 3)),
            (0.64, ("d", 1)),
            (0.63, ("e", 1)),
        ];
        assert_eq!(nearest(all), [("a", 2), ("c", 3), ("d", 1)]);
        assert!(nearest(Vec::new()).is_empty());
        assert!(cosine(&[2.0, 0.0], &[1.0, 0.0]) > 0.999 && cosine(&[0.0], &[0.0]) == 0.0);
    }
}
