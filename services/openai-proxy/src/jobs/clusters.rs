//! Many answers in groups of those that say the same: who is where, and how much each group weighs.

use serde::Deserialize;
use serde_json::{Value, json};

use super::findings::rounded;

/// A group as a model makes it: what it says, and the labels of its answers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Group {
    /// What its answers say.
    pub position: String,
    /// Their labels.
    pub answers: Vec<String>,
}

/// A group of answers with its weight.
#[derive(Debug, Clone, PartialEq)]
pub struct Cluster {
    /// What its answers say.
    pub position: String,
    /// Its answers, by their places from 0.
    pub members: Vec<usize>,
    /// Their labels.
    pub answers: Vec<String>,
    /// The sum of their weights.
    pub weight: f64,
    /// Its part of all weight, 0 to 1.
    pub share: f64,
}

impl Cluster {
    /// As a result has it.
    pub fn told(&self) -> Value {
        json!({"position": self.position, "answers": self.answers, "weight": rounded(self.weight),
            "share": rounded(self.share)})
    }
}

/// `A1` for the first answer.
pub fn label(answer: usize) -> String {
    format!("A{}", answer + 1)
}

/// What is wrong with a grouping of so many answers, for the model.
pub fn mistakes(groups: &[Group], answers: usize) -> Vec<String> {
    let mut mistakes = Vec::new();
    let labels: Vec<String> = (0..answers).map(label).collect();
    for named in groups.iter().flat_map(|group| &group.answers) {
        if !labels.contains(named) {
            mistakes.push(format!("/clusters: there is no answer {named}"));
        }
    }
    for label in &labels {
        match groups.iter().flat_map(|group| &group.answers).filter(|named| *named == label).count() {
            0 => mistakes.push(format!("/clusters: {label} is in no cluster")),
            1 => {}
            _ => mistakes.push(format!("/clusters: {label} is in more than one cluster")),
        }
    }
    mistakes.truncate(20);
    mistakes
}

/// Clusters of answers with these weights, the heaviest first. What a grouping has wrong is mended: an answer stays where
/// it was named first, one that was named nowhere has a cluster of its own, and `lone` says what that one holds.
pub fn weighed(groups: &[Group], weights: &[f64], lone: impl Fn(usize) -> String) -> Vec<Cluster> {
    let mut placed = vec![false; weights.len()];
    let mut sets: Vec<(String, Vec<usize>)> = Vec::new();
    for group in groups {
        let mut members = Vec::new();
        for at in (0..weights.len()).filter(|at| group.answers.contains(&label(*at))) {
            if !std::mem::replace(&mut placed[at], true) {
                members.push(at);
            }
        }
        if !members.is_empty() {
            sets.push((group.position.clone(), members));
        }
    }
    let alone = placed.iter().enumerate().filter(|(_, placed)| !**placed);
    sets.extend(alone.map(|(at, _)| (lone(at), vec![at])));
    let weight = |members: &[usize]| members.iter().map(|at| weights[*at].max(0.0)).sum::<f64>();
    let all: f64 = sets.iter().map(|(_, members)| weight(members)).sum();
    let mut clusters: Vec<Cluster> = sets
        .into_iter()
        .map(|(position, members)| {
            let weight = weight(&members);
            let share = if all > 0.0 { weight / all } else { 0.0 };
            let answers = members.iter().map(|at| label(*at)).collect();
            Cluster { position, members, answers, weight, share }
        })
        .collect();
    clusters.sort_by(|a, b| b.weight.total_cmp(&a.weight).then(a.members.cmp(&b.members)));
    clusters
}

/// How far the answers agree, from 0 (all weight spread evenly over as many clusters as answers could make) to 1 (one
/// cluster): the sum of the squared shares, set against what it is at least with so many answers.
pub fn agreement(clusters: &[Cluster], answers: usize) -> f64 {
    if answers <= 1 || clusters.len() <= 1 {
        return 1.0;
    }
    let squares: f64 = clusters.iter().map(|cluster| cluster.share * cluster.share).sum();
    let least = 1.0 / answers as f64;
    ((squares - least) / (1.0 - least)).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn group(position: &str, answers: &[&str]) -> Group {
        Group { position: position.into(), answers: answers.iter().map(|a| (*a).to_owned()).collect() }
    }

    #[test]
    fn a_grouping_is_weighed_and_mended() {
        let groups = [group("no", &["A3"]), group("yes", &["A1", "A2", "A3", "A9"])];
        let said = mistakes(&groups, 4).join("\n");
        for part in ["no answer A9", "A3 is in more than one", "A4 is in no cluster"] {
            assert!(said.contains(part), "{part}: {said}");
        }
        let clusters = weighed(&groups, &[1.0, 2.0, 4.0, 1.0], |at| format!("lone {at}"));
        let told: Vec<_> =
            clusters.iter().map(|c| (c.position.as_str(), c.answers.join(","), c.share)).collect();
        assert_eq!(
            told,
            [
                ("no", "A3".to_owned(), 0.5),
                ("yes", "A1,A2".to_owned(), 0.375),
                ("lone 3", "A4".to_owned(), 0.125)
            ]
        );
        assert!(mistakes(&[group("x", &["A2", "A1"])], 2).is_empty());
    }

    #[test]
    fn agreement_is_between_nothing_and_all() {
        let of =
            |groups: &[Group], n: usize| agreement(&weighed(groups, &vec![1.0; n], |_| String::new()), n);
        assert_eq!(of(&[group("x", &["A1", "A2", "A3"])], 3), 1.0);
        assert_eq!(of(&[group("x", &["A1"]), group("y", &["A2"])], 2), 0.0);
        let most = of(&[group("x", &["A1", "A2", "A3"]), group("y", &["A4"])], 4);
        assert!((most - 0.5).abs() < 1e-9, "{most}");
    }

    proptest! {
        #[test]
        fn every_answer_is_in_one_cluster_and_shares_sum_to_one(
            groups in prop::collection::vec(prop::collection::vec(1usize..12, 0..6), 0..6),
            weights in prop::collection::vec(0.1f64..10.0, 1..10),
        ) {
            let groups: Vec<Group> = groups.into_iter()
                .map(|answers| Group { position: "p".into(), answers: answers.into_iter().map(|n| format!("A{n}")).collect() })
                .collect();
            let clusters = weighed(&groups, &weights, |_| "lone".into());
            let mut members: Vec<usize> = clusters.iter().flat_map(|c| c.members.clone()).collect();
            members.sort_unstable();
            prop_assert_eq!(members, (0..weights.len()).collect::<Vec<_>>());
            prop_assert!((clusters.iter().map(|c| c.share).sum::<f64>() - 1.0).abs() < 1e-9);
            prop_assert!(clusters.windows(2).all(|two| two[0].weight >= two[1].weight));
            prop_assert!((0.0..=1.0).contains(&agreement(&clusters, weights.len())));
            if mistakes(&groups, weights.len()).is_empty() {
                prop_assert!(clusters.iter().all(|c| c.position == "p"));
            }
        }
    }
}
