//! The bounds a parser keeps. They travel to the child with each document.

use serde::{Deserialize, Serialize};

/// Bounds of one document. Where a bound can be kept by leaving the rest out, the result is cut with a warning;
/// otherwise the document fails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Largest file in bytes.
    pub max_bytes: u64,
    /// Pages (slides, sheets) read; those after are left out with a warning.
    pub max_pages: u32,
    /// Bytes of text kept; what comes after is left out with a warning.
    pub max_text_bytes: u64,
    /// Bytes that all parts of a container may unpack to together.
    pub max_unpacked_bytes: u64,
    /// Nesting of elements, parts and messages.
    pub max_depth: u32,
    /// Cells of all tables together; those after are left out with a warning.
    pub max_cells: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: 64 << 20,
            max_pages: 2_000,
            max_text_bytes: 32 << 20,
            max_unpacked_bytes: 512 << 20,
            max_depth: 256,
            max_cells: 2_000_000,
        }
    }
}
