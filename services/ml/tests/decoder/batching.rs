//! Several texts at once: each is what it would be alone, whoever joins, leaves, waits or fails beside it.

use std::time::Duration;

use tasklane_ml::error::MlError;
use tasklane_ml::generate::Ending;
use tasklane_ml::generate::pick::Picking;
use tasklane_ml::models::Urgency;
use tokio::time::Instant;

use crate::reference::{MODELS, cases};
use crate::rig::{ask, calm, engine, run};

const PLENTY: u64 = 64 << 20;

/// Numbers that look like chance and are the same every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
}

#[test]
fn texts_that_join_and_leave_between_steps_are_as_if_alone() {
    for model in MODELS {
        let Some((folder, cases)) = cases(model) else { return };
        let mut dice = Dice(3);
        let mut engine = engine(&folder, 6, PLENTY);
        let mut texts = Vec::new();
        let mut shared = 0;
        for _ in 0..40 {
            let case = &cases[dice.roll(cases.len())];
            let room = 1 + dice.roll(case.greedy.len());
            texts.push((case, room, ask(&mut engine, &case.prompt, room, Picking::GREEDY, calm())));
            for _ in 0..dice.roll(12) {
                shared = shared.max(engine.step(Instant::now()).sequences);
            }
        }
        run(&mut engine);
        assert!(shared >= 5, "{model}: only {shared} at once");
        for (case, room, mut text) in texts {
            text.hear();
            assert_eq!(text.tokens(), case.greedy[..room], "{model}, {} tokens", case.prompt.len());
            assert_eq!(text.ending(), Ending::Length);
        }
    }
}

#[test]
fn what_finds_no_memory_waits_for_it_and_what_never_can_is_refused() {
    let Some((folder, cases)) = cases("qwen3") else { return };
    // Rooms of 64, 96 and 128 tokens: no two of the largest fit at once.
    let token = 2 * 4 * 2 * 32 * 4;
    let mut engine = engine(&folder, 8, 200 * token);
    let mut texts = Vec::new();
    for round in 0..4 {
        for case in &cases {
            let room = 64 - round;
            texts.push((case, room, ask(&mut engine, &case.prompt, room, Picking::GREEDY, calm())));
        }
    }
    let mut too_large = ask(&mut engine, &cases[0].prompt, 300, Picking::GREEDY, calm());
    while engine.load() != (0, 0) {
        engine.step(Instant::now());
        assert!(engine.held() <= 200 * token);
    }
    for (case, room, mut text) in texts {
        text.hear();
        assert_eq!(text.tokens(), case.greedy[..room]);
    }
    too_large.hear();
    let refused = too_large.ended.unwrap().unwrap_err();
    assert!(matches!(refused, MlError::TooMuchMemory { need_mb: 1, has_mb: 0, .. }), "{refused}");
}

#[test]
fn the_most_urgent_is_first_and_who_is_late_or_gone_is_not_served() {
    let Some((folder, cases)) = cases("llama") else { return };
    let mut engine = engine(&folder, 1, PLENTY);
    let start = Instant::now();
    let urgency = |priority, seconds| Urgency { priority, until: start + Duration::from_secs(seconds) };
    let prompt = &cases[1].prompt;
    let mut ask =
        |priority, seconds| ask(&mut engine, prompt, 3, Picking::GREEDY, urgency(priority, seconds));
    let mut all = [ask(2, 100), ask(3, 100), ask(0, 100), ask(2, 50), ask(1, 100), ask(0, 1)];
    let gone = ask(0, 100);
    drop(gone);
    let mut order = Vec::new();
    while engine.load() != (0, 0) {
        engine.step(start + Duration::from_secs(2));
        for (i, text) in all.iter_mut().enumerate() {
            let before = text.ended.is_some();
            text.hear();
            if !before && text.ended.is_some() {
                order.push(i);
            }
        }
    }
    assert_eq!(order, [5, 2, 4, 3, 0, 1]);
    assert_eq!(all[5].ended, Some(Err(MlError::TooLate)));
    assert!(all[..5].iter().all(|text| text.tokens() == cases[1].greedy[..3]));
}

#[test]
fn who_leaves_in_the_middle_gives_the_seat_back_and_disturbs_nobody() {
    let Some((folder, cases)) = cases("mistral") else { return };
    let mut engine = engine(&folder, 3, PLENTY);
    let mut stays = ask(&mut engine, &cases[2].prompt, 60, Picking::GREEDY, calm());
    for round in 0..20 {
        let leaves = ask(&mut engine, &cases[round % 3].prompt, 60, Picking::GREEDY, calm());
        for _ in 0..round % 4 {
            engine.step(Instant::now());
        }
        drop(leaves);
    }
    run(&mut engine);
    stays.hear();
    assert_eq!(stays.tokens(), cases[2].greedy[..60]);
    engine.rest();
    assert_eq!(engine.held(), 0);
}

#[test]
fn a_text_that_cannot_be_computed_fails_alone() {
    let Some((folder, cases)) = cases("qwen2") else { return };
    let mut engine = engine(&folder, 8, PLENTY);
    let mut good: Vec<_> =
        cases.iter().map(|case| ask(&mut engine, &case.prompt, 40, Picking::GREEDY, calm())).collect();
    engine.step(Instant::now());
    // No vocabulary has it.
    let mut bad = ask(&mut engine, &[7, 1_000_000, 8], 40, Picking::GREEDY, calm());
    run(&mut engine);
    bad.hear();
    let failed = bad.ended.unwrap().unwrap_err();
    assert!(matches!(&failed, MlError::Failed { model, .. } if model == "tiny"), "{failed}");
    for (text, case) in good.iter_mut().zip(&cases) {
        text.hear();
        assert_eq!(text.tokens(), case.greedy[..40]);
    }
}

#[test]
fn a_seed_draws_the_same_whoever_else_is_served() {
    let Some((folder, cases)) = cases("llama-biased") else { return };
    let bold = |seed| Picking { temperature: 0.9, top_k: 50, top_p: 0.95, repetition_penalty: 1.1, seed };
    let prompt = &cases[1].prompt;
    let mut engine = engine(&folder, 8, PLENTY);
    let mut alone = Vec::new();
    for seed in 0..4 {
        let mut text = ask(&mut engine, prompt, 50, bold(seed), calm());
        run(&mut engine);
        text.hear();
        alone.push(text.tokens());
    }
    assert!(alone.windows(2).all(|two| two[0] != two[1]), "{alone:?}");
    let mut others = Vec::new();
    let mut together = Vec::new();
    for seed in 0..4 {
        others.push(ask(&mut engine, &cases[2].prompt, 30, bold(seed + 9), calm()));
        others.push(ask(&mut engine, &cases[0].prompt, 60, Picking::GREEDY, calm()));
        engine.step(Instant::now());
        together.push(ask(&mut engine, prompt, 50, bold(seed), calm()));
        engine.step(Instant::now());
    }
    run(&mut engine);
    for (mut text, alone) in together.into_iter().zip(alone) {
        text.hear();
        assert_eq!(text.tokens(), alone);
    }
}
