//! From a folder of documents to answers: `tasklane ingest`, `search`, `ask` and `vectors` with every service that takes
//! part running.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tasklane_testkit::otlp::OtlpReceiver;
use tasklane_testkit::upstream::{Script, Upstream};
use tasklane_testkit::wait::PATIENCE;
use tasklane_testkit::{Options, Stack, ml, port, tool};
use tempfile::TempDir;

use crate::command::{Said, say};

/// What examples are ingested, none of which needs PDFium.
const EXAMPLES: [&str; 4] =
    ["keepers-handbook.md", "committee-minutes.docx", "angebot-linse.txt", "visitors.html"];
const NAME: &str = "papers";

struct Pipeline {
    stack: Stack,
    /// The documents.
    folder: PathBuf,
    _home: TempDir,
}

/// A stack with all that takes part, and a folder of documents. `None` where the ml service cannot run here.
async fn start(options: Options) -> Option<Pipeline> {
    let models = ml::models()?.display().to_string();
    let home = TempDir::new().unwrap();
    let folder = home.path().join("documents");
    std::fs::create_dir(&folder).unwrap();
    for name in EXAMPLES {
        std::fs::copy(tool::repository().join("examples/documents").join(name), folder.join(name)).unwrap();
    }
    let vectors = home.path().join("vectors").display().to_string();
    let options = options
        .service("document", "tasklane-document", &[("TASKLANE_PARSER_CHILDREN", "1")])
        .service("vector-indexer", "tasklane-vector-indexer", &[("TASKLANE_VECTORS_FOLDER", &vectors)])
        .ml(&models, &home.path().join("cache"), &[("TASKLANE_MODELS_PRELOAD", "minilm")]);
    let stack = Stack::start(options).await?;
    Some(Pipeline { stack, folder, _home: home })
}

impl Pipeline {
    async fn ingest(&self, more: &[&str]) -> Said {
        let folder = self.folder.to_str().unwrap();
        let said = [&["ingest", folder, "--collection", NAME, "--json"][..], more].concat();
        say(&self.stack, &said).await
    }

    /// What an ingestion did that has to succeed.
    async fn ingested(&self) -> Value {
        let said = self.ingest(&[]).await;
        assert_eq!(said.code, 0, "{}{}", said.out, said.err);
        said.json()
    }

    /// The hits of a search.
    async fn hits(&self, question: &str, more: &[&str]) -> Vec<Value> {
        let said = say(&self.stack, &[&["search", NAME, question, "--json"][..], more].concat()).await;
        assert_eq!(said.code, 0, "{}{}", said.out, said.err);
        said.json()["hits"].as_array().unwrap().clone()
    }

    async fn points(&self) -> u64 {
        let said = say(&self.stack, &["vectors", "describe", NAME, "--json"]).await;
        said.json()["points"].as_u64().unwrap_or_else(|| panic!("{}{}", said.out, said.err))
    }
}

/// The file that a hit is of, or the first of several with the same content.
fn file(hit: &Value) -> &str {
    let source = &hit["metadata"]["source"];
    let name = source.as_str().or_else(|| source[0].as_str()).unwrap_or_else(|| panic!("{hit}"));
    Path::new(name).file_name().unwrap().to_str().unwrap()
}

#[tokio::test]
async fn documents_go_in_once_are_found_and_changed_ones_take_the_place_of_the_old() {
    let Some(pipeline) = start(Options::no_workers()).await else { return };
    std::fs::write(pipeline.folder.join("broken.docx"), b"PK\x03\x04 and no more").unwrap();
    let failures = pipeline.folder.parent().unwrap().join("failures.jsonl");
    let said = pipeline.ingest(&["--failures", failures.to_str().unwrap()]).await;
    let first = said.json();
    assert_eq!(said.code, 1, "one of them is broken: {}{}", said.out, said.err);
    assert_eq!((&first["documents"]["indexed"], &first["documents"]["failed"]), (&json!(4), &json!(1)));
    let failed = &first["failures"][0];
    assert!(failed["source"].as_str().unwrap().ends_with("/broken.docx"), "{failed}");
    assert_eq!(
        (failed["stage"].as_str(), failed["code"].as_str().map(str::len)),
        (Some("cut"), Some(6)),
        "{failed}"
    );
    let written: Value = serde_json::from_str(std::fs::read_to_string(&failures).unwrap().trim()).unwrap();
    assert_eq!(&written, failed);
    let chunks = first["chunks"].as_u64().unwrap();
    assert_eq!(pipeline.points().await, chunks);

    // What was broken is mended: it is done, and nothing else again.
    std::fs::write(
        pipeline.folder.join("broken.docx"),
        std::fs::read(pipeline.folder.join(EXAMPLES[1])).unwrap(),
    )
    .unwrap();
    let retried = ["--retry", failures.to_str().unwrap()];
    let said =
        say(&pipeline.stack, &[&["ingest", "--collection", NAME, "--json"][..], &retried].concat()).await;
    let again = said.json();
    assert_eq!(again["documents"]["found"], 1, "{again}");
    assert_eq!(again["documents"]["named"], 1, "it has the content of another now: {again}");
    std::fs::remove_file(pipeline.folder.join("broken.docx")).unwrap();
    let again = pipeline.ingested().await;
    assert_eq!((&again["documents"]["unchanged"], &again["chunks"]), (&json!(4), &json!(0)), "{again}");

    // By meaning, across languages as far as the model goes; by words; by both; within one document.
    let by_meaning = pipeline.hits("Who pays for repairing the tower?", &["-k", "3"]).await;
    assert_eq!(by_meaning.len(), 3);
    let by_words = pipeline.hits("Prismen Linse Lieferung", &["--text"]).await;
    assert_eq!(file(&by_words[0]), "angebot-linse.txt", "{by_words:?}");
    let by_both =
        pipeline.hits("When does the boat Terna leave for the open day on the rock?", &["--hybrid"]).await;
    assert_eq!(file(&by_both[0]), "visitors.html", "{by_both:?}");
    let source = format!("source={}", pipeline.folder.canonicalize().unwrap().join(EXAMPLES[0]).display());
    let of_one = pipeline.hits("visitors", &["--hybrid", "--filter", &source]).await;
    assert!(!of_one.is_empty() && of_one.iter().all(|hit| file(hit) == EXAMPLES[0]), "{of_one:?}");

    // A changed document: its new text is found, and nothing of it is there twice.
    let handbook = pipeline.folder.join(EXAMPLES[0]);
    let text = std::fs::read_to_string(&handbook).unwrap();
    std::fs::write(
        &handbook,
        format!("{text}\n## Zeppelins\n\nA zeppelin is moored at the gallery's rail.\n"),
    )
    .unwrap();
    let changed = pipeline.ingested().await;
    assert_eq!(
        (&changed["documents"]["indexed"], &changed["documents"]["unchanged"]),
        (&json!(1), &json!(3))
    );
    let found = pipeline.hits("zeppelin", &["--text"]).await;
    assert_eq!((found.len(), file(&found[0])), (1, EXAMPLES[0]), "{found:?}");
    let of_one = pipeline.hits("lamp", &["-k", "100", "--filter", &source]).await;
    assert_eq!(of_one.len() as u64, changed["chunks"].as_u64().unwrap(), "the old edition is gone");
}

#[tokio::test]
async fn a_document_is_one_trace_from_file_to_index() {
    let receiver = OtlpReceiver::start().await.unwrap();
    let options = Options::no_workers()
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.endpoint())
        .env("OTEL_BSP_SCHEDULE_DELAY", "100");
    let Some(pipeline) = start(options).await else { return };
    pipeline.ingested().await;
    let stages: BTreeSet<&str> =
        ["process document_chunk", "process embed_text", "process vector_indexing"].into();
    let whole = |spans: &[tasklane_testkit::otlp::ReceivedSpan]| {
        let traces: BTreeSet<&str> = spans.iter().map(|span| span.trace_id.as_str()).collect();
        let has_all = |trace: &&&str| {
            let of_it = spans.iter().filter(|span| span.trace_id == ***trace).map(|span| span.name.as_str());
            stages.is_subset(&of_it.collect())
        };
        traces.iter().filter(has_all).count() == EXAMPLES.len()
    };
    receiver.wait_for(whole, PATIENCE).await.unwrap_or_else(|e| panic!("{e}"));
}

#[tokio::test]
async fn an_operator_sees_collections_takes_snapshots_and_brings_one_back() {
    let Some(pipeline) = start(Options::no_workers()).await else { return };
    pipeline.ingested().await;
    let points = pipeline.points().await;
    let ask = async |args: &[&str]| {
        let said = say(&pipeline.stack, &[&["vectors"][..], args].concat()).await;
        assert_eq!(said.code, 0, "{args:?}: {}{}", said.out, said.err);
        said
    };
    let listed = ask(&["list"]).await.out;
    assert!(listed.lines().any(|line| line.starts_with(NAME) && line.contains("384")), "{listed}");
    let replicas = ask(&["replicas", "--json"]).await.json();
    assert_eq!(replicas["replicas"].as_array().map(Vec::len), Some(1), "{replicas}");
    ask(&["alias", "newest", NAME]).await;
    assert!(!pipeline.hits("lamp", &["--text"]).await.is_empty());
    let taken = ask(&["snapshot", "newest", "--json"]).await.json();
    let snapshot = taken["snapshot"].as_str().unwrap().to_owned();
    assert!(ask(&["snapshots", NAME]).await.out.contains(&snapshot));
    ask(&["restore", NAME, &snapshot, "--into", "copy"]).await;
    let copy = ask(&["describe", "copy", "--json"]).await.json();
    assert_eq!(copy["points"], json!(points), "{copy}");
    ask(&["drop", NAME]).await;
    let said = say(&pipeline.stack, &["search", NAME, "lamp", "--text"]).await;
    assert_eq!(said.code, 1, "{}", said.out);
    assert!(said.err.contains("TL2501") && said.err.contains(NAME), "{}", said.err);
    let found = say(&pipeline.stack, &["search", "copy", "lamp", "--text", "--json"]).await.json();
    assert!(!found["hits"].as_array().unwrap().is_empty(), "{found}");
}

/// An openai-proxy with one model of one provider.
fn proxied(home: &TempDir, provider: &str) -> Options {
    let providers = home.path().join("providers.toml");
    let text = format!(
        "[providers.p]\nbase_url = \"{provider}\"\nkey = {{ env = \"PROVIDER_KEY\" }}\n\
         [models.a]\nprovider = \"p\"\nname = \"upstream-a\"\ncontext_tokens = 8000\nmax_output_tokens = 100\n\
         free = true\n[tenants.default]\n",
    );
    std::fs::write(&providers, text).unwrap();
    let listen = format!("127.0.0.1:{}", port::free());
    let own = [
        ("TASKLANE_PROVIDERS_FILE", providers.to_str().unwrap()),
        ("TASKLANE_API_LISTEN", &listen),
        ("PROVIDER_KEY", "sk-of-the-provider"),
    ];
    Options::no_workers().service("openai-proxy", "tasklane-openai-proxy", &own)
}

#[tokio::test]
async fn a_question_is_answered_from_the_documents_with_its_sources() {
    let upstream = Upstream::start().await.unwrap();
    upstream.set("upstream-a", Script::says("Terna, at eight [1]. Nobody else says so [9]."));
    let home = TempDir::new().unwrap();
    let options = proxied(&home, &upstream.base_url());
    let Some(pipeline) = start(options).await else { return };
    pipeline.ingested().await;
    let question = "Which boat leaves for the open day on the rock?";
    let said = say(&pipeline.stack, &["ask", NAME, question, "-k", "3"]).await;
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert!(said.out.starts_with("Terna, at eight [1]."), "{}", said.out);
    let sources: Vec<&str> = said.out.lines().skip_while(|line| *line != "Sources:").skip(1).collect();
    let best = pipeline.hits(question, &["--hybrid", "-k", "3"]).await;
    let first = format!("[1] {}", best[0]["metadata"]["source"].as_str().unwrap());
    assert!(sources.len() == 1 && sources[0].starts_with(&first), "{}", said.out);
    assert!(said.err.contains("[9]"), "a source that there is not is told: {}", said.err);
    let text = best[0]["text"].as_str().unwrap().lines().next().unwrap().to_owned();
    let asked = upstream.requests()[0].json()["messages"].to_string();
    assert!(asked.contains(question) && asked.contains(&text), "{asked}");
}

#[tokio::test]
async fn without_a_provider_documents_are_quoted_and_a_model_of_our_own_answers() {
    let home = TempDir::new().unwrap();
    let nobody = format!("http://127.0.0.1:{}/v1", port::free());
    let Some(pipeline) = start(proxied(&home, &nobody)).await else { return };
    pipeline.ingested().await;
    // Nobody writes, for the only provider is not there: the documents' own words are the answer.
    let quoted =
        say(&pipeline.stack, &["ask", NAME, "What does transport of the lens cost, there and back?"]).await;
    assert_eq!(quoted.code, 0, "{}{}", quoted.out, quoted.err);
    let first = quoted.out.lines().next().unwrap();
    assert!(first.ends_with(']') && quoted.out.contains("\nSources:\n["), "{}", quoted.out);
    assert!(quoted.err.contains("the documents' own words"), "{}", quoted.err);
    let loaded = say(&pipeline.stack, &["models", "load", "teller"]).await;
    assert_eq!(loaded.code, 0, "{}{}", loaded.out, loaded.err);
    let args = ["ask", NAME, "Who keeps the light?", "-k", "1", "--max-tokens", "8", "--json"];
    let said = say(&pipeline.stack, &args).await;
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    let answer = said.json();
    assert!(answer["model"].as_str().unwrap().starts_with("teller"), "{answer}");
    assert!(!answer["answer"].as_str().unwrap().is_empty(), "{answer}");
    assert_eq!(answer["sources"].as_array().map(Vec::len), Some(1), "{answer}");
}
