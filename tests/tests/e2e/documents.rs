//! The document service in the whole: real documents of `examples/`, sources that are refused, and its death.

use std::path::PathBuf;

use serde_json::{Value, json};
use tasklane_contract::id;
use tasklane_testkit::client::task;
use tasklane_testkit::wait::PATIENCE;
use tasklane_testkit::{Client, Options, Stack, tool};

const DOCUMENT: &str = "document";

fn examples() -> PathBuf {
    let folder = tool::repository().join("examples/documents");
    folder.canonicalize().unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
}

/// A router, a generic worker, and a document worker that may read the examples as files.
async fn stack() -> Option<Stack> {
    let root = examples().display().to_string();
    let own = [("TASKLANE_SOURCES_ROOTS", root.as_str()), ("TASKLANE_PARSER_CHILDREN", "1")];
    Stack::start(Options::default().service(DOCUMENT, "tasklane-document", &own)).await
}

/// Uploads an example; its source.
async fn upload(client: &Client, name: &str) -> String {
    let bytes = std::fs::read(examples().join(name)).unwrap();
    client.bus.put_object("documents", name, &mut bytes.as_slice()).await.unwrap();
    format!("obj://documents/{name}")
}

fn has_pdfium() -> bool {
    let has = tool::outside("pdfium").is_some();
    if !has {
        tool::skipped("pdfium", "(`make setup` gets it)");
    }
    has
}

#[tokio::test]
async fn a_pdf_from_the_object_store_is_analysed_by_the_one_who_can() {
    if !has_pdfium() {
        return;
    }
    let Some(stack) = stack().await else { return };
    let source = upload(&stack.client, "condition-report.pdf").await;
    let result = stack.client.run("document_analysis", json!({"source": source})).await;
    assert_eq!(result["status"], "succeeded", "{result}");
    let (document, found) = (&result["result"], &result["result"]["analysis"]);
    assert_eq!((&document["format"], &document["pages"]), (&json!("pdf"), &json!(4)), "{document}");
    assert_eq!(found["language"]["code"], "en", "{found}");
    assert!(found["counts"]["words"].as_u64().unwrap() > 500, "{found}");
    assert!(document["tables_found"].as_u64().unwrap() >= 1, "{found}");
    assert_eq!(result["route"]["pool"], DOCUMENT);
    let other = result["route"]["candidates"].as_array().unwrap().iter().find(|c| c["pool"] == "generic");
    let other = other.unwrap_or_else(|| panic!("the pool that cannot do it is named: {result}"));
    assert_eq!(other["eligible"], json!(false));
    assert!(other["why"].as_str().unwrap().contains("text_processing"), "{other}");
}

#[tokio::test]
async fn files_under_a_root_are_read_and_other_sources_are_refused_with_their_code() {
    let Some(stack) = stack().await else { return };
    let file = |name: &str| format!("file://{}", examples().join(name).display());
    let ask = async |source: String| stack.client.run("document_extract", json!({"source": source})).await;
    let read = ask(file("keepers-handbook.md")).await;
    assert_eq!(
        (&read["status"], &read["result"]["format"]),
        (&json!("succeeded"), &json!("markdown")),
        "{read}"
    );
    for (source, code) in [
        ("obj://documents/none.pdf".to_owned(), "TL2123"),
        (file("none.pdf"), "TL2123"),
        ("file:///etc/passwd".to_owned(), "TL2121"),
        (file("../README.md"), "TL2121"),
        ("http://127.0.0.1:4222/".to_owned(), "TL2122"),
        ("http://[::1]/".to_owned(), "TL2122"),
        ("http://169.254.169.254/latest/meta-data/".to_owned(), "TL2122"),
        ("http://localhost/".to_owned(), "TL2122"),
        ("obj://documents".to_owned(), "TL2124"),
    ] {
        let result = ask(source.clone()).await;
        let error = &result["error"];
        assert_eq!(
            (&result["status"], &error["code"]),
            (&json!("failed"), &json!(code)),
            "{source}: {result}"
        );
        assert!(error["message"].as_str().unwrap().len() > 10, "{source}: {error}");
        let page = tool::repository().join(format!("docs/errors/{code}.md"));
        assert!(page.is_file(), "{}", page.display());
    }
    // Each of them was said for good: one attempt, and a dead letter that can be replayed.
    let listed = stack.client.api("api.dead.list", json!({"task_type": "document_extract"})).await;
    let listed = listed["dead"].as_array().unwrap();
    assert!(listed.len() == 9 && listed.iter().all(|letter| letter["replayable"] == true), "{listed:?}");
}

#[tokio::test]
async fn documents_in_hand_when_the_service_dies_are_read_by_the_next() {
    let Some(mut stack) = stack().await else { return };
    let names = ["visitors.html", "committee-minutes.docx", "panels-go-down.eml", "angebot-linse.txt"];
    let mut sources = Vec::new();
    for name in names {
        sources.push(upload(&stack.client, name).await);
    }
    let ids: Vec<String> = (0..40).map(|_| id::fresh()).collect();
    let more = json!({"retry": {"max_attempts": 5}});
    let tasks = ids.iter().zip(sources.iter().cycle());
    let tasks = tasks.map(|(id, source)| task(id, "document_chunk", json!({"source": source}), more.clone()));
    stack.client.submit_all(tasks).await;
    stack.client.at_least("RESULTS", 1, PATIENCE).await;
    stack.kill9(DOCUMENT);
    stack.start_again(DOCUMENT).await;
    let records = stack.client.results().await.exactly_one_each(&ids, PATIENCE).await;
    for record in records {
        let result: Value = record.json();
        assert_eq!(result["status"], "succeeded", "{result}");
        assert!(!result["result"]["chunks"].as_array().unwrap().is_empty(), "{result}");
    }
    stack.at_rest().await;
}
