//! Entities in sentences as people write them, and what holds for any text.

use proptest::prelude::*;

use super::*;
use crate::model::{Block, Document};
use crate::render::to_text;

fn entities(text: &str) -> Vec<(EntityKind, String, Option<String>)> {
    let mut document = Document::new("text");
    document.push(Block::Paragraph { text: text.into() }, Some(1));
    let found = find(&to_text(&document), 1 << 20, 100);
    found.into_iter().map(|entity| (entity.kind, entity.text, entity.value)).collect()
}

/// The values of one kind; `?` where there is none.
fn values(kind: EntityKind, text: &str) -> Vec<String> {
    let found = entities(text).into_iter().filter(|entity| entity.0 == kind);
    found.map(|(_, _, value)| value.unwrap_or_else(|| "?".into())).collect()
}

#[test]
fn addresses_end_where_their_sentence_goes_on() {
    assert_eq!(
        values(EntityKind::Url, "See https://example.org/a_(b), www.example.com. (http://x.y/z)."),
        ["https://example.org/a_(b)", "www.example.com", "http://x.y/z"]
    );
    assert_eq!(values(EntityKind::Email, "Write to Jo.Doe+x@Example.co.uk."), ["jo.doe+x@example.co.uk"]);
}

#[test]
fn dates_are_iso_where_they_are_clear() {
    let cases = [
        ("on 2024-02-29T10:00", "2024-02-29"),
        ("am 3. Mai 2021", "2021-05-03"),
        ("March 5th, 2020", "2020-03-05"),
        ("le 1er août 1999", "1999-08-01"),
        ("el 12 de octubre de 1992", "1992-10-12"),
        ("vom 31.12.2023", "2023-12-31"),
        ("due 12/31/2023", "2023-12-31"),
        ("due 31/12/2023", "2023-12-31"),
        ("due 03/04/2024", "?"),
        ("5 Sept. 2019", "2019-09-05"),
    ];
    for (text, value) in cases {
        assert_eq!(values(EntityKind::Date, text), [value], "{text}");
    }
    for text in ["31.02.2023", "version 1.2.34", "2023-13-01", "IP 10.0.0.12"] {
        assert!(values(EntityKind::Date, text).is_empty(), "{text}");
    }
}

#[test]
fn money_is_normalised_whatever_its_separators() {
    let cases = [
        ("$1,234.56", "1234.56 USD"),
        ("1.234,56 €", "1234.56 EUR"),
        ("EUR 12", "12 EUR"),
        ("3,5 Mio. €", "3500000 EUR"),
        ("£2.5bn", "2500000000 GBP"),
        ("CHF 1'000.00", "1000.00 CHF"),
        ("12.000 EUR", "12000 EUR"),
        ("0,99€", "0.99 EUR"),
        ("1 234 567 zł", "1234567 PLN"),
    ];
    for (text, value) in cases {
        assert_eq!(values(EntityKind::Money, text), [value], "{text}");
    }
    assert!(values(EntityKind::Money, "all 5 try again, 3 sek later").is_empty());
}

#[test]
fn phone_numbers_are_told_from_other_numbers() {
    let cases = [
        ("call +49 (0)30 1234-567.", "+49301234567"),
        ("0044 20 7946 0958", "+442079460958"),
        ("(212) 555-0123", "2125550123"),
        ("Tel.: 030 / 123 45 67", "0301234567"),
    ];
    for (text, value) in cases {
        assert_eq!(values(EntityKind::Phone, text), [value], "{text}");
    }
    for text in ["ISBN 978-3-16-148410-0", "from 2019-2020 to 1234567890", "order 4711-0815-2342"] {
        assert!(values(EntityKind::Phone, text).is_empty(), "{text}");
    }
}

#[test]
fn ibans_need_a_right_checksum() {
    assert_eq!(
        values(EntityKind::Iban, "IBAN DE89 3704 0044 0532 0130 00 BIC COBADEFF"),
        ["DE89370400440532013000"]
    );
    assert_eq!(values(EntityKind::Iban, "GB82WEST12345698765432"), ["GB82WEST12345698765432"]);
    assert!(values(EntityKind::Iban, "DE89 3704 0044 0532 0130 01").is_empty());
}

#[test]
fn repetitions_are_counted() {
    let mut document = Document::new("text");
    document.push(Block::Paragraph { text: "1.5.2020 and 1 May 2020".into() }, Some(1));
    document.push(Block::Paragraph { text: "2020-05-01".into() }, Some(2));
    let found = find(&to_text(&document), 1 << 20, 100);
    assert_eq!((found.len(), found[0].count, found[0].page), (1, 3, Some(1)));
}

#[test]
fn every_pattern_compiles() {
    for (kind, text) in [
        (EntityKind::Url, "http://a.b"),
        (EntityKind::Email, "a@b.cd"),
        (EntityKind::Date, "2020-01-01"),
        (EntityKind::Money, "1 €"),
        (EntityKind::Phone, "+4930123456"),
        (EntityKind::Iban, "GB82WEST12345698765432"),
    ] {
        assert_eq!(values(kind, text).len(), 1, "{kind:?}");
    }
}

proptest! {
    #[test]
    fn entities_stand_where_they_say_and_never_overlap(
        text in "(\\PC{0,6}|[0-9]{1,4}|[./, -]|€|\\$|EUR|May|@|a\\.de|www\\.|\\+49){0,60}",
    ) {
        let mut document = Document::new("text");
        document.push(Block::Paragraph { text }, None);
        let rendered = to_text(&document);
        let found = find(&rendered, 1 << 20, 100);
        for entity in &found {
            prop_assert_eq!(rendered.text.get(entity.start..entity.end), Some(entity.text.as_str()));
        }
        prop_assert!(found.windows(2).all(|pair| pair[0].end <= pair[1].start));
    }

    #[test]
    fn a_changed_digit_breaks_an_iban(at in 4_usize..22, digit in 0_u32..10) {
        let iban = "DE89370400440532013000";
        let mut changed: Vec<char> = iban.chars().collect();
        changed[at] = char::from_digit(digit, 10).expect("a digit");
        let changed: String = changed.into_iter().collect();
        prop_assert_eq!(iban::is_valid(&changed), changed == iban);
    }
}
