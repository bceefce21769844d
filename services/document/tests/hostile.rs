//! Hostile and broken files against real parsing children: each ends in a clear error or a bounded result, and the
//! next document is read as if nothing had been.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use support::{DOCX_HEAD, DOCX_TAIL, config, docx, encrypted_pdf, has_pdfium, pdf, sandbox};
use tasklane_document::error::DocError;
use tasklane_document::limits::Limits;
use tasklane_document::render::to_text;
use tasklane_document::sandbox::{Sandbox, SandboxConfig};

async fn code(sandbox: &Sandbox, bytes: &[u8], limits: &Limits) -> &'static str {
    match sandbox.read(bytes, limits).await {
        Ok((document, _)) => panic!("it was read: {} blocks", document.blocks.len()),
        Err(error) => error.code(),
    }
}

async fn still_works(sandbox: &Sandbox) {
    let (document, _) = sandbox.read(b"# Still here\n\nText.\n", &Limits::default()).await.unwrap();
    assert_eq!(to_text(&document).text, "Still here\n\nText.");
}

#[tokio::test]
async fn files_without_content_or_format_are_refused() {
    let sandbox = sandbox().await;
    let limits = Limits::default();
    assert_eq!(code(&sandbox, b"", &limits).await, "TL2100");
    let noise: Vec<u8> = (0..4096u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    assert_eq!(code(&sandbox, &noise, &limits).await, "TL2101");
    let small = Limits { max_bytes: 10, ..Limits::default() };
    assert_eq!(code(&sandbox, b"more than ten bytes", &small).await, "TL2104");
    still_works(&sandbox).await;
}

#[tokio::test]
async fn a_zip_bomb_is_told_by_what_it_unpacks_to() {
    let sandbox = sandbox().await;
    let megabyte = vec![b' '; 1 << 20];
    let parts =
        std::iter::once(DOCX_HEAD).chain(std::iter::repeat_n(megabyte.as_slice(), 64)).chain([DOCX_TAIL]);
    let bomb = docx(parts);
    assert!(bomb.len() < 1 << 20, "64 MB in {} bytes", bomb.len());
    let limits = Limits { max_unpacked_bytes: 16 << 20, ..Limits::default() };
    assert_eq!(code(&sandbox, &bomb, &limits).await, "TL2105");
    still_works(&sandbox).await;
}

#[tokio::test]
async fn billion_laughs_do_not_expand() {
    let sandbox = sandbox().await;
    let mut entities = String::from(r#"<?xml version="1.0"?><!DOCTYPE w:document [<!ENTITY a0 "laugh">"#);
    for level in 1..10 {
        let inner = format!("&a{};", level - 1).repeat(10);
        entities.push_str(&format!("<!ENTITY a{level} \"{inner}\">"));
    }
    entities.push_str("]>");
    let head = String::from_utf8_lossy(DOCX_HEAD).replace(r#"<?xml version="1.0"?>"#, &entities);
    let body = b"<w:p><w:r><w:t>&a9;</w:t></w:r></w:p>".as_slice();
    let file = docx([head.as_bytes(), body, DOCX_TAIL]);
    match sandbox.read(&file, &Limits::default()).await {
        Ok((document, _)) => assert!(to_text(&document).text.len() < 10_000),
        Err(error) => assert!(matches!(error.code(), "TL2102" | "TL2105"), "{error}"),
    }
    still_works(&sandbox).await;
}

#[tokio::test]
async fn deep_nesting_ends_in_an_answer() {
    let sandbox = sandbox().await;
    let html = format!("<!doctype html>{}deep{}", "<div>".repeat(200_000), "</div>".repeat(200_000));
    let json = format!("{}1{}", "[".repeat(200_000), "]".repeat(200_000));
    let quote = format!("# x\n\n{}deep", ">".repeat(100_000));
    let tables = b"<w:tbl><w:tr><w:tc>".repeat(50_000);
    let word = docx([DOCX_HEAD, &tables]);
    for (name, file) in
        [("html", html.as_bytes()), ("json", json.as_bytes()), ("quote", quote.as_bytes()), ("docx", &word)]
    {
        match sandbox.read(file, &Limits::default()).await {
            Ok((document, _)) => assert!(to_text(&document).text.len() <= file.len(), "{name}"),
            Err(error) => assert!(error.code().starts_with("TL21"), "{name}: {error}"),
        }
    }
    still_works(&sandbox).await;
}

#[tokio::test]
async fn broken_and_locked_containers_say_so() {
    let sandbox = sandbox().await;
    let limits = Limits::default();
    let whole = docx([DOCX_HEAD, b"<w:p><w:r><w:t>hello</w:t></w:r></w:p>", DOCX_TAIL]);
    assert_eq!(code(&sandbox, &whole[..whole.len() / 2], &limits).await, "TL2102");
    let mut locked = b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1".to_vec();
    locked.extend("EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes));
    assert_eq!(code(&sandbox, &locked, &limits).await, "TL2103");
    if has_pdfium("broken_and_locked_containers_say_so") {
        assert_eq!(code(&sandbox, &encrypted_pdf(), &limits).await, "TL2103");
        assert_eq!(code(&sandbox, b"%PDF-1.7\n", &limits).await, "TL2102");
        let whole = pdf(1, &["hello"], "", "");
        assert_eq!(code(&sandbox, &whole[..60], &limits).await, "TL2102");
    }
    still_works(&sandbox).await;
}

#[tokio::test]
async fn a_thousand_pages_take_bounded_memory() {
    if !has_pdfium("a_thousand_pages_take_bounded_memory") {
        return;
    }
    let sandbox = sandbox().await;
    let line = "The quick brown fox jumps over the lazy dog and runs into the deep dark forest.";
    let file = pdf(1000, &[line; 45], "", "");
    let (document, usage) = sandbox.read(&file, &Limits::default()).await.unwrap();
    assert_eq!(document.page_count, Some(1000));
    assert!(!document.truncated);
    assert_eq!(to_text(&document).text.matches("lazy dog").count(), 45_000);
    println!("1,000 pages: {} MB, {} ms of CPU", usage.peak_rss_kb / 1024, usage.cpu_us / 1000);
    assert!(usage.peak_rss_kb < 512 << 10, "{} KiB", usage.peak_rss_kb);
}

#[tokio::test]
async fn too_many_pages_are_left_out_with_a_warning() {
    if !has_pdfium("too_many_pages_are_left_out_with_a_warning") {
        return;
    }
    let limits = Limits { max_pages: 3, ..Limits::default() };
    let (document, _) = sandbox().await.read(&pdf(10, &["Hello."], "", ""), &limits).await.unwrap();
    assert!(document.truncated && document.page_count == Some(10));
    assert_eq!(to_text(&document).text.matches("Hello.").count(), 3);
    assert!(document.warnings.iter().any(|warning| warning.contains("first 3 of 10 pages")));
}

#[tokio::test]
async fn a_child_that_takes_too_long_is_killed_and_replaced() {
    let sandbox = Sandbox::start(SandboxConfig { timeout_ms: 300, ..config() }).await.unwrap();
    let rows = "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p\n".repeat(1_000_000);
    let limits = Limits { max_cells: u64::MAX, max_text_bytes: u64::MAX / 16, ..Limits::default() };
    let error = sandbox.read(rows.as_bytes(), &limits).await.unwrap_err();
    assert_eq!(error, DocError::TimedOut { limit_ms: 300 });
    still_works(&sandbox).await;
}

#[tokio::test]
async fn a_child_that_swells_is_killed_and_replaced() {
    let sandbox = Sandbox::start(SandboxConfig { memory_mb: 100, ..config() }).await.unwrap();
    let rows = "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p\n".repeat(1_000_000);
    let limits = Limits { max_cells: u64::MAX, max_text_bytes: u64::MAX / 16, ..Limits::default() };
    let error = sandbox.read(rows.as_bytes(), &limits).await.unwrap_err();
    assert_eq!(error, DocError::OutOfMemory { limit_mb: 100 });
    still_works(&sandbox).await;
}

#[tokio::test]
async fn a_child_that_dies_is_told_from_one_that_is_slow() {
    let dying = SandboxConfig { program: "/bin/false".into(), ..config() };
    let error = Sandbox::start(dying).await.unwrap().read(b"text", &Limits::default()).await.unwrap_err();
    assert_eq!(error.code(), "TL3103");
    let missing = SandboxConfig { program: "/nowhere/at/all".into(), ..config() };
    let Err(error) = Sandbox::start(missing).await else { panic!("started") };
    assert_eq!(error.code(), "TL3105");
}

#[tokio::test]
async fn worn_children_are_replaced_and_documents_run_side_by_side() {
    let sandbox = Sandbox::start(SandboxConfig { children: 2, recycle_after: 2, ..config() }).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..12 {
        let sandbox = sandbox.clone();
        tasks.spawn(async move {
            let (document, _) =
                sandbox.read(format!("document {number}").as_bytes(), &Limits::default()).await.unwrap();
            (number, to_text(&document).text)
        });
    }
    let done = tasks.join_all().await;
    assert_eq!(done.len(), 12);
    for (number, text) in done {
        assert_eq!(text, format!("document {number}"));
    }
}
