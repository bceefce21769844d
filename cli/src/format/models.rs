//! Models as tables. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tasklane_models::{ModelName, bucket};

use super::{Paint, bytes, count, ms, one_line, table::Table};

/// Whose answer it is.
#[derive(Debug, Deserialize)]
pub struct From {
    /// The worker.
    pub worker: String,
}

/// A model in the object store.
#[derive(Debug, Serialize)]
pub struct Stored {
    model: String,
    bytes: u64,
    put_at: Option<String>,
}

impl Stored {
    /// As the bucket has it.
    pub fn of(stored: &bucket::Stored) -> Self {
        Self {
            model: stored.name.to_string(),
            bytes: stored.object.size,
            put_at: tasklane_runtime::contract::time::to_rfc3339(stored.object.put_at_us),
        }
    }
}

/// What a worker has. Unknown fields are passed over, so that a newer service can be asked.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Held {
    /// The worker.
    pub worker: String,
    memory: Memory,
    models: Vec<Model>,
    available: Vec<Available>,
    broken: Vec<Broken>,
    error: Option<Error>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Memory {
    bytes: u64,
    budget_bytes: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Model {
    model: String,
    state: String,
    kind: String,
    bytes: u64,
    kept: bool,
    current: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Available {
    model: String,
    source: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Broken {
    folder: String,
    reason: String,
}

/// Why something was not done.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Error {
    code: String,
    message: String,
}

/// A worker's answer about loading.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Loaded {
    /// The worker.
    pub worker: String,
    model: String,
    kind: String,
    bytes: u64,
    took_ms: f64,
    /// Why it has not.
    pub error: Option<Error>,
}

/// A worker's answer about unloading.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Unloaded {
    worker: String,
    unloaded: Vec<String>,
}

/// One model's line.
#[derive(Default)]
struct Line {
    sources: Vec<String>,
    size: Option<u64>,
    kind: String,
    memory: Option<u64>,
    states: BTreeMap<String, usize>,
    kept: bool,
    current: bool,
}

impl Held {
    /// The decoders that it has loaded, by their full names.
    pub fn decoders(&self) -> impl Iterator<Item = &str> {
        let loaded = self.models.iter().filter(|one| one.state == "loaded" && one.kind == "a decoder");
        loaded.map(|one| one.model.as_str())
    }
}

/// Every model, and then every worker.
pub fn list(stored: &[Stored], held: &[Held], paint: Paint) -> String {
    let mut lines: BTreeMap<ModelName, Line> = BTreeMap::new();
    for one in stored {
        if let Some(line) = line(&mut lines, &one.model) {
            line.source("store");
            line.size = Some(one.bytes);
        }
    }
    for worker in held {
        for one in &worker.available {
            if let Some(line) = line(&mut lines, &one.model) {
                line.source(&one.source);
            }
        }
        for one in &worker.models {
            if let Some(line) = line(&mut lines, &one.model) {
                *line.states.entry(one.state.clone()).or_default() += 1;
                line.kept |= one.kept;
                line.current |= one.current;
                if one.state == "loaded" {
                    line.kind.clone_from(&one.kind);
                    line.memory = Some(one.bytes);
                }
            }
        }
    }
    let mut text = if lines.is_empty() {
        "there are no models; `tasklane models push FOLDER` puts one into the store\n".to_owned()
    } else {
        table(&lines, paint)
    };
    text += &workers(held, paint);
    text
}

fn line<'l>(lines: &'l mut BTreeMap<ModelName, Line>, model: &str) -> Option<&'l mut Line> {
    Some(lines.entry(model.parse().ok()?).or_default())
}

impl Line {
    fn source(&mut self, source: &str) {
        if !self.sources.iter().any(|known| known == source) {
            self.sources.push(source.to_owned());
        }
    }

    /// `loaded on 2, loading on 1; kept`.
    fn state(&self) -> String {
        let mut words: Vec<String> = self.states.iter().map(|(state, n)| format!("{state} on {n}")).collect();
        if self.kept {
            words.push("kept".to_owned());
        }
        if self.current {
            words.push("serves its name".to_owned());
        }
        words.join(", ")
    }
}

fn table(lines: &BTreeMap<ModelName, Line>, paint: Paint) -> String {
    let mut table = Table::new(&["MODEL", "IN", ">STORED", ">MEMORY", "WORKERS", "KIND"]);
    let size = |n: Option<u64>| n.map_or_else(|| "-".to_owned(), bytes);
    for (name, line) in lines {
        table.row([
            name.to_string(),
            line.sources.join(", "),
            size(line.size),
            size(line.memory),
            line.state(),
            one_line(&line.kind),
        ]);
    }
    table.render(paint)
}

fn workers(held: &[Held], paint: Paint) -> String {
    if held.is_empty() {
        return paint.dim("no ml worker answers: what is loaded is not known") + "\n";
    }
    let mut text = String::new();
    for one in held {
        let (taken, budget) = (bytes(one.memory.bytes), bytes(one.memory.budget_bytes));
        text += &format!("{}: {taken} of {budget} for models\n", one_line(&one.worker));
        for broken in &one.broken {
            let (folder, reason) = (one_line(&broken.folder), one_line(&broken.reason));
            text += &paint.warn(&format!("  its folder {folder} is no model: {reason}"));
            text.push('\n');
        }
        if let Some(e) = &one.error {
            text += &paint.warn(&format!("  {} {}", one_line(&e.code), one_line(&e.message)));
            text.push('\n');
        }
    }
    text
}

/// What each worker did.
pub fn loaded(model: &str, answers: &[Loaded], silent: &[String], paint: Paint) -> String {
    let mut text = String::new();
    for one in answers {
        let worker = one_line(&one.worker);
        text += &match &one.error {
            None => format!(
                "{worker}: {} is loaded, {} with {}, in {}\n",
                one_line(&one.model),
                one_line(&one.kind),
                bytes(one.bytes),
                ms(one.took_ms)
            ),
            Some(e) => {
                let why = format!("{worker}: {} {}", one_line(&e.code), one_line(&e.message));
                paint.bad(&why) + "\n"
            }
        };
    }
    for worker in silent {
        text += &paint.warn(&format!("{}: no answer yet; it goes on by itself", one_line(worker)));
        text.push('\n');
    }
    text += &match answers.iter().any(|one| one.error.is_none()) {
        true => format!("{model} is kept loaded, also on workers that start later\n"),
        false => format!("{model} is not kept: no worker has it\n"),
    };
    text
}

/// What each worker let go.
pub fn unloaded(model: &str, answers: &[Unloaded]) -> String {
    let mut text = String::new();
    for one in answers.iter().filter(|one| !one.unloaded.is_empty()) {
        text += &format!("{}: {} is unloaded\n", one_line(&one.worker), one_line(&one.unloaded.join(", ")));
    }
    let had = answers.iter().filter(|one| !one.unloaded.is_empty()).count();
    text += &format!(
        "{model} is kept no longer; {} had it, of {} that answered\n",
        count(had as u64, "worker"),
        answers.len()
    );
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PLAIN: Paint = Paint { on: false };

    fn held() -> Vec<Held> {
        let worker = |name: &str, state: &str| {
            json!({
                "worker": name, "memory": {"bytes": 90_000_000, "budget_bytes": 4_000_000_000u64},
                "models": [{"model": "minilm@2", "state": state, "kind": "an encoder for embeddings",
                    "bytes": 90_000_000, "kept": true, "current": true, "new": 1}],
                "available": [{"model": "minilm@2", "source": "store"}, {"model": "local@1", "source": "folder"}],
                "broken": [{"folder": "bad\u{1b}", "reason": "model.toml line 1"}]
            })
        };
        let all = [worker("ml-1", "loaded"), worker("ml-2", "loading")];
        all.into_iter().map(|one| serde_json::from_value(one).unwrap()).collect()
    }

    #[test]
    fn models_and_workers_are_listed() {
        let stored = |model: &str| Stored { model: model.into(), bytes: 1 << 20, put_at: None };
        let text = list(&[stored("minilm@10"), stored("minilm@2")], &held(), PLAIN);
        let lines: Vec<&str> = text.lines().collect();
        let words = |n: usize| lines[n].split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(words(1), "local@1 folder - -");
        assert_eq!(words(2), "minilm@10 store 1.0 MB -");
        assert_eq!(
            words(3),
            "minilm@2 store 1.0 MB 85.8 MB loaded on 1, loading on 1, kept, serves its name an encoder for embeddings"
        );
        assert_eq!(lines[4], "ml-1: 85.8 MB of 3.7 GB for models");
        assert_eq!(lines[5], "  its folder bad\\u{1b} is no model: model.toml line 1");
        assert!(list(&[], &[], PLAIN).starts_with("there are no models"));
    }

    #[test]
    fn each_worker_says_what_it_did() {
        let answers: Vec<Loaded> = serde_json::from_value(json!([
            {"worker": "ml-1", "model": "m@1", "kind": "a decoder", "bytes": 2048, "took_ms": 1500.0},
            {"worker": "ml-2", "error": {"code": "TL2402", "message": "the model `m@1` is refused: x"}}
        ]))
        .unwrap();
        assert_eq!(
            loaded("m", &answers, &["ml-3".into()], PLAIN),
            "ml-1: m@1 is loaded, a decoder with 2.0 KB, in 1.5 s\nml-2: TL2402 the model `m@1` is refused: x\n\
             ml-3: no answer yet; it goes on by itself\nm is kept loaded, also on workers that start later\n"
        );
        assert!(loaded("m", &answers[1..], &[], PLAIN).ends_with("m is not kept: no worker has it\n"));
        let gone: Vec<Unloaded> = serde_json::from_value(
            json!([{"worker": "ml-1", "unloaded": ["m@1", "m@2"]}, {"worker": "ml-2"}]),
        )
        .unwrap();
        assert_eq!(
            unloaded("m", &gone),
            "ml-1: m@1, m@2 is unloaded\nm is kept no longer; 1 worker had it, of 2 that answered\n"
        );
    }
}
