//! The prompts of the jobs: those that come with the program, and those that an operator puts in their place.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::template::{Filled, Template};

/// Bytes of a template, at most.
const MOST_BYTES: u64 = 64 * 1024;
/// Files that are looked at, at most: a folder with more is another one.
const MOST_FILES: usize = 1_000;
/// Version of every template that comes along. A change that alters what a template has to contain makes a new one.
const VERSION: &str = "v1";

struct Known {
    /// `<job>/<name>`
    name: &'static str,
    text: &'static str,
    required: &'static [&'static str],
    optional: &'static [&'static str],
}

macro_rules! known {
    ($name:literal, $required:expr, $optional:expr) => {
        Known {
            name: $name,
            text: include_str!(concat!("../../prompts/", $name, ".v1.md")),
            required: &$required,
            optional: &$optional,
        }
    };
}

/// Every template, with the placeholders that it has to have, and those that it may have.
const KNOWN: [Known; 13] = [
    known!("document_summary/part", ["text"], ["title", "position", "focus", "language"]),
    known!("document_summary/merge", ["summaries"], ["position", "focus", "language"]),
    known!("document_summary/final", ["text"], ["kind", "focus", "language", "words", "schema"]),
    known!("content_analysis/analyse", ["text"], ["position", "wanted", "categories", "language", "schema"]),
    known!("research/plan", ["question", "sources"], ["most", "schema"]),
    known!("research/answer", ["question", "passages"], ["topic", "language", "schema"]),
    known!("research/synthesis", ["question", "answers"], ["language", "schema"]),
    known!("catchball/propose", ["task"], ["role", "stance", "material", "language"]),
    known!(
        "catchball/critique",
        ["task", "proposal"],
        ["role", "stance", "material", "language", "round", "schema"]
    ),
    known!(
        "catchball/revise",
        ["task", "proposal", "critiques"],
        ["role", "stance", "material", "language", "round"]
    ),
    known!("synthesize_wisdom/answer", ["question"], ["language"]),
    known!("synthesize_wisdom/cluster", ["question", "answers"], ["language", "schema"]),
    known!("synthesize_wisdom/merge", ["question", "clusters"], ["language", "schema"]),
];
/// What a model is told of its answer's mistakes.
const REPAIR: Known = known!("structured/repair", ["mistakes"], ["schema"]);

/// Which text of a template was used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Edition {
    /// Its version, by the file's name.
    pub version: &'static str,
    /// The first 12 hex digits of its text's SHA-256.
    pub hash: String,
    /// Whether the operator's text stands in the place of ours.
    pub replaced: bool,
}

struct Prompt {
    template: Template,
    edition: Edition,
}

/// All templates, as they are used.
pub struct Prompts(BTreeMap<&'static str, Prompt>);

impl Prompts {
    /// Reads the templates; those of `folder` stand in the place of ours. An empty name stands for no folder.
    ///
    /// # Errors
    /// Every mistake, a line each.
    pub fn load(folder: &str) -> Result<Self, String> {
        let mut mistakes = Vec::new();
        let replaced =
            if folder.is_empty() { BTreeMap::new() } else { read_folder(Path::new(folder), &mut mistakes) };
        let mut prompts = BTreeMap::new();
        for known in all() {
            let own = replaced.get(known.name);
            let text = own.map_or(known.text, |(_, text)| text);
            match Template::parse(text, known.required, known.optional) {
                Ok(template) => {
                    let edition = Edition { version: VERSION, hash: hash(text), replaced: own.is_some() };
                    prompts.insert(known.name, Prompt { template, edition });
                }
                Err(found) => {
                    let place =
                        own.map_or_else(|| known.name.to_owned(), |(path, _)| path.display().to_string());
                    mistakes.extend(found.into_iter().map(|text| format!("{place}: {text}")));
                }
            }
        }
        if mistakes.is_empty() {
            return Ok(Self(prompts));
        }
        Err(format!("the prompts cannot be used:\n  {}", mistakes.join("\n  ")))
    }

    /// A prompt with its values; `None` for a name that there is not.
    pub fn fill(&self, name: &str, values: &[(&str, &str)]) -> Option<Filled> {
        self.0.get(name).map(|prompt| prompt.template.fill(values))
    }

    /// Which text of it is used.
    pub fn edition(&self, name: &str) -> Option<&Edition> {
        self.0.get(name).map(|prompt| &prompt.edition)
    }
}

fn all() -> impl Iterator<Item = &'static Known> {
    static REPAIRS: [Known; 1] = [REPAIR];
    static JOBS: [Known; 13] = KNOWN;
    JOBS.iter().chain(&REPAIRS)
}

fn hash(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

/// The operator's texts by the template's name.
fn read_folder(folder: &Path, mistakes: &mut Vec<String>) -> BTreeMap<&'static str, (PathBuf, String)> {
    let mut files = Vec::new();
    if let Err(e) = files_below(folder, 0, &mut files) {
        mistakes.push(format!("{}: {e}", folder.display()));
    }
    let mut texts = BTreeMap::new();
    for path in files {
        let relative = path.strip_prefix(folder).unwrap_or(&path).display().to_string();
        let Some(known) = all().find(|known| relative == format!("{}.{VERSION}.md", known.name)) else {
            let names: Vec<String> = all().map(|k| format!("{}.{VERSION}.md", k.name)).collect();
            mistakes.push(format!("{}: no such template; there are {}", path.display(), names.join(", ")));
            continue;
        };
        match read(&path) {
            Ok(text) => {
                texts.insert(known.name, (path, text));
            }
            Err(e) => mistakes.push(format!("{}: {e}", path.display())),
        }
    }
    texts
}

fn read(path: &Path) -> Result<String, String> {
    let bytes = std::fs::metadata(path).map_err(|e| e.to_string())?.len();
    if bytes > MOST_BYTES {
        return Err(format!("it has {bytes} bytes; {MOST_BYTES} are allowed"));
    }
    std::fs::read_to_string(path).map_err(|e| e.to_string())
}

/// Names that begin with a point are not ours: a mounted folder of Kubernetes has some.
fn files_below(folder: &Path, depth: u32, files: &mut Vec<PathBuf>) -> Result<(), String> {
    for entry in std::fs::read_dir(folder).map_err(|e| e.to_string())? {
        let path = entry.map_err(|e| e.to_string())?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')) {
            continue;
        }
        if files.len() == MOST_FILES {
            return Err(format!("more than {MOST_FILES} files; name a folder that has only templates"));
        }
        if path.is_dir() && depth < 2 {
            files_below(&path, depth + 1, files)?;
        } else {
            files.push(path);
        }
    }
    files.sort();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(folder: &Path, name: &str, text: &str) {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn what_comes_along_can_be_used() {
        let prompts = Prompts::load("").unwrap();
        for known in all() {
            let edition = prompts.edition(known.name).unwrap();
            assert_eq!((edition.version, edition.hash.len(), edition.replaced), ("v1", 12, false));
            let values: Vec<(&str, &str)> = known.required.iter().map(|name| (*name, "VALUE")).collect();
            let filled = prompts.fill(known.name, &values).unwrap();
            assert!(filled.user.contains("VALUE"), "{}: {filled:?}", known.name);
        }
    }

    #[test]
    fn the_operators_text_wins_and_the_hash_tells() {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), "document_summary/part.v1.md", "Sum up: {{text}}");
        put(folder.path(), ".hidden/part.v1.md", "no template");
        let (ours, theirs) =
            (Prompts::load("").unwrap(), Prompts::load(folder.path().to_str().unwrap()).unwrap());
        let name = "document_summary/part";
        assert_eq!(theirs.fill(name, &[("text", "x")]).unwrap().user, "Sum up: x");
        assert!(theirs.edition(name).unwrap().replaced);
        assert_ne!(theirs.edition(name).unwrap().hash, ours.edition(name).unwrap().hash);
        assert_eq!(theirs.edition("research/plan"), ours.edition("research/plan"));
    }

    #[test]
    fn every_mistake_of_the_folder_is_told() {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), "document_summary/part.v1.md", "{{txet}}");
        put(folder.path(), "document_summary/part.v2.md", "{{text}}");
        put(folder.path(), "research/plan.v1.md", &"x".repeat(65 * 1024));
        let Err(said) = Prompts::load(folder.path().to_str().unwrap()) else { panic!("it was used") };
        for part in [
            "{{txet}} is not known",
            "{{text}} is missing",
            "part.v2.md: no such template",
            "65536 are allowed",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert!(Prompts::load("/nowhere/at/all").is_err());
    }
}
