//! Reads every file of a folder and prints what came of it, with the time it took:
//! `cargo run --release -p tasklane-document --example formats_report -- <folder> [<out folder>]`.
//! With an out folder the plain text of each file is written there, for comparison with other tools.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use tasklane_document::limits::Limits;
use tasklane_document::render::to_text;
use tasklane_document::{analysis, chunk, formats};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let Some(folder) = arguments.next() else {
        eprintln!("usage: formats_report <folder> [<out folder>]");
        return ExitCode::FAILURE;
    };
    match report(&folder, arguments.next()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", folder.display());
            ExitCode::FAILURE
        }
    }
}

fn report(folder: &PathBuf, out: Option<PathBuf>) -> std::io::Result<()> {
    let mut files =
        std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    files.sort();
    println!(
        "{:<44} {:<9} {:>8} {:>7} {:>9} {:>9}",
        "file", "format", "read ms", "blocks", "chunk ms", "analyse ms"
    );
    for file in files.iter().filter(|file| file.is_file()) {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let bytes = std::fs::read(file)?;
        let start = Instant::now();
        match formats::extract(&bytes, &Limits::default()) {
            Ok(document) => {
                let read = milliseconds(start);
                let start = Instant::now();
                let chunks = chunk::chunk(&document, &chunk::ChunkOptions::default()).len();
                let chunked = milliseconds(start);
                let start = Instant::now();
                let entities =
                    analysis::analyse(&document, &analysis::AnalysisOptions::default()).entities.len();
                let analysed = milliseconds(start);
                let (format, blocks) = (&document.format, document.blocks.len());
                println!(
                    "{name:<44} {format:<9} {read:>8.2} {blocks:>7} {chunked:>9.2} {analysed:>9.2}  {chunks} chunks, {entities} entities"
                );
                if let Some(out) = &out {
                    std::fs::write(out.join(format!("{name}.txt")), to_text(&document).text)?;
                }
            }
            Err(error) => println!("{name:<44} {}: {error}", error.code()),
        }
    }
    Ok(())
}

fn milliseconds(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}
