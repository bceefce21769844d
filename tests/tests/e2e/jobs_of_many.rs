//! Research, debates and merged answers: jobs in which several answers become one.

use serde_json::json;
use tasklane_testkit::upstream::{Script, Shape};

use crate::jobs::{long_text, says, start, sums_up};

const PLAN: &str = "You plan how a question";
const ANSWER: &str = "from the passages you are given";
const SYNTHESIS: &str = "You make one answer of answers";

fn research() -> Vec<(&'static str, Script)> {
    let answer = |text: &str, source: &str, quote: &str| json!({"answered": true, "answer": text, "citations": [{"source": source, "quote": quote}]});
    let lens = answer("In Paris [S2].", "S2", "made in Paris");
    // One source is made up, and stays so.
    let mut weight = answer("Two tons [S1], or three [S7].", "S1", "weighs two tons");
    weight["citations"].as_array_mut().unwrap().push(json!({"source": "S7", "quote": "three tons"}));
    let nothing = json!({"answered": false, "answer": "", "citations": []});
    let last = json!({"answer": "Made in Paris [S2], it weighs two tons [S1].", "gaps": ["the price"],
        "findings": [{"text": "Made in Paris", "sources": ["S2"]}, {"text": "Sold", "sources": ["S9"]}]});
    let questions =
        json!({"questions": ["Where was the lens made?", "How heavy is it?", "What did it cost?"]});
    vec![
        (PLAN, says(&questions)),
        ("Question: Where was the lens made?", says(&lens)),
        ("Question: How heavy is it?", says(&weight)),
        ("Question: What did it cost?", says(&nothing)),
        (SYNTHESIS, says(&last)),
    ]
}

#[tokio::test]
async fn research_answers_from_its_sources_and_reports_what_it_refused() {
    let Some(jobs) = start(&[]).await else { return };
    jobs.answers(&research());
    let payload = json!({"model": "m", "question": "What is known of the lens?", "sources": [
        "The lens weighs two tons.", {"title": "Letter", "text": "The lens was made\nin Paris."}]});
    let (result, partial, progress) = jobs.run("research", payload.clone()).await;
    let found = &result["result"];
    assert_eq!(found["answer"], "Made in Paris [S2], it weighs two tons [S1].", "{result}");
    assert_eq!(
        found["citations"],
        json!([
        {"source": "S1", "position": 1, "title": "", "quotes": ["weighs two tons"]},
        {"source": "S2", "position": 2, "title": "Letter", "quotes": ["made in Paris"]}])
    );
    assert_eq!(found["findings"], json!([{"text": "Made in Paris", "sources": ["S2"]}]));
    assert_eq!(found["unsupported_findings"][0]["text"], "Sold");
    let refused: Vec<&str> = found["refused_citations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["source"].as_str().unwrap())
        .collect();
    assert_eq!(refused, ["S7", "S7", "S9"], "as a citation, in the text, and in the findings: {found}");
    let sub = found["sub_questions"].as_array().unwrap();
    assert_eq!(
        (sub.len(), &sub[1]["answer"], &sub[2]["answered"]),
        (3, &json!("Two tons [S1], or three."), &json!(false))
    );
    assert_eq!(partial.iter().filter(|p| p["kind"] == "answer").count(), 3);
    assert_eq!(
        (&partial[0]["kind"], progress.last().unwrap()["fraction"].as_f64()),
        (&json!("plan"), Some(1.0))
    );
    // Both answers with strangers in them were to be repaired once.
    assert_eq!((&found["usage"]["calls"], &found["usage"]["repairs"]), (&json!(7), &json!(2)));
    sums_up(&jobs, &result, 0);

    jobs.repairs("research", payload, &research(), "Question: Where was the lens made?").await;
    for (payload, code, said) in [
        (json!({"model": "m", "question": "x"}), "TL1010", "sources"),
        (json!({"model": "m", "question": "x", "sources": []}), "TL1010", "/sources"),
        (json!({"model": "m", "question": "x", "sources": ["a", " "]}), "TL2336", "sources[1]"),
        (
            json!({"model": "m", "question": "x", "sources": ["a"], "max_questions": 99}),
            "TL1010",
            "/max_questions",
        ),
    ] {
        jobs.refused("research", payload, code, said).await;
    }
}

#[tokio::test]
async fn research_reads_what_fits_and_stops_when_the_money_is_spent() {
    let Some(jobs) = start(&[]).await else { return };
    let answer = json!({"answered": true, "answer": "In Paris.", "citations": [{"source": "S2", "quote": "lens came from Paris"}]});
    let last = json!({"answer": "In Paris [S2].", "findings": [], "gaps": []});
    jobs.answers(&[
        (PLAN, says(&json!({"questions": ["Where did the lens come from?"]}))),
        (ANSWER, says(&answer)),
        (SYNTHESIS, says(&last)),
    ]);
    let sources =
        json!([long_text(), format!("{}The lens came from Paris.\n\n{}", long_text(), long_text())]);
    let payload = json!({"model": "m", "question": "Where did the lens come from?", "sources": sources});
    let (result, ..) = jobs.run("research", payload.clone()).await;
    assert_eq!(result["result"]["sub_questions"][0]["answered"], true, "{result}");
    assert!(result["result"]["warnings"][0].as_str().unwrap().contains("passages fit"), "{result}");
    jobs.spends("research", payload).await;
}

const PROPOSE: &str = "You make a proposal";
const REVISE: &str = "Others have criticised";
const CRITIQUE: &str = "You judge a proposal";

fn debate() -> Vec<(&'static str, Script)> {
    let verdict = |word: &str, points: &[&str]| {
        says(&json!({"verdict": word, "critique": "So be it.", "must_change": points}))
    };
    vec![
        (PROPOSE, Script::says("Buy a new lamp.")),
        (REVISE, Script::says("Mend the old lamp.")),
        (
            "Treasurer",
            Script::cases(&[("in round 1:", verdict("reject", &["too dear"])), ("", verdict("agree", &[]))]),
        ),
        (CRITIQUE, verdict("agree", &[])),
    ]
}

#[tokio::test]
async fn a_debate_ends_with_agreement_or_after_its_rounds() {
    let Some(jobs) = start(&[]).await else { return };
    jobs.answers(&debate());
    let payload = json!({"model": "m", "task": "What about the lamp?", "material": ["It is from 1887."], "roles": [
        {"name": "Keeper", "stance": "You keep the light."}, {"name": "Treasurer"}, {"name": "Historian"}]});
    let (result, partial, progress) = jobs.run("catchball", payload.clone()).await;
    let found = &result["result"];
    assert_eq!(
        (&found["outcome"], &found["proposal"]),
        (&json!("agreed"), &json!("Mend the old lamp.")),
        "{result}"
    );
    let rounds = found["rounds"].as_array().unwrap();
    assert_eq!(
        (rounds.len(), &rounds[0]["proposal"], &rounds[0]["by"]),
        (2, &json!("Buy a new lamp."), &json!("Keeper"))
    );
    assert_eq!(
        rounds[0]["critiques"][0],
        json!({"role": "Treasurer", "verdict": "reject", "critique": "So be it.", "must_change": ["too dear"]})
    );
    assert_eq!(found["dissent"], json!([]));
    assert_eq!((partial.len(), &partial[1]["round"]), (2, &json!(2)));
    assert!(progress.len() >= 2);
    sums_up(&jobs, &result, 0);
    assert!(jobs.upstream.requests().iter().all(|r| r.json().to_string().contains("It is from 1887.")));

    jobs.repairs("catchball", payload.clone(), &debate(), "Treasurer").await;
    // Nobody gives in, and the proposal stays as it is: more rounds would say the same.
    let never = says(&json!({"verdict": "reject", "critique": "No.", "must_change": []}));
    jobs.answers(&[(CRITIQUE, never.clone()), ("", Script::says("Buy a new lamp."))]);
    let (stalled, ..) = jobs.run("catchball", payload.clone()).await;
    assert_eq!(
        (&stalled["result"]["outcome"], &stalled["result"]["dissent"][0]["critique"]),
        (&json!("stalled"), &json!("No."))
    );
    let mut once = payload.clone();
    once["max_rounds"] = json!(1);
    let (limit, ..) = jobs.run("catchball", once).await;
    assert_eq!(limit["result"]["outcome"], "limit", "{limit}");

    let mut same = payload.clone();
    same["roles"][2]["name"] = json!("Keeper");
    jobs.refused("catchball", same, "TL1002", "two of the name `Keeper`").await;
    jobs.refused(
        "catchball",
        json!({"model": "m", "task": "x", "roles": [{"name": "a"}]}),
        "TL1010",
        "/roles",
    )
    .await;
    let mut large = payload.clone();
    large["material"] = json!([long_text()]);
    jobs.refused("catchball", large, "TL2335", "2000 tokens at once").await;
    jobs.answers(&[
        (CRITIQUE, never),
        ("", Script::Ordinary(Shape { text: "word ".repeat(150), pieces: 150, ..Shape::default() })),
    ]);
    jobs.spends("catchball", payload).await;
}

const CLUSTER: &str = "You put answers to one question into clusters";
const MERGE: &str = "You make one answer of several positions";

fn wisdom() -> Vec<(&'static str, Script)> {
    let clusters = json!({"clusters": [{"position": "Mend it.", "answers": ["A1", "A3"]}, {"position": "Buy one.", "answers": ["A2"]}]});
    // It keeps silent about the dissent, also when it is told.
    let merged = json!({"answer": "Mend the lamp.", "dissent": []});
    vec![
        (CLUSTER, says(&clusters)),
        (MERGE, says(&merged)),
        ("You answer a question", Script::says("Mend it soon.")),
    ]
}

#[tokio::test]
async fn many_answers_become_one_and_dissent_is_kept() {
    let Some(jobs) = start(&[]).await else { return };
    jobs.answers(&wisdom());
    jobs.upstream.set("other", Script::says("Mend it soon."));
    let payload = json!({"model": "m", "question": "What about the lamp?",
        "answers": ["Mend it.", {"text": "Buy a new one.", "from": "the treasurer", "weight": 2}], "ask": [{"model": "other"}]});
    let (result, partial, progress) = jobs.run("synthesize_wisdom", payload.clone()).await;
    let found = &result["result"];
    assert_eq!(found["answer"], "Mend the lamp.", "{result}");
    assert_eq!(
        found["clusters"][0],
        json!({"position": "Mend it.", "answers": ["A1", "A3"], "weight": 2.0, "share": 0.5})
    );
    assert_eq!(
        found["dissent"],
        json!([{"cluster": 2, "position": "Buy one.", "share": 0.5, "answers": ["A2"], "why": null}])
    );
    assert_eq!(
        found["answers"][2],
        json!({"label": "A3", "from": "other", "weight": 1.0, "text": "Mend it soon."})
    );
    assert_eq!(found["models"], json!(["m", "other"]));
    assert!(found["warnings"][0].as_str().unwrap().contains("C2 is missing"), "{found}");
    assert_eq!((found["usage"]["calls"].as_u64(), found["usage"]["repairs"].as_u64()), (Some(4), Some(1)));
    assert_eq!(
        partial.iter().map(|p| p["kind"].as_str().unwrap()).collect::<Vec<_>>(),
        ["answer", "clusters"]
    );
    assert_eq!(progress.last().unwrap()["fraction"], 1.0);

    jobs.repairs("synthesize_wisdom", payload.clone(), &wisdom(), CLUSTER).await;
    let mut one = payload.clone();
    (one["answers"], one["ask"]) = (json!(["only"]), json!([]));
    jobs.refused("synthesize_wisdom", one, "TL1002", "make 1 answers; 2 to 64").await;
    let mut odd = payload.clone();
    odd["answers"][1]["weight"] = json!(-1);
    jobs.refused("synthesize_wisdom", odd, "TL1010", "/answers/1").await;
    let mut nobody = payload.clone();
    nobody["ask"][0]["model"] = json!("nobody");
    jobs.refused("synthesize_wisdom", nobody, "TL2305", "nobody").await;
    jobs.answers(&wisdom());
    jobs.spends("synthesize_wisdom", payload).await;
}
