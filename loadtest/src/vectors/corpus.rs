//! Documents that are written for a measurement: prose of a vocabulary's words under headings, in three formats, the same
//! in every run, no two alike.

use std::path::Path;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::error::LoadError;
use crate::ml::texts::Texts;

/// Sections of a document, and paragraphs of a section, at most.
const SECTIONS: usize = 6;
const PARAGRAPHS: usize = 3;
/// Words of a paragraph.
const WORDS: std::ops::RangeInclusive<usize> = 40..=160;

/// Writes so many documents into a folder.
///
/// # Errors
/// Where the model has no vocabulary, or the folder cannot be written.
pub fn write(model: &Path, folder: &Path, count: usize) -> Result<(), LoadError> {
    let mut texts = Texts::of(model)?;
    let mut random = StdRng::seed_from_u64(7);
    std::fs::create_dir_all(folder).map_err(LoadError::io("make a folder"))?;
    for n in 0..count {
        let sections = (0..random.random_range(1..=SECTIONS)).map(|_| section(&mut texts, &mut random));
        let sections: Vec<_> = sections.collect();
        let (text, ending) = match n % 3 {
            0 => (markdown(n, &sections), "md"),
            1 => (html(n, &sections), "html"),
            _ => (plain(n, &sections), "txt"),
        };
        let file = folder.join(format!("document-{n:05}.{ending}"));
        std::fs::write(file, text).map_err(LoadError::io("write a document"))?;
    }
    Ok(())
}

/// Files of a folder and below.
///
/// # Errors
/// Where it cannot be read.
pub fn count(folder: &Path) -> Result<usize, LoadError> {
    let mut files = 0;
    for entry in std::fs::read_dir(folder).map_err(LoadError::io("read the documents' folder"))? {
        let entry = entry.map_err(LoadError::io("read the documents' folder"))?;
        files += if entry.path().is_dir() { count(&entry.path())? } else { 1 };
    }
    Ok(files)
}

struct Section {
    heading: String,
    paragraphs: Vec<String>,
}

fn section(texts: &mut Texts, random: &mut StdRng) -> Section {
    let heading = sentence(&texts.words(random.random_range(2..=6)));
    let mut paragraph = |texts: &mut Texts| {
        let (mut left, mut out) = (random.random_range(WORDS), String::new());
        while left > 0 {
            let words = random.random_range(6..=20).min(left);
            left -= words;
            out += &format!("{}. ", sentence(&texts.words(words)));
        }
        out.trim_end().to_owned()
    };
    let first = paragraph(texts);
    let more = first.len() % PARAGRAPHS;
    let paragraphs = std::iter::once(first).chain((0..more).map(|_| paragraph(texts))).collect();
    Section { heading, paragraphs }
}

fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn markdown(n: usize, sections: &[Section]) -> String {
    let each = |s: &Section| format!("## {}\n\n{}\n", s.heading, s.paragraphs.join("\n\n"));
    format!("# Document {n}\n\n{}", sections.iter().map(each).collect::<Vec<_>>().join("\n"))
}

fn html(n: usize, sections: &[Section]) -> String {
    let each = |s: &Section| format!("<h2>{}</h2><p>{}</p>", s.heading, s.paragraphs.join("</p><p>"));
    let body: String = sections.iter().map(each).collect();
    format!("<!doctype html><html><head><title>Document {n}</title></head><body>{body}</body></html>\n")
}

fn plain(n: usize, sections: &[Section]) -> String {
    let each = |s: &Section| format!("{}\n\n{}\n", s.heading, s.paragraphs.join("\n\n"));
    format!("Document {n}\n\n{}", sections.iter().map(each).collect::<Vec<_>>().join("\n"))
}
