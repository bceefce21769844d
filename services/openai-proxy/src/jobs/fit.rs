//! Several texts in one prompt: all of them where they fit, else the beginning of each long one.

use super::split;

/// A text under its heading.
pub struct Headed<'a> {
    /// The heading; may be empty.
    pub head: String,
    /// The text.
    pub text: &'a str,
}

/// The texts one after another in at most `space` tokens, headings included, and the number of tokens at which long ones
/// were cut, if any were. Short ones leave their room to long ones. Headings are never cut.
pub fn fitted(texts: &[Headed<'_>], space: u64) -> (String, Option<u64>) {
    let heads: u64 = texts.iter().map(|text| split::tokens(&text.head) + 4).sum();
    let lengths: Vec<u64> = texts.iter().map(|text| split::tokens(text.text)).collect();
    let each = fair(&lengths, space.saturating_sub(heads));
    let mut out = String::new();
    for (Headed { head, text }, length) in texts.iter().zip(&lengths) {
        let text = if *length > each { split::beginning(text, each, &split::tokens).0 } else { text };
        if !out.is_empty() {
            out.push_str("\n\n");
        }
        out.push_str(head);
        out.push_str(if head.is_empty() { "" } else { "\n" });
        out.push_str(text.trim());
    }
    let cut = lengths.iter().any(|length| *length > each);
    (out, cut.then_some(each))
}

/// How long a text may be so that all fit into `space`: short ones leave their room to long ones.
fn fair(lengths: &[u64], space: u64) -> u64 {
    let mut sorted = lengths.to_vec();
    sorted.sort_unstable();
    let mut left = space;
    for (n, length) in sorted.iter().enumerate() {
        let each = left / (sorted.len() - n) as u64;
        if *length > each {
            return each;
        }
        left -= length;
    }
    u64::MAX
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn long_texts_are_cut_and_short_ones_are_not() {
        let long = "One two three. ".repeat(50);
        let texts =
            || [("## A", "Short."), ("", long.as_str())].map(|(h, text)| Headed { head: h.to_owned(), text });
        let (all, cut) = fitted(&texts(), 10_000);
        assert_eq!((all, cut), (format!("## A\nShort.\n\n{}", long.trim()), None));
        let (some, cut) = fitted(&texts(), 60);
        assert!(some.starts_with("## A\nShort.\n\nOne two three.") && cut.is_some(), "{some}");
        assert!(split::tokens(&some) <= 62, "{some}");
    }

    proptest! {
        #[test]
        fn what_is_fair_fits(lengths in prop::collection::vec(0u64..500, 0..20), space in 0u64..2000) {
            let each = fair(&lengths, space);
            let sum: u64 = lengths.iter().map(|length| (*length).min(each)).sum();
            prop_assert!(sum <= space);
            let all: u64 = lengths.iter().sum();
            prop_assert!(all > space || each == u64::MAX);
        }
    }
}
