//! News feeds: RSS 2.0, Atom (RFC 4287) and RDF. The feed is a heading, each entry one below it.

use super::flow::Flow;
use super::html;
use super::ooxml::{Xml, attribute, walk};
use super::sink::Sink;
use super::text::{decode, note_encoding};
use crate::error::DocError;
use crate::limits::Limits;
use crate::model::Document;

const FORMAT: &str = "feed";

/// Reads a feed.
///
/// # Errors
/// `Corrupt`, `Bomb` (a document type declaration), `TooDeep`.
pub fn extract(bytes: &[u8], limits: &Limits) -> Result<Document, DocError> {
    let decoded = decode(bytes, None);
    let mut sink = Sink::new(FORMAT, limits);
    note_encoding(&mut sink, &decoded);
    let mut reader = Reader {
        sink: &mut sink,
        limits,
        fields: Entry::default(),
        in_entry: false,
        path: Vec::new(),
        text: String::new(),
    };
    walk(FORMAT, &decoded.text, limits, |node| reader.node(node))?;
    Ok(sink.finish())
}

/// What is kept of an entry, or of the feed itself.
#[derive(Debug, Default)]
struct Entry {
    title: String,
    link: String,
    author: String,
    date: String,
    summary: String,
    content: String,
}

struct Reader<'s, 'l> {
    sink: &'s mut Sink<'l>,
    limits: &'l Limits,
    fields: Entry,
    in_entry: bool,
    /// The open elements within the feed or the entry.
    path: Vec<String>,
    text: String,
}

impl Reader<'_, '_> {
    fn node(&mut self, node: Xml<'_>) -> bool {
        match node {
            Xml::Open("item" | "entry", _) => {
                let feed = std::mem::take(&mut self.fields);
                if !self.in_entry && (!feed.title.is_empty() || !feed.summary.is_empty()) {
                    self.write_feed(&feed);
                }
                self.in_entry = true;
                self.path.clear();
            }
            Xml::Close("item" | "entry") => {
                let entry = std::mem::take(&mut self.fields);
                self.write_entry(&entry);
            }
            Xml::Open("channel" | "feed" | "rss" | "RDF", _)
            | Xml::Close("channel" | "feed" | "rss" | "RDF") => {}
            Xml::Open(name, tag) => {
                if name == "link"
                    && self.fields.link.is_empty()
                    && attribute(tag, "rel").is_none_or(|rel| rel == "alternate")
                {
                    self.fields.link = attribute(tag, "href").unwrap_or_default();
                }
                self.path.push(name.to_owned());
                self.text.clear();
            }
            Xml::Text(text) => self.text.push_str(text),
            Xml::Close(name) => {
                self.keep(name);
                self.path.pop();
                self.text.clear();
            }
        }
        !self.sink.is_full()
    }

    /// Keeps a field; those of elements within, such as a picture's title, are not the entry's.
    fn keep(&mut self, name: &str) {
        let in_author = name == "name" && self.path.iter().any(|open| open == "author");
        if self.path.len() > 1 && !in_author {
            return;
        }
        let field = match name {
            "title" => &mut self.fields.title,
            "link" => &mut self.fields.link,
            "creator" | "author" | "name" => &mut self.fields.author,
            "pubDate" | "published" | "updated" | "date" => &mut self.fields.date,
            "description" | "summary" | "subtitle" => &mut self.fields.summary,
            "encoded" | "content" => &mut self.fields.content,
            "language" | "generator" if !self.in_entry => {
                let text = std::mem::take(&mut self.text);
                return self.sink.meta(name, &text);
            }
            _ => return,
        };
        if field.is_empty() {
            std::mem::swap(field, &mut self.text);
        }
    }

    fn write_feed(&mut self, feed: &Entry) {
        self.sink.meta("title", &feed.title);
        self.sink.meta("url", &feed.link);
        self.sink.meta("author", &feed.author);
        self.sink.heading(1, &feed.title);
        self.sink.paragraph(&feed.summary);
    }

    fn write_entry(&mut self, entry: &Entry) {
        self.sink.heading(2, if entry.title.trim().is_empty() { "Untitled" } else { &entry.title });
        let about = [&entry.author, &entry.date, &entry.link].map(|field| field.trim());
        let about: Vec<&str> = about.into_iter().filter(|field| !field.is_empty()).collect();
        self.sink.paragraph(&about.join(" · "));
        let body = if entry.content.is_empty() { &entry.summary } else { &entry.content };
        let mut flow = Flow::new(self.sink);
        html::fragment(body, self.limits, &mut flow);
        flow.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::to_markdown;

    fn markdown(xml: &str) -> String {
        to_markdown(&extract(xml.as_bytes(), &Limits::default()).expect("feed")).text
    }

    #[test]
    fn rss_and_atom_become_headings_and_prose() {
        let rss = "<rss><channel><title>News</title><image><title>Logo</title></image><item><title>One</title>\
            <link>http://x.y/1</link><description>&lt;p&gt;Short &lt;b&gt;text&lt;/b&gt;.&lt;/p&gt;</description></item></channel></rss>";
        assert_eq!(markdown(rss), "# News\n\n## One\n\nhttp://x.y/1\n\nShort text.");
        let atom = "<feed xmlns='a'><title>Blog</title><entry><title>Two</title><author><name>Ann</name></author>\
            <link href='http://x.y/2'/><updated>2024-01-01</updated><content type='html'><![CDATA[<ul><li>a</ul>]]></content></entry></feed>";
        assert_eq!(markdown(atom), "# Blog\n\n## Two\n\nAnn · 2024-01-01 · http://x.y/2\n\n- a");
    }
}
