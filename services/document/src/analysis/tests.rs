//! The analysis as a whole.

use proptest::prelude::*;

use super::*;
use crate::model::ListItem;

fn report() -> Document {
    let mut document = Document::new("docx");
    document.page_count = Some(2);
    let text = "The harbour of Aldmouth was rebuilt in 1911. Ships from Aldmouth carried grain and timber to the north, and \
        the harbour grew until the war. Today the harbour is quiet, and Aldmouth lives on visitors.";
    document.push(Block::Heading { level: 1, text: "The harbour of Aldmouth".into() }, Some(1));
    document.push(Block::Paragraph { text: text.into() }, Some(1));
    document.push(Block::Heading { level: 2, text: "Contact".into() }, Some(2));
    let item = |text: &str| ListItem { depth: 0, ordered: false, text: text.into() };
    document.push(
        Block::List { items: vec![item("harbour@aldmouth.example"), item("+44 20 7946 0958")] },
        Some(2),
    );
    let rows = vec![vec!["Year".into(), "Ships".into()], vec!["1911".into(), "204".into()]];
    document.push(Block::Table { header: true, rows }, Some(2));
    document
}

#[test]
fn a_report_is_understood() {
    let analysis = analyse(&report(), &AnalysisOptions::default());
    assert_eq!(analysis.language.map(|language| language.code).as_deref(), Some("en"));
    let counts = &analysis.counts;
    assert_eq!((counts.headings, counts.paragraphs, counts.list_items, counts.table_cells), (2, 1, 2, 4));
    assert_eq!((counts.sentences, counts.pages), (5, Some(2)));
    assert!(analysis.keywords[..3].iter().any(|keyword| keyword.text.to_lowercase().contains("harbour")));
    assert!(analysis.readability.is_some_and(|readability| readability.flesch_reading_ease.is_some()));
    assert_eq!(analysis.entities.len(), 2);
    assert_eq!(analysis.outline[0].children[0].text, "Contact");
    assert_eq!(
        (analysis.tables[0].rows, analysis.tables[0].header.as_slice()),
        (2, &["Year".to_owned(), "Ships".into()][..])
    );
    assert!(!analysis.truncated);
}

#[test]
fn options_are_checked() {
    assert!(AnalysisOptions::default().check().is_ok());
    for bad in [r#"{"max_keywords": 999}"#, r#"{"max_entities": 9999}"#, r#"{"language": "xx"}"#] {
        let options: AnalysisOptions = serde_json::from_str(bad).expect("well-formed");
        assert_eq!(options.check().map_err(|error| error.code()), Err("TL2110"), "{bad}");
    }
    assert!(serde_json::from_str::<AnalysisOptions>(r#"{"keyword": 3}"#).is_err());
}

#[test]
fn a_huge_document_is_looked_at_in_part() {
    let mut document = Document::new("text");
    for _ in 0..1000 {
        document.push(Block::Paragraph { text: "Wort ".repeat(1000) }, None);
    }
    assert!(analyse(&document, &AnalysisOptions::default()).truncated);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_text_is_analysed_within_its_bounds(texts in prop::collection::vec("\\PC{0,300}", 0..6), max in 0_usize..5) {
        let mut document = Document::new("text");
        for text in texts {
            document.push(Block::Paragraph { text }, None);
        }
        let options = AnalysisOptions { max_keywords: max, max_entities: max, language: None };
        let analysis = analyse(&document, &options);
        prop_assert!(analysis.keywords.len() <= max && analysis.entities.len() <= max * 6);
        let json = serde_json::to_string(&analysis).expect("plain data");
        prop_assert_eq!(serde_json::from_str::<Analysis>(&json).expect("its own form"), analysis);
    }
}
