//! TorchScript modules, saved by Python: the same answers, and what happens to those that fail.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod reference;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use reference::modules;
use tasklane_ml::batch::Meters;
use tasklane_ml::config::BatchConfig;
use tasklane_ml::error::MlError;
use tasklane_ml::manifest::Manifest;
use tasklane_ml::models::script::{Answer, Handle};
use tasklane_ml::models::{Loading, Settings, Urgency};
use tasklane_ml::tensor::{Dtype, Tensor, read_all};
use tasklane_ml::torch::Device;
use tasklane_models::{folder, manifest};
use tasklane_runtime::telemetry::Metrics;
use tokio::time::Instant;

/// The manifest of a module that lies in a folder.
fn manifest_of(place: &Path, memory_mb: u64) -> Manifest {
    let (_, sum) = folder::checksum(&place.join("model.pt")).unwrap();
    let text = format!(
        "name = \"m\"\nversion = \"1\"\nlicence = \"MIT\"\nkind = \"torchscript\"\nmemory_mb = {memory_mb}\n[files]\n\
         \"model.pt\" = \"{sum}\"\n"
    );
    manifest::parse(&text).unwrap()
}

fn load_with(name: &str, memory_mb: u64, max_waiting: usize) -> Option<Handle> {
    let place = modules()?.join(name);
    let manifest = manifest_of(&place, memory_mb);
    let batch = BatchConfig { max_waiting, ..BatchConfig::default() };
    let settings = settings(batch);
    let meters = Meters::new(&Metrics::new("test"));
    let at = Loading { folder: &place, manifest: &manifest, settings: &settings, meters: &meters };
    Some(Handle::load(&at).unwrap())
}

fn settings(batch: BatchConfig) -> Settings {
    Settings { device: Device::of("cpu").unwrap(), threads: 0, precision: None, batch }
}

fn load(name: &str) -> Option<Handle> {
    load_with(name, 0, 100)
}

fn urgency(priority: u8) -> Urgency {
    Urgency { priority, until: Instant::now() + Duration::from_secs(120) }
}

fn number(n: i64) -> Tensor {
    Tensor::new(Dtype::I64, vec![], n.to_le_bytes().to_vec()).unwrap()
}

fn floats(numbers: &[f32]) -> Tensor {
    let bytes = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
    Tensor::new(Dtype::F32, vec![numbers.len()], bytes).unwrap()
}

async fn error(handle: &Handle, inputs: Vec<Tensor>) -> String {
    let error = handle.run(inputs, urgency(1)).await.unwrap_err();
    assert!(matches!(error, MlError::Failed { .. }), "{error:?}");
    error.to_string()
}

/// Names of cases with their inputs and the outputs by their ways.
type Cases = BTreeMap<String, (Vec<Tensor>, BTreeMap<String, Tensor>)>;

fn cases(name: &str) -> Option<Cases> {
    let (tensors, _) =
        read_all(&std::fs::read(modules()?.join(name).join("cases.safetensors")).unwrap()).unwrap();
    let mut cases = Cases::new();
    // In the order of their names, which is that of the inputs.
    for (name, tensor) in tensors {
        let mut parts = name.splitn(3, '.');
        let (case, kind, way) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
        let (inputs, outputs) = cases.entry(case.to_owned()).or_default();
        match kind {
            "in" => inputs.push(tensor),
            _ => drop(outputs.insert(way.to_owned(), tensor)),
        }
    }
    Some(cases)
}

/// Equal in format and shape, and number by number to a millionth; `NaN` is nowhere.
fn assert_same(place: &str, ours: &Tensor, theirs: &Tensor) {
    assert_eq!((ours.dtype(), ours.shape()), (theirs.dtype(), theirs.shape()), "{place}");
    for (a, b) in numbers(ours).into_iter().zip(numbers(theirs)) {
        assert!((a - b).abs() <= 1e-6, "{place}: {a} {b}");
    }
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    let text = serde_json::to_value(tasklane_ml::tensor::Written(tensor, Default::default())).unwrap();
    let mut flat = Vec::new();
    let mut left = vec![&text["values"]];
    while let Some(value) = left.pop() {
        match value {
            serde_json::Value::Array(items) => left.extend(items),
            serde_json::Value::Bool(b) => flat.push(f64::from(u8::from(*b))),
            value => flat.push(value.as_f64().unwrap()),
        }
    }
    flat
}

#[tokio::test]
async fn answers_are_those_of_python() {
    for (name, least) in [("plus", 11), ("mlp", 2), ("compare", 1), ("nested", 1), ("raises", 1), ("eats", 1)]
    {
        let (Some(handle), Some(cases)) = (load(name), cases(name)) else { return };
        assert_eq!(cases.len(), least, "{name}");
        for (case, (inputs, expected)) in cases {
            let answer = handle.run(inputs, urgency(1)).await.unwrap();
            let (ours, _) = read_all(&answer.to_bytes(Default::default()).unwrap()).unwrap();
            for (way, theirs) in expected {
                assert_same(&format!("{name} {case} {way}"), &ours[&way], &theirs);
            }
        }
    }
}

#[tokio::test]
async fn tuples_dicts_and_plain_numbers_keep_their_form() {
    let Some(handle) = load("nested") else { return };
    let answer = handle.run(vec![floats(&[1.0, 2.0])], urgency(1)).await.unwrap();
    let Answer::List(parts) = &answer else { panic!("{answer:?}") };
    let [Answer::Map(map), Answer::List(rest)] = parts.as_slice() else { panic!("{parts:?}") };
    assert!(matches!(&map["scores"], Answer::List(two) if two.len() == 2));
    assert_eq!(rest[1..], [Answer::Int(7), Answer::Float(0.5), Answer::Bool(true)]);
    let told = serde_json::to_value(tasklane_ml::models::script::WrittenAnswer(&answer, Default::default()))
        .unwrap();
    assert_eq!(told[0]["scores"][0]["values"], serde_json::json!([2.0, 4.0]));
    assert_eq!(told[1], serde_json::json!([{"dtype": "f32", "shape": [], "values": 1.5}, 7, 0.5, true]));
}

#[tokio::test]
async fn what_a_module_raises_is_the_tasks_error_and_the_next_is_served() {
    let Some(raises) = load("raises") else { return };
    assert_eq!(
        error(&raises, vec![floats(&[1.0])]).await,
        "the model `m@1` failed: ValueError: only negative numbers are wanted"
    );
    raises.run(vec![floats(&[-1.0])], urgency(1)).await.unwrap();
    let said = error(&raises, vec![]).await;
    assert!(said.contains("missing value for argument 'x'"), "{said}");
    let said = error(&raises, vec![floats(&[1.0]), floats(&[1.0])]).await;
    assert!(said.contains("at most 2 argument(s)"), "{said}");
    let Some(mlp) = load("mlp") else { return };
    let said = error(&mlp, vec![floats(&[1.0])]).await;
    assert!(said.contains("mat1") || said.contains("size") || said.contains("shape"), "{said}");
    for (name, expected) in
        [("endless", "more than 268435456 bytes"), ("odd", "ComplexFloat, which is not taken")]
    {
        let Some(handle) = load(name) else { return };
        let said = error(&handle, vec![floats(&[1.0])]).await;
        assert!(said.contains(expected), "{said}");
    }
}

#[tokio::test]
async fn what_cannot_have_its_memory_fails_alone() {
    let Some(eats) = load("eats") else { return };
    let said = error(&eats, vec![number(1 << 46), number(1 << 46)]).await;
    assert!(said.contains("can't allocate memory"), "{said}");
    eats.run(vec![number(1 << 20), number(1 << 16)], urgency(1)).await.unwrap();
    // Its manifest says what a call takes: nothing is tried then.
    let Some(large) = load_with("eats", 1 << 20, 100) else { return };
    let refused = large.run(vec![number(1), number(1)], urgency(1)).await.unwrap_err();
    assert!(matches!(refused, MlError::TooMuchMemory { need_mb: 1_048_576, .. }), "{refused:?}");
}

#[tokio::test]
async fn memory_stays_flat_also_where_calls_fail() {
    let Some(raises) = load("raises") else { return };
    raises.run(vec![floats(&[-1.0])], urgency(1)).await.unwrap();
    let megabyte = vec![1.0f32; 256 << 10];
    let call = || async {
        raises.run(vec![floats(&megabyte)], urgency(1)).await.unwrap_err();
    };
    for _ in 0..50 {
        call().await;
    }
    let before = resident_mb();
    for _ in 0..400 {
        call().await;
    }
    let grown = resident_mb().saturating_sub(before);
    assert!(grown < 100, "grown by {grown} MB over 400 calls with 1 MB each");
}

fn resident_mb() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 4096 / (1 << 20)
}

#[tokio::test]
async fn the_urgent_overtake_the_late_are_dropped_and_too_many_are_refused() {
    let Some(slow) = load_with("slow", 0, 3) else { return };
    let turn = |priority, times, until: Duration| {
        let slow = slow.clone();
        tokio::spawn(async move {
            let until = Instant::now() + until;
            let done = slow.run(vec![number(times)], Urgency { priority, until }).await;
            (Instant::now(), done)
        })
    };
    let long = Duration::from_secs(120);
    let first = turn(3, 2_000, long);
    // Put, and taken by the thread.
    tokio::task::yield_now().await;
    while slow.waiting() > 0 {
        tokio::task::yield_now().await;
    }
    let (low, late, high) = (turn(3, 1, long), turn(2, 1, Duration::ZERO), turn(0, 1, long));
    while slow.waiting() < 3 {
        tokio::task::yield_now().await;
    }
    let refused = turn(0, 1, long).await.unwrap().1;
    assert_eq!(refused.unwrap_err(), MlError::Crowded("m@1".into()));
    first.await.unwrap().1.unwrap();
    let ((low_at, low), (high_at, high)) = (low.await.unwrap(), high.await.unwrap());
    low.unwrap();
    high.unwrap();
    assert!(high_at < low_at);
    assert_eq!(late.await.unwrap().1.unwrap_err(), MlError::TooLate);
}

#[tokio::test]
async fn what_is_no_module_is_refused_when_it_is_loaded() {
    let dir = tempfile::TempDir::new().unwrap();
    std::fs::write(dir.path().join("model.pt"), "no module at all").unwrap();
    let manifest = manifest_of(dir.path(), 0);
    let settings = settings(BatchConfig::default());
    let meters = Meters::new(&Metrics::new("test"));
    let at = Loading { folder: dir.path(), manifest: &manifest, settings: &settings, meters: &meters };
    let refused = Handle::load(&at);
    let Err(MlError::BadModel { reason, .. }) = refused.map(drop) else { panic!("loaded") };
    assert!(reason.starts_with("model.pt: "), "{reason}");
}
