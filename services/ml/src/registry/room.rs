//! Which models must go so that another has room. Pure.

/// A model in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// What it takes.
    pub bytes: u64,
    /// When it was last asked for; larger is later.
    pub used: u64,
    /// It is in use, or an operator keeps it.
    pub stays: bool,
}

/// Which must go so that `need` fits into `budget`: those that nobody asked for the longest, and no more of them than
/// needed. `taken` is what others take that cannot go.
///
/// # Errors
/// The bytes that could be had at most.
pub fn make(need: u64, budget: u64, taken: u64, held: &[Held]) -> Result<Vec<usize>, u64> {
    let all: u64 = held.iter().map(|h| h.bytes).sum::<u64>().saturating_add(taken);
    let mut free = budget.saturating_sub(all);
    // What is over the budget already must go first.
    let mut over = all.saturating_sub(budget);
    let mut may_go: Vec<usize> = (0..held.len()).filter(|n| !held[*n].stays).collect();
    may_go.sort_by_key(|n| held[*n].used);
    let mut go = Vec::new();
    for n in may_go {
        if free >= need && over == 0 {
            break;
        }
        let gained = held[n].bytes;
        free += gained.saturating_sub(over);
        over = over.saturating_sub(gained);
        go.push(n);
    }
    if free >= need && over == 0 { Ok(go) } else { Err(free) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn held() -> impl Strategy<Value = Vec<Held>> {
        let one = (0u64..50, 0u64..1_000, any::<bool>());
        prop::collection::vec(one.prop_map(|(bytes, used, stays)| Held { bytes, used, stays }), 0..8)
    }

    proptest! {
        #[test]
        fn it_fits_then_and_nobody_went_in_vain(need in 0u64..80, budget in 0u64..150, taken in 0u64..40, held in held()) {
            let stay: u64 = held.iter().filter(|h| h.stays).map(|h| h.bytes).sum::<u64>() + taken;
            match make(need, budget, taken, &held) {
                Ok(go) => {
                    prop_assert!(go.iter().all(|n| !held[*n].stays), "who stays, stays");
                    let left: u64 = (0..held.len()).filter(|n| !go.contains(n)).map(|n| held[n].bytes).sum::<u64>() + taken;
                    prop_assert!(left + need <= budget);
                    // The last to go was needed; and whoever stayed though he might have gone was used later.
                    if let Some(last) = go.last() {
                        prop_assert!(left + held[*last].bytes + need > budget);
                        let others = (0..held.len()).filter(|n| !go.contains(n) && !held[*n].stays);
                        prop_assert!(others.into_iter().all(|n| held[n].used >= held[*last].used));
                    }
                }
                Err(most) => {
                    prop_assert!(stay + need > budget);
                    prop_assert_eq!(most, budget.saturating_sub(stay));
                }
            }
        }
    }
}
