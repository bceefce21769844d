//! JSON laid out over lines. It works on the text, so that numbers and the order of keys stay as they were written; a
//! parser in between would change both.

/// Lays JSON out with two spaces a level. What is not JSON comes out as some text, never as a panic.
pub fn indent(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let mut depth = 0usize;
    let mut chars = json.chars().peekable();
    let (mut in_string, mut escaped) = (false, false);
    while let Some(c) = chars.next() {
        if in_string {
            out.push(c);
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match c {
            c if c.is_ascii_whitespace() => {}
            '"' => {
                in_string = true;
                out.push(c);
            }
            '{' | '[' => {
                while chars.next_if(char::is_ascii_whitespace).is_some() {}
                out.push(c);
                if let Some(close) = chars.next_if(|next| matches!(next, '}' | ']')) {
                    out.push(close);
                } else {
                    depth += 1;
                    new_line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                new_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c => out.push(c),
        }
    }
    out
}

fn new_line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
}

/// Every line cut to `most` characters; and whether one was longer.
pub fn narrow(text: &str, most: usize) -> (String, bool) {
    let mut cut = false;
    let lines = text.lines().map(|line| match line.char_indices().nth(most) {
        Some((at, _)) => {
            cut = true;
            format!("{}…", &line[..at])
        }
        None => line.to_owned(),
    });
    (lines.collect::<Vec<_>>().join("\n"), cut)
}

/// The first `most` lines, and how many were left out.
pub fn head(text: &str, most: usize) -> (String, usize) {
    let total = text.lines().count();
    if total <= most {
        return (text.to_owned(), 0);
    }
    (text.lines().take(most).collect::<Vec<_>>().join("\n"), total - most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_and_order_stay() {
        let laid = indent(r#"{"b":1.50,"a":[1,{"x":"}, \"y\": {"}],"e":{ },"n":12345678901234567890123}"#);
        let expected = r#"{
  "b": 1.50,
  "a": [
    1,
    {
      "x": "}, \"y\": {"
    }
  ],
  "e": {},
  "n": 12345678901234567890123
}"#;
        assert_eq!(laid, expected);
        assert_eq!(indent(&laid), laid);
    }

    #[test]
    fn a_long_text_is_cut_at_a_line() {
        assert_eq!(head("a\nb\nc", 2), ("a\nb".into(), 1));
        assert_eq!(head("a\nb", 2), ("a\nb".into(), 0));
        assert_eq!(narrow("äbc\nab", 2), ("äb…\nab".into(), true));
        assert_eq!(narrow("abc", 3), ("abc".into(), false));
    }

    proptest! {
        #[test]
        fn the_value_stays_the_same(keys in proptest::collection::vec("\\PC*", 0..5), depth in 0..4usize, n in any::<f64>()) {
            let mut value = serde_json::json!(n);
            for _ in 0..depth {
                value = serde_json::json!([value, {}, []]);
            }
            for key in keys {
                value = serde_json::json!({ key.clone(): value, "other": [key] });
            }
            let text = value.to_string();
            let again: serde_json::Value = serde_json::from_str(&indent(&text)).unwrap();
            prop_assert_eq!(again, serde_json::from_str::<serde_json::Value>(&text).unwrap());
        }

        #[test]
        fn arbitrary_text_never_panics(text in "\\PC*") {
            prop_assert!(indent(&text).len() >= text.chars().filter(|c| c.is_alphanumeric()).count());
        }
    }
}
