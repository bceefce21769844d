//! What holds for every document and every option, and examples of what it looks like.

use proptest::prelude::*;
use tiktoken_rs::cl100k_base_singleton;

use super::*;
use crate::model::{Block, ListItem};

fn heading(level: u8, text: &str) -> Block {
    Block::Heading { level, text: text.into() }
}

fn words(count: usize) -> Block {
    Block::Paragraph { text: vec!["word"; count].join(" ") }
}

fn document(blocks: Vec<Block>) -> Document {
    let mut document = Document::new("text");
    for (index, block) in blocks.into_iter().enumerate() {
        document.push(block, u32::try_from(index + 1).ok());
    }
    document
}

fn paths(chunks: &[Chunk]) -> Vec<String> {
    chunks.iter().map(|chunk| chunk.heading_path.join("/")).collect()
}

#[test]
fn chunks_follow_the_headings() {
    let document =
        document(vec![heading(1, "A"), words(90), heading(2, "B"), words(90), heading(1, "C"), words(90)]);
    let options = ChunkOptions { max_tokens: 100, min_tokens: 10, ..ChunkOptions::default() };
    let chunks = chunk(&document, &options);
    assert_eq!(paths(&chunks), ["A", "A/B", "C"]);
    assert!(chunks[1].text.starts_with("## B\n\nword"));
    assert_eq!((chunks[1].page_from, chunks[1].page_to), (Some(3), Some(4)));
}

#[test]
fn small_sections_are_joined_below_their_shared_heading_only() {
    let blocks = vec![
        heading(1, "A"),
        heading(2, "B"),
        words(5),
        heading(2, "C"),
        words(5),
        heading(1, "D"),
        words(90),
    ];
    let options = ChunkOptions { max_tokens: 100, min_tokens: 50, ..ChunkOptions::default() };
    assert_eq!(paths(&chunk(&document(blocks), &options)), ["A", "D"]);
}

#[test]
fn long_sections_overlap_when_asked() {
    let text: String = (0..300).map(|n| format!("Sentence number {n} is here. ")).collect();
    let document = document(vec![heading(1, "A"), Block::Paragraph { text }]);
    let options = ChunkOptions { max_tokens: 64, overlap_tokens: 16, ..ChunkOptions::default() };
    let chunks = chunk(&document, &options);
    assert!(chunks.len() > 20);
    assert!(chunks.windows(2).all(|pair| pair[1].start < pair[0].end), "no overlap");
    assert!(chunks[0].text.starts_with("# A\n\nSentence number 0"), "the heading stands alone");
}

#[test]
fn a_very_long_section_is_cut_in_portions_and_nothing_is_lost() {
    let text = "1234567890 ".repeat(20_000);
    let document = document(vec![heading(1, "A"), Block::Paragraph { text: text.trim().into() }]);
    let chunks = chunk(&document, &ChunkOptions::default());
    let digits: usize = chunks.iter().map(|chunk| chunk.text.matches("1234567890").count()).sum();
    assert_eq!(digits, 20_000);
    assert!(chunks.iter().all(|chunk| chunk.tokens <= 512));
}

#[test]
fn options_are_checked_and_unknown_ones_refused() {
    assert!(ChunkOptions::default().check().is_ok());
    for bad in
        [r#"{"max_tokens": 3}"#, r#"{"overlap_tokens": 300}"#, r#"{"max_tokens": 32, "min_tokens": 64}"#]
    {
        let options: ChunkOptions = serde_json::from_str(bad).expect("well-formed");
        assert_eq!(options.check().map_err(|error| error.code()), Err("TL2110"), "{bad}");
    }
    assert!(serde_json::from_str::<ChunkOptions>(r#"{"max_token": 3}"#).is_err());
}

fn any_block() -> impl Strategy<Value = Block> {
    let text =
        prop_oneof!["\\PC{0,200}", "([a-z]{1,12}[ .\n]){0,80}", "[a-z]{0,400}", "[😀äß漢字한글 ]{0,60}"];
    (0_u8..8, text, 1_u8..7).prop_map(|(kind, text, level)| match kind {
        0 | 1 => heading(level, &text.chars().take(40).collect::<String>()),
        2 => Block::List {
            items: text
                .lines()
                .map(|line| ListItem { depth: level - 1, ordered: true, text: line.into() })
                .collect(),
        },
        3 => Block::Table {
            header: true,
            rows: text.lines().map(|line| line.split(' ').map(str::to_owned).collect()).collect(),
        },
        4 => Block::Code { language: None, text },
        _ => Block::Paragraph { text },
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn chunks_are_bounded_exact_complete_and_ordered(
        blocks in prop::collection::vec(any_block(), 0..12),
        max_tokens in 16_usize..120,
        overlap in 0_usize..60,
        min_tokens in 0_usize..64,
        format in prop_oneof![Just(TextFormat::Markdown), Just(TextFormat::Text)],
    ) {
        let options = ChunkOptions { max_tokens, overlap_tokens: overlap.min(max_tokens / 2), min_tokens: min_tokens.min(max_tokens), format };
        let document = document(blocks);
        let rendered = match format { TextFormat::Markdown => to_markdown(&document), TextFormat::Text => to_text(&document) }.text;
        let chunks = chunk(&document, &options);
        let mut covered = vec![false; rendered.len()];
        for (index, chunk) in chunks.iter().enumerate() {
            prop_assert_eq!(chunk.index, index);
            prop_assert!(chunk.tokens <= max_tokens, "{} tokens", chunk.tokens);
            prop_assert_eq!(cl100k_base_singleton().count_ordinary(&chunk.text), chunk.tokens);
            prop_assert_eq!(rendered.get(chunk.start..chunk.end), Some(chunk.text.as_str()));
            prop_assert!(!chunk.text.trim().is_empty());
            covered[chunk.start..chunk.end].fill(true);
        }
        prop_assert!(chunks.windows(2).all(|pair| pair[0].start < pair[1].start && pair[0].end < pair[1].end));
        let lost = rendered.char_indices().find(|(at, c)| !c.is_whitespace() && !covered[*at]);
        prop_assert!(lost.is_none(), "lost {:?}", lost);
    }
}
