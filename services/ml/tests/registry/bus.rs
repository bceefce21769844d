//! The object store behind a real server: what is pushed is loaded, by every worker; switches reach those that start later;
//! torn and replaced objects.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tasklane_bus::endpoint::Patience;
use tasklane_bus::{Bus, BusConfig};
use tasklane_contract::streams::{self, CONTROL, MODELS, Policy};
use tasklane_contract::subjects;
use tasklane_ml::error::MlError;
use tasklane_ml::registry::Registry;
use tasklane_ml::store::Store;
use tasklane_ml::{inquiries, switches};
use tasklane_models::{ModelName, bucket, folder};
use tasklane_testkit::nats::{Nats, Shape};
use tasklane_testkit::{tool, wait};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::counting::{Counting, Counts, MB, put};

struct Server {
    bus: Bus,
    dir: TempDir,
    _nats: Nats,
}

async fn server() -> Option<Server> {
    let Some(program) = tool::outside("nats-server") else {
        tool::skipped("nats-server", "(scripts/setup.sh nats-server)");
        return None;
    };
    let dir = TempDir::new().unwrap();
    let shape = Shape { nodes: 1, ..Shape::default() };
    let nats = Nats::start(program, dir.path(), dir.path(), &shape).await;
    let config = BusConfig { url: nats.url(), ..BusConfig::default() };
    let bus = Bus::connect(&config, "test", Duration::from_secs(10)).await.unwrap();
    bus.provision(&Policy::default()).await.unwrap();
    Some(Server { bus, dir, _nats: nats })
}

impl Server {
    /// A registry with a cache of its own.
    fn registry(&self, name: &str) -> (Registry<Counting>, Arc<Counts>) {
        let counts = Arc::new(Counts::default());
        let cache = self.dir.path().join(name);
        let store = Store::open(None, Some((self.bus.clone(), cache))).unwrap();
        (Registry::new(Counting::new(&counts), store, 100 * MB), counts)
    }

    async fn push(&self, model: &str, version: &str, bytes: u64) {
        let dir = TempDir::new().unwrap();
        put(dir.path(), model, version, bytes, "");
        let (_, manifest) = folder::manifest(dir.path()).unwrap();
        bucket::put(&self.bus, dir.path(), &manifest).await.unwrap();
    }

    async fn ask(&self, subject: &str, question: Value, answers: usize) -> Vec<Value> {
        let mut heard: Vec<Value> = Vec::new();
        let hear = |answer: bytes::Bytes| {
            heard.push(serde_json::from_slice(&answer).unwrap());
            if heard.len() == answers { Patience::Enough } else { Patience::More }
        };
        self.bus.ask_all(subject, question.to_string().into(), wait::PATIENCE, hear).await.unwrap();
        heard.sort_by_key(|answer| answer["worker"].to_string());
        heard
    }
}

fn exact(name: &str, version: &str) -> ModelName {
    ModelName::exact(name, version)
}

fn unpacked(cache: &Path) -> Vec<String> {
    let names =
        std::fs::read_dir(cache).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_pushed_comes_back_and_is_loaded() {
    let Some(server) = server().await else { return };
    server.push("m", "1", 9 * MB + 17).await;
    let listed = bucket::list(&server.bus).await.unwrap();
    assert_eq!(listed.iter().map(|one| one.name.to_string()).collect::<Vec<_>>(), ["m@1"]);
    let target = server.dir.path().join("pulled");
    let manifest = bucket::get(&server.bus, &exact("m", "1"), target.clone()).await.unwrap();
    assert_eq!(folder::verify(&target, &manifest).unwrap(), 9 * MB + 17);
    assert_eq!(bucket::manifest(&server.bus, &exact("m", "1")).await.unwrap().1, manifest);
    let absent = bucket::get(&server.bus, &exact("m", "2"), server.dir.path().join("x")).await.unwrap_err();
    assert_eq!(absent.to_string(), "there is no model `m@2`");

    let (registry, counts) = server.registry("cache");
    assert_eq!(registry.get("m").await.unwrap().bytes, 9 * MB + 17);
    let cache = server.dir.path().join("cache");
    let [folder] = unpacked(&cache).try_into().unwrap();
    assert!(folder.starts_with("m@1@"), "{folder}");
    // Unloaded and loaded again: from the cache, which is checked.
    registry.unload(&exact("m", "1"));
    std::fs::write(cache.join(&folder).join("model.pt"), "damaged").unwrap();
    registry.get("m").await.map(drop).unwrap();
    assert_eq!(counts.loads(), 2);
    let (_, info) = registry.manifest("m").await.unwrap();
    assert_eq!(info, manifest);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_no_model_is_refused_and_leaves_nothing() {
    let Some(server) = server().await else { return };
    server.bus.put_object(MODELS, "m/1", &mut &b"no archive"[..]).await.unwrap();
    server.bus.put_object(MODELS, "no name of a model", &mut &b"x"[..]).await.unwrap_or(());
    let (registry, _) = server.registry("cache");
    let error = registry.get("m").await.map(drop).unwrap_err();
    assert!(matches!(error, MlError::BadModel { .. } | MlError::Away { .. }), "{error:?}");
    assert!(unpacked(&server.dir.path().join("cache")).is_empty());
    assert!(matches!(registry.get("n").await.map(drop), Err(MlError::NoModel(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_fails_puts_nothing() {
    let Some(server) = server().await else { return };
    let dir = TempDir::new().unwrap();
    put(dir.path(), "m", "1", 5 * MB, "");
    let (_, manifest) = folder::manifest(dir.path()).unwrap();
    std::fs::write(dir.path().join("model.pt"), vec![8; 5 << 20]).unwrap();
    let error = bucket::put(&server.bus, dir.path(), &manifest).await.unwrap_err();
    assert!(error.to_string().contains("`model.pt` has the checksum"), "{error}");
    assert!(bucket::list(&server.bus).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_object_is_another_folder_and_takes_over() {
    let Some(server) = server().await else { return };
    server.push("m", "1", MB).await;
    let (registry, _) = server.registry("cache");
    let before = registry.get("m").await.unwrap();
    server.push("m", "1", 2 * MB).await;
    registry.renew().await;
    assert_eq!((registry.get("m").await.unwrap().bytes, before.bytes), (2 * MB, MB));
    assert_eq!(unpacked(&server.dir.path().join("cache")).len(), 1, "the old one is swept out");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_worker_answers_and_switches_reach_those_that_start_later() {
    let Some(server) = server().await else { return };
    server.push("m", "1", MB).await;
    let [(one, _), (two, _)] = [server.registry("one"), server.registry("two")];
    let _one = inquiries::serve(&server.bus, &one, "ml-1").await.unwrap();
    let _two = inquiries::serve(&server.bus, &two, "ml-2").await.unwrap();
    let listed = server.ask(subjects::MODELS_LIST, json!({}), 2).await;
    assert_eq!((&listed[0]["worker"], &listed[1]["worker"]), (&json!("ml-1"), &json!("ml-2")));
    assert_eq!(listed[0]["available"][0]["model"], "m@1");
    assert_eq!(listed[0]["models"], json!([]));

    let loaded = server.ask(subjects::MODELS_LOAD, json!({"model": "m"}), 2).await;
    for answer in &loaded {
        assert_eq!((&answer["model"], &answer["bytes"]), (&json!("m@1"), &json!(MB)), "{answer}");
    }
    let absent = server.ask(subjects::MODELS_LOAD, json!({"model": "absent"}), 2).await;
    assert_eq!(absent[0]["error"]["code"], "TL2401");
    let wrong = server.ask(subjects::MODELS_LOAD, json!({"modell": "m"}), 2).await;
    assert_eq!(wrong[0]["error"]["code"], "TL1020", "{wrong:?}");
    let listed = server.ask(subjects::MODELS_LIST, json!({}), 2).await;
    let first = &listed[1]["models"][0];
    assert_eq!(
        (&first["state"], &first["kept"], &first["current"]),
        (&json!("loaded"), &json!(true), &json!(true))
    );

    // As `tasklane models load` switches it on.
    let control = server.bus.bucket(CONTROL).await.unwrap();
    let key = format!("{}m", streams::MODEL_KEYS);
    control.put(&key, "{}".into()).await.unwrap();
    let (late, _) = server.registry("late");
    let alive = CancellationToken::new();
    switches::watch(&server.bus, &late, alive.clone()).await.unwrap();
    wait::until("it is loaded", async || {
        late.status().iter().any(|s| s.state == "loaded" && s.kept).then_some(())
    })
    .await;
    control.remove(&key).await.unwrap();
    wait::until("it is unloaded", async || late.status().is_empty().then_some(())).await;
    alive.cancel();

    let unloaded = server.ask(subjects::MODELS_UNLOAD, json!({"model": "m"}), 2).await;
    assert_eq!(unloaded[0]["unloaded"], json!(["m@1"]));
    assert!(one.status().is_empty() && two.status().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn models_of_the_configuration_are_loaded_before_it_is_ready_and_bad_ones_do_not_stop_it() {
    let Some(server) = server().await else { return };
    server.push("m", "1", MB).await;
    let (registry, _) = server.registry("cache");
    switches::preload(&registry, &["absent".into(), "m@1".into()]).await;
    let [only] = registry.status().try_into().unwrap();
    assert_eq!((only.name.to_string().as_str(), only.kept), ("m@1", true));
}
