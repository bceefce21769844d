//! The choice of a pool for a task, and its explanation.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::eligibility::{self, Ineligible};
use crate::enrich::Needs;
pub use crate::missing::{Missing, missing};
use crate::pool::Pool;
use crate::score::{Score, Weights, score};

/// The chosen pool.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    /// Its place in the slice that was given.
    pub index: usize,
    /// Its score.
    pub score: f64,
}

/// A choice with its explanation.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// The chosen pool's place in the slice that was given; none if no pool is eligible.
    pub chosen: Option<usize>,
    /// Every pool: the eligible ones first, the best first; then the others by name.
    pub candidates: Vec<Candidate>,
    /// Why this one, or why nobody, for people; what made up the scores is with the candidates.
    pub reason: String,
}

/// A pool that was looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Its name.
    pub pool: String,
    /// Its score; that of an ineligible pool is what it would have had.
    pub score: f64,
    /// Whether it might have got the task.
    pub eligible: bool,
    /// What made up the score, or what spoke against it.
    pub why: String,
}

/// Chooses the best eligible pool, without allocating. Ties go to the least expected wait, then to the more
/// specialised pool (fewer capabilities), then to the name. The order of the pools makes no difference.
#[must_use]
pub fn choose(task_type: &str, needs: &Needs, pools: &[Pool], weights: &Weights) -> Option<Choice> {
    let mut best: Option<(usize, Score)> = None;
    for (index, pool) in pools.iter().enumerate() {
        if !eligibility::is_eligible(pool, task_type, needs) {
            continue;
        }
        let scored = score(pool, task_type, needs, weights);
        if best.is_none_or(|(i, s)| order((pool, &scored), (&pools[i], &s)).is_lt()) {
            best = Some((index, scored));
        }
    }
    best.map(|(index, s)| Choice { index, score: s.total })
}

/// Makes the same choice as [`choose`] and explains it, naming every pool.
#[must_use]
pub fn decide(task_type: &str, needs: &Needs, pools: &[Pool], weights: &Weights) -> Decision {
    let (mut able, mut unable) = (Vec::new(), Vec::new());
    for (index, pool) in pools.iter().enumerate() {
        let scored = score(pool, task_type, needs, weights);
        match eligibility::check(pool, task_type, needs) {
            Ok(()) => able.push((index, pool, scored)),
            Err(against) => unable.push((pool, scored, against)),
        }
    }
    able.sort_by(|a, b| order((a.1, &a.2), (b.1, &b.2)));
    unable.sort_by(|a, b| a.0.name.cmp(&b.0.name));
    let candidates: Vec<Candidate> = able
        .iter()
        .map(|(_, pool, s)| candidate(pool, s, true, explain_score(s, task_type, needs, pool, weights)))
        .chain(unable.iter().map(|(pool, s, against)| candidate(pool, s, false, explain_against(against))))
        .collect();
    let chosen = able.first().map(|(index, ..)| *index);
    let reason = match chosen {
        Some(_) => explain_choice(&candidates, able.len()),
        None => missing(task_type, needs, pools).to_string(),
    };
    Decision { chosen, candidates, reason }
}

/// The better pool comes first.
fn order((a, sa): (&Pool, &Score), (b, sb): (&Pool, &Score)) -> Ordering {
    sb.total
        .total_cmp(&sa.total)
        .then_with(|| sa.wait_ms.total_cmp(&sb.wait_ms))
        .then_with(|| a.capabilities.len().cmp(&b.capabilities.len()))
        .then_with(|| a.name.cmp(&b.name))
}

fn candidate(pool: &Pool, score: &Score, eligible: bool, why: String) -> Candidate {
    Candidate { pool: pool.name.clone(), score: score.total, eligible, why }
}

fn explain_choice(candidates: &[Candidate], eligible: usize) -> String {
    let best = &candidates[0];
    if eligible == 1 {
        let others = if candidates.len() == 1 { "the only pool" } else { "the only eligible pool" };
        return format!("pool `{}` is {others}", best.pool);
    }
    let second = &candidates[1];
    format!(
        "pool `{}` is the best of {eligible} eligible pools with {:.2}; next is `{}` with {:.2}",
        best.pool, best.score, second.pool, second.score
    )
}

fn explain_score(s: &Score, task_type: &str, needs: &Needs, pool: &Pool, weights: &Weights) -> String {
    let capability = match needs.capabilities.len() {
        0 => "no capability required".to_owned(),
        n => format!("capability match {:.0} of {n}", s.capability * n as f64),
    };
    let preferred = match &needs.preferred_worker_type {
        None => "no preferred type".to_owned(),
        Some(t) if *t == pool.worker_type => format!("preferred type `{t}`"),
        Some(t) => format!("type `{}`, not the preferred `{t}`", pool.worker_type),
    };
    let performance = match pool.measured(task_type) {
        Some(m) => format!("p95 {:.0} ms of {} ms allowed", m.p95_ms, needs.max_time_ms),
        None => "not measured yet".to_owned(),
    };
    format!(
        "{capability}, {preferred}, {performance}, expected wait {:.0} ms ({} tasks on {} slots, pressure {:.2})",
        s.wait_ms,
        pool.backlog,
        pool.slots,
        s.pressure * weights.pressure
    )
}

fn explain_against(against: &[Ineligible]) -> String {
    let texts: Vec<String> = against.iter().map(ToString::to_string).collect();
    texts.join("; ")
}
