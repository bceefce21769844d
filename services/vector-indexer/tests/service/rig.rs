//! A platform with vector indexers, and asking it.

use std::time::Duration;

use serde_json::{Value, json};
use tasklane_bus::endpoint::Patience;
use tasklane_contract::subjects;
use tasklane_testkit::qdrant::Qdrant;
use tasklane_testkit::stack::{Options, Stack};
use tasklane_testkit::wait;
use tempfile::TempDir;

pub const PROGRAM: &str = "tasklane-vector-indexer";

pub struct Rig {
    pub stack: Stack,
    pub folder: TempDir,
    /// Where [`Rig::create`] makes collections that are in qdrant; else they are embedded.
    pub qdrant: Option<Qdrant>,
}

/// The variables of a vector indexer.
pub fn env(folder: &str, more: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    let mut env = vec![
        ("TASKLANE_VECTORS_FOLDER", folder.to_owned()),
        ("TASKLANE_VECTORS_GROWING_ROWS", "64".to_owned()),
        ("TASKLANE_WORKER_ACK_WAIT_MS", "1000".to_owned()),
    ];
    env.extend(more.iter().map(|(key, value)| (*key, (*value).to_owned())));
    env
}

fn borrowed<'a>(env: &'a [(&'static str, String)]) -> Vec<(&'static str, &'a str)> {
    env.iter().map(|(key, value)| (*key, value.as_str())).collect()
}

impl Rig {
    /// A router and these vector indexers.
    pub async fn start(names: &[&str]) -> Option<Self> {
        Self::with(None, names).await
    }

    /// As [`Rig::start`]; its collections are in a qdrant.
    pub async fn start_on_qdrant(names: &[&str]) -> Option<Self> {
        let qdrant = Qdrant::start().await?;
        Self::with(Some(qdrant), names).await
    }

    async fn with(qdrant: Option<Qdrant>, names: &[&str]) -> Option<Self> {
        let stack =
            Stack::start(Options::no_workers().router_env("TASKLANE_STREAMS_ACK_WAIT_MS", "1000")).await?;
        let mut rig = Self { stack, folder: TempDir::with_prefix("tasklane-vectors-").unwrap(), qdrant };
        let url = rig.qdrant.as_ref().map(Qdrant::url).unwrap_or_default();
        for name in names {
            rig.indexer(name, &[("TASKLANE_QDRANT_URL", &url)]).await;
        }
        Some(rig)
    }

    /// The word for who keeps the collections.
    pub fn backend(&self) -> &'static str {
        if self.qdrant.is_some() { "qdrant" } else { "embedded" }
    }

    /// One more vector indexer.
    pub async fn indexer(&mut self, name: &str, more: &[(&'static str, &str)]) {
        let folder = self.folder_of(name);
        let env = env(folder.to_str().unwrap(), more);
        self.stack.start_service(name, PROGRAM, &borrowed(&env)).await;
    }

    pub fn folder_of(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// Asks and gives the result, or the code and text.
    pub async fn ask(&self, task_type: &str, payload: Value) -> Result<Value, (String, String)> {
        let answer = self.stack.client.ask(&subjects::run(task_type), payload).await?;
        if answer["status"] == "succeeded" {
            return Ok(answer["result"].clone());
        }
        let text = |key: &str| answer["error"][key].as_str().unwrap_or_default().to_owned();
        Err((text("code"), text("message")))
    }

    pub async fn done(&self, task_type: &str, payload: Value) -> Value {
        let shown: String = payload.to_string().chars().take(200).collect();
        self.ask(task_type, payload)
            .await
            .unwrap_or_else(|(code, text)| panic!("{task_type} {shown}: {code} {text}"))
    }

    pub async fn code(&self, task_type: &str, payload: Value) -> String {
        match self.ask(task_type, payload.clone()).await {
            Err((code, text)) => {
                println!("{code} {text}");
                code
            }
            Ok(answer) => panic!("{task_type} {payload}: {answer}"),
        }
    }

    pub async fn create(&self, name: &str, dimension: usize) {
        let payload = json!({"action": "create", "collection": name, "dimension": dimension,
            "precision": "f32", "backend": self.backend()});
        self.done("vector_collections", payload).await;
    }

    /// Puts points and gives the sequence.
    pub async fn put(&self, name: &str, points: Value) -> u64 {
        let done = self.done("vector_indexing", json!({"collection": name, "points": points})).await;
        done["sequence"].as_u64().unwrap()
    }

    /// Ids that are there at a sequence, in their order.
    pub async fn ids(&self, name: &str, sequence: u64) -> Vec<String> {
        let points = self.points(name, sequence, &json!({})).await;
        let mut ids: Vec<String> = points.iter().map(|p| p["id"].as_str().unwrap().to_owned()).collect();
        if self.qdrant.is_some() {
            // It has an order of its own.
            ids.sort();
        }
        ids
    }

    /// All points that match, page by page.
    pub async fn points(&self, name: &str, sequence: u64, filter: &Value) -> Vec<Value> {
        let (mut all, mut after) = (Vec::new(), None::<String>);
        loop {
            let mut payload =
                json!({"collection": name, "limit": 1000, "min_sequence": sequence, "filter": filter});
            if let Some(after) = &after {
                payload["after"] = after.as_str().into();
            }
            let page = self.done("vector_points", payload).await["points"].as_array().unwrap().clone();
            after = page.last().map(|point| point["id"].as_str().unwrap().to_owned());
            let is_last = page.len() < 1000;
            all.extend(page);
            if is_last {
                return all;
            }
        }
    }

    /// What every replica says of itself, by worker.
    pub async fn replicas(&self, count: usize) -> Vec<Value> {
        let mut heard: Vec<Value> = Vec::new();
        let hear = |answer: bytes::Bytes| {
            heard.push(serde_json::from_slice(&answer).unwrap());
            if heard.len() == count { Patience::Enough } else { Patience::More }
        };
        let bus = &self.stack.client.bus;
        bus.ask_all(subjects::VECTORS_REPLICAS, bytes::Bytes::new(), Duration::from_secs(5), hear)
            .await
            .unwrap();
        heard.sort_by_key(|answer| answer["worker"].to_string());
        heard
    }

    /// Waits until all replicas have a collection at a sequence, with so many points.
    pub async fn everywhere(&self, count: usize, name: &str, sequence: u64, points: u64) {
        wait::until(&format!("{count} replicas have {points} points of {name} at {sequence}"), async || {
            let all = self.replicas(count).await;
            let has = |replica: &Value| {
                replica["collections"].as_array().unwrap().iter().any(|one| {
                    one["collection"] == name
                        && one["sequence"].as_u64() >= Some(sequence)
                        && one["points"] == points
                })
            };
            (all.len() == count && all.iter().all(has)).then_some(())
        })
        .await;
    }
}

/// A vector that is near to those of near numbers.
pub fn vector(n: usize) -> Vec<f32> {
    let angle = n as f32 * 0.01;
    vec![angle.cos(), angle.sin(), 0.1, 0.0]
}

pub fn point(n: usize) -> Value {
    json!({"id": format!("p{n:05}"), "vector": vector(n), "text": format!("number {n}"), "metadata": {"n": n, "even": n.is_multiple_of(2)}})
}

pub fn points(range: std::ops::Range<usize>) -> Value {
    range.map(point).collect()
}
