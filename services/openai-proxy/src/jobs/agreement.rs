//! When a debate is over.

use serde::{Deserialize, Serialize};

/// What a role says of a proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It can stay as it is.
    Agree,
    /// It has to change.
    Change,
    /// It is wrong from the ground up.
    Reject,
}

/// Who has to agree.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Everybody.
    #[default]
    All,
    /// More than half, and nobody rejects it.
    Majority,
}

/// How a debate ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// With agreement.
    Agreed,
    /// There were as many rounds as there may be.
    Limit,
    /// The proposal came back unchanged: more rounds would say the same.
    Stalled,
}

/// Whether the critics agree. The one who proposes agrees with itself and is none of them.
pub fn agreed(rule: Rule, verdicts: &[Verdict]) -> bool {
    let count = |of| verdicts.iter().filter(|verdict| **verdict == of).count();
    match rule {
        Rule::All => count(Verdict::Agree) == verdicts.len(),
        Rule::Majority => count(Verdict::Agree) * 2 > verdicts.len() && count(Verdict::Reject) == 0,
    }
}

/// Whether the debate ends after a round, `round` counting from 1. `unchanged` says that the proposal is the one of the
/// round before.
pub fn ended(rule: Rule, verdicts: &[Verdict], round: u32, most: u32, unchanged: bool) -> Option<Outcome> {
    if agreed(rule, verdicts) {
        Some(Outcome::Agreed)
    } else if unchanged {
        Some(Outcome::Stalled)
    } else if round >= most {
        Some(Outcome::Limit)
    } else {
        None
    }
}

/// Whether two proposals say the same, but for white space and case.
pub fn same(one: &str, other: &str) -> bool {
    let words = |text: &str| text.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>();
    words(one) == words(other)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use Verdict::{Agree, Change, Reject};

    #[test]
    fn who_has_to_agree() {
        for (rule, verdicts, expected) in [
            (Rule::All, &[Agree, Agree][..], true),
            (Rule::All, &[Agree, Change], false),
            (Rule::Majority, &[Agree, Agree, Change], true),
            (Rule::Majority, &[Agree, Change], false),
            (Rule::Majority, &[Agree, Agree, Reject], false),
        ] {
            assert_eq!(agreed(rule, verdicts), expected, "{rule:?} {verdicts:?}");
        }
    }

    #[test]
    fn how_it_ends() {
        assert_eq!(ended(Rule::All, &[Agree], 1, 3, false), Some(Outcome::Agreed));
        assert_eq!(ended(Rule::All, &[Change], 1, 3, false), None);
        assert_eq!(ended(Rule::All, &[Change], 2, 3, true), Some(Outcome::Stalled));
        assert_eq!(ended(Rule::All, &[Change], 3, 3, false), Some(Outcome::Limit));
        assert!(same("A  lamp\n", "a lamp") && !same("a lamp", "a lens"));
    }

    proptest! {
        #[test]
        fn all_who_agree_are_a_majority_and_every_debate_ends(
            verdicts in prop::collection::vec(prop::sample::select(vec![Agree, Change, Reject]), 1..6),
            round in 1u32..20, most in 1u32..20, unchanged: bool,
        ) {
            prop_assert!(!agreed(Rule::All, &verdicts) || agreed(Rule::Majority, &verdicts));
            let end = ended(Rule::All, &verdicts, round, most, unchanged);
            prop_assert!(end.is_some() || round < most);
            prop_assert_eq!(end == Some(Outcome::Agreed), verdicts.iter().all(|v| *v == Agree));
        }
    }
}
