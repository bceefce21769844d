//! Chances of tokens as transformers' logits processors leave them.

use serde::Deserialize;
use tasklane_ml::generate::pick::{Picker, Picking};

use crate::reference::texts;

#[derive(Deserialize)]
struct Case {
    temperature: f32,
    top_k: usize,
    top_p: f32,
    repetition_penalty: f32,
    scores: Vec<f32>,
    seen: Vec<u32>,
    chances: Vec<f64>,
}

#[test]
fn chances_are_those_of_transformers() {
    let Some(folder) = texts() else { return };
    let cases: Vec<Case> =
        serde_json::from_slice(&std::fs::read(folder.join("picks.json")).unwrap()).unwrap();
    assert!(cases.len() >= 10);
    for mut case in cases {
        let Case { temperature, top_k, top_p, repetition_penalty, .. } = case;
        let how = Picking { temperature, top_k, top_p, repetition_penalty, seed: 0 };
        let chances = Picker::new(how, &case.seen).chances(&mut case.scores).unwrap();
        let total: f64 = chances.iter().map(|(_, chance)| f64::from(*chance)).sum();
        let mut found = vec![0.0; case.chances.len()];
        for (token, chance) in chances {
            found[token as usize] = f64::from(chance) / total;
        }
        let worst = found.iter().zip(&case.chances).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(worst < 1e-5, "{how:?}: {worst}");
        let kept = |all: &[f64]| all.iter().filter(|chance| **chance > 0.0).count();
        assert_eq!(kept(&found), kept(&case.chances), "{how:?}");
    }
}
