//! Which token comes next: repetition penalty, temperature, top-k and top-p in the order in which transformers applies
//! them, and a draw that depends on the seed and the token's place alone, not on who else is being served.

use std::collections::HashSet;

/// How tokens are picked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Picking {
    /// 0: always the likeliest; 1: as likely as the model says; more: bolder.
    pub temperature: f32,
    /// Only so many of the likeliest; 0: all.
    pub top_k: usize,
    /// Only the likeliest that have this probability together; 1: all.
    pub top_p: f32,
    /// What was there already is so many times less likely; 1: is not.
    pub repetition_penalty: f32,
    /// Which of all possible draws.
    pub seed: u64,
}

impl Picking {
    /// Always the likeliest token.
    pub const GREEDY: Self =
        Self { temperature: 0.0, top_k: 0, top_p: 1.0, repetition_penalty: 1.0, seed: 0 };
}

/// Picks the tokens of one text.
#[derive(Debug, Clone)]
pub struct Picker {
    how: Picking,
    seen: HashSet<u32>,
    drawn: u64,
}

/// The scores of a model were no numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoNumbers;

impl Picker {
    /// For the text that goes on after `prompt`.
    pub fn new(how: Picking, prompt: &[u32]) -> Self {
        let penalised = (how.repetition_penalty - 1.0).abs() > f32::EPSILON;
        let seen = if penalised { prompt.iter().copied().collect() } else { HashSet::new() };
        Self { how, seen, drawn: 0 }
    }

    /// Whether it is simply the token with the highest score, which whoever has the scores finds fastest.
    pub fn is_highest(&self) -> bool {
        self.how.temperature <= 0.0 && !self.penalises()
    }

    fn penalises(&self) -> bool {
        (self.how.repetition_penalty - 1.0).abs() > f32::EPSILON
    }

    /// Notes a token that was picked.
    pub fn picked(&mut self, token: u32) {
        if self.penalises() {
            self.seen.insert(token);
        }
        self.drawn += 1;
    }

    /// The next token by the model's scores, which are used up. [`picked`](Self::picked) has to follow.
    ///
    /// # Errors
    /// Where the scores are not numbers.
    pub fn pick(&self, scores: &mut [f32]) -> Result<u32, NoNumbers> {
        if self.how.temperature <= 0.0 {
            self.penalise(scores);
            return highest(scores).map(|highest| highest as u32);
        }
        let chances = self.chances(scores)?;
        let total: f64 = chances.iter().map(|(_, chance)| f64::from(*chance)).sum();
        let mut rest = uniform(self.how.seed, self.drawn) * total;
        for (token, chance) in &chances {
            rest -= f64::from(*chance);
            if rest < 0.0 {
                return Ok(*token);
            }
        }
        // Rounding may leave a last crumb.
        chances.last().map(|(token, _)| *token).ok_or(NoNumbers)
    }

    fn penalise(&self, scores: &mut [f32]) {
        for token in &self.seen {
            if let Some(score) = scores.get_mut(*token as usize) {
                let by = self.how.repetition_penalty;
                *score = if *score < 0.0 { *score * by } else { *score / by };
            }
        }
    }

    /// What may be picked at a temperature above 0, with chances that are not yet divided by their sum.
    ///
    /// # Errors
    /// Where the scores are not numbers.
    pub fn chances(&self, scores: &mut [f32]) -> Result<Vec<(u32, f32)>, NoNumbers> {
        self.penalise(scores);
        let highest = scores[highest(scores)?];
        let chance = |score: f32| ((score - highest) / self.how.temperature).exp();
        let mut left: Vec<(u32, f32)> = if (1..scores.len()).contains(&self.how.top_k) {
            let mut sorted = scores.to_vec();
            let at = self.how.top_k - 1;
            let (_, least, _) = sorted.select_nth_unstable_by(at, |a, b| b.total_cmp(a));
            let least = *least;
            numbered(scores).filter(|(_, score)| *score >= least).map(|(t, s)| (t, chance(s))).collect()
        } else {
            numbered(scores).map(|(token, score)| (token, chance(score))).collect()
        };
        if self.how.top_p < 1.0 {
            likeliest(&mut left, f64::from(self.how.top_p));
        }
        Ok(left)
    }
}

fn numbered(scores: &[f32]) -> impl Iterator<Item = (u32, f32)> + '_ {
    (0u32..).zip(scores.iter().copied())
}

fn highest(scores: &[f32]) -> Result<usize, NoNumbers> {
    let mut best: Option<(usize, f32)> = None;
    for (i, score) in scores.iter().enumerate() {
        if score.is_nan() {
            return Err(NoNumbers);
        }
        if best.is_none_or(|(_, most)| *score > most) {
            best = Some((i, *score));
        }
    }
    best.filter(|(_, score)| score.is_finite()).map(|(i, _)| i).ok_or(NoNumbers)
}

/// Keeps the likeliest that together have `share` of all; at least one. Most of a vocabulary is so unlikely that it need
/// not be sorted.
fn likeliest(chances: &mut Vec<(u32, f32)>, share: f64) {
    let total: f64 = chances.iter().map(|(_, chance)| f64::from(*chance)).sum();
    let by = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
    let mut front = 256;
    loop {
        let sorted = front.min(chances.len());
        if sorted < chances.len() {
            chances.select_nth_unstable_by(sorted - 1, by);
        }
        let Some(part) = chances.get_mut(..sorted) else { return };
        part.sort_unstable_by(by);
        let mut sum = 0.0;
        let enough = part.iter().position(|(_, chance)| {
            sum += f64::from(*chance);
            sum >= share * total
        });
        match enough {
            Some(last) => return chances.truncate(last + 1),
            None if sorted == chances.len() => return,
            None => front *= 8,
        }
    }
}

/// A number from 0 to 1 that seed and place decide: SplitMix64 (Steele, Lea, Flood 2014) at that place.
fn uniform(seed: u64, place: u64) -> f64 {
    let mix = |mut z: u64| {
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    // Mixed once before, so that neighbouring seeds do not draw the same numbers one place apart.
    let z = mix(mix(seed).wrapping_add(place.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    (z >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn how(temperature: f32, top_k: usize, top_p: f32) -> Picking {
        Picking { temperature, top_k, top_p, ..Picking::GREEDY }
    }

    fn kept(how: Picking, scores: &[f32]) -> Vec<u32> {
        let chances = Picker::new(how, &[]).chances(&mut scores.to_vec()).unwrap();
        let mut kept: Vec<u32> = chances.iter().map(|c| c.0).collect();
        kept.sort_unstable();
        kept
    }

    #[test]
    fn the_likeliest_is_picked_without_temperature_and_after_the_penalty() {
        let scores = [1.0, 3.0, 2.5, -1.0];
        let greedy = Picker::new(Picking::GREEDY, &[1]);
        assert!(greedy.is_highest());
        assert_eq!(greedy.pick(&mut scores.clone()), Ok(1));
        let penalised = Picker::new(Picking { repetition_penalty: 1.5, ..Picking::GREEDY }, &[1, 900]);
        assert!(!penalised.is_highest());
        assert_eq!(penalised.pick(&mut scores.clone()), Ok(2));
        let mut used = [1.0, 3.0, 2.5, -1.0];
        let all = Picker::new(Picking { repetition_penalty: 2.0, ..Picking::GREEDY }, &[0, 1, 2, 3]);
        assert_eq!(all.pick(&mut used), Ok(1));
        assert_eq!(used, [0.5, 1.5, 1.25, -2.0]);
    }

    #[test]
    fn the_few_that_may_be_picked() {
        // Chances .643, .237, .087, .032.
        let scores = [4.0, 3.0, 2.0, 1.0];
        assert_eq!(kept(how(1.0, 2, 1.0), &scores), [0, 1]);
        assert_eq!(kept(how(1.0, 0, 0.6), &scores), [0]);
        assert_eq!(kept(how(1.0, 0, 0.7), &scores), [0, 1]);
        assert_eq!(kept(how(1.0, 0, 0.0), &scores), [0]);
        assert_eq!(kept(how(1.0, 99, 0.9999), &scores), [0, 1, 2, 3]);
        // Of two that remain after top-k, the first has .73.
        assert_eq!(kept(how(1.0, 2, 0.7), &scores), [0]);
        assert_eq!(kept(how(1.0, 2, 1.0), &[1.0, 1.0, 1.0, 0.0]), [0, 1, 2]);
    }

    #[test]
    fn what_is_no_number_is_an_error() {
        for mut bad in [vec![1.0, f32::NAN], vec![f32::NEG_INFINITY; 3], vec![f32::INFINITY], vec![]] {
            assert_eq!(Picker::new(how(1.0, 0, 1.0), &[]).pick(&mut bad), Err(NoNumbers));
        }
        let mut banned = vec![f32::NEG_INFINITY, 0.0];
        assert_eq!(Picker::new(how(1.0, 0, 1.0), &[]).pick(&mut banned), Ok(1));
    }

    #[test]
    fn tokens_come_as_often_as_their_chances_say() {
        let scores: Vec<f32> = [0.5f32, 0.25, 0.125, 0.125].iter().map(|p| p.ln()).collect();
        let mut count = [0u32; 4];
        let mut picker = Picker::new(Picking { seed: 5, ..how(1.0, 0, 1.0) }, &[]);
        for _ in 0..40_000 {
            let token = picker.pick(&mut scores.clone()).unwrap();
            picker.picked(token);
            count[token as usize] += 1;
        }
        // Chi-squared with 3 degrees of freedom: 16.3 is passed once in a thousand times; the seed is fixed.
        let expected = [20_000.0, 10_000.0, 5_000.0, 5_000.0];
        let chi: f64 = count.iter().zip(expected).map(|(n, e)| (f64::from(*n) - e).powi(2) / e).sum();
        assert!(chi < 16.3, "{count:?}: {chi}");
    }

    proptest! {
        #[test]
        fn seed_and_place_decide(scores in prop::collection::vec(-9f32..9.0, 1..400), seed: u64, place in 0u64..50) {
            let mut a = Picker::new(Picking { seed, ..how(0.8, 0, 0.95) }, &[]);
            a.drawn = place;
            let b = a.clone();
            let token = a.pick(&mut scores.clone()).unwrap();
            prop_assert_eq!(token, b.pick(&mut scores.clone()).unwrap());
            prop_assert!((token as usize) < scores.len());
        }

        #[test]
        fn top_p_keeps_what_a_full_sort_would(
            scores in prop::collection::vec(-12f32..12.0, 1..3000), share in 0.01f32..0.999,
        ) {
            let highest = scores.iter().copied().fold(f32::MIN, f32::max);
            let mut sorted: Vec<(u32, f32)> =
                numbered(&scores).map(|(t, s)| (t, (s - highest).exp())).collect();
            sorted.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            let total: f64 = sorted.iter().map(|c| f64::from(c.1)).sum();
            let mut sum = 0.0;
            let mut expected = Vec::new();
            for (token, chance) in sorted {
                expected.push(token);
                sum += f64::from(chance);
                if sum >= f64::from(share) * total { break }
            }
            expected.sort_unstable();
            // The total is summed in another order, which may move a border by one token of the same chance.
            let found = kept(how(1.0, 0, share), &scores);
            prop_assert!(found.len().abs_diff(expected.len()) <= 1);
            prop_assert!(found.iter().filter(|t| !expected.contains(t)).count() <= 1);
        }
    }
}
