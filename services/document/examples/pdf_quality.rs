//! Measures PDF text against `pdftotext` over a folder: bag-of-words F1 a document, CPU time a page, memory.
//!
//! `cargo run --release -p tasklane-document --example pdf_quality -- <folder> [--show <file>]`, with the service's
//! binary built in the same profile. Every file is read in a parsing child, one child for all, as in the service;
//! CPU is user and system time of the child, of a second reading of the whole folder, when the child is warm.

use std::collections::HashMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

use tasklane_document::formats::pdf::library;
use tasklane_document::limits::Limits;
use tasklane_document::model::Document;
use tasklane_document::render;
use tasklane_document::sandbox::{Sandbox, SandboxConfig};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().ok_or("usage: pdf_quality <folder> [--show <file>]")?);
    let show = arguments.nth(1);
    let sandbox = Sandbox::start(SandboxConfig {
        program: service_binary()?,
        children: 1,
        timeout_ms: 30_000,
        memory_mb: 1024,
        recycle_after: u32::MAX,
        recycle_mb: 1024,
        pdfium_library: library::find("").unwrap_or_default(),
    })
    .await?;
    let mut files = Vec::new();
    collect(&folder, &mut files)?;
    files.sort();
    let mut total = Total::default();
    for warm in [false, true] {
        for file in &files {
            measure(&sandbox, file, warm.then_some(&mut total), show.as_deref()).await?;
        }
    }
    total.print();
    Ok(())
}

/// The service's binary lies one folder above the examples.
fn service_binary() -> Result<PathBuf, Box<dyn Error>> {
    let own = std::env::current_exe()?;
    let folder = own.parent().and_then(Path::parent).ok_or("no target folder")?;
    let binary = folder.join("tasklane-document");
    if binary.is_file() { Ok(binary) } else { Err(format!("build {} first", binary.display()).into()) }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "pdf") {
            files.push(path);
        }
    }
    Ok(())
}

#[derive(Default)]
struct Total {
    scores: Vec<(f64, PathBuf)>,
    pages: u32,
    cpu_us: u64,
    peak_rss_kb: u64,
    worst_page: (f64, PathBuf),
    refused: Vec<(PathBuf, String)>,
}

impl Total {
    fn print(&mut self) {
        self.scores.sort_by(|one, other| one.0.total_cmp(&other.0));
        for (score, path) in self.scores.iter().take(10) {
            println!("F1 {score:.3} {}", path.display());
        }
        for (path, error) in &self.refused {
            println!("refused {}: {error}", path.display());
        }
        let mean = self.scores.iter().map(|(score, _)| score).sum::<f64>() / self.scores.len().max(1) as f64;
        println!("documents {} refused {}", self.scores.len(), self.refused.len());
        println!("mean F1 {mean:.4}, pages {}", self.pages);
        println!("CPU ms/page {:.3}", self.cpu_us as f64 / 1000.0 / f64::from(self.pages.max(1)));
        println!("slowest CPU ms/page {:.2} {}", self.worst_page.0, self.worst_page.1.display());
        println!("peak child memory {} MB", self.peak_rss_kb / 1024);
    }
}

async fn measure(
    sandbox: &Sandbox,
    file: &Path,
    total: Option<&mut Total>,
    show: Option<&str>,
) -> Result<(), Box<dyn Error>> {
    let bytes = std::fs::read(file)?;
    let read = sandbox.read(&bytes, &Limits::default()).await;
    let Some(total) = total else { return Ok(()) };
    let (document, usage) = match read {
        Ok(read) => read,
        Err(error) => {
            total.refused.push((file.to_owned(), format!("{} {error}", error.code())));
            return Ok(());
        }
    };
    let pages = document.page_count.unwrap_or(1);
    let per_page = usage.cpu_us as f64 / 1000.0 / f64::from(pages);
    if per_page > total.worst_page.0 {
        total.worst_page = (per_page, file.to_owned());
    }
    total.pages += pages;
    total.cpu_us += usage.cpu_us;
    total.peak_rss_kb = total.peak_rss_kb.max(usage.peak_rss_kb);
    let reference = Command::new("pdftotext").arg("-enc").arg("UTF-8").arg(file).arg("-").output()?;
    let reference = String::from_utf8_lossy(&reference.stdout).into_owned();
    let ours = render::to_text(&document).text;
    total.scores.push((f1(&words(&ours), &words(&reference)), file.to_owned()));
    if show.is_some_and(|name| file.ends_with(name)) {
        print_difference(&document, &ours, &reference);
    }
    Ok(())
}

fn print_difference(document: &Document, ours: &str, reference: &str) {
    println!("{}", render::to_markdown(document).text);
    let (ours, reference) = (words(ours), words(reference));
    let more = |one: &HashMap<String, i64>, other: &HashMap<String, i64>| {
        let surplus =
            |(word, count): (&String, &i64)| (count > other.get(word).unwrap_or(&0)).then(|| word.clone());
        one.iter().filter_map(surplus).collect::<Vec<_>>()
    };
    println!(
        "--- only ours: {:?}\n--- only pdftotext: {:?}",
        more(&ours, &reference),
        more(&reference, &ours)
    );
}

/// Words and how often each stands. On both sides ligatures are spelled out, soft hyphens are gone, and marks of
/// direction, which `pdftotext` puts in, part words of one direction from those of the other.
fn words(text: &str) -> HashMap<String, i64> {
    let marks = ['\u{200e}', '\u{200f}', '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}', '\u{202e}'];
    let plain = text
        .replace(marks, " ")
        .replace('\u{ad}', "")
        .replace('ﬁ', "fi")
        .replace('ﬂ', "fl")
        .replace('ﬀ', "ff");
    let plain = plain.replace('ﬃ', "ffi").replace('ﬄ', "ffl");
    let mut counts = HashMap::new();
    for word in plain.split_whitespace() {
        *counts.entry(word.to_owned()).or_default() += 1;
    }
    counts
}

/// 2 x shared / (ours + theirs); two empty texts agree.
fn f1(ours: &HashMap<String, i64>, theirs: &HashMap<String, i64>) -> f64 {
    let all = ours.values().sum::<i64>() + theirs.values().sum::<i64>();
    let shared: i64 = ours.iter().map(|(word, count)| (*count).min(*theirs.get(word).unwrap_or(&0))).sum();
    if all == 0 { 1.0 } else { 2.0 * shared as f64 / all as f64 }
}
