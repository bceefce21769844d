//! The language of prompts: `{{name}}` stands for a value, and a line `---` parts what the system says from what the
//! user says. What is put in is never read again, so a document that contains `{{name}}` stays as it is.

/// A template that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// Above the first line `---`; absent where there is no such line.
    system: Option<Vec<Piece>>,
    user: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Value(String),
}

/// A prompt: a template with its values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filled {
    /// What the model is told about its work.
    pub system: Option<String>,
    /// What it works on.
    pub user: String,
}

impl Template {
    /// Reads a template, which has to use every name of `required` and may use those of `optional`.
    ///
    /// # Errors
    /// Every mistake, a sentence each.
    pub fn parse(text: &str, required: &[&str], optional: &[&str]) -> Result<Self, Vec<String>> {
        let mut mistakes = Vec::new();
        let template = match parted(text) {
            (Some(system), user) => {
                Self { system: Some(pieces(system, &mut mistakes)), user: pieces(user, &mut mistakes) }
            }
            (None, user) => Self { system: None, user: pieces(user, &mut mistakes) },
        };
        let known = || required.iter().chain(optional);
        for name in template.names() {
            if !known().any(|k| *k == name) {
                let list: Vec<String> = known().map(|k| format!("{{{{{k}}}}}")).collect();
                mistakes.push(format!("{{{{{name}}}}} is not known here; there are {}", list.join(", ")));
            }
        }
        for name in required {
            if !template.names().any(|n| n == *name) {
                mistakes.push(format!("{{{{{name}}}}} is missing: without it the model does not see it"));
            }
        }
        if mistakes.is_empty() { Ok(template) } else { Err(mistakes) }
    }

    /// Puts values in. A name without a value is empty.
    pub fn fill(&self, values: &[(&str, &str)]) -> Filled {
        let of = |pieces: &[Piece]| {
            let texts = pieces.iter().map(|piece| match piece {
                Piece::Text(text) => text.as_str(),
                Piece::Value(name) => values.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value),
            });
            texts.collect::<String>().trim().to_owned()
        };
        Filled { system: self.system.as_deref().map(of), user: of(&self.user) }
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.system.iter().flatten().chain(&self.user).filter_map(|piece| match piece {
            Piece::Value(name) => Some(name.as_str()),
            Piece::Text(_) => None,
        })
    }
}

/// What stands above and below the first line `---`.
fn parted(text: &str) -> (Option<&str>, &str) {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if line.trim_end() == "---" {
            return (Some(&text[..at]), &text[at + line.len()..]);
        }
        at += line.len();
    }
    (None, text)
}

fn pieces(text: &str, mistakes: &mut Vec<String>) -> Vec<Piece> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    while let Some(at) = rest.find("{{") {
        if at > 0 {
            pieces.push(Piece::Text(rest[..at].to_owned()));
        }
        let inner = &rest[at + 2..];
        let name = inner.find("}}").map(|end| (inner[..end].trim(), end));
        match name.filter(|(name, _)| is_name(name)) {
            Some((name, end)) => {
                pieces.push(Piece::Value(name.to_owned()));
                rest = &inner[end + 2..];
            }
            None => {
                let shown: String = rest[at..].chars().take(20).collect();
                mistakes.push(format!("`{{{{` must begin a placeholder such as {{{{text}}}}: `{shown}`"));
                rest = inner;
            }
        }
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    pieces
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_go_where_their_names_stand() {
        let template =
            Template::parse("Be short.\n---\n{{ text }} in {{words}}", &["text"], &["words"]).unwrap();
        let filled = template.fill(&[("text", "A lamp"), ("words", "5 words")]);
        assert_eq!(filled, Filled { system: Some("Be short.".into()), user: "A lamp in 5 words".into() });
        assert_eq!(template.fill(&[("text", "x")]).user, "x in");
        let whole = Template::parse("a -- b\n---- {{text}}", &["text"], &[]).unwrap();
        assert_eq!(
            whole.fill(&[("text", "---\nx")]),
            Filled { system: None, user: "a -- b\n---- ---\nx".into() }
        );
    }

    #[test]
    fn all_mistakes_are_told() {
        let mistakes =
            Template::parse("{{txt}} {{ {{a b}} }}", &["text"], &["words"]).unwrap_err().join("\n");
        for said in
            ["{{txt}} is not known here; there are {{text}}, {{words}}", "`{{ {{a b", "{{text}} is missing"]
        {
            assert!(mistakes.contains(said), "{said}: {mistakes}");
        }
    }

    proptest! {
        #[test]
        fn what_is_put_in_is_never_read_again(value in ".{0,40}", name in "(text|words|---|\\{\\{)") {
            let template = Template::parse("s {{words}}\n---\n<{{text}}|{{words}}>", &["text"], &["words"]).unwrap();
            let hostile = format!("{value}{{{{{name}}}}}\n---\n{{{{words}}}}");
            let filled = template.fill(&[("text", &hostile), ("words", "SECRET")]);
            prop_assert_eq!(filled.system.unwrap(), "s SECRET");
            prop_assert_eq!(filled.user, format!("<{hostile}|SECRET>"));
        }
    }
}
