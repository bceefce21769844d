//! What tables a document has.

use serde::{Deserialize, Serialize};

use crate::model::{Block, Document};

/// The most tables, header cells of one, and characters of a header cell that are told.
const MAX_TABLES: usize = 1_000;
const MAX_COLUMNS: usize = 100;
const MAX_CELL: usize = 200;

/// One table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableSummary {
    /// Its place among the tables, from 0.
    pub index: usize,
    /// Its page, where the format has pages.
    pub page: Option<u32>,
    /// Its rows, with the header.
    pub rows: usize,
    /// Its columns: the most that a row has.
    pub columns: usize,
    /// The cells of its header; empty where it has none.
    pub header: Vec<String>,
}

/// Describes each table.
pub fn summarise(document: &Document) -> Vec<TableSummary> {
    let tables = document.blocks.iter().filter_map(|placed| match &placed.block {
        Block::Table { header, rows } => Some((placed.page, *header, rows)),
        _ => None,
    });
    let described = tables.take(MAX_TABLES).enumerate().map(|(index, (page, header, rows))| TableSummary {
        index,
        page,
        rows: rows.len(),
        columns: rows.iter().map(Vec::len).max().unwrap_or(0),
        header: match rows.first() {
            Some(first) if header => {
                first.iter().take(MAX_COLUMNS).map(|cell| cell.chars().take(MAX_CELL).collect()).collect()
            }
            _ => Vec::new(),
        },
    });
    described.collect()
}
