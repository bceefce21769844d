//! `cargo xtask layers` and `cargo xtask docs`: what this repository promises about itself, checked.

mod codes;
mod functions;
mod layers;
mod links;
mod sources;
mod tree;
mod workspace;

use std::process::ExitCode;

/// What a check found: each entry is one sentence that says where and what to do.
type Findings = Vec<String>;

const USAGE: &str = "usage: cargo xtask <check>
  layers   the direction of dependencies, and one owner for each heavy one
  docs     error pages, links, heads and lengths of source files, forbidden text";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let outcome = match args.next().as_deref() {
        Some("layers") => check_layers(),
        Some("docs") => check_docs(),
        _ => Err(USAGE.to_owned()),
    };
    match outcome {
        Ok(summary) => {
            println!("{summary}");
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn check_layers() -> Result<String, String> {
    let crates = workspace::load()?.crates;
    fail_on("layers", layers::check(&crates))?;
    Ok(format!("layers: {} crates, every dependency points the right way", crates.len()))
}

fn check_docs() -> Result<String, String> {
    let tree = tree::load(&workspace::load()?.root)?;
    for long in functions::over_length(&tree) {
        eprintln!("advice: {long}");
    }
    let mut findings = codes::check(&tree);
    findings.extend(links::check(&tree));
    findings.extend(sources::check(&tree));
    fail_on("docs", findings)?;
    Ok(format!("docs: {} files, nothing to complain of", tree.files.len()))
}

fn fail_on(check: &str, findings: Findings) -> Result<(), String> {
    if findings.is_empty() {
        return Ok(());
    }
    let lines: String = findings.iter().map(|finding| format!("\n  {finding}")).collect();
    Err(format!("{check}: {} to put right{lines}", findings.len()))
}
