//! The PDFium library: found, loaded once a process, and kept.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use pdfium_render::prelude::{Pdfium, PdfiumError};

use crate::error::DocError;

static LIBRARY: OnceLock<Result<Pdfium, String>> = OnceLock::new();

/// Loads the library at `path`, so that the first PDF need not wait for it. What goes wrong is reported by
/// [`get`], to whoever sends a PDF; other formats do without.
pub fn load_early(path: &Path) {
    LIBRARY.get_or_init(|| load(path));
}

/// The library; where nothing was loaded before, from the place [`find`] finds.
///
/// # Errors
/// `Unavailable` where there is none.
pub fn get() -> Result<&'static Pdfium, DocError> {
    let loaded = LIBRARY.get_or_init(|| load(&find("").unwrap_or_default()));
    loaded.as_ref().map_err(|reason| DocError::Unavailable { format: "pdf".into(), reason: reason.clone() })
}

fn load(path: &Path) -> Result<Pdfium, String> {
    if path.as_os_str().is_empty() {
        return Err("no PDFium library was found; run the set-up, or set `parser.pdfium_library`".into());
    }
    let bound = Pdfium::bind_to_library(path);
    bound.map(Pdfium::new).map_err(|error| format!("{} cannot be loaded: {}", path.display(), words(&error)))
}

fn words(error: &PdfiumError) -> String {
    match error {
        PdfiumError::LoadLibraryError(error) => error.to_string(),
        other => format!("{other:?}"),
    }
}

/// Where the library is: `configured` if that is not empty, else beside the executable, in the cache that the set-up
/// fills (`$HOME/.cache/tasklane/pdfium/<version>/`, the newest), or with the system's libraries.
pub fn find(configured: &str) -> Option<PathBuf> {
    const NAME: &str = "libpdfium.so";
    if !configured.is_empty() {
        return Some(PathBuf::from(configured));
    }
    let executable = std::env::current_exe().ok();
    let beside = executable.as_deref().and_then(Path::parent).map(|folder| folder.join(NAME));
    let mut cached: Vec<PathBuf> = std::env::home_dir()
        .and_then(|home| std::fs::read_dir(home.join(".cache/tasklane/pdfium")).ok())
        .map(|entries| entries.flatten().map(|entry| entry.path().join(NAME)).collect())
        .unwrap_or_default();
    cached.sort();
    let system = [
        "/usr/local/lib",
        "/usr/lib/x86_64-linux-gnu",
        "/usr/lib/aarch64-linux-gnu",
        "/usr/lib64",
        "/usr/lib",
    ];
    let system = system.into_iter().map(|folder| Path::new(folder).join(NAME));
    beside.into_iter().chain(cached.into_iter().rev()).chain(system).find(|path| path.is_file())
}
