//! Orders of candidates: ranks first, weights within them, prices where they are asked for.

use proptest::prelude::*;
use tasklane_openai_proxy::catalog::{Catalog, Model};

use super::catalog;
use super::example::EXAMPLE;

/// A route `r` over models `m0`, `m1`, ... with these ranks and weights.
fn routed(candidates: &[(u32, u32)]) -> Catalog {
    let mut text = String::from("[providers.p]\nbase_url = \"http://h\"\n");
    let mut list = String::new();
    for (at, (rank, weight)) in candidates.iter().enumerate() {
        text += &format!(
            "[models.m{at}]\nprovider = \"p\"\ncontext_tokens = 9\nmax_output_tokens = 9\nfree = true\n"
        );
        list += &format!("{{ model = \"m{at}\", rank = {rank}, weight = {weight} }},");
    }
    catalog(&format!("{text}[routes.r]\ncandidates = [{list}]\n"))
}

fn places(models: &[&Model]) -> Vec<usize> {
    models.iter().filter_map(|m| m.id[1..].parse().ok()).collect()
}

fn ids<'a>(models: &[&'a Model]) -> Vec<&'a str> {
    models.iter().map(|m| m.id.as_str()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn every_candidate_comes_once_and_ranks_never_fall(
        candidates in prop::collection::vec((0u32..4, 1u32..=1_000_000), 1..=32),
        random in prop_oneof![0.0..1.0, any::<f64>()],
    ) {
        let catalog = routed(&candidates);
        let order = places(&catalog.candidates_in_order("r", random));
        let mut sorted = order.clone();
        sorted.sort_unstable();
        prop_assert_eq!(sorted, (0..candidates.len()).collect::<Vec<_>>());
        prop_assert!(order.is_sorted_by_key(|place| candidates[*place].0), "{:?}", order);
        prop_assert_eq!(places(&catalog.candidates_in_order("r", random)), order, "the same chance, the same order");
    }

    /// Over an even grid of chances, each pair of first and second comes as often as drawing without putting back
    /// says, up to what the grid cuts off at the edges of its share.
    #[test]
    fn weights_decide_first_and_second(weights in prop::collection::vec(1u32..20, 2..5)) {
        const GRID: u32 = 8_000;
        let candidates: Vec<(u32, u32)> = weights.iter().map(|w| (7, *w)).collect();
        let catalog = routed(&candidates);
        let mut counts = vec![vec![0u32; weights.len()]; weights.len()];
        for step in 0..GRID {
            let random = (f64::from(step) + 0.5) / f64::from(GRID);
            let order = places(&catalog.candidates_in_order("r", random));
            counts[order[0]][order[1]] += 1;
        }
        let total = f64::from(weights.iter().sum::<u32>());
        for (a, row) in counts.iter().enumerate() {
            for (b, count) in row.iter().enumerate().filter(|(b, _)| *b != a) {
                let (wa, wb) = (f64::from(weights[a]), f64::from(weights[b]));
                let expected = f64::from(GRID) * (wa / total) * (wb / (total - wa));
                prop_assert!((f64::from(*count) - expected).abs() <= 2.0, "{a},{b}: {count}, not {expected}");
            }
        }
    }

    /// The first draw leaves enough chance for the ranks below it.
    #[test]
    fn a_rank_below_is_drawn_independently(first in 1u32..9, second in 1u32..9) {
        const GRID: u32 = 8_000;
        let catalog = routed(&[(0, first), (0, 1), (1, second), (1, 1)]);
        let mut both = 0;
        for step in 0..GRID {
            let order = places(&catalog.candidates_in_order("r", (f64::from(step) + 0.5) / f64::from(GRID)));
            both += u32::from(order[0] == 0 && order[2] == 2);
        }
        let share = |w: u32| f64::from(w) / f64::from(w + 1);
        let expected = f64::from(GRID) * share(first) * share(second);
        prop_assert!((f64::from(both) - expected).abs() <= 4.0, "{both}, not {expected}");
    }
}

#[test]
fn a_plain_list_is_an_order_and_weights_alone_share() {
    let catalog = catalog(EXAMPLE);
    for random in [0.0, 0.3, 0.9999, 1.0] {
        assert_eq!(ids(&catalog.candidates_in_order("careful", random)), ["gpt-large", "gpt-small"]);
        assert_eq!(ids(&catalog.candidates_in_order("best", random))[0], "gpt-large");
    }
    let firsts: Vec<&str> =
        (0..8).map(|n| ids(&catalog.candidates_in_order("fast", f64::from(n) / 8.0))[0]).collect();
    assert_eq!(firsts[..6], ["gpt-small"; 6]);
    assert_eq!(firsts[6..], ["local-small"; 2]);
    assert_eq!(ids(&catalog.candidates_in_order("fast", 0.9)), ["local-small", "gpt-small"]);
}
