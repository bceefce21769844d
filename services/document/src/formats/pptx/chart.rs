//! A chart as the table it was drawn from: a row for each category, a column for each series.

use super::super::ooxml::{Xml, number, walk};
use super::super::sink::Sink;
use super::FORMAT;
use crate::error::DocError;
use crate::limits::Limits;

/// Points of one series that are taken.
const MAX_POINTS: usize = 10_000;

#[derive(Debug, Default)]
struct Series {
    name: String,
    categories: Vec<String>,
    values: Vec<String>,
}

/// Writes a chart's title and its data.
///
/// # Errors
/// Those of `walk`.
pub fn write(xml: &str, limits: &Limits, sink: &mut Sink<'_>) -> Result<(), DocError> {
    let mut all: Vec<Series> = Vec::new();
    let (mut title, mut text, mut index) = (String::new(), String::new(), 0_usize);
    // The innermost of the elements that say what a value is.
    let mut place: Vec<&'static str> = Vec::new();
    walk(FORMAT, xml, limits, |node| {
        match node {
            Xml::Open(name, tag) => {
                text.clear();
                match name {
                    "ser" => all.push(Series::default()),
                    "pt" => index = number(tag, "idx").unwrap_or(0),
                    _ => {}
                }
                place.extend(kind(name));
            }
            Xml::Text(more) => text.push_str(more),
            Xml::Close(name) => {
                if matches!(name, "v" | "t") {
                    keep(&mut all, &mut title, &place, index, &text);
                }
                if kind(name).is_some() {
                    place.pop();
                }
                text.clear();
            }
        }
        true
    })?;
    sink.paragraph(&title);
    let Some(first) = all.first() else { return Ok(()) };
    let rows = all.iter().map(|series| series.values.len()).max().unwrap_or(0).max(first.categories.len());
    let cell = |cells: &[String], row: usize| cells.get(row).cloned().unwrap_or_default();
    let head = std::iter::once(String::new()).chain(all.iter().map(|series| series.name.clone()));
    let mut table = vec![head.collect::<Vec<_>>()];
    for row in 0..rows {
        let values = all.iter().map(|series| cell(&series.values, row));
        table.push(std::iter::once(cell(&first.categories, row)).chain(values).collect());
    }
    sink.table(true, table);
    Ok(())
}

fn kind(element: &str) -> Option<&'static str> {
    ["title", "tx", "cat", "xVal", "val", "yVal"].into_iter().find(|known| *known == element)
}

fn keep(all: &mut [Series], title: &mut String, place: &[&str], index: usize, text: &str) {
    match (all.last_mut(), place.last()) {
        // The chart's own title comes before any series; those of the axes come after.
        (None, _) if place.first() == Some(&"title") => title.push_str(text),
        (Some(series), Some(&"tx")) => series.name.push_str(text),
        (Some(series), Some(&("cat" | "xVal"))) => put(&mut series.categories, index, text),
        (Some(series), Some(&("val" | "yVal"))) => put(&mut series.values, index, text),
        _ => {}
    }
}

fn put(cells: &mut Vec<String>, index: usize, text: &str) {
    if index < MAX_POINTS {
        if cells.len() <= index {
            cells.resize(index + 1, String::new());
        }
        cells[index] = text.to_owned();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::to_markdown;

    #[test]
    fn a_chart_is_its_data() {
        let point = |index: usize, value: &str| format!("<c:pt idx='{index}'><c:v>{value}</c:v></c:pt>");
        let xml = format!(
            "<c:chart xmlns:c='c' xmlns:a='a'><c:title><c:tx><a:t>Sales</a:t></c:tx></c:title><c:ser><c:tx><c:v>North</c:v></c:tx>\
             <c:cat>{}{}</c:cat><c:val>{}{}</c:val></c:ser></c:chart>",
            point(0, "May"),
            point(1, "June"),
            point(0, "1"),
            point(1, "2")
        );
        let limits = Limits::default();
        let mut sink = Sink::new("pptx", &limits);
        write(&xml, &limits, &mut sink).expect("chart");
        let expected = "Sales\n\n|  | North |\n| --- | --- |\n| May | 1 |\n| June | 2 |";
        assert_eq!(to_markdown(&sink.finish()).text, expected);
    }
}
