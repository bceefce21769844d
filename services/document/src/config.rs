//! What can be configured, with its defaults.

use serde::{Deserialize, Serialize};

use crate::limits::Limits;

/// The service's own configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DocumentConfig {
    /// Where documents may come from.
    pub sources: SourcesConfig,
    /// The parsing children.
    pub parser: ParserConfig,
    /// Bounds of one document.
    pub limits: Limits,
}

/// Where documents may come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SourcesConfig {
    /// Folders whose files tasks may name as `file://<path>`; none by default.
    pub roots: Vec<String>,
    /// Whether tasks may name `http://` and `https://` addresses.
    pub allow_http: bool,
    /// Networks (`10.1.0.0/16`, or one address) that may be fetched from although they are not public.
    pub allow_networks: Vec<String>,
    /// Time a fetch from the web may take altogether, in milliseconds.
    pub http_timeout_ms: u64,
    /// Redirects that are followed; each is checked like the first address.
    pub http_max_redirects: u32,
}

impl Default for SourcesConfig {
    fn default() -> Self {
        Self {
            roots: Vec::new(),
            allow_http: true,
            allow_networks: Vec::new(),
            http_timeout_ms: 30_000,
            http_max_redirects: 5,
        }
    }
}

/// The parsing children.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ParserConfig {
    /// Children, and so documents, at once; 0 stands for one a core.
    pub children: usize,
    /// Time parsing one document may take before its child is killed, in milliseconds.
    pub timeout_ms: u64,
    /// Resident memory of one child, in megabytes.
    pub memory_mb: u64,
    /// Documents after which a child is replaced.
    pub recycle_after: u32,
    /// Peak resident memory after which an idle child is replaced, in megabytes.
    pub recycle_mb: u64,
    /// The PDFium library; empty: searched beside the executable, in the cache, and with the system's libraries.
    pub pdfium_library: String,
}

impl Default for ParserConfig {
    fn default() -> Self {
        Self {
            children: 0,
            timeout_ms: 30_000,
            memory_mb: 1024,
            recycle_after: 500,
            recycle_mb: 256,
            pdfium_library: String::new(),
        }
    }
}
