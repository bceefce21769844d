//! The headings of a document as a tree.

use serde::{Deserialize, Serialize};

use crate::model::{Block, Document};

/// The most headings an outline holds; later ones are left out.
const MAX_ENTRIES: usize = 5_000;

/// A heading and those below it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutlineEntry {
    /// Its level, 1 to 6.
    pub level: u8,
    /// Its text.
    pub text: String,
    /// Its page, where the format has pages.
    pub page: Option<u32>,
    /// The headings below it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<OutlineEntry>,
}

/// The outline: a heading is below the nearest one before it with a lower level.
pub fn outline(document: &Document) -> Vec<OutlineEntry> {
    let mut roots: Vec<OutlineEntry> = Vec::new();
    let headings = document.blocks.iter().filter_map(|placed| match &placed.block {
        Block::Heading { level, text } => {
            Some(OutlineEntry { level: *level, text: text.clone(), page: placed.page, children: Vec::new() })
        }
        _ => None,
    });
    for entry in headings.take(MAX_ENTRIES) {
        let mut siblings = &mut roots;
        // Levels rise on the way down, so this ends after six steps at most.
        while siblings.last().is_some_and(|last| last.level < entry.level) {
            let last = siblings.len() - 1;
            siblings = &mut siblings[last].children;
        }
        siblings.push(entry);
    }
    roots
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn flatten<'a>(entries: &'a [OutlineEntry], out: &mut Vec<&'a OutlineEntry>) {
        for entry in entries {
            out.push(entry);
            flatten(&entry.children, out);
        }
    }

    proptest! {
        #[test]
        fn the_tree_keeps_order_and_children_are_deeper(levels in prop::collection::vec(1_u8..7, 0..60)) {
            let mut document = Document::new("text");
            for (index, level) in levels.iter().enumerate() {
                document.push(Block::Heading { level: *level, text: index.to_string() }, None);
            }
            let roots = outline(&document);
            let mut flat = Vec::new();
            flatten(&roots, &mut flat);
            let order: Vec<String> = (0..levels.len()).map(|index| index.to_string()).collect();
            prop_assert_eq!(flat.iter().map(|entry| entry.text.clone()).collect::<Vec<_>>(), order);
            prop_assert!(flat.iter().all(|entry| entry.children.iter().all(|child| child.level > entry.level)));
        }
    }
}
