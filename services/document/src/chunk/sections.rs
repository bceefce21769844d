//! Cuts a rendered document at its headings and joins sections that are too small to stand alone.

use crate::model::{Block, Document};
use crate::render::Rendered;

/// A piece of the rendered text under one heading, or several joined ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// First byte.
    pub start: usize,
    /// Where its heading ends; `start` where it has none.
    pub body: usize,
    /// One past the last byte.
    pub end: usize,
    /// The headings above and of the section, from the outermost; of joined sections what they share.
    pub path: Vec<String>,
}

/// The sections of a document in order; each begins with its heading. Together they hold all text.
pub fn sections(document: &Document, rendered: &Rendered) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    let mut open: Vec<(u8, String)> = Vec::new();
    for (placed, span) in document.blocks.iter().zip(&rendered.spans) {
        if span.start == span.end {
            continue;
        }
        if let Block::Heading { level, text } = &placed.block {
            open.retain(|(above, _)| above < level);
            open.push((*level, text.clone()));
            let path = open.iter().map(|(_, text)| text.clone()).collect();
            sections.push(Section { start: span.start, body: span.end, end: span.end, path });
        } else if let Some(section) = sections.last_mut() {
            section.end = span.end;
        } else {
            sections.push(Section { start: span.start, body: span.start, end: span.end, path: Vec::new() });
        }
    }
    sections
}

/// Joins neighbours of which one has fewer than `min` tokens, as long as both together have at most `max`
/// by `count`, and one is below the other or both are below the same heading.
pub fn join(
    sections: Vec<Section>,
    min: usize,
    max: usize,
    count: impl Fn(usize, usize) -> usize,
) -> Vec<Section> {
    let mut joined: Vec<(Section, usize)> = Vec::with_capacity(sections.len());
    for section in sections {
        let tokens = count(section.start, section.end);
        if let Some((last, size)) = joined.last_mut()
            && (*size < min || tokens < min)
            // Together they have about as many tokens as apart; far too many need not be counted.
            && *size + tokens <= max + 16
            && are_related(&last.path, &section.path)
        {
            let together = count(last.start, section.end);
            if together <= max {
                *size = together;
                last.end = section.end;
                let shared = last.path.iter().zip(&section.path).take_while(|(a, b)| a == b).count();
                last.path.truncate(shared);
                continue;
            }
        }
        joined.push((section, tokens));
    }
    joined.into_iter().map(|(section, _)| section).collect()
}

/// Whether the second path lies below the first, or both have the same parent.
fn are_related(first: &[String], second: &[String]) -> bool {
    let parent = |path: &[String]| path.len().saturating_sub(1);
    second.starts_with(first) || first[..parent(first)] == second[..parent(second)]
}
