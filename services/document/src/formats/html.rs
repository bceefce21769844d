//! Web pages, read with a browser's parser (html5ever): headings, lists, tables, preformatted text, prose.
//!
//! The tree is walked without recursion, so that no depth of nesting can exhaust the stack.

use ego_tree::NodeRef;
use ego_tree::iter::Edge;
use scraper::node::Element;
use scraper::{Html, Node};

use super::flow::Flow;
use super::sink::Sink;
use super::text::{decode, note_encoding};
use crate::error::DocError;
use crate::limits::Limits;
use crate::model::Document;

/// Elements that show nothing, or nothing of the document: programs, styling, controls, navigation.
const SKIPPED: [&str; 18] = [
    "head",
    "script",
    "style",
    "noscript",
    "template",
    "svg",
    "iframe",
    "object",
    "canvas",
    "audio",
    "video",
    "nav",
    "select",
    "datalist",
    "textarea",
    "button",
    "rp",
    "annotation",
];

/// Elements that begin and end a block.
const BLOCKS: [&str; 27] = [
    "address",
    "article",
    "aside",
    "blockquote",
    "body",
    "caption",
    "center",
    "details",
    "dialog",
    "div",
    "dl",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "header",
    "hgroup",
    "hr",
    "html",
    "legend",
    "main",
    "menu",
    "p",
    "section",
    "summary",
    "option",
];

/// Reads a page. Scripts, styles, hidden elements and navigation are left out.
///
/// # Errors
/// `Empty` for a file without bytes; `TooDeep` for elements nested beyond 16 times `max_depth`.
pub fn extract(bytes: &[u8], limits: &Limits) -> Result<Document, DocError> {
    if bytes.is_empty() {
        return Err(DocError::Empty);
    }
    let decoded = decode(bytes, declared_charset(bytes).as_deref());
    let mut sink = Sink::new("html", limits);
    note_encoding(&mut sink, &decoded);
    check_depth(&decoded.text, limits)?;
    let page = Html::parse_document(&decoded.text);
    metadata(&page, &mut sink);
    let mut flow = Flow::new(&mut sink);
    walk(main_content(&page), &mut flow);
    flow.flush();
    Ok(sink.finish())
}

/// Letters that the page's `main` element must hold to stand for the page.
const MIN_MAIN: usize = 500;

/// The page's one `main` element (or `role=main`), if there is enough in it; the whole page otherwise.
fn main_content(page: &Html) -> NodeRef<'_, Node> {
    let root = *page.root_element();
    let is_main = |node: &NodeRef<'_, Node>| {
        let element = node.value().as_element();
        element.is_some_and(|element| element.name() == "main" || element.attr("role") == Some("main"))
    };
    let mut mains = root.descendants().filter(is_main);
    let (Some(main), None) = (mains.next(), mains.next()) else { return root };
    let texts = main.descendants().filter_map(|node| node.value().as_text());
    let letters: usize = texts.map(|text| text.chars().filter(|c| c.is_alphanumeric()).count()).sum();
    if letters >= MIN_MAIN { main } else { root }
}

/// Reads a piece of HTML, such as stands in Markdown and in feeds, into a flow that is under way. One that nests
/// too deep is left out with a warning.
pub fn fragment(html: &str, limits: &Limits, flow: &mut Flow<'_, '_>) {
    if let Err(error) = check_depth(html, limits) {
        return flow.sink().warn(&error.to_string());
    }
    let page = Html::parse_fragment(html);
    walk(*page.root_element(), flow);
    flow.border();
}

/// Sloppy pages forget to close elements, so their nesting is counted more generously than that of XML.
const SLOPPINESS: u32 = 16;

/// Refuses what would nest beyond all measure: the parser's time grows with the square of the depth.
fn check_depth(html: &str, limits: &Limits) -> Result<(), DocError> {
    // Elements that must be closed to end; others are closed by what follows them.
    const NESTING: [&str; 14] = [
        "div",
        "span",
        "ul",
        "ol",
        "dl",
        "table",
        "b",
        "i",
        "em",
        "strong",
        "font",
        "section",
        "blockquote",
        "a",
    ];
    let limit = limits.max_depth.saturating_mul(SLOPPINESS);
    let mut depth = 0_u32;
    for tag in html.split('<').skip(1) {
        let (closes, tag) = tag.strip_prefix('/').map_or((false, tag), |tag| (true, tag));
        let end = tag.bytes().position(|byte| !byte.is_ascii_alphanumeric()).unwrap_or(tag.len());
        if NESTING.iter().any(|name| name.eq_ignore_ascii_case(&tag[..end])) {
            depth = if closes { depth.saturating_sub(1) } else { depth + 1 };
            if depth > limit {
                return Err(DocError::TooDeep { format: "html".to_owned(), limit });
            }
        }
    }
    Ok(())
}

/// `charset=` in the first kilobyte (HTML Standard, 13.2.3.2, prescan).
fn declared_charset(bytes: &[u8]) -> Option<String> {
    let head = String::from_utf8_lossy(bytes.get(..1024).unwrap_or(bytes)).to_ascii_lowercase();
    let (_, rest) = head.split_once("charset")?;
    let value = rest.trim_start().strip_prefix('=')?.trim_start().trim_start_matches(['"', '\'']);
    let label: String =
        value.chars().take_while(|c| c.is_ascii_alphanumeric() || "-_:".contains(*c)).collect();
    (!label.is_empty()).then_some(label)
}

fn metadata(page: &Html, sink: &mut Sink<'_>) {
    if let Some(language) = page.root_element().attr("lang") {
        sink.meta("language", language);
    }
    let head = page.root_element().child_elements().find(|element| element.value().name() == "head");
    for element in head.into_iter().flat_map(|head| head.child_elements()) {
        match element.value().name() {
            "title" => sink.meta("title", &element.text().collect::<String>()),
            "meta" => {
                let name = element.attr("name").or_else(|| element.attr("property")).unwrap_or_default();
                let key = match name.to_ascii_lowercase().as_str() {
                    "description" | "og:description" => "description",
                    "author" | "article:author" => "author",
                    "keywords" => "keywords",
                    "date" | "article:published_time" => "created",
                    "og:title" => "title",
                    "generator" => "generator",
                    _ => continue,
                };
                sink.meta(key, element.attr("content").unwrap_or_default());
            }
            "link" if element.attr("rel") == Some("canonical") => {
                sink.meta("url", element.attr("href").unwrap_or_default());
            }
            _ => {}
        }
    }
}

fn walk(root: NodeRef<'_, Node>, flow: &mut Flow<'_, '_>) {
    let mut skipping = None;
    // Tables whose tags mean layout only, and the pre elements' own text.
    let mut layout: Vec<ego_tree::NodeId> = Vec::new();
    for edge in root.traverse() {
        if flow.sink().is_full() {
            return;
        }
        match edge {
            Edge::Open(node) if skipping.is_none() => match node.value() {
                Node::Text(text) => flow.text(text),
                Node::Element(element) if is_skipped(element) => skipping = Some(node.id()),
                Node::Element(element) => {
                    let name = element.name();
                    if name == "table" && is_layout(node) {
                        layout.push(node.id());
                        flow.border();
                    } else if layout.is_empty() || !is_table_part(name) || has_own_table(node, &layout) {
                        open(name, element, node, flow);
                    } else {
                        flow.border();
                    }
                }
                _ => {}
            },
            Edge::Close(node) if skipping == Some(node.id()) => skipping = None,
            Edge::Close(node) if skipping.is_none() => {
                if let Node::Element(element) = node.value() {
                    let name = element.name();
                    if layout.last() == Some(&node.id()) {
                        layout.pop();
                        flow.border();
                    } else if layout.is_empty() || !is_table_part(name) || has_own_table(node, &layout) {
                        close(name, flow);
                    } else {
                        flow.border();
                    }
                }
            }
            _ => {}
        }
    }
}

fn is_skipped(element: &Element) -> bool {
    let hidden = element.attr("hidden").is_some()
        || element.attr("role") == Some("navigation")
        // A link to the same page in another language.
        || (element.name() == "a" && element.attr("hreflang").is_some())
        || element.attr("style").is_some_and(|style| {
            let style: String = style.chars().filter(|c| !c.is_whitespace()).collect();
            style.contains("display:none") || style.contains("visibility:hidden")
        });
    hidden || SKIPPED.contains(&element.name())
}

fn is_table_part(name: &str) -> bool {
    matches!(
        name,
        "table" | "thead" | "tbody" | "tfoot" | "tr" | "td" | "th" | "caption" | "colgroup" | "col"
    )
}

/// Whether the nearest table around this part is a real one, not the layout table that is open.
fn has_own_table(node: NodeRef<'_, Node>, layout: &[ego_tree::NodeId]) -> bool {
    let is_table =
        |node: &NodeRef<'_, Node>| node.value().as_element().is_some_and(|element| element.name() == "table");
    if is_table(&node) {
        return true;
    }
    node.ancestors().find(is_table).is_some_and(|table| Some(&table.id()) != layout.last())
}

/// A table is layout where it says so, holds another table or headings, or has one column or one cell.
fn is_layout(table: NodeRef<'_, Node>) -> bool {
    if table.value().as_element().and_then(|element| element.attr("role")) == Some("presentation") {
        return true;
    }
    let (mut cells, mut rows, mut nested) = (0_usize, 0_usize, false);
    for node in table.descendants().skip(1) {
        match node.value().as_element().map(Element::name) {
            Some("td" | "th") => cells += 1,
            Some("tr") => rows += 1,
            Some("table" | "h1" | "h2" | "h3" | "pre") => nested = true,
            _ => {}
        }
    }
    nested || cells <= rows
}

fn open(name: &str, element: &Element, node: NodeRef<'_, Node>, flow: &mut Flow<'_, '_>) {
    let span =
        |attribute: &str| element.attr(attribute).and_then(|value| value.trim().parse().ok()).unwrap_or(1);
    match name {
        "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => flow.open_heading(level(name)),
        "ul" | "dl" | "menu" => flow.open_list(false),
        "ol" => flow.open_list(true),
        "li" | "dt" => flow.open_item(0),
        "dd" => flow.open_item(1),
        "pre" => flow.open_code(code_language(node)),
        "table" => flow.open_table(),
        "tr" => flow.open_row(
            node.parent().and_then(|parent| parent.value().as_element().map(Element::name)) == Some("thead"),
        ),
        "td" | "th" => flow.open_cell(name == "th", span("colspan"), span("rowspan")),
        "br" => flow.line_break(),
        "img" => {
            let alt = element.attr("alt").unwrap_or_default();
            flow.text(alt);
        }
        "input" => flow.text(" "),
        _ if BLOCKS.contains(&name) => flow.border(),
        _ => {}
    }
}

fn close(name: &str, flow: &mut Flow<'_, '_>) {
    match name {
        "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => flow.close_heading(),
        "ul" | "ol" | "dl" | "menu" => flow.close_list(),
        "li" | "dt" | "dd" => flow.close_item(),
        "pre" => flow.close_code(),
        "table" => flow.close_table(),
        "td" | "th" => flow.close_cell(),
        _ if BLOCKS.contains(&name) => flow.border(),
        _ => {}
    }
}

fn level(name: &str) -> usize {
    name.bytes().last().map_or(1, |digit| usize::from(digit.saturating_sub(b'0')))
}

/// The language a highlighter left in a class, as in `<pre><code class="language-rust">`.
fn code_language(pre: NodeRef<'_, Node>) -> Option<String> {
    let elements = std::iter::once(pre).chain(pre.children()).filter_map(|node| node.value().as_element());
    elements.flat_map(Element::classes).find_map(|class| {
        let name = class.strip_prefix("language-").or_else(|| class.strip_prefix("lang-"))?;
        Some(name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::to_markdown;

    fn markdown(html: &str) -> String {
        to_markdown(&extract(html.as_bytes(), &Limits::default()).expect("html")).text
    }

    #[test]
    fn structure_is_kept_and_programs_are_dropped() {
        let html = "<html lang=en><head><title>T</title><style>x{}</style></head><body><nav>menu</nav>\
            <h1>Head <i>line</i></h1><p>One<br>two <b>bold</b>.<script>alert(1)</script><ul><li>a<ol><li>b</ol><li>c</ul>\
            <pre><code class=language-rust>fn f() {}\n  x</code></pre><div>last<div>one</div></div>";
        assert_eq!(
            markdown(html),
            "# Head line\n\nOne  \ntwo bold.\n\n- a\n    1. b\n- c\n\n```rust\nfn f() {}\n  x\n```\n\nlast\n\none"
        );
    }

    #[test]
    fn tables_of_data_are_tables_and_tables_of_layout_are_not() {
        let data = "<table><thead><tr><th>a<th>b</thead><tr><td rowspan=2>1<td>2<tr><td>3</table>";
        assert_eq!(markdown(data), "| a | b |\n| --- | --- |\n| 1 | 2 |\n|  | 3 |");
        let layout = format!("<table><tr><td><h2>Part</h2></td><td>{data}</td></tr></table>");
        assert_eq!(markdown(&layout), "## Part\n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n|  | 3 |");
    }

    #[test]
    fn the_declared_encoding_counts_and_metadata_is_found() {
        let html = b"<meta charset='iso-8859-1'><title>\xdcber</title><meta name=author content=Me><p>\xe4";
        let document = extract(html, &Limits::default()).expect("html");
        assert_eq!(document.metadata["title"], "Über");
        assert_eq!(document.metadata["author"], "Me");
        assert_eq!(to_markdown(&document).text, "ä");
    }

    #[test]
    fn the_main_element_stands_for_the_page_if_there_is_enough_in_it() {
        let page = |text: &str| {
            format!("<header>Skip to content</header><main><p>{text}</main><footer>Imprint</footer>")
        };
        assert_eq!(markdown(&page("short")), "Skip to content\n\nshort\n\nImprint");
        let long = "word ".repeat(200);
        assert_eq!(markdown(&page(&long)), long.trim());
    }

    #[test]
    fn no_depth_exhausts_the_stack() {
        let page = |depth: usize| format!("{}deep{}", "<div><p><u>".repeat(depth), "</div>".repeat(depth));
        assert!(markdown(&page(2_000)).contains("deep"));
        let result = extract(page(20_000).as_bytes(), &Limits::default());
        assert_eq!(result.map_err(|error| error.code()), Err("TL2106"));
    }
}
