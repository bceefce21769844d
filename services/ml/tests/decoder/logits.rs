//! Scores of prompts, and greedy decoding token by token.

use tasklane_ml::generate::seats::Seat;
use tasklane_ml::models::decoder::cache::Cache;
use tasklane_ml::models::decoder::layout::Piece;
use tasklane_ml::models::decoder::net::Net;

use crate::reference::{MODELS, cases};
use crate::rig::load;

/// What f32 allows.
const NEAR: f32 = 1e-4;

fn scores(net: &Net, cache: &mut Cache, seat: Seat, past: usize, tokens: &[u32]) -> Vec<f32> {
    let piece = Piece { seat, past, tokens: tokens.to_vec(), wanted: true };
    Vec::try_from(net.step(cache, &[piece]).unwrap().unwrap().view([-1])).unwrap()
}

fn highest(scores: &[f32]) -> u32 {
    scores.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).unwrap().0 as u32
}

fn distance(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn scores_after_every_prefix_are_those_of_transformers() {
    for model in MODELS {
        let Some((folder, cases)) = cases(model) else { return };
        let (net, mut cache) = load(&folder, 64 << 20);
        let mut worst = 0f32;
        for case in &cases {
            // At once, in parts of any size, and token by token: every row of the reference is met.
            for part in [case.prompt.len(), 1, 3, 13] {
                let seat = cache.take(case.prompt.len()).unwrap().unwrap();
                let mut past = 0;
                for tokens in case.prompt.chunks(part) {
                    let found = scores(&net, &mut cache, seat, past, tokens);
                    past += tokens.len();
                    worst = worst.max(distance(&found, &case.logits[past - 1]));
                }
                cache.leave(seat);
            }
        }
        println!("{model}: {worst:.1e} off at most");
        assert!(worst < NEAR, "{model}: {worst}");
    }
}

#[test]
fn greedy_decoding_goes_on_as_transformers_does() {
    for model in MODELS {
        let Some((folder, cases)) = cases(model) else { return };
        let (net, mut cache) = load(&folder, 64 << 20);
        for case in &cases {
            let seat = cache.take(case.prompt.len() + case.greedy.len()).unwrap().unwrap();
            let mut found = vec![highest(&scores(&net, &mut cache, seat, 0, &case.prompt))];
            while found.len() < case.greedy.len() {
                let (past, last) = (case.prompt.len() + found.len() - 1, found[found.len() - 1]);
                found.push(highest(&scores(&net, &mut cache, seat, past, &[last])));
            }
            assert_eq!(
                found,
                case.greedy,
                "{model}, {} tokens; smallest gap {}",
                case.prompt.len(),
                case.gap
            );
            cache.leave(seat);
        }
    }
}
