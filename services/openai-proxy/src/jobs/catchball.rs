//! `catchball`: one role proposes, the others criticise, and the proposal is revised until they agree or there are no
//! rounds left. Every round is in the result.

use serde::Deserialize;
use serde_json::{Value, json};
use tasklane_runtime::{Payload, TaskError};

use super::agreement::{Rule, Verdict, ended, same};
use super::answer::nothing;
use super::ask::{Asker, Asking};
use super::documents::{self, Given};
use super::error::{bad_payload, fault};
use super::fit::{Headed, fitted};
use super::structured::{Wanted, list, object, text};
use super::{in_language, payload_schema, together};

/// Roles, at most.
const MOST_ROLES: usize = 8;
/// Rounds, at most, and where nobody says.
const MOST_ROUNDS: u32 = 12;
const USUAL_ROUNDS: u32 = 4;
/// Documents that everybody reads, at most.
const MOST_MATERIAL: usize = 10;
/// Tokens of a proposal and of a critique, as wished.
const PROPOSAL: u64 = 2_000;
const CRITIQUE: u64 = 1_000;

#[derive(Deserialize)]
struct Request {
    model: Option<String>,
    language: Option<String>,
    task: String,
    roles: Vec<Role>,
    max_rounds: Option<u32>,
    #[serde(default)]
    agreement: Rule,
    proposal: Option<String>,
    material: Option<Vec<Given>>,
}

#[derive(Deserialize)]
struct Role {
    name: String,
    #[serde(default)]
    stance: String,
    model: Option<String>,
}

/// What a role said of a proposal.
struct Critique {
    role: String,
    verdict: Verdict,
    text: String,
    must_change: Vec<String>,
}

/// What all calls have in common.
struct Job<'a> {
    asker: &'a Asker,
    model: &'a str,
    task: &'a str,
    material: &'a str,
    language: &'a str,
}

/// The payload's schema.
pub fn schema() -> Value {
    let role = json!({"type": "object", "additionalProperties": false, "required": ["name"], "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 100},
        "stance": {"type": "string", "maxLength": 2_000, "description": "what it cares about"},
        "model": {"type": "string", "minLength": 1, "maxLength": 200, "description": "its own route or model"}
    }});
    let properties = json!({
        "task": {"type": "string", "minLength": 1, "maxLength": 16_000, "description": "what shall be proposed"},
        "roles": {"type": "array", "minItems": 2, "maxItems": MOST_ROLES, "items": role,
            "description": "the first one proposes, the others criticise"},
        "max_rounds": {"type": "integer", "minimum": 1, "maximum": MOST_ROUNDS, "default": USUAL_ROUNDS},
        "agreement": {"enum": ["all", "majority"], "default": "all",
            "description": "who has to agree; with a majority, nobody may reject"},
        "proposal": {"type": "string", "minLength": 1, "maxLength": 32_000,
            "description": "a first proposal that is there already"},
        "material": documents::list_schema(MOST_MATERIAL)
    });
    payload_schema(&["task", "roles"], properties)
}

/// Runs a job.
///
/// # Errors
/// What is wrong with the payload, and what kept the models from answering.
pub async fn run(asker: &Asker, payload: Payload) -> Result<Value, TaskError> {
    let request: Request = payload.json()?;
    let model = asker.model(request.model.as_deref())?;
    let Some((proposer, critics)) = request.roles.split_first().filter(|(_, critics)| !critics.is_empty())
    else {
        return Err(bad_payload("roles: there must be two at least: one that proposes, one that criticises"));
    };
    for (n, role) in request.roles.iter().enumerate() {
        if request.roles[..n].iter().any(|other| other.name == role.name) {
            return Err(bad_payload(format!("roles: there are two of the name `{}`", role.name)));
        }
    }
    let most = request.max_rounds.unwrap_or(USUAL_ROUNDS).clamp(1, MOST_ROUNDS);
    asker.affords(critics.len() + 1)?;
    let given =
        documents::gather(documents::Document::default(), Some(request.material.unwrap_or_default()))?;
    let read = documents::read(asker.ctx(), given, "material").await?;
    let material: Vec<String> = read.into_iter().map(|d| format!("# {}\n\n{}", d.title, d.text)).collect();
    let material = material.join("\n\n");
    let language = in_language(request.language.as_deref(), "Write in the language of the task.");
    let job = Job { asker, model: &model, task: &request.task, material: &material, language: &language };
    let mut proposal = match request.proposal {
        Some(proposal) => proposal,
        None => job.proposal(proposer).await?,
    };
    let (mut rounds, mut before) = (Vec::new(), None);
    let mut round = 1;
    let (outcome, last) = loop {
        let critiques = job.round(round, &proposal, critics).await?;
        let verdicts: Vec<Verdict> = critiques.iter().map(|c| c.verdict).collect();
        let told = told(round, proposer, &proposal, &critiques);
        asker.partial("round", told.clone()).await;
        asker.progress(f64::from(round) / f64::from(most), &format!("round {round} of {most} at most")).await;
        rounds.push(told);
        let unchanged = before.as_deref().is_some_and(|before| same(before, &proposal));
        if let Some(outcome) = ended(request.agreement, &verdicts, round, most, unchanged) {
            break (outcome, critiques);
        }
        let revised = job.revision(round, proposer, &proposal, &critiques).await?;
        before = Some(std::mem::replace(&mut proposal, revised));
        round += 1;
    };
    let dissent: Vec<Value> =
        last.iter().filter(|c| c.verdict != Verdict::Agree).map(Critique::told).collect();
    asker.progress(1.0, "the debate is over").await;
    Ok(json!({"outcome": outcome, "proposal": proposal, "rounds": rounds, "dissent": dissent}))
}

impl Job<'_> {
    fn model_of<'a>(&'a self, role: &'a Role) -> &'a str {
        role.model.as_deref().unwrap_or(self.model)
    }

    fn common<'a>(&'a self, role: &'a Role) -> [(&'a str, &'a str); 5] {
        [
            ("task", self.task),
            ("role", &role.name),
            ("stance", &role.stance),
            ("material", self.material),
            ("language", self.language),
        ]
    }

    async fn write(
        &self,
        template: &'static str,
        values: &[(&str, &str)],
        role: &Role,
    ) -> Result<String, TaskError> {
        let model = self.model_of(role);
        let most = self.asker.room(model)?.answer(PROPOSAL);
        let asking = Asking { template, values, model, most, temperature: None };
        let said = self.asker.text(&asking).await?;
        if said.cut {
            self.asker.tally().warn(format!("a proposal was cut off at {most} tokens"));
        }
        Ok(said.text)
    }

    async fn proposal(&self, role: &Role) -> Result<String, TaskError> {
        self.write("catchball/propose", &self.common(role), role).await
    }

    async fn revision(
        &self,
        round: u32,
        role: &Role,
        proposal: &str,
        critiques: &[Critique],
    ) -> Result<String, TaskError> {
        let round = round.to_string();
        let (model, template) = (self.model_of(role), "catchball/revise");
        let fixed: Vec<_> =
            self.common(role).into_iter().chain([("proposal", proposal), ("round", &round)]).collect();
        let room = self.asker.room(model)?;
        let frame = tokio::task::block_in_place(|| self.asker.frame(template, &fixed));
        let space = room.text(frame, room.answer(PROPOSAL))?;
        let texts: Vec<(String, String)> = critiques.iter().map(Critique::as_text).collect();
        let texts: Vec<Headed<'_>> =
            texts.iter().map(|(head, text)| Headed { head: head.clone(), text }).collect();
        let (critiques, cut) = fitted(&texts, space);
        if let Some(each) = cut {
            self.asker
                .tally()
                .warn(format!("critiques of more than {each} tokens were cut in round {round}"));
        }
        let values: Vec<_> = fixed.into_iter().chain([("critiques", critiques.as_str())]).collect();
        self.write(template, &values, role).await
    }

    /// What all critics say of a proposal.
    async fn round(&self, round: u32, proposal: &str, critics: &[Role]) -> Result<Vec<Critique>, TaskError> {
        let wanted = wanted().map_err(fault)?;
        let (wanted, number) = (&wanted, round.to_string());
        let number = &number;
        let work = critics.iter().map(|role| async move {
            let own = [("proposal", proposal), ("round", number.as_str())];
            let values: Vec<_> = self.common(role).into_iter().chain(own).collect();
            let model = self.model_of(role);
            let most = self.asker.room(model)?.answer(CRITIQUE);
            let template = "catchball/critique";
            let asking = Asking { template, values: &values, model, most, temperature: None };
            let made = self.asker.json(&asking, wanted, &nothing).await?;
            Critique::of(role, &made.value)
        });
        together(work.collect(), self.asker.at_once()).await
    }
}

impl Critique {
    fn of(role: &Role, value: &Value) -> Result<Self, TaskError> {
        let verdict = serde_json::from_value(value["verdict"].clone()).map_err(|e| fault(e.to_string()))?;
        let points = value["must_change"].as_array().into_iter().flatten().filter_map(Value::as_str);
        Ok(Self {
            role: role.name.clone(),
            verdict,
            text: value["critique"].as_str().unwrap_or_default().to_owned(),
            must_change: points.map(str::to_owned).collect(),
        })
    }

    fn told(&self) -> Value {
        json!({"role": self.role, "verdict": self.verdict, "critique": self.text, "must_change": self.must_change})
    }

    fn as_text(&self) -> (String, String) {
        let verdict = match self.verdict {
            Verdict::Agree => "agrees",
            Verdict::Change => "wants changes",
            Verdict::Reject => "rejects it",
        };
        let points: String = self.must_change.iter().map(|point| format!("- {point}\n")).collect();
        (format!("## {} {verdict}", self.role), format!("{points}\n{}", self.text))
    }
}

fn told(round: u32, by: &Role, proposal: &str, critiques: &[Critique]) -> Value {
    let critiques: Vec<Value> = critiques.iter().map(Critique::told).collect();
    json!({"round": round, "by": by.name, "proposal": proposal, "critiques": critiques})
}

fn wanted() -> Result<Wanted, String> {
    let fields = json!({
        "verdict": {"type": "string", "enum": ["agree", "change", "reject"]},
        "critique": text(10_000),
        "must_change": list(text(1_000), 10)
    });
    Wanted::new("critique", object(fields))
}
