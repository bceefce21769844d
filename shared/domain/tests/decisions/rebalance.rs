//! Rebalancing: nothing is taken that is not there, nothing without a gain, and nothing goes to and fro.

use proptest::prelude::*;
use tasklane_domain::rebalance::{LaneLoad, Move, Reason, Settings, plan};

const POOLS: usize = 5;

prop_compose! {
    fn load()(
        live in prop::bool::weighted(0.8), paused in prop::bool::weighted(0.2),
        queued in prop_oneof![Just(0u64), 0u64..500], running in 0u64..12, slots in 0u32..10,
        mean_ms in prop_oneof![6 => 0.0..20_000.0, 1 => any::<f64>()], max_time_ms in 0u64..60_000,
        alternatives in prop::sample::subsequence((0..POOLS).collect::<Vec<_>>(), 0..POOLS),
    ) -> LaneLoad {
        let alternatives = alternatives.into_iter().map(name).collect();
        LaneLoad { pool: String::new(), live, paused, queued, running, slots, mean_ms, max_time_ms, alternatives }
    }
}

fn name(i: usize) -> String {
    format!("pool-{i}")
}

fn loads() -> impl Strategy<Value = Vec<LaneLoad>> {
    prop::collection::vec(load(), POOLS).prop_map(|mut loads| {
        loads.iter_mut().enumerate().for_each(|(i, l)| l.pool = name(i));
        loads
    })
}

fn is_up(load: &LaneLoad) -> bool {
    load.live && !load.paused
}

fn idle(load: &LaneLoad) -> u64 {
    if is_up(load) { u64::from(load.slots).saturating_sub(load.running + load.queued) } else { 0 }
}

fn of<'a>(loads: &'a [LaneLoad], name: &str) -> &'a LaneLoad {
    loads.iter().find(|l| l.pool == name).unwrap()
}

/// Carries a plan out: what is taken back fills the idle slots of the alternatives; the rest waits for anybody.
fn apply(loads: &[LaneLoad], moves: &[Move]) -> Vec<LaneLoad> {
    let mut after = loads.to_vec();
    for m in moves {
        let from = after.iter_mut().find(|l| l.pool == m.from_pool).unwrap();
        from.queued -= m.count;
        let (alternatives, from_name) = (from.alternatives.clone(), from.pool.clone());
        let mut left = m.count;
        for load in after.iter_mut().filter(|l| alternatives.contains(&l.pool) && l.pool != from_name) {
            let taken = idle(load).min(left);
            load.queued += taken;
            left -= taken;
        }
    }
    after
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn never_more_than_there_is(loads in loads(), max_moves in 0u64..2_000) {
        let moves = plan(&loads, &Settings { max_moves, ..Settings::default() });
        prop_assert!(moves.iter().map(|m| m.count).sum::<u64>() <= max_moves);
        for (i, m) in moves.iter().enumerate() {
            prop_assert!(m.count > 0 && m.count <= of(&loads, &m.from_pool).queued);
            prop_assert!(moves[..i].iter().all(|other| other.from_pool != m.from_pool));
            prop_assert!(!m.reason.to_string().is_empty());
        }
    }

    #[test]
    fn the_gone_give_everything_and_the_healthy_only_for_a_gain(loads in loads()) {
        let moves = plan(&loads, &Settings { max_moves: u64::MAX, ..Settings::default() });
        for load in &loads {
            let found = moves.iter().find(|m| m.from_pool == load.pool);
            if !is_up(load) {
                prop_assert_eq!(found.map_or(0, |m| m.count), load.queued);
                continue;
            }
            let Some(Move { count, reason, .. }) = found else { continue };
            let Reason::Late { wait_ms, allowed_ms, idle: takers } = reason else {
                return Err(TestCaseError::fail("a healthy pool is only relieved of what is late"));
            };
            prop_assert!(wait_ms >= allowed_ms);
            prop_assert!(load.running + load.queued - count >= u64::from(load.slots), "its own slots stay busy");
            prop_assert!(*count <= takers.iter().map(|t| idle(of(&loads, t))).sum::<u64>());
            for taker in takers {
                prop_assert!(load.alternatives.contains(taker) && *taker != load.pool);
                let there_ms = of(&loads, taker).mean_ms;
                let known = there_ms > 0.0 && there_ms <= 1e15;
                let there_ms = if known { there_ms } else { load.mean_ms };
                prop_assert!(*wait_ms as f64 + 1.0 + load.mean_ms > there_ms * 2.0, "a clear gain");
            }
        }
    }

    #[test]
    fn no_idle_slot_is_promised_twice(loads in loads()) {
        let moves = plan(&loads, &Settings::default());
        let late: u64 = moves.iter().filter(|m| matches!(m.reason, Reason::Late { .. })).map(|m| m.count).sum();
        prop_assert!(late <= loads.iter().map(idle).sum());
    }

    #[test]
    fn a_plan_carried_out_leaves_nothing_to_undo(loads in loads()) {
        let settings = Settings { max_moves: u64::MAX, ..Settings::default() };
        let moves = plan(&loads, &settings);
        let again = plan(&apply(&loads, &moves), &settings);
        for m in again {
            let gave = moves.iter().find(|first| first.from_pool == m.from_pool);
            prop_assert!(gave.is_some(), "{} took tasks and gives them away again: {m:?}", m.from_pool);
            let before = of(&loads, &m.from_pool);
            prop_assert!(before.queued - gave.map_or(0, |g| g.count) >= m.count, "it gives only what it had");
        }
    }

    #[test]
    fn the_order_of_the_pools_makes_no_difference(
        (loads, shuffled) in loads().prop_flat_map(|l| (Just(l.clone()), Just(l).prop_shuffle())),
    ) {
        prop_assert_eq!(plan(&loads, &Settings::default()), plan(&shuffled, &Settings::default()));
    }
}

fn pool(name: &str, queued: u64, alternative: &str) -> LaneLoad {
    LaneLoad {
        pool: name.into(),
        live: true,
        paused: false,
        queued,
        running: 4.min(queued),
        slots: 4,
        mean_ms: 1_000.0,
        max_time_ms: 10_000,
        alternatives: vec![alternative.into()],
    }
}

#[test]
fn late_work_goes_to_the_idle_and_says_why() {
    let moves =
        plan(&[pool("document", 100, "generic"), pool("generic", 0, "document")], &Settings::default());
    assert_eq!(moves.len(), 1);
    assert_eq!((moves[0].from_pool.as_str(), moves[0].count), ("document", 4));
    assert_eq!(
        moves[0].reason.to_string(),
        "the wait here is 25000 ms, more than 6000 ms, and generic can do it sooner"
    );
}

#[test]
fn a_short_queue_and_busy_neighbours_stay_as_they_are() {
    let calm = [pool("document", 20, "generic"), pool("generic", 0, "document")];
    assert_eq!(plan(&calm, &Settings::default()), []);
    let all_busy = [pool("document", 100, "generic"), pool("generic", 50, "document")];
    assert_eq!(plan(&all_busy, &Settings::default()), []);
}

#[test]
fn only_what_is_late_is_taken() {
    // 24 tasks are in time beyond the four slots: 6 s at four a second. Two of the thirty are late.
    let mut idle = pool("generic", 0, "document");
    idle.slots = 50;
    let moves = plan(&[pool("document", 26, "generic"), idle], &Settings::default());
    assert_eq!(moves[0].count, 2);
}
