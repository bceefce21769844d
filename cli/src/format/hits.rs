//! What a search found, as text. Pure.

use std::path::Path;

use super::{Paint, one_line};
use crate::commands::ingest::plan::names;
use crate::commands::search::Hit;

/// Characters of a chunk's text that are shown.
const SHOWN: usize = 320;

/// The hits, each with where it is from and how its text begins. Files under `here` are shown from there.
pub fn list(hits: &[Hit], here: Option<&Path>, paint: Paint) -> String {
    if hits.is_empty() {
        return "nothing was found\n".to_owned();
    }
    let mut text = String::new();
    for (at, hit) in hits.iter().enumerate() {
        let score = format!("{:.4}", hit.score);
        text += &format!("{:>2}  {score}  {}\n", at + 1, paint.bold(&one_line(&place(hit, here))));
        text += &format!("    {}\n", paint.dim(&beginning(&hit.text)));
    }
    text
}

/// `examples/report.pdf, page 3, Method > Data`, and how many others have the same content.
pub fn place(hit: &Hit, here: Option<&Path>) -> String {
    let all = names(&hit.metadata);
    let mut place = match all.as_slice() {
        [] => hit.id.clone(),
        [one] => short(one, here),
        [one, others @ ..] => format!("{} (and {} more)", short(one, here), others.len()),
    };
    if let Some(page) = hit.metadata.get("page").and_then(serde_json::Value::as_u64) {
        place += &format!(", page {page}");
    }
    if let Some(heading) = hit.metadata.get("heading").and_then(serde_json::Value::as_str) {
        place += &format!(", {heading}");
    }
    place
}

fn short(name: &str, here: Option<&Path>) -> String {
    let under = here.and_then(|here| Path::new(name).strip_prefix(here).ok()).and_then(Path::to_str);
    under.filter(|rest| !rest.is_empty()).unwrap_or(name).to_owned()
}

/// The beginning of a text on one line.
fn beginning(text: &str) -> String {
    let words = one_line(&text.split_whitespace().collect::<Vec<_>>().join(" "));
    match words.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", &words[..at]),
        None => words,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn hit(metadata: &serde_json::Value, text: &str) -> Hit {
        let metadata = metadata.as_object().unwrap().clone();
        Hit { id: "e-0".into(), score: 0.51234, text: text.into(), metadata }
    }

    #[test]
    fn a_hit_tells_where_it_is_from() {
        let one =
            hit(&json!({"source": "/d/a/r.pdf", "page": 3, "heading": "A > B"}), "A  lamp\nis\u{1b}lit");
        let many = hit(&json!({"source": ["https://a.b/c", "/x"]}), &"y".repeat(400));
        let none = hit(&json!({}), "");
        let said = list(&[one, many, none], Some(Path::new("/d")), Paint { on: false });
        let long = format!("    {}…", "y".repeat(SHOWN));
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines[0], " 1  0.5123  a/r.pdf, page 3, A > B");
        assert_eq!(lines[1], "    A lamp is\\u{1b}lit");
        assert_eq!((lines[2], lines[3]), (" 2  0.5123  https://a.b/c (and 1 more)", long.as_str()));
        assert_eq!(lines[4], " 3  0.5123  e-0");
        assert_eq!(list(&[], None, Paint { on: false }), "nothing was found\n");
    }
}
