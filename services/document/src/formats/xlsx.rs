//! Workbooks, `.xlsx` and the older `.xls`: each sheet is a page, with its name as heading and its cells as table.
//!
//! Cells are read one by one, so that a sheet with two cells far apart costs no more than two cells.

use std::collections::BTreeMap;
use std::io::Cursor;

use calamine::{Data, DataRef, ExcelDateTime, Reader, SheetVisible, Xls, Xlsx};

use super::csv::is_value;
use super::ooxml::Package;
use super::sink::Sink;
use crate::error::DocError;
use crate::limits::Limits;
use crate::model::Document;

/// Columns of one table; cells beyond are left out with a warning. Wide sheets hold data for programs, not text.
const MAX_COLUMNS: u32 = 1_000;

/// Empty rows in a row that part two tables of a sheet.
const GAP: u32 = 1;

/// Reads a workbook, its hidden sheets too.
///
/// # Errors
/// `Corrupt`, `Encrypted`, `Bomb`.
pub fn extract(bytes: &[u8], limits: &Limits) -> Result<Document, DocError> {
    if bytes.starts_with(b"\xD0\xCF\x11\xE0") {
        return extract_old(bytes, limits);
    }
    let mut sink = Sink::new("xlsx", limits);
    let mut package = Package::open("xlsx", bytes, limits)?;
    package.check_all()?;
    package.properties(&mut sink)?;
    let mut book: Xlsx<_> = Xlsx::new(Cursor::new(bytes)).map_err(|error| match error {
        calamine::XlsxError::Password => DocError::Encrypted { format: "xlsx".into() },
        other => DocError::corrupt("xlsx", other),
    })?;
    let sheets = book.sheets_metadata().to_vec();
    sink.page_count(u32::try_from(sheets.len()).unwrap_or(u32::MAX));
    for (index, sheet) in sheets.iter().enumerate() {
        if !open_sheet(index, &sheet.name, sheet.visible, &mut sink) {
            break;
        }
        let mut cells = match book.worksheet_cells_reader(&sheet.name) {
            Ok(cells) => cells,
            // Sheets of charts and macros have no cells.
            Err(_) => continue,
        };
        let mut rows = Rows::default();
        loop {
            match cells.next_cell() {
                Ok(Some(cell)) => {
                    let (row, column) = cell.get_position();
                    if !rows.put(row, column, shown(cell.get_value()), &mut sink) {
                        break;
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    sink.warn(&format!("sheet {} is damaged from there on: {error}", sheet.name));
                    break;
                }
            }
        }
        rows.write(&mut sink);
    }
    Ok(sink.finish())
}

fn extract_old(bytes: &[u8], limits: &Limits) -> Result<Document, DocError> {
    let mut sink = Sink::new("xls", limits);
    let mut book: Xls<_> = Xls::new(Cursor::new(bytes)).map_err(|error| match error {
        calamine::XlsError::Password => DocError::Encrypted { format: "xls".into() },
        other => DocError::corrupt("xls", other),
    })?;
    let sheets = book.sheets_metadata().to_vec();
    sink.page_count(u32::try_from(sheets.len()).unwrap_or(u32::MAX));
    for (index, sheet) in sheets.iter().enumerate() {
        if !open_sheet(index, &sheet.name, sheet.visible, &mut sink) {
            break;
        }
        let Ok(range) = book.worksheet_range(&sheet.name) else { continue };
        let (top, left) = range.start().unwrap_or_default();
        let mut rows = Rows::default();
        for (row, column, value) in range.used_cells() {
            // A sheet of this format has at most 65,536 rows and 256 columns.
            let (row, column) =
                (top + u32::try_from(row).unwrap_or(0), left + u32::try_from(column).unwrap_or(0));
            if !rows.put(row, column, shown(&as_ref(value)), &mut sink) {
                break;
            }
        }
        rows.write(&mut sink);
    }
    Ok(sink.finish())
}

fn open_sheet(index: usize, name: &str, visible: SheetVisible, sink: &mut Sink<'_>) -> bool {
    let within = sink.page(u32::try_from(index + 1).unwrap_or(u32::MAX));
    if within {
        sink.heading(1, name);
        if visible != SheetVisible::Visible {
            sink.warn(&format!("sheet {name} is hidden"));
        }
    }
    within
}

/// The cells of one sheet that hold something.
#[derive(Debug, Default)]
struct Rows {
    rows: BTreeMap<u32, Vec<(u32, String)>>,
    cells: u64,
}

impl Rows {
    /// Keeps a cell. Answers whether there is room for more.
    fn put(&mut self, row: u32, column: u32, text: String, sink: &mut Sink<'_>) -> bool {
        if text.trim().is_empty() {
            return true;
        }
        if column >= MAX_COLUMNS {
            sink.warn(&format!("only the first {MAX_COLUMNS} columns of a sheet were read"));
            return true;
        }
        self.cells += 1;
        self.rows.entry(row).or_default().push((column, text));
        self.cells <= sink.limits().max_cells
    }

    /// Writes the cells as tables, parted by empty rows.
    fn write(self, sink: &mut Sink<'_>) {
        let mut table: Vec<Vec<(u32, String)>> = Vec::new();
        let mut before: Option<u32> = None;
        for (row, cells) in self.rows {
            if before.is_some_and(|before| row > before + GAP) {
                write_table(std::mem::take(&mut table), sink);
            }
            before = Some(row);
            table.push(cells);
        }
        write_table(table, sink);
    }
}

/// A table, or a paragraph for each row where there is but one column.
fn write_table(rows: Vec<Vec<(u32, String)>>, sink: &mut Sink<'_>) {
    let columns = || rows.iter().flatten().map(|(column, _)| *column);
    let (Some(first), Some(last)) = (columns().min(), columns().max()) else { return };
    if first == last {
        rows.iter().flatten().for_each(|(_, text)| sink.paragraph(text));
        return;
    }
    let width = (last - first + 1) as usize;
    let table: Vec<Vec<String>> = rows
        .into_iter()
        .map(|cells| {
            let filled = cells.iter().map(|(column, _)| (column - first + 1) as usize).max().unwrap_or(0);
            let mut row = vec![String::new(); filled];
            for (column, text) in cells {
                if let Some(cell) = row.get_mut((column - first) as usize) {
                    *cell = text;
                }
            }
            row
        })
        .collect();
    let header = table.first().is_some_and(|head| is_header(head, width));
    sink.table(header, table);
}

/// A row of names: most columns filled, none with a number.
fn is_header(row: &[String], width: usize) -> bool {
    let filled = row.iter().filter(|cell| !cell.is_empty()).count();
    filled * 2 > width && row.iter().all(|cell| !is_value(cell))
}

fn as_ref(data: &Data) -> DataRef<'_> {
    match data {
        Data::Int(value) => DataRef::Int(*value),
        Data::Float(value) => DataRef::Float(*value),
        Data::String(value) => DataRef::SharedString(value),
        Data::Bool(value) => DataRef::Bool(*value),
        Data::DateTime(value) => DataRef::DateTime(*value),
        Data::DateTimeIso(value) => DataRef::DateTimeIso(value.clone()),
        Data::DurationIso(value) => DataRef::DurationIso(value.clone()),
        Data::Error(value) => DataRef::Error(value.clone()),
        Data::Empty => DataRef::Empty,
        // The enum may grow; what is new is shown as its debug form rather than lost.
        #[allow(unreachable_patterns)]
        other => DataRef::String(format!("{other:?}")),
    }
}

/// A value as its reader would write it: dates in ISO 8601, numbers without the noise of binary fractions.
fn shown(value: &DataRef<'_>) -> String {
    match value {
        DataRef::Int(value) => value.to_string(),
        DataRef::Float(value) => number(*value),
        DataRef::String(value) => value.clone(),
        DataRef::SharedString(value) => (*value).to_owned(),
        DataRef::Bool(value) => if *value { "TRUE" } else { "FALSE" }.to_owned(),
        DataRef::DateTime(value) => date(value),
        DataRef::DateTimeIso(value) | DataRef::DurationIso(value) => value.clone(),
        DataRef::Error(error) => error.to_string(),
        DataRef::Empty => String::new(),
    }
}

/// Excel itself keeps 15 digits.
fn number(value: f64) -> String {
    let rounded: f64 = format!("{value:.14e}").parse().unwrap_or(value);
    if rounded != 0.0 && (rounded.abs() >= 1e15 || rounded.abs() < 1e-9) {
        format!("{rounded:e}")
    } else {
        rounded.to_string()
    }
}

fn date(value: &ExcelDateTime) -> String {
    if value.is_duration() {
        let seconds = (value.as_f64() * 86_400.0).round() as i64;
        let (sign, seconds) = (if seconds < 0 { "-" } else { "" }, seconds.abs());
        return format!("{sign}{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    }
    let (year, month, day, hour, minute, second, milli) = value.to_ymd_hms_milli();
    let (clock, seconds) = (format!("{hour:02}:{minute:02}"), u32::from(second) * 1000 + u32::from(milli));
    let clock = if seconds == 0 { clock } else { format!("{clock}:{second:02}") };
    match (value.as_f64() < 1.0, hour == 0 && minute == 0 && seconds == 0) {
        // Day 0 is no date: the cell holds a time of day.
        (true, _) => clock,
        (false, true) => format!("{year:04}-{month:02}-{day:02}"),
        (false, false) => format!("{year:04}-{month:02}-{day:02} {clock}"),
    }
}

#[cfg(test)]
mod tests {
    use calamine::ExcelDateTimeType;

    use super::super::ooxml::tests::package;
    use super::*;
    use crate::render::to_markdown;

    fn book(cells: &str) -> Vec<u8> {
        let sheet = format!(
            "<worksheet xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\"><sheetData>{cells}</sheetData></worksheet>"
        );
        package(&[
            ("[Content_Types].xml", "<Types/>"),
            (
                "_rels/.rels",
                r#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>"#,
            ),
            (
                "xl/_rels/workbook.xml.rels",
                r#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="s" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/></Relationships>"#,
            ),
            (
                "xl/workbook.xml",
                r#"<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet name="Sales" sheetId="1" r:id="s"/></sheets></workbook>"#,
            ),
            ("xl/worksheets/sheet1.xml", &sheet),
        ])
    }

    fn text(reference: &str, text: &str) -> String {
        format!("<c r=\"{reference}\" t=\"inlineStr\"><is><t>{text}</t></is></c>")
    }

    #[test]
    fn sheets_become_headings_and_tables() {
        let cells = format!(
            "<row r=\"2\">{}{}</row><row r=\"3\">{}<c r=\"C3\"><v>0.30000000000000004</v></c></row><row r=\"9\">{}</row>",
            text("B2", "Town"),
            text("C2", "Share"),
            text("B3", "Ulm"),
            text("B9", "A remark")
        );
        let document = extract(&book(&cells), &Limits::default()).expect("xlsx");
        assert_eq!(document.page_count, Some(1));
        assert_eq!(
            to_markdown(&document).text,
            "# Sales\n\n| Town | Share |\n| --- | --- |\n| Ulm | 0.3 |\n\nA remark"
        );
    }

    #[test]
    fn two_cells_far_apart_cost_two_cells() {
        let cells = format!(
            "<row r=\"1\">{}</row><row r=\"1048576\"><c r=\"XFD1048576\"><v>1</v></c>{}</row>",
            text("A1", "first"),
            text("B1048576", "last")
        );
        let document = extract(&book(&cells), &Limits::default()).expect("xlsx");
        assert_eq!(to_markdown(&document).text, "# Sales\n\nfirst\n\nlast");
        assert!(document.warnings.iter().any(|warning| warning.contains("columns")));
    }

    #[test]
    fn dates_times_and_numbers_are_written_for_readers() {
        let at = |value: f64, kind| date(&ExcelDateTime::new(value, kind, false));
        assert_eq!(at(45_351.0, ExcelDateTimeType::DateTime), "2024-02-29");
        assert_eq!(at(45_351.75, ExcelDateTimeType::DateTime), "2024-02-29 18:00");
        assert_eq!(at(0.5, ExcelDateTimeType::DateTime), "12:00");
        assert_eq!(at(1.5, ExcelDateTimeType::TimeDelta), "36:00:00");
        assert_eq!(number(1234.0), "1234");
        assert_eq!(number(1e300), "1e300");
    }
}
