//! Which models there are. Pure.

use std::path::PathBuf;

use tasklane_models::ModelName;
use tasklane_models::bucket::Stored;
use tasklane_models::folder::Found;
use tasklane_models::name::compare_versions;

/// A model that can be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name and version.
    pub name: ModelName,
    /// Where it is.
    pub place: Place,
    /// What tells it from another of the same name and version: its object's checksum, or its manifest's text.
    pub stamp: String,
}

/// Where a model is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A folder of the operator's.
    Folder(PathBuf),
    /// The object store.
    Bucket {
        /// Bytes of its object.
        bytes: u64,
    },
}

/// A folder whose manifest has mistakes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The folder's name.
    pub folder: String,
    /// What is wrong.
    pub reason: String,
}

/// All models. A folder comes before an object of the same name and version.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    entries: Vec<Entry>,
    broken: Vec<Broken>,
}

impl Catalogue {
    pub(super) fn add_folders(&mut self, folders: Vec<Found>) {
        for (folder, read) in folders {
            match read {
                Ok((stamp, manifest)) => {
                    self.add(Entry { name: manifest.full_name(), place: Place::Folder(folder), stamp });
                }
                Err(e) => {
                    let folder = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
                    self.broken.push(Broken { folder, reason: e.to_string() });
                }
            }
        }
    }

    pub(super) fn add_bucket(&mut self, objects: Vec<Stored>) {
        for Stored { name, object } in objects {
            self.add(Entry { name, place: Place::Bucket { bytes: object.size }, stamp: object.digest });
        }
    }

    fn add(&mut self, entry: Entry) {
        if !self.entries.iter().any(|known| known.name == entry.name) {
            self.entries.push(entry);
        }
    }

    /// All that can be had.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Folders that are no models for their mistakes.
    pub fn broken(&self) -> &[Broken] {
        &self.broken
    }

    /// The model of a name; without a version its newest.
    pub fn find(&self, wanted: &ModelName) -> Option<&Entry> {
        let named = self.entries.iter().filter(|entry| entry.name.name == wanted.name);
        match &wanted.version {
            Some(_) => named.into_iter().find(|entry| entry.name == *wanted),
            None => named.max_by(|a, b| compare_versions(version(a), version(b))),
        }
    }

    /// Why a folder of that name is none.
    pub fn why_not(&self, wanted: &ModelName) -> Option<&Broken> {
        self.broken.iter().find(|broken| broken.folder == wanted.name || broken.folder == wanted.to_string())
    }
}

fn version(entry: &Entry) -> &str {
    entry.name.version.as_deref().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, place: Place) -> Entry {
        Entry { name: name.parse().unwrap(), place, stamp: String::new() }
    }

    #[test]
    fn the_newest_is_meant_and_a_folder_comes_first() {
        let mut catalogue = Catalogue::default();
        for name in ["m@1.9", "m@1.10", "m@1.10-rc1", "other@7"] {
            catalogue.add(entry(name, Place::Folder("f".into())));
        }
        catalogue.add(entry("m@1.10", Place::Bucket { bytes: 1 }));
        catalogue.add(entry("m@1.2", Place::Bucket { bytes: 1 }));
        let find = |name: &str| catalogue.find(&name.parse().unwrap()).map(|entry| entry.name.to_string());
        assert_eq!(find("m").as_deref(), Some("m@1.10"));
        assert_eq!(find("m@1.2").as_deref(), Some("m@1.2"));
        assert_eq!((find("m@2"), find("n")), (None, None));
        let newest = catalogue.find(&"m".parse().unwrap()).unwrap();
        assert_eq!(newest.place, Place::Folder("f".into()));
    }
}
