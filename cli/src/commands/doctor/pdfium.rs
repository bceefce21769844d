//! Where a document service on this machine would find PDFium.

use std::path::PathBuf;

use super::judge::Finding;

/// The document service's own setting. (`PDFIUM_LIBRARY` is the set-up's: what it names is linked beside the programs.)
const VARIABLE: &str = "TASKLANE_PARSER_PDFIUM_LIBRARY";
const WHAT: &str = "pdfium";

/// Looks where the service does: by its setting, beside the programs, in the set-up's cache, with the system's libraries.
pub fn look() -> Finding {
    let file = if cfg!(target_os = "macos") { "libpdfium.dylib" } else { "libpdfium.so" };
    let named = std::env::var_os(VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from);
    let arch = std::env::consts::ARCH;
    let system = [
        "/usr/local/lib",
        "/usr/lib",
        "/usr/lib64",
        "/opt/homebrew/lib",
        &format!("/usr/lib/{arch}-linux-gnu"),
    ]
    .map(|dir| PathBuf::from(dir).join(file));
    let beside = std::env::current_exe().ok().and_then(|program| Some(program.parent()?.join(file)));
    judge(named, beside.into_iter().chain(cached(file)).chain(system))
}

/// What follows from the setting and the places, of which the first that has the library counts.
fn judge(named: Option<PathBuf>, places: impl IntoIterator<Item = PathBuf>) -> Finding {
    if let Some(path) = named {
        return match path.is_file() {
            true => Finding::ok(WHAT, path.display().to_string()),
            false => Finding::fail(
                WHAT,
                format!("{VARIABLE} names {}, which is no file", path.display()),
                "`scripts/setup.sh pdfium` fetches one; unset the variable then",
            ),
        };
    }
    match places.into_iter().find(|place| place.is_file()) {
        Some(place) => Finding::ok(WHAT, place.display().to_string()),
        None => Finding::warn(
            WHAT,
            "not found here: where the document service runs like this, PDF files alone are refused",
            format!("`scripts/setup.sh pdfium` fetches it, or {VARIABLE}=<path> names it"),
        ),
    }
}

/// The versions that `scripts/setup.sh` keeps in its cache.
fn cached(file: &str) -> Vec<PathBuf> {
    let own = std::env::var_os("TASKLANE_CACHE").map(PathBuf::from);
    let shared = std::env::var_os("XDG_CACHE_HOME").map(|dir| PathBuf::from(dir).join("tasklane"));
    let home = std::env::var_os("HOME").map(|dir| PathBuf::from(dir).join(".cache/tasklane"));
    let Some(cache) = own.or(shared).or(home) else { return Vec::new() };
    let Ok(versions) = std::fs::read_dir(cache.join("pdfium")) else { return Vec::new() };
    versions.flatten().map(|version| version.path().join(file)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::judge::Level;
    use super::*;

    #[test]
    fn what_the_setting_names_counts_and_else_the_first_place_that_has_it() {
        let folder = tempfile::TempDir::new().unwrap();
        let file = |name: &str| folder.path().join(name);
        std::fs::write(file("a"), "").unwrap();
        std::fs::write(file("b"), "").unwrap();
        let shown = |name: &str| file(name).display().to_string();
        let places = || [file("missing"), file("b")];

        let found = judge(None, places());
        assert_eq!((found.level, found.detail), (Level::Ok, shown("b")));
        let found = judge(Some(file("a")), places());
        assert_eq!((found.level, found.detail), (Level::Ok, shown("a")));
        let wrong = judge(Some(file("missing")), places());
        assert_eq!(wrong.level, Level::Fail);
        assert!(wrong.detail.contains(VARIABLE) && wrong.detail.contains(&shown("missing")), "{wrong:?}");
        let none = judge(None, [file("missing")]);
        assert_eq!(none.level, Level::Warn);
        assert!(none.remedy.contains(VARIABLE), "{none:?}");
    }
}
